"""Tests of the simulated Klaviyo and of the webhook receiver themselves: do they hold to the API's rules?"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "sim"))

from families import FAMILIES  # noqa: E402
from h2 import Http2Front  # noqa: E402
from klaviyo import Life, SimKlaviyo, error  # noqa: E402
from limits import most_in_fixed, most_in_sliding  # noqa: E402
from receiver import Receiver, sign  # noqa: E402
from tls import Certificates  # noqa: E402

DELETE = "catalog-category-bulk-delete-job"
IMPORT = "profile-bulk-import-job"
NEW, OLD = "2026-07-15", "2022-10-17"
EVERY = sorted(FAMILIES)
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        return [job.get("id") or job["attributes"]["job_id"] for job in self.json["data"]]

    @property
    def next(self) -> str | None:
        return self.json["links"]["next"]


def get(sim: SimKlaviyo, path: str, key: str | None = "key", revision: str | None = NEW, method: str = "GET",
        headers: dict[str, str] | None = None, **query: str) -> Reply:
    given = {"Authorization": f"Klaviyo-API-Key {key}"} if key else {}
    given |= {"revision": revision} if revision else {}
    text = urlencode(query, quote_via=quote)
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=60)
    try:
        connection.request(method, path + ("?" + text if text else ""), headers=given | (headers or {}))
        return Reply(connection.getresponse())
    finally:
        connection.close()


def jobs(sim: SimKlaviyo, family: str = DELETE, **more: Any) -> Reply:
    return get(sim, f"/api/{family}s", **more)


def follow(sim: SimKlaviyo, link: str) -> Reply:
    parts = urlsplit(link)
    return get(sim, f"{parts.path}?{parts.query}")


def sweep(sim: SimKlaviyo, family: str = DELETE) -> list[str]:
    page = jobs(sim, family)
    ids = page.ids
    while page.next:
        page = follow(sim, page.next)
        ids += page.ids
    return ids


def assert_error(reply: Reply, status: int) -> None:
    assert reply.status == status, reply.body
    for one in reply.json["errors"]:
        assert {"id", "code", "title", "detail"} <= set(one)


@pytest.fixture
def sim():
    before = set(threading.enumerate())
    with SimKlaviyo(manual=True, start=1_790_000_000.25) as server:
        server.account("key", name="main")
        yield server
    assert set(threading.enumerate()) == before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


# Shape, against the OpenAPI documents

def openapi(revision: str) -> dict[str, Any]:
    return json.loads((TESTS / "data" / f"openapi-{revision}-bulk-jobs.json").read_text())


def check(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str = "$") -> None:
    """As much of JSON Schema as the documents use; null passes for links and times that are not set."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if value is None:
        assert schema.get("nullable") or ".links." in where or where.endswith("_at"), where
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    assert isinstance(value, kinds[schema.get("type", "object")]), (where, value)
    assert "enum" not in schema or value in schema["enum"], (where, value)
    if isinstance(value, list):
        for item in value:
            check(document, schema["items"], item, where + "[]")
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value), (where, set(value))
        known = schema.get("properties", {})
        assert set(value) <= set(known), (where, set(value) - set(known))
        for name, part in value.items():
            check(document, known[name], part, f"{where}.{name}")


def response_schema(document: dict[str, Any], path: str) -> dict[str, Any]:
    (content,) = document["paths"][path]["get"]["responses"]["200"]["content"].values()
    return content["schema"]


@pytest.mark.parametrize("family", EVERY)
def test_answers_have_the_shape_of_the_openapi_document(sim, family):
    acct = sim.accounts["main"]
    acct.add_job(family, status="queued")
    job = acct.add_job(family, status="complete", total=10, completed=9, failed=1, errors=[error()])
    document = openapi(NEW)
    page, one = jobs(sim, family), get(sim, f"/api/{family}s/{job}")
    check(document, response_schema(document, f"/api/{family}s"), page.json)
    check(document, response_schema(document, f"/api/{family}s/{{job_id}}"), one.json)
    assert page.headers["Content-Type"] == "application/vnd.api+json" and page.headers["Date"]
    assert len(page.ids) == 2 and one.json["data"]["id"] == job
    assert set(one.json["data"]["attributes"]) == set(FAMILIES[family].attributes)


