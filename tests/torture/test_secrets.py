"""Canaries in place of the API key and the webhook secrets: nowhere but at their own receivers, and not in memory after a reload."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any, Iterator

import pytest
from harness import BUILD, DELETE, PROGRAM, Place, wait_for
from klaviyo import SimKlaviyo, error
from receiver import Receiver
from test_disk import FAST, Disk, told

# No part of one is in another.
KEY, NEW_KEY = "pk_CANARY_q8Zr3LwX0vT6mJ1k", "pk_FINCH__d5Hn9PbY2cG7sE4u"
RAW, NEW_RAW = b"CANARY:QmZ81xkVw72LpTcyRgJh50", b"FINCH::aUe63oBf94iNdSvKtMr1W7"
SECRET, NEW_SECRET = ("whsec_" + base64.b64encode(raw).decode() for raw in (RAW, NEW_RAW))
URL_TOKEN = "CANARYinTheUrl42"


def traces(*secrets: str | bytes) -> list[bytes]:
    """What gives a secret away: itself, its base64, and half of it from either end, as a cut text would hold."""
    found = []
    for secret in secrets:
        raw = secret.encode() if isinstance(secret, str) else secret
        found += [raw, base64.b64encode(raw).rstrip(b"=")[:-1], raw[:len(raw) * 2 // 3], raw[len(raw) // 3:]]
    return found


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """All writable memory of a process."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            if "rw" not in mode or "[vvar]" in line:
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            mem.seek(begin)
            try:
                yield line.strip(), mem.read(end - begin)
            except OSError:
                continue


def in_memory(pid: int, needles: list[bytes]) -> list[str]:
    return [f"{where.split()[-1]}: {needle!r} in {content[max(0, content.find(needle) - 60):content.find(needle) + 80]!r}"
            for where, content in memory(pid) for needle in needles if needle in content]


class Scene:
    """A daemon with canaries everywhere, and another account and webhook beside it that must not hear of them."""

    def __init__(self, path: Path, api_url: str, hook_url: str, other_url: str, top: str = "") -> None:
        self.place = Place(path, api_url)
        self.place.secret("api-key", KEY)
        self.place.secret("webhook.secret", SECRET)
        self.place.secret("other.key", "pk_other")
        self.place.secret("other.secret", "whsec_" + base64.b64encode(b"another secret, of another hook").decode())
        p = self.place.path
        self.place.config.write_text(
            f'api-url = "{api_url}"\n{top}\n'
            f'account "main" {{ api-key-file = "{p}/api-key" {FAST} }}\n'
            f'account "other" {{ api-key-file = "{p}/other.key" {FAST} }}\n'
            f'webhook "ops" {{ url = "{hook_url}?token={URL_TOKEN}" secret-file = "{p}/webhook.secret" retry-base = 50ms retry-max = 500ms }}\n'
            f'webhook "other" {{ url = "{other_url}" secret-file = "{p}/other.secret" retry-base = 50ms retry-max = 500ms }}\n'
            'alerts { unreachable-after = 1s }\n')


@pytest.fixture
def sim() -> Iterator[SimKlaviyo]:
    with SimKlaviyo() as server:
        yield server


@pytest.mark.skipif(os.geteuid() != 0, reason="the memory of a process that forbids it is root's to read")
@pytest.mark.parametrize("http", ["plain", "tls", "h2"])
def test_memory_is_wiped_at_reload(tmp_path: Path, sim: SimKlaviyo, certificates: Any, http: str) -> None:
    from h2 import Http2Front
    acct = sim.account(KEY, name="main")
    acct.add_key(NEW_KEY, ["catalogs:read"])
    sim.account("pk_other", name="other")
    acct.add_job(DELETE, id="A", status="processing")
    with Receiver([SECRET, NEW_SECRET]) as hook, Receiver() as other:
        front = None if http == "plain" else Http2Front(sim.port, certificates, alpn="h2" if http == "h2" else "http/1.1")
        if front:
            front.__enter__()
        try:
            scene = Scene(tmp_path, front.url if front else sim.url, hook.url, other.url,
                          f'ca-file = "{certificates.ca_file}"' if front else "")
            daemon = scene.place.daemon()
            wait_for(lambda: told(hook, "watch.started"))
            acct.set("A", status="complete")
            wait_for(lambda: told(hook, "job.completed"))
            pid = daemon.process.pid
            assert in_memory(pid, [KEY.encode()]), "the search finds what is there"
            scene.place.secret("api-key", NEW_KEY)
            scene.place.secret("webhook.secret", NEW_SECRET)
            daemon.reload()
            daemon.wait_line("configuration reloaded")
            acct.revoke(KEY)
            n = len(sim.requests)
            acct.add_job(DELETE, id="B", status="cancelled")
            wait_for(lambda: told(hook, "job.cancelled"))
            sim.wait_requests(n + 6)
            left: list[str] = []

            def wiped() -> bool:
                left[:] = in_memory(pid, traces(KEY, RAW, SECRET))
                return not left
            try:
                wait_for(wiped, timeout=15)  # connections from before the reload are closed within a few requests
            except TimeoutError:
                raise AssertionError("\n".join(left)) from None
            assert in_memory(pid, [NEW_KEY.encode()])
            assert daemon.stop() == 0
        finally:
            if front:
                front.__exit__(None, None, None)
            scene.place.stop()
