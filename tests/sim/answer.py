"""What a simulated server is going to answer, and in which way it goes over the wire."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, Callable

JSON_API = "application/vnd.api+json"


@dataclass
class Wire:
    """How an answer is sent; the default is properly."""

    delay: float = 0.0  # seconds before the head
    until: Callable[[], bool] | None = None  # after that, until this is true
    body_delay: float = 0.0  # seconds between head and body
    chunk: int = 0  # bytes a write, 0: all at once
    pause: float = 0.0  # seconds between two writes
    stop_at: int | None = None  # the body's bytes that are sent before the connection ends
    silent: bool = False  # the connection ends before the head
    reset: bool = False  # it ends with RST, not FIN
    length_delta: int = 0  # a lie in Content-Length
    hold: bool = False  # never answer
    raw: bytes | None = None  # these bytes instead of an HTTP answer, then FIN
    repeat: tuple[bytes, int] | None = None  # after the body, these bytes that many times, chunked
    encoded: bool = False  # the body stands as it is: no gzip

    @property
    def by_hand(self) -> bool:
        """Whether an HTTP library would refuse to send this."""
        return self.silent or self.stop_at is not None or self.length_delta != 0 or self.raw is not None

    def seen_status(self, status: int) -> int:
        """What the log says: 0 when the client cannot see a whole answer."""
        return 0 if self.by_hand or self.hold else status


@dataclass
class Answer:
    """Status, headers, and either a JSON document or a body."""

    status: int = 200
    document: Any = None
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    wire: Wire = field(default_factory=Wire)

    def header(self, name: str, value: object) -> None:
        """Sets a header, replacing one of the same name."""
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()] + [(name, str(value))]

    def payload(self) -> bytes:
        if self.document is None:
            return self.body
        return json.dumps(self.document, separators=(",", ":")).encode()


def api_error(status: int, code: str, title: str, detail: str, **source: str) -> Answer:
    """A JSON:API error; source is parameter="filter" or pointer="/data/"."""
    one = {"id": str(uuid.uuid4()), "status": status, "code": code, "title": title, "detail": detail,
           "source": source or {"pointer": "/data/"}, "links": {}, "meta": {}}
    return Answer(status, {"errors": [one]}, headers=[("Content-Type", JSON_API)])