@pytest.mark.parametrize("family", [f for f in EVERY if f.startswith("catalog-")])
def test_old_revision_has_the_shape_of_its_document(sim, family):
    job = sim.accounts["main"].add_job(family, status="complete", created_at="2022-11-08T00:00:00", errors=[error()])
    document = openapi(OLD)
    page, one = get(sim, f"/api/{family}s/", revision=OLD), get(sim, f"/api/{family}s/{job}/", revision=OLD)
    check(document, response_schema(document, f"/api/{family}s/"), page.json)
    check(document, response_schema(document, f"/api/{family}s/{{job_id}}/"), one.json)
    data = page.json["data"][0]
    assert "id" not in data and data["attributes"]["job_id"] == job
    assert data["attributes"]["created_at"] == "2022-11-08T00:00:00"


@pytest.mark.parametrize("revision, old", [("2023-07-15", True), ("2023-08-15", False), ("2026-07-15.pre", False)])
def test_the_shape_changes_after_2023_07_15(sim, revision, old):
    job = sim.accounts["main"].add_job(DELETE, created_at=1_790_000_000.5)
    data = get(sim, f"/api/{DELETE}s{'/' if revision < '2024' else ''}", revision=revision).json["data"][0]
    assert ("id" in data) is not old and ("job_id" in data["attributes"]) is old
    assert data["attributes"]["created_at"] == "2026-09-21T14:13:20.500000" + ("" if old else "+00:00"), job


@pytest.mark.parametrize("family", EVERY)
def test_limits_filters_and_parameters_are_those_of_the_document(family):
    operation = openapi(NEW)["paths"][f"/api/{family}s"]["get"]
    kind = FAMILIES[family]
    assert operation["x-klaviyo-ratelimit"] == {"burst": f"{kind.burst}/s", "steady": f"{kind.steady}/m"}
    assert tuple(operation["x-klaviyo-scopes"]) == kind.scopes
    assert operation["x-klaviyo-filters"]["status"]["value"]["enum"] == list(kind.filter_statuses)
    parameters = {p["name"]: p["schema"] for p in operation["parameters"]}
    assert set(parameters[f"fields[{family}]"]["items"]["enum"]) == {"id", *kind.attributes}
    assert ("page[size]" in parameters) is kind.sized_pages
    assert parameters.get("sort", {}).get("enum") == ([kind.sort, f"-{kind.sort}"] if kind.sort else None)


# Refusals

def test_keys(sim):
    sim.account("other", name="second").add_job(DELETE, id="theirs")
    sim.account("narrow", name="third", scopes=["profiles:read"])
    assert_error(jobs(sim, key=None), 401)
    assert_error(jobs(sim, key="wrong"), 401)
    assert_error(jobs(sim, key=None, headers={"Authorization": "Bearer key"}), 401)
    assert_error(jobs(sim, key="narrow"), 403)
    assert_error(jobs(sim, IMPORT, key="narrow"), 403)
    assert jobs(sim).ids == [] and jobs(sim, key="other").ids == ["theirs"]
    sim.accounts["second"].add_key("their-second", ["catalogs:read"])
    assert jobs(sim, key="their-second").ids == ["theirs"]
    sim.accounts["second"].revoke("other")
    assert_error(jobs(sim, key="other"), 401)


@pytest.mark.parametrize("revision", [None, "latest", "2026-13-01", "2026-7-15", "2021-01-01", "2999-01-01"])
def test_bad_revision(sim, revision):
    assert_error(jobs(sim, revision=revision), 400)


