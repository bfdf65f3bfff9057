"""Scripted faults: which requests they hit, and what each kind makes of the answer."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from typing import Any, Callable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from answer import Answer, api_error
from requestlog import Matchable

Match = str | Callable[[Any], bool] | None
MIB = 1 << 20


@dataclass
class Fault:
    """One scripted fault: skips `skip` matching requests, hits `times` (None: for ever), then is done."""

    kind: str
    match: Match = None
    times: int | None = 1
    skip: int = 0
    params: dict[str, Any] = field(default_factory=dict)
    hits: int = 0
    cancelled: bool = False
    memory: dict[str, Any] = field(default_factory=dict)

    def cancel(self) -> None:
        self.cancelled = True

    @property
    def done(self) -> bool:
        return self.cancelled or (self.times is not None and self.hits >= self.times)

    def wants(self, request: Matchable, answer: Answer) -> bool:
        if self.done or not self._matches(request) or (self.kind in PAGE_KINDS and not _is_page(answer)):
            return False
        if self.kind == "expired_cursor" and not getattr(request, "cursor", None):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        return True

    def _matches(self, request: Matchable) -> bool:
        if isinstance(self.match, str):
            return self.match in request.target
        return self.match is None or bool(self.match(request))


class Faults:
    """The faults of one server, tried in the order in which they were added. The caller holds the lock."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, kind: str, match: Match, times: int | None, skip: int, params: dict[str, Any]) -> Fault:
        if kind not in KINDS:
            raise ValueError(f"fault {kind!r}: one of {', '.join(sorted(KINDS))}")
        fault = Fault(kind, match, times, skip, params)
        _try(fault)
        self._faults = [old for old in self._faults if not old.done] + [fault]
        return fault

    def clear(self) -> None:
        for fault in self._faults:
            fault.cancel()
        self._faults = []

    def apply(self, request: Matchable, answer: Answer, context: "Context") -> tuple[Answer, str | None]:
        """The answer, spoiled by the first fault that wants it, and that fault's kind."""
        for fault in self._faults:
            if fault.wants(request, answer):
                fault.hits += 1
                return KINDS[fault.kind](answer, fault, context), fault.kind
        return answer, None


def _try(fault: Fault) -> None:
    """Fails at once for parameters that the kind does not have."""
    if fault.kind != "edit":
        KINDS[fault.kind](Answer(200, {"data": [], "links": {}}), fault, Context(lambda _: Answer(200, {"data": []})))
        fault.memory.clear()


@dataclass
class Context:
    """What a fault may ask of the server: the answer as it was at an earlier time."""

    earlier: Callable[[dict[str, Any]], Answer]


Kind = Callable[[Answer, Fault, Context], Answer]
KINDS: dict[str, Kind] = {}
PAGE_KINDS: set[str] = set()


