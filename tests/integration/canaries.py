"""Around every test: the API key and the webhook secret of conftest.py are searched in all that the program under test left, said, showed or
sent, and fail the test where they do not belong."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any, Iterable

import requestlog
from klaviyo import Request
from receiver import Delivery

SHOWN = ("cmdline", "environ", "comm", "status")


def traces(*secrets: str | bytes) -> list[bytes]:
    """What gives a secret away: itself, its base64, and two thirds of it from either end, as a cut text would hold."""
    found = []
    for secret in secrets:
        raw = secret.encode() if isinstance(secret, str) else secret
        found += [raw, base64.b64encode(raw).rstrip(b"=")[:-1], raw[:len(raw) * 2 // 3], raw[len(raw) // 3:]]
    return found


class Canaries:
    """Collects what is found of them. A file that holds nothing but secrets is where the test put them."""

    def __init__(self, key: str, secret: str) -> None:
        self.whole = {key.encode(), secret.encode()}
        self.key = traces(key)
        self.secret = traces(secret, base64.b64decode(secret.removeprefix("whsec_")))
        self.authorization = f"Klaviyo-API-Key {key}"
        self.found: list[str] = []
        self.searched = {"files": 0, "requests": 0, "outputs": 0, "processes": 0}

    def look(self, where: str, content: str | bytes | None, needles: Iterable[bytes]) -> None:
        raw = content.encode(errors="surrogateescape") if isinstance(content, str) else content or b""
        self.found += [f"{where}: ...{raw[max(0, raw.find(needle) - 80):][:80]!r} and then {needle!r}" for needle in needles if needle in raw]

    def all(self) -> list[bytes]:
        return self.key + self.secret

    def look_at_files(self, folder: Path) -> None:
        for file in folder.rglob("*"):
            try:
                content = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
            except FileNotFoundError:
                continue  # a process that is still there has removed it
            if not all(word in self.whole or word.startswith(b"whsec_") for word in content.split()):
                self.searched["files"] += 1
                self.look(str(file), content, self.all())

    def look_at_process(self, pid: int) -> None:
        """What any user may see of it."""
        for name in SHOWN:
            try:
                self.look(f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes(), self.all())
            except OSError:
                return  # it has ended
        self.searched["processes"] += 1

    def look_at_output(self, done: "subprocess.CompletedProcess[Any]") -> None:
        self.searched["outputs"] += 1
        for name, content in (("arguments", repr(done.args)), ("stdout", done.stdout), ("stderr", done.stderr)):
            self.look(f"{name} of {done.args}", content, self.all())

    def heard(self, entry: Any) -> None:
        """What a server got: the key goes to the API, in its own header; the webhooks' secrets go nowhere."""
        self.searched["requests"] += 1
        headers = dict(entry.headers)
        if isinstance(entry, Request) and headers.get("authorization") == self.authorization:
            del headers["authorization"]
        body = entry.body if isinstance(entry, Delivery) else b""
        self.look(f"{type(entry).__name__} {entry.target}", repr((entry.target, headers)).encode() + body, self.all())

    def __enter__(self) -> "Canaries":
        requestlog.LISTENERS.append(self.heard)
        return self

    def __exit__(self, *_: object) -> None:
        requestlog.LISTENERS.remove(self.heard)