def test_accept_method_and_paths(sim):
    assert_error(jobs(sim, headers={"Accept": "text/html"}), 406)
    assert_error(jobs(sim, method="POST"), 405)
    for path in ("/", "/api/nothings", f"/api/{DELETE}", f"/api/{DELETE}s/x/y", f"/api/{DELETE}s/", f"/api/{DELETE}s/gone"):
        assert_error(get(sim, path), 404)
    assert_error(get(sim, f"/api/{IMPORT}s/", revision=OLD), 404)


def test_slashes(sim):
    moved = get(sim, f"/api/{DELETE}s", revision=OLD, filter='equals(status,"queued")')
    assert moved.status == 301 and moved.headers["Location"].startswith(f"/api/{DELETE}s/?filter=")
    sim.options.strict_slash = False
    assert get(sim, f"/api/{DELETE}s", revision=OLD).status == 200


@pytest.mark.parametrize("name, value", [
    ("filter", "status"), ("filter", 'equals(status,"done")'), ("filter", "equals(status,queued)"), ("filter", ""),
    ("filter", 'equals(id,"x")'), ("filter", 'any(status,["queued"])'), ("filter", 'equals(status,"queued\')'),
    ("filter", 'and(equals(status,"queued"),equals(status,"complete"))'), (f"fields[{DELETE}]", "status,skipped_count"),
    (f"fields[{DELETE}]", ""), (f"fields[{IMPORT}]", "status"), ("page[cursor]", "%%%"), ("page[cursor]", "bm9uc2Vuc2U="),
    ("page[size]", "10"), ("sort", "created_at"), ("include", "categories"), ("nonsense", "1")])
def test_bad_query(sim, name, value):
    assert_error(jobs(sim, **{name: value}), 400)


@pytest.mark.parametrize("name, value", [
    ("filter", 'equals(status,"cancelled")'), ("filter", "any(status,[])"), ("filter", 'any(status,["queued","done"])'),
    ("page[size]", "0"), ("page[size]", "101"), ("page[size]", "ten"), ("sort", "created"), (f"fields[{IMPORT}]", "errors")])
def test_bad_query_of_imports(sim, name, value):
    assert_error(jobs(sim, IMPORT, **{name: value}), 400)


def test_a_parameter_twice(sim):
    assert_error(get(sim, f"/api/{DELETE}s?filter=equals(status,'queued')&filter=equals(status,'queued')"), 400)


# Lists

def test_filters(sim):
    acct = sim.accounts["main"]
    for family in (DELETE, IMPORT):
        for status in ("queued", "processing", "complete", "cancelled"):
            acct.add_job(family, id=f"{family}-{status}", status=status)
    assert jobs(sim, filter='equals(status,"processing")').ids == [f"{DELETE}-processing"]
    assert jobs(sim, filter="equals(status,'cancelled')").ids == [f"{DELETE}-cancelled"]
    both = jobs(sim, IMPORT, filter="any(status,[\"queued\",'processing'])").ids
    assert sorted(both) == [f"{IMPORT}-processing", f"{IMPORT}-queued"]


def test_sparse_fields(sim):
    sim.accounts["main"].add_job(DELETE, errors=[error()])
    data = jobs(sim, **{f"fields[{DELETE}]": "status,total_count,id"}).json["data"][0]
    assert data["attributes"] == {"status": "queued", "total_count": 10} and data["id"]
    old = get(sim, f"/api/{DELETE}s/", revision=OLD, **{f"fields[{DELETE}]": "job_id,status"}).json["data"][0]
    assert set(old["attributes"]) == {"job_id", "status"}


@pytest.mark.parametrize("paging", ["offset", "keyset"])
@pytest.mark.parametrize("order", ["newest", "oldest", "random"])
def test_a_sweep_sees_every_job_once(sim, paging, order):
    acct = sim.accounts["main"]
    sim.options.paging, acct.order = paging, order
    ids = acct.add_many(DELETE, 250, active=3)
    swept = sweep(sim)
    assert len(swept) == 250 and set(swept) == set(ids)
    assert order != "newest" or swept == ids[::-1]
    assert order != "oldest" or swept == ids
    assert [r.page for r in sim.requests] == [1, 2, 3]
    assert jobs(sim, filter='equals(status,"processing")').next is None