def _kind(name: str, page: bool = False) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Registers a kind. All take delay=, until= and body_delay= besides their own parameters."""
    def register(spoil: Callable[..., Answer]) -> Callable[..., Answer]:
        def kind(answer: Answer, fault: Fault, context: Context) -> Answer:
            params = dict(fault.params)
            delay, until, body_delay = params.pop("delay", 0.0), params.pop("until", None), params.pop("body_delay", 0.0)
            if name == "duplicate":
                params["memory"] = fault.memory
            if name == "stale":
                params["context"] = context
            answer = spoil(answer, **params)
            answer.wire.delay, answer.wire.until, answer.wire.body_delay = delay, until, body_delay
            return answer
        KINDS[name] = kind
        if page:
            PAGE_KINDS.add(name)
        return spoil
    return register


def _is_page(answer: Answer) -> bool:
    return answer.status == 200 and isinstance(answer.document, dict) and isinstance(answer.document.get("data"), list)


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


# Whole answers

@_kind("status")
def _status(answer: Answer, status: int = 503, retry_after: object = None, body: bytes | str | None = None,
            headers: dict[str, str] | None = None) -> Answer:
    new = api_error(status, "simulated", "Simulated error.", f"The simulator was told to answer {status}.")
    if body is not None:
        new.document, new.body = None, _bytes(body)
    if retry_after is not None:
        new.header("Retry-After", retry_after)
    for name, value in (headers or {}).items():
        new.header(name, value)
    return new


@_kind("html")
def _html(answer: Answer, status: int = 200, body: bytes | str = "<!DOCTYPE html><title>Maintenance</title>Back soon.") -> Answer:
    return Answer(status, body=_bytes(body), headers=[("Content-Type", "text/html; charset=utf-8")])


@_kind("empty")
def _empty(answer: Answer, status: int = 204) -> Answer:
    return Answer(status)


@_kind("redirect")
def _redirect(answer: Answer, location: str = "http://127.0.0.1:9/elsewhere", status: int = 302) -> Answer:
    return Answer(status, headers=[("Location", location)])


@_kind("raw")
def _raw(answer: Answer, body: bytes | str = b"", status: int = 200, content_type: str = "application/vnd.api+json") -> Answer:
    return Answer(status, body=_bytes(body), headers=[("Content-Type", content_type)])


@_kind("raw_response")
def _raw_response(answer: Answer, data: bytes | str = b"\x16\x03\x01 not HTTP at all\r\n\r\n") -> Answer:
    answer.wire.raw = _bytes(data)
    return answer


@_kind("stale")
def _stale(answer: Answer, context: Context, age: float | None = None, as_of: float | None = None) -> Answer:
    return context.earlier({"age": age, "as_of": as_of})


@_kind("expired_cursor")
def _expired_cursor(answer: Answer) -> Answer:
    return api_error(400, "invalid_cursor", "Invalid input.", "The cursor has expired.", parameter="page[cursor]")


# Transport

@_kind("delay")
def _delay(answer: Answer) -> Answer:
    return answer


@_kind("slow")
def _slow(answer: Answer, chunk: int = 64, pause: float = 0.05) -> Answer:
    answer.wire.chunk, answer.wire.pause = chunk, pause
    return answer


@_kind("drop")
def _drop(answer: Answer) -> Answer:
    answer.wire.hold = True
    return answer


@_kind("reset")
def _reset(answer: Answer, at: int | None = None) -> Answer:
    answer.wire.reset, answer.wire.silent, answer.wire.stop_at = True, at is None, at
    return answer


@_kind("close")
def _close(answer: Answer, at: int | None = None) -> Answer:
    answer.wire.silent, answer.wire.stop_at = at is None, at
    return answer


@_kind("content_length")
def _content_length(answer: Answer, delta: int = 10) -> Answer:
    answer.wire.length_delta = delta
    return answer


@_kind("headers")
def _headers(answer: Answer, count: int = 1000, size: int = 100) -> Answer:
    answer.headers = answer.headers + [(f"X-Flood-{i}", "x" * size) for i in range(count)]
    return answer


# Encoding and size

@_kind("truncated_gzip")
def _truncated_gzip(answer: Answer, keep: float = 0.5) -> Answer:
    whole = gzip.compress(answer.payload(), 6, mtime=0)
    return _encoded(answer, whole[:int(len(whole) * keep)])


@_kind("garbage_gzip")
def _garbage_gzip(answer: Answer) -> Answer:
    return _encoded(answer, answer.payload())


@_kind("gzip_bomb")
def _gzip_bomb(answer: Answer, mib: int = 1024, prefix: bytes | str = b'{"data":[', fill: bytes | str = b" ") -> Answer:
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = deflate.compress(_bytes(prefix)) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(_bytes(fill) * (MIB // len(_bytes(fill)))) + deflate.flush(zlib.Z_FULL_FLUSH)
    answer = _encoded(answer, start)
    answer.wire.repeat = (block, mib)
    return answer


@_kind("huge")
def _huge(answer: Answer, mib: int = 1024, prefix: bytes | str = b'{"data":[', fill: bytes | str = b" ") -> Answer:
    answer.document, answer.body = None, _bytes(prefix)
    answer.wire.repeat, answer.wire.encoded = (_bytes(fill) * (MIB // len(_bytes(fill))), mib), True
    return answer


def _encoded(answer: Answer, body: bytes) -> Answer:
    answer.document, answer.body, answer.wire.encoded = None, body, True
    answer.header("Content-Encoding", "gzip")
    return answer


# Pages

@_kind("next", page=True)
def _next(answer: Answer, value: Any = "http://example.com") -> Answer:
    answer.document.setdefault("links", {})["next"] = value
    return answer


@_kind("next_host", page=True)
def _next_host(answer: Answer, host: str = "127.0.0.1:9", scheme: str = "http") -> Answer:
    link = answer.document["links"].get("next") if answer.document["links"] else None
    if link:
        answer.document["links"]["next"] = urlsplit(link)._replace(netloc=host, scheme=scheme).geturl()
    return answer


@_kind("endless_next", page=True)
def _endless_next(answer: Answer, cursor: str = "bmV4dDo6b2Zmc2V0Ojow") -> Answer:
    return _set_cursor(answer, cursor)


@_kind("repeat_cursor", page=True)
def _repeat_cursor(answer: Answer) -> Answer:
    """The page's own cursor is its next one; the first page's own is taken from `next` and stays."""
    links = answer.document["links"]
    own = dict(parse_qsl(urlsplit(links.get("self") or "").query)).get("page[cursor]")
    return _set_cursor(answer, own) if own else answer


def _set_cursor(answer: Answer, cursor: str) -> Answer:
    links = answer.document["links"]
    parts = urlsplit(links.get("self") or "")
    params = [(name, value) for name, value in parse_qsl(parts.query) if name != "page[cursor]"] + [("page[cursor]", cursor)]
    links["next"] = parts._replace(query=urlencode(params, quote_via=quote)).geturl()
    return answer


@_kind("duplicate", page=True)
def _duplicate(answer: Answer, memory: dict[str, Any], count: int = 1) -> Answer:
    """The last jobs of the page before show up again at the top of this one; the first hit only remembers."""
    data, again = answer.document["data"], memory.get("last", [])
    memory["last"] = data[-count:]
    answer.document["data"] = again + data
    return answer


@_kind("double", page=True)
def _double(answer: Answer, count: int = 1) -> Answer:
    """The first jobs of the page are on it twice."""
    answer.document["data"] = answer.document["data"] + answer.document["data"][:count]
    return answer


@_kind("wrong_type", page=True)
def _wrong_type(answer: Answer, type: Any = "profile") -> Answer:
    for job in answer.document["data"]:
        job["type"] = type
    return answer


@_kind("lose", page=True)
def _lose(answer: Answer, jobs: list[str] | None = None, count: int | None = None) -> Answer:
    """Jobs are missing from the page though they exist: those named, or the first ones."""
    data = answer.document["data"]
    if jobs is not None:
        data = [job for job in data if (job.get("id") or job["attributes"].get("job_id")) not in jobs]
    answer.document["data"] = data[count or 0:]
    return answer


@_kind("edit")
def _edit(answer: Answer, change: Callable[[Answer], Answer | None] = lambda answer: None) -> Answer:
    """Any change: a function of the Answer (.status, .document, .headers, .wire)."""
    return change(answer) or answer
