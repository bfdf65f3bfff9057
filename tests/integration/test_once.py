"""`once`: exactly what changed, once; the promises of a run from cron."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from typing import Any

import pytest
from conftest import DELETE, KEY, SECRET, Place
from klaviyo import SimKlaviyo, error
from receiver import Receiver


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_47_changes_of_10000(place: Place, acct: Any) -> None:
    ids = acct.add_many(DELETE, 10_000, active=100)
    place.write(account="budget = 100%")  # three sweeps in a minute
    first = place.once()
    assert kinds(first) == ["watch.started"]
    changed = ids[-47:]
    for job in changed:
        acct.set(job, status="complete", completed=100)
    second = place.once()
    assert kinds(second) == ["job.completed"] * 47
    assert sorted(event["job"]["id"] for event in second) == sorted(changed)
    assert place.once() == []


def test_one_event_whole(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="J1", status="processing", total=10, completed=7, failed=0, created_at="2026-11-24T08:00:00Z",
                 expires_at="2026-12-01T08:00:00Z")
    place.write()
    place.once()
    acct.set("J1", status="complete", completed=8, failed=2, completed_at="2026-11-24T09:00:00Z",
             errors=[error("invalid", "Invalid input.", "No such category.", "/data/0")])
    (event,) = place.once()
    assert event.pop("event_id").startswith("evt_")
    message = event.pop("message")
    assert "J1" in message and "2 of 10" in message and "No such category." in message
    assert event == {
        "type": "job.completed_with_failures",
        "account": "main",
        "priority": "warning",
        "job": {"type": DELETE, "id": "J1", "status": "complete", "total_count": 10, "completed_count": 8, "failed_count": 2,
                "created_at": "2026-11-24T08:00:00.000Z", "completed_at": "2026-11-24T09:00:00.000Z",
                "expires_at": "2026-12-01T08:00:00.000Z"},
        "previous": {"status": "processing", "completed_count": 7, "failed_count": 0},
        "errors": [{"code": "invalid", "title": "Invalid input.", "detail": "No such category.", "pointer": "/data/0"}],
    }


@pytest.mark.parametrize("revision", ["2022-10-17", "2023-07-15", "2023-08-15", "2024-02-15", "2026-07-15"])
def test_every_revision(place: Place, acct: Any, revision: str) -> None:
    ids = acct.add_many(DELETE, 150, active=120)
    place.write(top=f'revision = "{revision}"')
    place.once()
    acct.set(ids[-1], status="cancelled")
    acct.set(ids[-110], status="processing", completed=1, failed=3)
    events = place.once()
    assert sorted(kinds(events)) == ["job.cancelled", "job.failures_growing"]
    assert place.once() == []


def test_all_thirteen_families(place: Place, acct: Any) -> None:
    from families import FAMILIES
    jobs = {family: acct.add_job(family, status="processing", total=5) for family in FAMILIES}
    place.write(account='jobs = { "*" } budget = 100%')
    assert kinds(place.once()) == ["watch.started"] * 13
    for job in jobs.values():
        acct.set(job, status="complete", completed=5)
    events = place.once()
    assert {event["job"]["type"]: event["job"]["id"] for event in events} == jobs
    assert kinds(events) == ["job.completed"] * 13


def test_two_accounts_each_with_its_key(place: Place, sim: SimKlaviyo) -> None:
    one, two = sim.account("pk_one", name="one"), sim.account("pk_two", name="two")
    one.add_job(DELETE, id="A", status="processing")
    two.add_job(DELETE, id="B", status="processing")
    for name in ("one", "two"):
        place.secret(f"{name}.key", f"pk_{name}")
    place.write(accounts="".join(f'account "{n}" {{ api-key-file = "{place.path}/{n}.key" }}\n' for n in ("one", "two")))
    place.once()
    one.set("A", status="complete")
    two.set("B", status="cancelled")
    assert sorted((e["account"], e["type"], e["job"]["id"]) for e in place.once()) == [
        ("one", "job.completed", "A"), ("two", "job.cancelled", "B")]


def test_a_family_the_table_lacks(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    """A `family` section may name any path; here one of the simulator's under another type would be refused as malformed."""
    place.write(accounts=f'family "some-new-bulk-job" {{ path = "/api/some-new-bulk-jobs" burst = 75 steady = 750 }}\n'
                         f'account "main" {{ api-key-file = "{place.path}/api-key" jobs = {{ "some-new-bulk-job" }} }}\n')
    body = {"data": [{"type": "some-new-bulk-job", "id": "N1", "attributes": {"status": "processing", "total_count": 3}}],
            "links": {"next": None}}
    sim.fault("raw", match="some-new-bulk-jobs", times=None, body=json.dumps(body))
    assert kinds(place.once()) == ["watch.started"]
    body["data"][0]["attributes"]["status"] = "complete"
    sim.clear_faults()
    sim.fault("raw", match="some-new-bulk-jobs", times=None, body=json.dumps(body))
    (event,) = place.once()
    assert (event["type"], event["job"]["type"], event["job"]["id"]) == ("job.completed", "some-new-bulk-job", "N1")