def test_links_are_absolute_and_keep_the_query(sim):
    sim.accounts["main"].add_many(DELETE, 150, active=120)
    first = jobs(sim, filter='equals(status,"processing")', **{f"fields[{DELETE}]": "status"})
    assert first.next.startswith(sim.url + f"/api/{DELETE}s?")
    query = parse_qs(urlsplit(first.next).query)
    assert query["filter"] == ['equals(status,"processing")'] and query[f"fields[{DELETE}]"] == ["status"]
    second = follow(sim, first.next)
    assert len(second.ids) == 20 and second.next is None
    assert follow(sim, second.json["links"]["prev"]).ids == first.ids
    sim.options.omit_null_links = True
    assert "next" not in follow(sim, first.next).json["links"]


def test_jobs_move_between_offset_pages_but_not_between_keyset_pages(sim):
    acct = sim.accounts["main"]
    ids = acct.add_many(DELETE, 200)
    first = jobs(sim)
    sim.advance(1)
    acct.add_job(DELETE, id="new")
    assert follow(sim, first.next).ids[0] == first.ids[-1]
    acct.remove("new")
    acct.remove(ids[-1])
    assert ids[99] not in follow(sim, first.next).ids
    sim.options.paging = "keyset"
    first = jobs(sim)
    acct.remove(first.ids[-1])
    assert sorted(first.ids + follow(sim, first.next).ids) == sorted(ids[:-1])


def test_imports_have_small_pages_and_a_sort(sim):
    ids = sim.accounts["main"].add_many(IMPORT, 120)
    assert len(jobs(sim, IMPORT).ids) == 20
    assert jobs(sim, IMPORT, **{"page[size]": "100", "sort": "created_at"}).ids == ids[:100]
    assert jobs(sim, IMPORT, **{"page[size]": "1", "sort": "-created_at"}).ids == ids[-1:]


def test_reshuffled_order_changes_at_each_request(sim):
    sim.accounts["main"].order = "reshuffled"
    sim.accounts["main"].add_many(DELETE, 50)
    assert jobs(sim).ids != jobs(sim).ids


def test_ids_are_encoded(sim):
    job = sim.accounts["main"].add_job(DELETE, id="a/b ü?%")
    one = get(sim, f"/api/{DELETE}s/" + quote(job, safe=""))
    assert one.json["data"]["id"] == job and one.json["data"]["links"]["self"].endswith("/a%2Fb%20%C3%BC%3F%25")


def test_a_hundred_thousand_jobs_are_fast(sim):
    began = time.process_time()
    sim.accounts["main"].add_many(DELETE, 100_000, active=10)
    assert len(jobs(sim, filter='equals(status,"processing")').ids) == 10
    assert len(jobs(sim).ids) == 100
    assert time.process_time() - began < 5


