"""The bulk-job endpoints: a request in, an answer out, as the real API would give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable
from urllib.parse import unquote

from aiohttp import web

import families
from answer import JSON_API, Answer, api_error
from families import Family
from jobs import Account, Job
from limits import Verdict
from query import Cursor, Query, Refused, Revision, bad, read_query, read_revision
from requestlog import Request
from shape import Shape


@dataclass
class Options:
    """What can be set about the API as a whole; each may be changed while it runs."""

    paging: str = "offset"  # or "keyset": pages that do not shift when jobs come and go
    related: int = 2  # related items that each job shows
    omit_null_links: bool = False  # leave `next` and `prev` out instead of null
    rate_headers: str = "plain"  # "policy": "3500, 350;w=1, 3500;w=60"; "none"
    strict_slash: bool = True  # a path in the other revisions' form is redirected or not found


class Api:
    """Answers requests from the accounts' jobs. The caller holds the lock."""

    def __init__(self, options: Options, account_of: Callable[[str], Account | None]) -> None:
        self.options, self._account_of = options, account_of

    def answer(self, request: web.BaseRequest, record: Request, as_of: float | None = None) -> Answer:
        """The answer, limits counted; with `as_of` the same again from earlier jobs, counting nothing."""
        verdict: Verdict | None = None
        try:
            if request.method != "GET":
                raise Refused(api_error(405, "method_not_allowed", "Method not allowed.", f"{request.method} is not allowed."))
            family, job_id = self._route(request, record)
            account = self._authorise(request, record, family)
            if as_of is None:
                verdict = self._limit(account, family)
            answer = self._serve(request, record, account, family, job_id, as_of)
        except Refused as refused:
            answer = refused.answer
        if verdict:
            self._rate_headers(answer, verdict, account, family)
        return answer

    def _route(self, request: web.BaseRequest, record: Request) -> tuple[Family, str | None]:
        found = families.find(request.rel_url.raw_path)
        if not found:
            raise Refused(api_error(404, "not_found", "Not found.", "The path does not exist."))
        family, segment = found
        record.family, record.job_id = family.type, unquote(segment) if segment else None
        return family, record.job_id

    def _authorise(self, request: web.BaseRequest, record: Request, family: Family) -> Account:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            raise Refused(api_error(401, "not_authenticated", "Authentication credentials were not provided.",
                                    "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."))
        account = self._account_of(key) if scheme == "Klaviyo-API-Key" else None
        if not account:
            raise Refused(api_error(401, "authentication_failed", "Incorrect authentication credentials.",
                                    "Incorrect authentication credentials."))
        record.account = account.name
        missing = set(family.scopes) - set(account.keys[key])
        if missing:
            raise Refused(api_error(403, "permission_denied", "You do not have permission to perform this action.",
                                    f"The API key is missing required scopes: {', '.join(sorted(missing))}"))
        return account

    def _limit(self, account: Account, family: Family) -> Verdict:
        verdict = account.meter(family).take()
        if not verdict.allowed:
            answer = api_error(429, "throttled", "Request was throttled.",
                               f"Request was throttled. Expected available in {verdict.retry_after} second(s).")
            answer.header("Retry-After", verdict.retry_after)
            raise Refused(answer)
        return verdict

    def _rate_headers(self, answer: Answer, verdict: Verdict, account: Account, family: Family) -> None:
        if self.options.rate_headers == "none":
            return
        policy = f", {account.meter(family).burst.limit};w=1, {verdict.limit};w=60" if self.options.rate_headers == "policy" else ""
        answer.header("RateLimit-Limit", f"{verdict.limit}{policy}")
        answer.header("RateLimit-Remaining", verdict.remaining)
        answer.header("RateLimit-Reset", verdict.reset)

    def _serve(self, request: web.BaseRequest, record: Request, account: Account, family: Family, job_id: str | None,
               as_of: float | None) -> Answer:
        self._check_accept(request)
        revision = read_revision(request)
        self._check_path(request, family, revision)
        query = read_query(request, family, revision, job_id is not None)
        origin = f"{request.headers.get('X-Forwarded-Proto', request.scheme)}://{request.host}"
        shape = Shape(origin, family, revision, query, self.options.related)
        if job_id is None:
            document = self._list(record, account, shape, as_of)
        else:
            job = account.get(family.type, job_id, as_of)
            if not job:
                raise Refused(api_error(404, "not_found", "Not found.", f"A {family.type} with id {job_id[:80]} does not exist."))
            document = shape.one(job)
        kind = "application/json" if revision.old_shape else JSON_API
        return Answer(200, document, headers=[("Content-Type", kind)])

    def _list(self, record: Request, account: Account, shape: Shape, as_of: float | None) -> dict:
        query = shape.query
        order = query.order or account.order
        jobs = account.listed(shape.family.type, query.statuses, order, as_of)
        keyset = self.options.paging == "keyset" and order != "reshuffled"
        start = self._start(account, jobs, query, order)
        end = start + query.size
        record.page = start // query.size + 1
        key = account.order_key(order)

        def cursor(place: int) -> str:
            return (Cursor(key=key(jobs[place - 1])) if keyset and place > 0 else Cursor(offset=place)).text()

        this = query.cursor.text() if query.cursor else None
        document = shape.page(jobs[start:end], record.query, this, cursor(max(start - query.size, 0)) if start > 0 else None,
                              cursor(end) if end < len(jobs) else None)
        if self.options.omit_null_links:
            document["links"] = {name: link for name, link in document["links"].items() if link is not None}
        return document

    def _start(self, account: Account, jobs: list[Job], query: Query, order: str) -> int:
        if query.cursor is None:
            return 0
        if query.cursor.key is not None:
            return account.place_after(jobs, query.cursor.key, order)
        offset = query.cursor.offset or 0
        if offset < 0:
            raise bad("The cursor is invalid.", "page[cursor]", "invalid_cursor")
        return min(offset, len(jobs))

    def _check_accept(self, request: web.BaseRequest) -> None:
        accept = request.headers.get("Accept", "*/*")
        if not any(kind in accept for kind in (JSON_API, "application/json", "*/*", "application/*")):
            raise Refused(api_error(406, "not_acceptable", "Not acceptable.", "Could not satisfy the request Accept header."))

    def _check_path(self, request: web.BaseRequest, family: Family, revision: Revision) -> None:
        if revision.date < family.since:
            raise Refused(api_error(404, "not_found", "Not found.", "The path does not exist in this revision."))
        path = request.rel_url.raw_path
        if not self.options.strict_slash or path.endswith("/") == revision.slash:
            return
        if not revision.slash:
            raise Refused(api_error(404, "not_found", "Not found.", "The path does not exist."))
        query = request.rel_url.raw_query_string
        raise Refused(Answer(301, headers=[("Location", f"{path}/{'?' if query else ''}{query}"), ("Content-Type", "text/html")]))
