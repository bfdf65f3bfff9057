"""Answers that no sane API gives: no crash, no false event, no unbounded memory, and the key goes nowhere else."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import BUILD, DELETE, KEY, ROOT, Place, wait_for
from examples import example
from klaviyo import SimKlaviyo

SEED = (ROOT / "tests" / "data" / "seed-example.json").read_text()
MAX_RESIDENT_KIB = (64 if "sanitize" not in str(BUILD) else 512) * 1024  # a sanitizer's own memory is large


def page(*jobs: Any, next: Any = None) -> bytes:
    return json.dumps({"data": list(jobs), "links": {"next": next}}).encode()


def entry(job_id: Any, **attributes: Any) -> dict[str, Any]:
    return {"type": DELETE, "id": job_id,
            "attributes": {"status": "processing", "created_at": "2026-11-24T08:00:00+00:00", "total_count": 9} | attributes}


@pytest.fixture
def other_host() -> Iterator[tuple[int, list[bytes]]]:
    """A listener that should hear nothing at all."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            heard.append(connection.recv(65536))
            connection.close()

    thread = threading.Thread(target=listen)
    thread.start()
    yield server.getsockname()[1], heard
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def job_events(stdout: str) -> list[str]:
    return [event["type"] for event in map(json.loads, stdout.splitlines()) if event["type"].startswith("job.")]


def answer_with(sim: SimKlaviyo, body: bytes, **params: Any) -> None:
    sim.clear_faults()
    sim.fault("raw", times=None, body=body, **params)


def test_the_seed_as_it_is(place: Place, acct: Any, sim: SimKlaviyo, other_host: tuple[int, list[bytes]]) -> None:
    """Its next link names a random host without a cursor: the list is not whole, so there is no baseline, and nothing is told of jobs."""
    port, heard = other_host
    place.write(top='revision = "2022-10-17"')
    answer_with(sim, SEED.encode())
    done = place.run("once", "--json")
    assert done.returncode == 1 and job_events(done.stdout) == []
    assert "page[cursor]" in done.stderr
    local = json.loads(SEED)
    local["links"]["next"] = f"http://127.0.0.1:{port}/x"
    answer_with(sim, json.dumps(local).encode())
    assert job_events(place.run("once", "--json").stdout) == []
    assert heard == []


