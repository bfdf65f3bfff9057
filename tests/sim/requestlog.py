"""The log of what a simulated server was asked, and waiting for something in it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, Protocol, TypeVar

PATIENCE = 60.0  # seconds: for what comes in moments on an idle machine
POLL = 0.02  # seconds: conditions may look at things outside of the server, which notify nobody
T = TypeVar("T")
LISTENERS: list[Callable[[Any], None]] = []  # each gets every entry of every log, when it is added


@dataclass
class Request:
    """One request. `at` and `answered_at` are time.monotonic(); `page` counts from 1; `status` is None until
    answered, 0 when that was no whole answer."""

    at: float
    method: str
    path: str
    target: str  # path and query, percent-decoded
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    connection: int  # equal for requests over one connection
    account: str | None = None
    family: str | None = None
    job_id: str | None = None
    cursor: str | None = None
    page: int | None = None
    status: int | None = None
    fault: str | None = None
    answered_at: float | None = None

    @property
    def filter(self) -> str | None:
        return self.query.get("filter")


class Matchable(Protocol):
    """What a fault or a condition can look at: simulated APIs log Request, webhook receivers Delivery."""

    target: str


Entry = TypeVar("Entry", bound=Matchable)


@dataclass
class Log(Generic[Entry]):
    """Entries in order, under one lock that also guards the server's state."""

    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    _entries: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        for listener in LISTENERS:
            listener(entry)
        with self.changed:
            self._entries.append(entry)
            self.changed.notify_all()

    def update(self, entry: Entry, **values: Any) -> None:
        with self.changed:
            for name, value in values.items():
                setattr(entry, name, value)
            self.changed.notify_all()

    def entries(self) -> list[Entry]:
        with self.changed:
            return list(self._entries)

    def clear(self) -> None:
        with self.changed:
            self._entries.clear()

    def wait_for(self, condition: Callable[[], T], timeout: float = PATIENCE, tick: Callable[[], Any] | None = None,
                 what: str = "") -> T:
        """The first true result of condition; TimeoutError with the end of the log when it stays false."""
        until = time.monotonic() + timeout
        with self.changed:
            while True:
                if tick:
                    tick()
                result = condition()
                if result:
                    return result
                left = until - time.monotonic()
                if left <= 0:
                    end = "\n".join(f"  {entry}" for entry in self._entries[-5:])
                    raise TimeoutError(f"not within {timeout} s: {what or condition}; {len(self._entries)} logged, last:\n{end}")
                self.changed.wait(min(POLL, left))
