#!/usr/bin/python3
"""A webhook receiver that checks Standard Webhooks signatures and logs every delivery, for tests and by hand."""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import signal
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, TypeVar

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parent))

from answer import Answer  # noqa: E402
from faults import Context, Fault, Faults, Match  # noqa: E402
from requestlog import PATIENCE, Log  # noqa: E402
from server import Server  # noqa: E402
from wire import send  # noqa: E402

TOLERANCE = 300  # seconds that a timestamp may be off
T = TypeVar("T")


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The v1 signature of Standard Webhooks: base64 of HMAC-SHA256 over id.timestamp.body; ValueError for a bad secret."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def fault_of(secrets: Iterable[str], headers: dict[str, str], body: bytes, now: float) -> str | None:
    """Why a delivery is not to be believed; None when one of its signatures is made with one of the secrets."""
    message_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
    signatures = headers.get("webhook-signature", "").split()
    if not message_id or not timestamp or not signatures:
        return "a header is missing"
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > TOLERANCE:
        return f"timestamp {timestamp} is not now"
    try:
        good = [sign(secret, message_id, timestamp, body).encode() for secret in secrets]
    except (binascii.Error, ValueError):
        return "the receiver's secret is no base64"
    if any(hmac.compare_digest(ours, theirs.encode()) for ours in good for theirs in signatures):
        return None
    return "no signature matches"


@dataclass
class Delivery:
    """One request that was received. `at` and `answered_at` are time.monotonic(); `json` is None for a body that is none."""

    at: float
    method: str
    path: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    json: Any
    verified: bool
    problem: str | None  # why it is not verified
    connection: int
    status: int | None = None  # None until answered, 0 when that was no whole answer
    fault: str | None = None
    answered_at: float | None = None

    @property
    def id(self) -> str | None:
        return self.headers.get("webhook-id")


class Receiver:
    """`with Receiver(["whsec_..."]) as rx:` takes every POST on rx.url with 204 unless rx.fault() says otherwise."""

    def __init__(self, secrets: Iterable[str] = (), host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None,
                 status: int = 204, keepalive: float = 75.0, on_delivery: Callable[[Delivery], None] | None = None) -> None:
        self.secrets, self.status = list(secrets), status
        self._log: Log[Delivery] = Log()
        self._faults = Faults()
        self._on_delivery = on_delivery
        self._server = Server(self._handle, host, port, tls, keepalive)

    def __enter__(self) -> "Receiver":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url + "/hook"

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def connections(self) -> int:
        return self._server.connections

    @property
    def deliveries(self) -> list[Delivery]:
        """Everything that was received, also what was answered with an error."""
        return self._log.entries()

    @property
    def accepted(self) -> list[Delivery]:
        """What was answered with 2xx."""
        return [d for d in self.deliveries if d.status is not None and 200 <= d.status < 300]

    def clear(self) -> None:
        self._log.clear()

    def fault(self, kind: str, match: Match = None, times: int | None = 1, skip: int = 0, **params: Any) -> Fault:
        """Spoils answers; the kinds are those of the simulated Klaviyo, but for those about pages."""
        with self._log.changed:
            return self._faults.add(kind, match, times, skip, params)

    def statuses(self, *statuses: int, **params: Any) -> None:
        """The next answers' statuses, one after the other."""
        for status in statuses:
            self.fault("status", status=status, body="", **params)

    def clear_faults(self) -> None:
        with self._log.changed:
            self._faults.clear()

    def refuse(self) -> None:
        self._server.refuse()

    def accept(self) -> None:
        self._server.accept()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        self.refuse()
        try:
            yield
        finally:
            self.accept()

    def wait_for(self, condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
        """The first true result of condition(); TimeoutError when it stays false."""
        return self._log.wait_for(condition, timeout, None, what)

    def wait_accepted(self, n: int, timeout: float = PATIENCE) -> list[Delivery]:
        """Waits until n deliveries were accepted."""
        return self.wait_for(lambda: self.accepted if len(self.accepted) >= n else [], timeout, f"{n} deliveries")

    async def _handle(self, request: web.BaseRequest, stopping: asyncio.Event) -> web.StreamResponse:
        delivery = self._received(request, await request.content.read(-1))
        with self._log.changed:
            answer, delivery.fault = self._faults.apply(delivery, Answer(self.status), Context(lambda _: Answer(self.status)))
            self._log.add(delivery)
        if self._on_delivery:
            self._on_delivery(delivery)
        response = await send(request, answer, False, stopping)
        self._log.update(delivery, status=answer.wire.seen_status(answer.status), answered_at=time.monotonic())
        return response

    def _received(self, request: web.BaseRequest, body: bytes) -> Delivery:
        headers = {name.lower(): value for name, value in request.headers.items()}
        problem = fault_of(self.secrets, headers, body, time.time())
        return Delivery(time.monotonic(), request.method, request.path, request.raw_path, headers, body, _json(body),
                        problem is None, problem, id(request.transport))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _show(delivery: Delivery) -> None:
    print(json.dumps({"path": delivery.path, "verified": delivery.verified, "problem": delivery.problem, "id": delivery.id,
                      "body": delivery.json}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--secret-file", type=Path, help="file with the whsec_ secret")
    args = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    secrets = args.secret_file.read_text().split() if args.secret_file else []
    with Receiver(secrets, args.host, args.port, on_delivery=_show) as receiver:
        print(receiver.url, flush=True)
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
