#!/usr/bin/python3
"""The simulated Klaviyo: a real HTTP(S) server with the bulk-job endpoints, for tests and by hand (see README.md)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import ssl
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, TypeVar
from urllib.parse import unquote_plus

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parent))

from answer import Answer  # noqa: E402
from api import Api, Options  # noqa: E402
from clock import Timeline  # noqa: E402
from families import ALL_SCOPES, FAMILIES, Family  # noqa: E402, F401  (for the tests to import)
from faults import Context, Fault, Faults, Match  # noqa: E402
from jobs import ORDERS, Account, Job, Life, error, ulid  # noqa: E402, F401
from limits import Meter, Windows, measure  # noqa: E402
from requestlog import PATIENCE, Log, Request  # noqa: E402
from server import Server  # noqa: E402
from wire import send  # noqa: E402

T = TypeVar("T")


class SimKlaviyo:
    """A simulated Klaviyo. `with SimKlaviyo() as sim:` listens on sim.url until the block ends.

    limits: {family or "*": (burst, steady)} in place of the real ones. window_phase: (burst, steady) seconds that the
    fixed windows are shifted by. manual: the jobs' clock, which Date shows too, stands still but for advance().
    limit_clock: the clock of the limits, always running by default. order: of lists, one of newest, oldest, random,
    reshuffled.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, manual: bool = False,
                 start: float | None = None, seed: int = 1, order: str = "newest", gzip: bool = True, date_skew: float = 0.0,
                 limits: dict[str, tuple[int, int]] | None = None, window_phase: tuple[float, float] = (0.0, 0.0),
                 limit_clock: Callable[[], float] = time.monotonic, keepalive: float = 75.0, **options: Any) -> None:
        if order not in ORDERS:
            raise ValueError(f"order {order!r}: one of {ORDERS}")
        self.options = Options(**options)
        self.gzip, self.date_skew, self.order = gzip, date_skew, order
        self.accounts: dict[str, Account] = {}
        self._log: Log[Request] = Log()
        self.lock = self._log.changed
        self._timeline = Timeline(manual, start)
        self._chance = random.Random(seed)
        self._limits, self._phase, self._limit_clock = limits or {}, window_phase, limit_clock
        self._faults = Faults()
        self._api = Api(self.options, self._account_of)
        self._server = Server(self._handle, host, port, tls, keepalive)

    def __enter__(self) -> "SimKlaviyo":
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
        return self._server.url

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def connections(self) -> int:
        """Connections that were ever accepted."""
        return self._server.connections

    def account(self, key: str, name: str | None = None, scopes: Iterable[str] = ALL_SCOPES) -> Account:
        """A new account; the name is the key's unless given. More keys: acct.add_key()."""
        with self.lock:
            acct = Account(name or key, self._timeline, self.lock, self._chance, self.order, self._meter)
            acct.add_key(key, scopes)
            self.accounts[acct.name] = acct
            return acct

    def now(self) -> float:
        """The jobs' clock, seconds since the epoch."""
        with self.lock:
            return self._timeline.now()

    def advance(self, seconds: float) -> None:
        """Moves the jobs' clock on and lets everything happen that is due."""
        with self.lock:
            self._timeline.advance(seconds)
            self.lock.notify_all()

    def after(self, seconds: float, change: Callable[[], None]) -> None:
        """Calls `change` when the jobs' clock has moved on by that much."""
        with self.lock:
            self._timeline.at(self._timeline.now() + seconds, change)

    def fault(self, kind: str, match: Match = None, times: int | None = 1, skip: int = 0, **params: Any) -> Fault:
        """Spoils the answers to matching requests; kinds and their parameters are in README.md."""
        with self.lock:
            return self._faults.add(kind, match, times, skip, params)

    def clear_faults(self) -> None:
        with self.lock:
            self._faults.clear()

    def refuse(self, seconds: float | None = None) -> None:
        """Resets all connections and refuses new ones, for a while or until accept()."""
        self._server.refuse()
        if seconds is not None:
            self._server.later(seconds, self._server.accept_now)

    def accept(self) -> None:
        self._server.accept()

    def refuse_later(self, after: float, seconds: float) -> None:
        """Refuses connections from then on, for a while, in real time."""
        self._server.later(after, self._server.refuse_now)
        self._server.later(after + seconds, self._server.accept_now)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        self.refuse()
        try:
            yield
        finally:
            self.accept()

    def drop_connections(self) -> None:
        """Resets all connections, but goes on listening."""
        self._server.drop_connections()

    @property
    def requests(self) -> list[Request]:
        return self._log.entries()

    def clear_requests(self) -> None:
        self._log.clear()

    def wait_for(self, condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
        """The first true result of condition(); TimeoutError when it stays false."""
        return self._log.wait_for(condition, timeout, self._timeline.run_due, what)

    def wait_requests(self, n: int, match: Match = None, timeout: float = PATIENCE) -> list[Request]:
        """Waits for n answered requests that match (a part of the decoded path and query, or a function)."""
        def enough() -> list[Request]:
            found = [r for r in self.requests if r.status is not None and _matches(match, r)]
            return found if len(found) >= n else []
        return self.wait_for(enough, timeout, f"{n} requests")

    def windows(self, account: str | Account, family: str) -> Windows:
        """The most requests of that account and family in any sliding and any fixed window, 429s included."""
        acct = account if isinstance(account, Account) else self.accounts[account]
        times = [r.at for r in self.requests if r.account == acct.name and r.family == family]
        return measure(times, acct.meter(family))

    def _meter(self, family: Family) -> Meter:
        burst, steady = self._limits.get(family.type) or self._limits.get("*") or (family.burst, family.steady)
        return Meter(burst, steady, self._limit_clock, *self._phase)

    def _account_of(self, key: str) -> Account | None:
        return next((acct for acct in self.accounts.values() if key in acct.keys), None)

    async def _handle(self, request: web.BaseRequest, stopping: asyncio.Event) -> web.StreamResponse:
        record = _record(request)
        with self.lock:
            self._timeline.run_due()
            self._log.add(record)
            answer = self._api.answer(request, record)
            answer, record.fault = self._faults.apply(record, answer, Context(lambda wish: self._earlier(request, record, wish)))
        answer.header("Date", formatdate(self._timeline.now() + self.date_skew, usegmt=True))
        answer.header("Server", "sim")
        response = await send(request, answer, self.gzip, stopping)
        self._log.update(record, status=answer.wire.seen_status(answer.status), answered_at=time.monotonic())
        return response

    def _earlier(self, request: web.BaseRequest, record: Request, wish: dict[str, Any]) -> Answer:
        as_of = wish["as_of"] if wish["as_of"] is not None else self._timeline.now() - (wish["age"] or 0.0)
        return self._api.answer(request, record, as_of)


def _record(request: web.BaseRequest) -> Request:
    query = dict(request.query)
    return Request(time.monotonic(), request.method, request.path, unquote_plus(request.raw_path), query,
                   {name.lower(): value for name, value in request.headers.items()}, id(request.transport),
                   cursor=query.get("page[cursor]"))


def _matches(match: Match, request: Request) -> bool:
    return match in request.target if isinstance(match, str) else match is None or bool(match(request))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--script", type=Path, help="accounts, jobs and faults as JSON, see README.md")
    parser.add_argument("--tls", action="store_true", help="https with a certificate of its own; prints the CA's file")
    parser.add_argument("--order", choices=ORDERS, default="newest")
    args = parser.parse_args()
    import script
    import tls
    plan = json.loads(args.script.read_text()) if args.script else script.DEFAULT
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with contextlib.ExitStack() as stack:
        certificates = stack.enter_context(tls.Certificates()) if args.tls else None
        sim = SimKlaviyo(args.host, args.port, certificates.context() if certificates else None, order=args.order,
                         **script.settings(plan))
        script.prepare(sim, plan)
        stack.enter_context(sim)
        script.run(sim, plan)
        print(sim.url, flush=True)
        if certificates:
            print(f"ca-file {certificates.ca_file}", flush=True)
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