def count_writes(place: Place) -> Counter[tuple[str, str]]:
    """The rows that were written since the last call, by table and kind of write; one that changes nothing counts too."""
    with contextlib.closing(sqlite3.connect(place.state / "klv-jobwatch.db", isolation_level=None)) as db:
        tables = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        if "writes" in tables:
            found = Counter(db.execute("SELECT place, kind FROM writes"))
            db.execute("DELETE FROM writes")
            return found
        db.execute("CREATE TABLE writes (place TEXT, kind TEXT)")
        for table in tables:
            for kind in ("INSERT", "UPDATE", "DELETE"):
                db.execute(f"CREATE TRIGGER {kind}_{table} AFTER {kind} ON {table} BEGIN INSERT INTO writes VALUES ('{table}', '{kind}'); END")
        return Counter()


def test_unchanged_jobs_cost_no_write(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    """Of a sweep that found nothing new the store gets the ledger, when the sweep was, and the two notes: the clock's mark and the report."""
    ids = acct.add_many(DELETE, 750, active=150)
    place.write(account="budget = 100%")
    place.once()
    count_writes(place)
    for _ in range(2):
        before = len(sim.requests)
        assert place.once() == []
        assert len(sim.requests) - before >= 8, "all pages were read"
        written = count_writes(place)
        notes = written.pop(("notes", "UPDATE"))
        assert written == {("ledgers", "UPDATE"): 2, ("watches", "UPDATE"): 1}, "the ledger before the first request and at the end"
        assert notes <= 6, "with each commit the mark, and now and then the report; both are one row"
    acct.set(ids[-1], status="complete", completed=100)
    assert kinds(place.once()) == ["job.completed"]
    assert {what: n for what, n in count_writes(place).items() if what[0] in ("jobs", "pages", "events")} == {
        ("jobs", "UPDATE"): 1, ("pages", "INSERT"): 1, ("events", "INSERT"): 1}


def test_vanished_takes_a_sweep_and_a_look(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="V", status="processing")
    acct.add_job(DELETE, id="L", status="processing")
    place.write()
    place.once()
    sim.fault("lose", match="bulk-delete-jobs", times=None, jobs=["V", "L"])
    acct.remove("V")
    events = place.once()
    assert [(e["type"], e["job"]["id"]) for e in events] == [("job.vanished", "V")]
    assert place.once() == []


def test_short_life_between_two_runs(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    place.write()
    place.once()
    sim.advance(3600)
    acct.add_job(DELETE, id="S", status="complete", total=3, completed=3)
    assert [(e["type"], e["job"]["id"]) for e in place.once()] == [("job.completed", "S")]
    assert place.once() == []


def test_the_webhook_gets_what_stdout_shows(place: Place, acct: Any, receiver: Receiver) -> None:
    ids = acct.add_many(DELETE, 20, active=20)
    place.write(webhook=receiver.url)
    place.once()
    for job in ids:
        acct.set(job, status="complete")
    printed = {e["event_id"]: e for e in place.once()}
    got = {d.id: d for d in receiver.accepted if d.json["type"] == "job.completed"}
    assert all(d.verified for d in receiver.deliveries)
    assert got.keys() == printed.keys() and len(got) == 20
    for event_id, delivery in got.items():
        event = dict(printed[event_id])
        assert delivery.json["type"] == event.pop("type")
        assert delivery.json["data"] == event


def test_a_webhook_that_is_down_gets_it_in_the_next_run(place: Place, acct: Any, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="D", status="processing")
    place.write(webhook=receiver.url)
    place.once()
    receiver.refuse()
    acct.set("D", status="complete")
    done = place.run("once", "--json")
    assert done.returncode == 0 and "wait in the outbox" in done.stderr
    (event,) = [json.loads(line) for line in done.stdout.splitlines()]
    receiver.accept()
    for _ in range(10):  # the back-off may not be over at once
        assert place.once() == []
        if receiver.accepted and receiver.accepted[-1].id == event["event_id"]:
            break
    assert [d.id for d in receiver.accepted if d.json["type"] == "job.completed"] == [event["event_id"]]


def test_a_page_that_fails_in_the_middle(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    ids = acct.add_many(DELETE, 500, active=500)
    place.write()
    place.once()
    sim.fault("status", match=lambda r: r.page == 3, times=None, status=500)
    done = place.run("once", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "HTTP 500" in done.stderr
    sim.clear_faults()
    sim.fault("reset", match=lambda r: r.page == 3, times=2, at=700)
    acct.set(ids[0], status="complete")
    assert [(e["type"], e["job"]["id"]) for e in place.once()] == [("job.completed", ids[0])]


def test_an_expired_cursor_begins_anew(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    ids = acct.add_many(DELETE, 500, active=500)
    place.write()
    place.once()
    sim.fault("expired_cursor", skip=2)
    acct.set(ids[7], status="complete")
    assert [(e["type"], e["job"]["id"]) for e in place.once()] == [("job.completed", ids[7])]


@pytest.mark.parametrize("order", ["oldest", "random", "reshuffled"])
def test_no_order_is_relied_on(place: Place, acct: Any, sim: SimKlaviyo, order: str) -> None:
    acct.order = order
    ids = acct.add_many(DELETE, 350, active=350)
    place.write(account="budget = 100%")  # each job that a reshuffled list does not show costs a look
    place.once()
    sim.advance(3600)  # a job that no list showed before is news only when it finished after the baseline
    for job in ids[::25]:
        acct.set(job, status="complete")
    found: list[str] = []
    for _ in range(8):  # reshuffled lists show a job at random only; a job that is not shown is not news
        events = place.once()
        assert set(kinds(events)) <= {"job.completed"}
        found += [e["job"]["id"] for e in events]
    assert sorted(found) == sorted(ids[::25])


def test_over_tls_with_a_private_ca(tmp_path: Any, certificates: Any) -> None:
    with SimKlaviyo(manual=True, tls=certificates.context()) as sim:
        acct = sim.account(KEY)
        acct.add_job(DELETE, id="T", status="processing")
        place = Place(tmp_path, sim.url)
        place.write(top=f'ca-file = "{certificates.ca_file}"')
        assert kinds(place.once()) == ["watch.started"]
        acct.set("T", status="complete")
        assert kinds(place.once()) == ["job.completed"]
        place.write()
        done = place.run("once", "--json")
        assert done.returncode == 1 and done.stdout == "" and "certificate" in done.stderr.lower()
        assert SECRET not in done.stderr and KEY not in done.stderr


@pytest.mark.parametrize("kind", ["duplicate", "double"])
def test_duplicates_across_pages(place: Place, acct: Any, sim: SimKlaviyo, kind: str) -> None:
    ids = acct.add_many(DELETE, 440, active=440)
    place.write()
    sim.fault(kind, times=None)
    assert kinds(place.once()) == ["watch.started"]
    acct.set(ids[3], status="complete")
    assert [(e["type"], e["job"]["id"]) for e in place.once()] == [("job.completed", ids[3])]
    assert place.once() == []


def test_an_anomaly_is_looked_at_before_it_is_told(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="A", status="processing", total=10, completed=5)
    place.write()
    place.once()
    acct.set("A", completed=3)
    n = len(sim.requests)
    (event,) = place.once()
    assert event["type"] == "job.anomaly" and event["job"]["id"] == "A" and "fell" in event["message"]
    assert [r.job_id for r in sim.requests[n:]] == [None, "A"]
    assert place.once() == []
