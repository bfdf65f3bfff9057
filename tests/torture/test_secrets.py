"""Canaries in place of the API key and the webhook secrets: nowhere but at their own receivers, and not in memory after a reload."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
from at_exit import seize, stopped_at_exit
from canaries import traces
from harness import BUILD, DEADLINE, DELETE, PROGRAM, Place, wait_for
from klaviyo import SimKlaviyo, error
from receiver import Receiver
from test_disk import FAST, Disk, told

# No part of one is in another.
KEY, NEW_KEY = "pk_CANARY_q8Zr3LwX0vT6mJ1k", "pk_FINCH__d5Hn9PbY2cG7sE4u"
RAW, NEW_RAW = b"CANARY:QmZ81xkVw72LpTcyRgJh50", b"FINCH::aUe63oBf94iNdSvKtMr1W7"
SECRET, NEW_SECRET = ("whsec_" + base64.b64encode(raw).decode() for raw in (RAW, NEW_RAW))
URL_TOKEN = "CANARYinTheUrl42"


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


# Where an answer says the key back, in bytes before and behind it: its buffer grows by doubling, and moves.
ECHOES = [(100, 3_000_000), (70_000, 80_000), (100_000, 0)]


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
            for before, behind in ECHOES:
                echo = sim.fault("status", times=1, status=500, body="x" * before + KEY + "x" * behind, match=lambda r: r.account == "main")
                wait_for(lambda: echo.hits)
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
                wait_for(wiped)  # connections from before the reload are closed within a few requests
            except TimeoutError:
                raise AssertionError("\n".join(left)) from None
            assert in_memory(pid, [NEW_KEY.encode()])
            assert daemon.stop() == 0
        finally:
            if front:
                front.__exit__(None, None, None)
            scene.place.stop()


@contextlib.contextmanager
def once(place: Place) -> Iterator["subprocess.Popen[bytes]"]:
    with (place.path / "once.log").open("w") as log:
        process = subprocess.Popen([str(PROGRAM), "once", "--config", str(place.config), "--state", str(place.state)], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="the memory of a process that forbids it is root's to read")
@pytest.mark.parametrize("http", ["plain", "tls", "h2"])
@pytest.mark.parametrize("command", ["run", "once"])
def test_memory_is_wiped_at_exit(tmp_path: Path, sim: SimKlaviyo, certificates: Any, command: str, http: str) -> None:
    """Stopped between its exit(3) and the end of its memory; what is searched for is there while it runs."""
    from h2 import Http2Front
    acct = sim.account(KEY, name="main")
    sim.account("pk_other", name="other")
    acct.add_job(DELETE, id="A", status="processing")
    with contextlib.ExitStack() as stack:
        hook, other = stack.enter_context(Receiver([SECRET])), stack.enter_context(Receiver())
        front = None if http == "plain" else stack.enter_context(
            Http2Front(sim.port, certificates, alpn="h2" if http == "h2" else "http/1.1"))
        scene = Scene(tmp_path, front.url if front else sim.url, hook.url, other.url, f'ca-file = "{certificates.ca_file}"' if front else "")
        stack.callback(scene.place.stop)
        looked_at = threading.Event()
        held = sim.fault("delay", times=2, until=looked_at.is_set)
        process = scene.place.daemon().process if command == "run" else stack.enter_context(once(scene.place))
        wait_for(lambda: held.hits)
        assert in_memory(process.pid, [KEY.encode()]) and in_memory(process.pid, [RAW]), "the search finds what is there"
        seize(process.pid)
        looked_at.set()
        if command == "run":
            wait_for(lambda: told(hook, "watch.started"))
            acct.set("A", status="complete")
            wait_for(lambda: told(hook, "job.completed"))
            process.send_signal(signal.SIGTERM)
        with stopped_at_exit(process.pid):
            left = in_memory(process.pid, traces(KEY, RAW, SECRET, URL_TOKEN))
        assert process.wait(DEADLINE) == 0
        assert told(hook, "watch.started")
        assert not left, "\n".join(left)


def files_with(folder: Path, needles: list[bytes], but: set[str]) -> list[str]:
    return [f"{file}: {needle!r}" for file in folder.rglob("*") if file.is_file() and file.name not in but
            for needle in needles if needle in file.read_bytes()]


def heard(server: Any) -> bytes:
    """All bytes that a receiver was sent, as far as they matter."""
    return repr([(d.target, d.headers, d.body) for d in server.deliveries]).encode()


def test_canaries_are_found_nowhere_else(tmp_path: Path, sim: SimKlaviyo) -> None:
    """Through refusals that echo the key, redirects, foreign cursors, a dead receiver, a broken disk, bad reloads and commands."""
    acct = sim.account(KEY, name="main")
    sim.account("pk_other", name="other")
    acct.add_job(DELETE, id="A", status="processing")
    needles = traces(KEY, RAW, SECRET, URL_TOKEN)
    with Receiver([SECRET]) as hook, Receiver() as other, Receiver() as foreign:
        scene = Scene(tmp_path, sim.url, hook.url, other.url)
        place, disk = scene.place, Disk(scene.place)
        daemon = place.daemon("--debug", env=disk.env)
        pid = daemon.process.pid
        try:
            wait_for(lambda: told(hook, "watch.started"))
            echo = f"no: {KEY} {SECRET} {URL_TOKEN}"
            for fault in (dict(kind="status", status=401, body=echo), dict(kind="status", status=403, body=echo),
                          dict(kind="redirect", location=foreign.url), dict(kind="redirect", location=f"http://{KEY}@127.0.0.1:{foreign.port}/"),
                          dict(kind="next_host", host=f"127.0.0.1:{foreign.port}", scheme="http"), dict(kind="html", body=echo),
                          dict(kind="reset"), dict(kind="content_length"), dict(kind="status", status=500, body=echo)):
                kind = fault.pop("kind")
                held = sim.fault(kind, times=2, match=lambda r: r.account == "main", **fault)
                wait_for(lambda held=held: held.hits == 2, what=kind)
            hook.statuses(500, 400)
            hook.fault("status", status=503, body=f"who sent {URL_TOKEN} {SECRET}?", times=2)
            hook.fault("redirect", location=foreign.url, times=1)
            hook.fault("reset", times=2)
            disk.breaks(5)
            acct.set("A", status="complete", completed=9, failed=1, errors=[error(detail="An error that names nothing.")])
            daemon.wait_line("state is not being saved")
            disk.mend()
            good = place.config.read_text()
            place.config.write_text(good + f'webhook "ops" {{ url = "{hook.url}?token={URL_TOKEN}" secret-file = "/nowhere" }}\n')
            daemon.reload()
            daemon.wait_line("stays in effect")
            place.config.write_text(good)

            def spoiled() -> bool:
                """Enough events for all of the webhook's faults; some are given up."""
                acct.add_job(DELETE, status="cancelled")
                return len([d for d in hook.deliveries if d.fault]) >= 7
            wait_for(spoiled)
            hook.clear_faults()
            acct.add_job(DELETE, id="B", status="cancelled")
            wait_for(lambda: any(e["data"]["job"]["id"] == "B" for e in told(hook, "job.cancelled")))
            said = b"".join(place.run(*words).stdout.encode() for words in (("status",), ("status", "--json"), ("events", "--json"), ("check",)))
            shown = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ", "comm", "status"))
            assert daemon.stop() == 0
        finally:
            place.stop()
        for name, content in (("commands", said), ("/proc", shown), ("the other webhook", heard(other)), ("the foreign host", heard(foreign))):
            assert not [needle for needle in needles if needle in content], name
        assert not foreign.deliveries, "a redirect or a foreign cursor was followed"
        assert not [needle for needle in traces(KEY) if needle in heard(hook)], "the API key went to a webhook"
        assert not [needle for needle in traces(RAW, SECRET) if needle in heard(hook)], "the secret itself was sent"
        asked = repr([(r.target, r.headers) for r in sim.requests]).encode()
        assert not [needle for needle in traces(RAW, SECRET, URL_TOKEN) if needle in asked], "a webhook's secret went to the API"
        assert not files_with(tmp_path, needles, but={"api-key", "webhook.secret", "klv-jobwatch.conf"})


def test_no_core_is_dumped(tmp_path: Path, sim: SimKlaviyo) -> None:
    sim.account(KEY, name="main")
    sim.account("pk_other", name="other")
    with Receiver([SECRET]) as hook, Receiver() as other:
        scene = Scene(tmp_path, sim.url, hook.url, other.url)
        before = set(Path.cwd().glob("core*"))
        daemon = scene.place.daemon()
        try:
            wait_for(lambda: told(hook, "watch.started"))
            limits = Path(f"/proc/{daemon.process.pid}/limits").read_text()
            assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
            os.kill(daemon.process.pid, 11)
            assert daemon.process.wait(DEADLINE) == -11
        finally:
            scene.place.stop()
        assert set(Path.cwd().glob("core*")) == before
        assert not files_with(tmp_path, traces(KEY, RAW, SECRET, URL_TOKEN), but={"api-key", "webhook.secret", "klv-jobwatch.conf"})