def test_gzip_only_when_accepted(sim):
    sim.accounts["main"].add_many(DELETE, 10)
    packed = jobs(sim, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and json.loads(gzip.decompress(packed.body)) == jobs(sim).json


# Limits

def limited(now: list[float], **more: Any) -> SimKlaviyo:
    return SimKlaviyo(limits={DELETE: (3, 5), "*": (1, 1)}, limit_clock=lambda: now[0], **more)


def test_fixed_windows_and_their_headers():
    now = [600.4]
    with limited(now) as sim:
        acct = sim.account("key", name="main")
        acct.add_key("second", ["catalogs:read"])
        first = jobs(sim)
        assert [first.headers[f"RateLimit-{h}"] for h in ("Limit", "Remaining", "Reset")] == ["5", "4", "60"]
        assert [jobs(sim, key="second").status, jobs(sim).status, jobs(sim).status] == [200, 200, 429]
        throttled = jobs(sim)
        assert_error(throttled, 429)
        assert throttled.headers["Retry-After"] == "1" and not any(h.startswith("RateLimit") for h in throttled.headers)
        assert get(sim, "/api/catalog-item-bulk-create-jobs").status == 200  # another family has its own
        now[0] = 601.0
        assert [jobs(sim).status for _ in range(3)] == [200, 200, 429]
        now[0] = 630.5
        assert jobs(sim).headers["Retry-After"] == "30"
        now[0] = 660.0
        assert jobs(sim, revision=None).headers["RateLimit-Remaining"] == "4"  # errors count and carry the headers
        assert sim.windows("main", DELETE).sliding_60s == 10


def test_window_phase_neighbours_and_header_styles():
    now = [600.0]
    with limited(now, window_phase=(0.5, 30.0), rate_headers="policy") as sim:
        acct = sim.account("key", name="main")
        reply = jobs(sim)
        assert reply.headers["RateLimit-Limit"] == "5, 3;w=1, 5;w=60" and reply.headers["RateLimit-Reset"] == "30"
        acct.spend(DELETE, 1)
        assert jobs(sim).headers["RateLimit-Remaining"] == "2"
        now[0] = 640.0
        acct.others(DELETE, 0.2)
        assert jobs(sim).headers["RateLimit-Remaining"] == "2"


def test_measures_of_a_log():
    times = [0.75, 0.875, 1.0, 1.125, 1.75, 60.75]
    assert most_in_sliding(times, 1.0) == 4 and most_in_fixed(times, 1.0, 0.0) == 3 and most_in_fixed(times, 1.0, 0.75) == 4
    assert most_in_sliding(times, 60.0) == 5 and most_in_sliding([], 1.0) == 0


# Jobs in time

def test_lives_follow_the_clock(sim):
    acct = sim.accounts["main"]
    job = acct.add_job(DELETE, total=100, life=Life.steady(100, lasts=10, queued=5, failed=10, errors=[error()]))
    gone = acct.add_job(DELETE, life=Life([(7, {"remove": True})]))

    def seen() -> tuple[Any, ...]:
        attributes = get(sim, f"/api/{DELETE}s/{job}").json["data"]["attributes"]
        return attributes["status"], attributes["completed_count"], attributes["failed_count"], len(attributes["errors"])
    assert seen() == ("queued", 0, 0, 0)
    sim.advance(5)
    assert seen() == ("processing", 0, 0, 0) and len(jobs(sim).ids) == 2
    sim.advance(5)
    assert seen() == ("processing", 45, 5, 0)
    assert_error(get(sim, f"/api/{DELETE}s/{gone}"), 404)
    sim.advance(100)
    assert seen() == ("complete", 90, 10, 1)
    assert acct.job(job).completed_at == acct.job(job).created_at + 15


def test_a_running_clock_needs_no_help():
    with SimKlaviyo() as sim:
        acct = sim.account("key")
        job = acct.add_job(DELETE, life=Life([(0.05, {"status": "complete"})]))
        sim.wait_for(lambda: acct.job(job).status == "complete")


def test_stale_pages_show_earlier_times(sim):
    acct = sim.accounts["main"]
    kept, removed = acct.add_job(DELETE, id="kept"), acct.add_job(DELETE, id="removed")
    then = sim.now()
    sim.advance(10)
    acct.set(kept, status="processing", completed=5)
    acct.remove(removed)
    acct.add_job(DELETE, id="new")
    sim.fault("stale", times=2, age=5)
    sim.fault("stale", as_of=then)
    stale = jobs(sim)
    assert sorted(stale.ids) == ["kept", "removed"]
    assert {job["attributes"]["status"] for job in stale.json["data"]} == {"queued"}
    assert get(sim, f"/api/{DELETE}s/{removed}").status == 200
    assert_error(get(sim, f"/api/{DELETE}s/new"), 404)
    assert sorted(jobs(sim).ids) == ["kept", "new"]


# Faults

def raw(sim: SimKlaviyo) -> bytes:
    """Every byte of the answer; what came before a reset is kept, and the reset marked."""
    received = b""
    with socket.create_connection(("127.0.0.1", sim.port), timeout=60) as connection:
        connection.sendall(f"GET /api/{DELETE}s HTTP/1.1\r\nHost: x\r\nAuthorization: Klaviyo-API-Key key\r\nrevision: {NEW}\r\n"
                           "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode())
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            received += b"<RST>"
    return received


@pytest.mark.parametrize("kind, params, expected", [
    ("reset", {}, rb"<RST>"), ("close", {}, rb""), ("reset", {"at": 50}, rb"HTTP/1.1 200 OK\r\n.*\r\n\r\n.{50}<RST>"),
    ("close", {"at": 50}, rb"HTTP/1.1 200 OK\r\n.*Content-Length: \d+\r\n\r\n.{50}"), ("raw_response", {"data": "junk"}, rb"junk"),
    ("html", {}, rb"HTTP/1.1 200 OK\r\nContent-Type: text/html.*<!DOCTYPE html>.*"), ("empty", {}, rb"HTTP/1.1 204 No Content.*\r\n\r\n"),
    ("redirect", {"location": "http://x.example/"}, rb"HTTP/1.1 302 Found\r\nLocation: http://x.example/\r\n.*"),
    ("raw", {"body": b"\xff\xfe"}, rb"HTTP/1.1 200 OK.*\r\n\r\n\xff\xfe"),
    ("status", {"status": 429, "retry_after": 7}, rb"HTTP/1.1 429 .*Retry-After: 7\r\n.*simulated.*"),
    ("headers", {"count": 300}, rb"HTTP/1.1 200 OK.*(X-Flood-\d+: x{100}\r\n){300}.*")])
def test_faults_on_the_wire(sim, kind, params, expected):
    sim.accounts["main"].add_many(DELETE, 10)
    fault = sim.fault(kind, match=DELETE, **params)
    assert re.fullmatch(expected, raw(sim), re.DOTALL)
    assert fault.hits == 1 and jobs(sim).status == 200 and sim.requests[0].fault == kind


def body_of(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


def test_faults_in_encodings_and_lengths(sim):
    sim.accounts["main"].add_many(DELETE, 10)
    sim.fault("truncated_gzip")
    with pytest.raises(EOFError):
        gzip.decompress(body_of(raw(sim)))
    sim.fault("garbage_gzip")
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(body_of(raw(sim)))
    for delta in (10, -10):
        sim.fault("content_length", delta=delta)
        data = raw(sim)
        assert int(re.search(rb"Content-Length: (\d+)", data)[1]) == len(body_of(data)) + delta
    sim.fault("gzip_bomb", mib=32)
    assert len(raw(sim)) < 1 << 20
    sim.fault("huge", mib=3)
    assert len(raw(sim)) > 3 << 20


def test_delays_and_silence(sim):
    sim.fault("delay", delay=0.15)
    began = time.monotonic()
    assert jobs(sim).status == 200 and time.monotonic() - began >= 0.15
    sim.fault("delay", body_delay=0.1)
    began = time.monotonic()
    assert jobs(sim).json["data"] == [] and time.monotonic() - began >= 0.1
    sim.fault("drop")
    with socket.create_connection(("127.0.0.1", sim.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sim.wait_for(lambda: sim.requests[-1].fault == "drop")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert sim.requests[-1].status is None


def test_faults_in_pages(sim):
    sim.accounts["main"].add_many(DELETE, 250)
    sim.fault("next", value="http://example.com")
    assert jobs(sim).next == "http://example.com"
    sim.fault("next_host", host="evil.example:1")
    assert jobs(sim).next.startswith("http://evil.example:1/api/")
    endless = sim.fault("endless_next", times=None)
    first = jobs(sim)
    assert follow(sim, first.next).next == first.next
    endless.cancel()
    second = follow(sim, jobs(sim).next)
    sim.fault("repeat_cursor", match=lambda r: r.page == 2)
    cursor = "page[cursor]"
    assert parse_qs(urlsplit(follow(sim, jobs(sim).next).next).query)[cursor] == [sim.requests[-1].cursor]
    sim.fault("expired_cursor")
    first = jobs(sim)
    assert_error(follow(sim, first.next), 400)
    sim.fault("duplicate", times=2, count=3)
    first = jobs(sim)
    assert follow(sim, first.next).ids == first.ids[-3:] + second.ids
    sim.fault("double")
    assert len(jobs(sim).ids) == 101
    sim.fault("lose", jobs=[first.ids[5]])
    assert first.ids[5] not in jobs(sim).ids
    sim.fault("wrong_type", type=7)
    assert jobs(sim).json["data"][0]["type"] == 7
    sim.fault("edit", change=lambda answer: answer.document["data"].clear())
    assert jobs(sim).ids == [] and len(jobs(sim).ids) == 100


def test_faults_are_chosen(sim):
    sim.fault("status", match="queued", skip=1, times=2, status=500)
    sim.fault("status", match=lambda r: r.job_id == "x", status=502)
    wanted = [jobs(sim, filter='equals(status,"queued")').status for _ in range(4)]
    assert wanted == [200, 500, 500, 200] and jobs(sim).status == 200
    assert get(sim, f"/api/{DELETE}s/x").status == 502
    with pytest.raises(ValueError):
        sim.fault("nonsense")
    with pytest.raises(TypeError):
        sim.fault("status", statsu=500)


def test_the_seed_example_goes_out_as_it_is(sim):
    seed = (TESTS / "data" / "seed-example.json").read_bytes()
    sim.fault("raw", body=seed)
    assert jobs(sim).body == seed


def test_refusing_and_coming_back(sim):
    port = sim.port
    with sim.refusing():
        with pytest.raises(ConnectionRefusedError):
            jobs(sim)
    assert jobs(sim).status == 200 and sim.port == port
    began = time.monotonic()
    sim.refuse(0.3)
    assert not _listens(port) or time.monotonic() - began >= 0.3
    sim.wait_for(lambda: _listens(port))
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"GET")
        sim.wait_for(lambda: sim.connections >= 3)
        sim.drop_connections()
        with pytest.raises(ConnectionResetError):
            idle.recv(1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_log_and_waiting(sim):
    asking = threading.Thread(target=jobs, args=(sim,), kwargs={"filter": 'equals(status,"queued")'})
    asking.start()
    (one,) = sim.wait_requests(1, 'equals(status,"queued")')
    asking.join()
    assert (one.account, one.family, one.status, one.page) == ("main", DELETE, 200, 1)
    assert one.headers["revision"] == NEW and one.filter == 'equals(status,"queued")' and one.answered_at >= one.at
    assert sim.windows("main", DELETE).sliding_1s == 1
    with pytest.raises(TimeoutError, match="1 logged"):
        sim.wait_for(lambda: False, 0.05)


# TLS and HTTP/2

@pytest.fixture(scope="module")
def certificates():
    with Certificates() as made:
        yield made


@pytest.mark.parametrize("kind, problem", [("good", None), ("wrong-host", "mismatch"), ("expired", "expired"),
                                           ("self-signed", "self-signed"), ("other-ca", "unable to get")])
def test_certificates(certificates, kind, problem):
    with SimKlaviyo(tls=certificates.context(kind)) as sim:
        assert sim.url.startswith("https://localhost:")
        trust = ssl.create_default_context(cafile=certificates.ca_file)
        connection = http.client.HTTPSConnection("localhost", sim.port, context=trust, timeout=60)
        if problem:
            with pytest.raises(ssl.SSLCertVerificationError, match=problem):
                connection.request("GET", "/")
        else:
            connection.request("GET", "/")
            assert_error(Reply(connection.getresponse()), 404)
        connection.close()


def test_http2_in_front(certificates):
    with SimKlaviyo() as sim, Http2Front(sim.port, certificates) as front:
        sim.account("key").add_many(DELETE, 101)
        shown = subprocess.run(
            ["curl", "-sS", "--http2", "--cacert", certificates.ca_file, "-H", "Authorization: Klaviyo-API-Key key", "-H",
             f"revision: {NEW}", "-w", "\n%{http_version}", f"{front.url}/api/{DELETE}s"], capture_output=True, text=True, timeout=60)
        body, _, version = shown.stdout.rpartition("\n")
        assert version == "2" and json.loads(body)["links"]["next"].startswith(front.url + "/api/"), shown


def test_http2_needs_nghttpx(certificates, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(RuntimeError, match="nghttp2-proxy"):
        Http2Front(1, certificates)


# The webhook receiver

def post(receiver: Receiver, body: bytes = b'{"type":"x"}', signature: str | None = None, timestamp: int | None = None,
         signed: bool = True) -> Reply:
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": stamp,
               "webhook-signature": signature or sign(SECRET, "evt_1", stamp, body)} if signed else {}
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    try:
        connection.request("POST", "/hook", body, headers)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def test_signature_is_that_of_the_standard():
    """The example of the Standard Webhooks libraries' own tests, and that of docs.svix.com/receiving/verifying-payloads/how-manual."""
    assert sign("whsec_plJ3nmyCDGBKInavdOK15jsl", "msg_loFOjxBNrRLzqYUf", "1731705121", b'{"event_type":"ping","data":{"success":true}}') == \
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    assert sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}') == \
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_receiver_verifies():
    now = int(time.time())
    other = sign("whsec_" + base64.b64encode(b"other").decode(), "evt_1", str(now), b'{"type":"x"}')
    with Receiver([SECRET]) as receiver:
        assert post(receiver).status == 204
        post(receiver, signature=f"v1,AAAA {other} v2,what {sign(SECRET, 'evt_1', str(now), b'{}')}", timestamp=now, body=b"{}")
        post(receiver, signature=other, timestamp=now)
        post(receiver, timestamp=now - 301)
        post(receiver, signed=False)
        assert [d.verified for d in receiver.deliveries] == [True, True, False, False, False]
        assert receiver.deliveries[0].json == {"type": "x"} and receiver.deliveries[0].id == "evt_1"
        assert len(receiver.wait_accepted(5)) == 5


def test_receiver_answers_as_it_is_told():
    with Receiver([SECRET]) as receiver:
        receiver.statuses(503, 410, retry_after=9)
        receiver.fault("reset")
        receiver.fault("slow", chunk=1, pause=0.0)
        receiver.fault("redirect", location="http://x.example/")
        first = post(receiver)
        assert first.status == 503 and first.headers["Retry-After"] == "9" and post(receiver).status == 410
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            post(receiver)
        assert [post(receiver).status, post(receiver).status, post(receiver).status] == [204, 302, 204]
        assert [d.status for d in receiver.deliveries] == [503, 410, 0, 204, 302, 204] and len(receiver.accepted) == 2
        with receiver.refusing(), pytest.raises(ConnectionRefusedError):
            post(receiver)
        assert post(receiver).status == 204


# By hand

def test_the_command_reads_a_script(tmp_path):
    plan = {"limits": {"*": [5, 50]}, "accounts": [{
        "key": "key", "name": "demo", "keys": ["second"], "others": {DELETE: 0.1}, "many": [{"family": DELETE, "n": 30, "active": 1}],
        "jobs": [{"family": DELETE, "id": "first", "life": [[0, {"status": "processing"}]]},
                 {"family": DELETE, "id": "never", "at": 1000, "life": {"total": 10, "lasts": 5}}]}],
        "faults": [{"kind": "status", "status": 500, "match": "first"}], "refuse": [{"at": 1000, "seconds": 1}]}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    with subprocess.Popen([sys.executable, str(TESTS / "sim" / "klaviyo.py"), "--script", str(file)], stdout=subprocess.PIPE,
                          text=True) as command:
        try:
            url = command.stdout.readline().strip()
            sim = type("Command", (), {"port": urlsplit(url).port})
            page = jobs(sim, key="second")
            assert len(page.ids) == 31 and page.headers["RateLimit-Limit"] == "50"
            assert [get(sim, f"/api/{DELETE}s/first").status for _ in range(2)] == [500, 200]
        finally:
            command.terminate()
        assert command.wait(60) == 0