def test_the_seed_as_a_whole_list(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    place.write(top='revision = "2022-10-17"')
    seed = json.loads(SEED)
    seed["links"] = {}
    answer_with(sim, json.dumps(seed).encode())
    assert [e["type"] for e in place.once()] == ["watch.started"]
    assert place.once() == []


@pytest.mark.parametrize("revision", ["2022-10-17", "2026-07-15"])
def test_the_schemas_examples(place: Place, acct: Any, sim: SimKlaviyo, revision: str) -> None:
    document = json.loads((ROOT / "tests" / "data" / f"openapi-{revision}-bulk-jobs.json").read_text())
    body = json.dumps({"data": [example_job(document, revision)], "links": {"self": "https://a.klaviyo.com/x"}})
    answer_with(sim, body.encode())
    place.write(top=f'revision = "{revision}"')
    assert [e["type"] for e in place.once()] == ["watch.started"]
    assert place.once() == []


def example_job(document: dict[str, Any], revision: str) -> dict[str, Any]:
    """A job made of the `example` of each property, as a mock server would make it."""
    path = "/api/catalog-category-bulk-delete-jobs" + ("/" if revision < "2024" else "")
    (content,) = document["paths"][path]["get"]["responses"]["200"]["content"].values()
    return example(document, content["schema"])["data"][0]


@pytest.mark.parametrize("kind,params", [("endless_next", {}), ("next", {"value": "http://example.com"}), ("repeat_cursor", {})])
def test_a_next_that_never_ends(place: Place, acct: Any, sim: SimKlaviyo, kind: str, params: dict[str, Any]) -> None:
    ids = acct.add_many(DELETE, 350, active=350)
    place.write()
    place.once()
    acct.set(ids[-1], status="complete")
    sim.fault(kind, times=None, **params)
    n = len(sim.requests)
    done = place.run("once", "--json")
    # What was seen was seen; but the list was not whole, and says so.
    assert done.returncode == 1
    assert job_events(done.stdout) == ["job.completed"]
    assert len(sim.requests) - n < 30


def test_a_next_on_another_host(place: Place, acct: Any, sim: SimKlaviyo, other_host: tuple[int, list[bytes]]) -> None:
    port, heard = other_host
    ids = acct.add_many(DELETE, 350, active=350)
    place.write()
    sim.fault("next_host", times=None, host=f"127.0.0.1:{port}")
    place.once()
    acct.set(ids[0], status="complete")
    assert [e["job"]["id"] for e in place.once()] == [ids[0]]
    assert heard == []
    assert {r.page for r in sim.requests if r.page} == {1, 2, 3, 4}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(place: Place, acct: Any, sim: SimKlaviyo, other_host: tuple[int, list[bytes]], status: int) -> None:
    port, heard = other_host
    place.write()
    sim.fault("redirect", times=None, location=f"http://127.0.0.1:{port}/", status=status)
    done = place.run("once", "--json")
    assert done.returncode == 1 and job_events(done.stdout) == [] and str(status) in done.stderr
    assert heard == []


ODD_JOBS = [
    pytest.param(entry("X", errors=[{"id": {"value": 1}, "code": {}, "title": [], "detail": 5, "source": "x"}]), id="errors-of-objects"),
    pytest.param(entry("X", completed_count=-94238524, failed_count=-1), id="negative"),
    pytest.param(entry("X", total_count=2**62, completed_count=2**62 - 1), id="64-bit"),
    pytest.param(entry("X", total_count=2**63), id="beyond-64-bit"),
    pytest.param(entry("X", total_count=10**400), id="beyond-everything"),
    pytest.param(entry("X" * 2**20), id="1-MiB-id"),
    pytest.param(entry("a\nb\u001b[31m\u0007"), id="control-characters"),
    pytest.param(entry("a\u0000b"), id="NUL"),
    pytest.param(entry({"value": 1}), id="id-an-object"),
    pytest.param(entry("X", status={"value": 1}), id="status-an-object"),
    pytest.param(entry("X", status="paused"), id="status-unknown"),
    pytest.param(entry("X", created_at=5, completed_at={}, expires_at="soon"), id="times"),
    pytest.param(entry(".."), id="dots"),
    pytest.param(None, id="null"),
    pytest.param([[[[[[[[]]]]]]]], id="lists"),
    pytest.param({"type": "profile", "id": "P", "attributes": {"email": "x@example.com"}}, id="another-type"),
]


@pytest.mark.parametrize("odd", ODD_JOBS)
def test_odd_jobs_among_good_ones(place: Place, acct: Any, sim: SimKlaviyo, odd: Any) -> None:
    """At the baseline they are silent; afterwards only the good job's change is news, and anomalies of theirs at most."""
    place.write()
    answer_with(sim, page(odd, entry("GOOD")))
    first = place.run("once", "--json")
    assert first.returncode == 0 and job_events(first.stdout) == [], first.stderr
    assert b"\x1b" not in first.stdout.encode() + first.stderr.encode()
    answer_with(sim, page(odd, entry("GOOD", status="complete")))
    second = place.run("once", "--json")
    assert second.returncode == 0 and job_events(second.stdout) == ["job.completed"], second.stderr
    assert job_events(place.run("once", "--json").stdout) == []


def test_invalid_utf8(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    place.write()
    job = page(entry("ID-\u2603", errors=[{"detail": "\u2603"}])).replace(b"\\u2603", b"\xff\xfe")
    answer_with(sim, job)
    place.once()
    done_job = job.replace(b"processing", b"complete")
    answer_with(sim, done_job)
    done = place.run("once", "--json")
    assert done.returncode == 0
    (event,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert event["type"] == "job.completed" and event["job"]["id"] == "ID-\ufffd\ufffd"


BODIES = [
    ("empty", {}), ("html", {}), ("raw", {"body": b""}), ("raw", {"body": b"null"}), ("raw", {"body": b"[]"}),
    ("raw", {"body": b'{"data":null}'}), ("raw", {"body": b'{"data":' + b"[" * 100000}), ("raw", {"body": b"\x00" * 1000}),
    ("truncated_gzip", {}), ("garbage_gzip", {}), ("gzip_bomb", {"mib": 1024}), ("huge", {"mib": 100}), ("headers", {"count": 5000}),
    ("content_length", {"delta": 50}), ("reset", {}), ("close", {"at": 20}), ("raw_response", {}), ("wrong_type", {}),
]


@pytest.mark.parametrize("kind,params", BODIES, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(BODIES)])
def test_broken_answers(place: Place, acct: Any, sim: SimKlaviyo, kind: str, params: dict[str, Any]) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    place.write(top="request-timeout = 10s")
    place.once()
    sim.fault(kind, times=None, **params)
    done, peak_kib = place.run_measured("once", "--json", timeout=120)
    assert job_events(done.stdout) == [], done.stdout
    # A page whose entries are all of another type is a list without our jobs; all others are no list at all.
    assert done.returncode == (0 if kind == "wrong_type" else 1), done.stderr
    if kind == "wrong_type":
        assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["api.schema"]
    assert peak_kib <= MAX_RESIDENT_KIB
    sim.clear_faults()
    acct.set("A", status="complete")
    assert job_events(place.run("once", "--json").stdout) == ["job.completed"]


def test_one_broken_answer_is_only_a_hiccup(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    place.write()
    place.once()
    acct.set("A", status="complete")
    for kind in ("html", "reset", "empty"):
        sim.fault(kind)
    assert [e["type"] for e in place.once()] == ["job.completed"]


def test_a_stale_page_is_not_believed(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="A", status="processing", completed=5)
    place.write()
    place.once()
    before = sim.now()
    sim.advance(60)
    acct.set("A", status="complete", completed=10)
    assert [e["type"] for e in place.once()] == ["job.completed"]
    sim.fault("stale", match=lambda r: r.job_id is None, as_of=before, times=2)
    assert place.once() == []
    assert place.once() == []
    assert Path(place.state).is_dir() and KEY


@pytest.mark.skipif("sanitize" in str(BUILD), reason="a sanitizer's allocator keeps what is freed")
def test_the_memory_of_huge_answers_is_given_back(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    place.write(account="interval = 200ms idle-interval = 300ms full-sweep-interval = 1s budget = 100%")
    daemon = place.daemon()

    def resident() -> int:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    wait_for(lambda: len(sim.requests) >= 4)
    before = resident()
    for i in range(3):
        sim.fault("gzip_bomb", times=1)
        wait_for(lambda i=i: sum(r.fault == "gzip_bomb" and r.status is not None for r in sim.requests) > i, what="it went off")
        n = len(sim.requests)
        wait_for(lambda n=n: len(sim.requests) >= n + 2)
    assert resident() < before + 6 * 1024, (before, resident())
    assert daemon.stop() == 0
