"""check, status and events: what people read, beside a running daemon and without one."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from typing import Any

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Receiver

FAST = "interval = 200ms idle-interval = 300ms full-sweep-interval = 3s"


def reading(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *words, "--state", str(place.state)], capture_output=True, text=True, timeout=DEADLINE)


@pytest.fixture
def told(place: Place, acct: Any) -> list[dict[str, Any]]:
    """A state with three events: the baseline, one completion, one failure."""
    acct.add_job(DELETE, id="A", status="processing")
    acct.add_job(DELETE, id="B", status="processing")
    place.write()
    first = place.once()
    acct.set("A", status="complete", completed=10)
    acct.set("B", completed=1, failed=2)
    return first + place.once()


def test_events(place: Place, told: list[dict[str, Any]]) -> None:
    def lines(*words: str) -> list[str]:
        done = reading(place, "events", *words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()
    everything = lines()
    assert [line.split()[3] for line in everything] == ["watch.started", "job.completed", "job.failures_growing"]
    assert all(re.match(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  ", line) for line in everything)
    assert [json.loads(line) for line in lines("--json")] == told
    assert lines("--job", "A") == everything[1:2]
    assert lines("--kind", "job.*") == everything[1:]
    assert lines("-n", "1") == everything[2:]
    assert lines("--account", "other") == []
    assert lines("--since", "1h") == everything
    assert lines("--until", "1h") == []
    assert lines("--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z") == []
    assert reading(place, "events", "--since", "the other day").returncode == 2


def test_events_follow(place: Place, acct: Any, told: list[dict[str, Any]]) -> None:
    follower = subprocess.Popen([str(PROGRAM), "events", "--follow", "-n", "1", "--state", str(place.state)], stdout=subprocess.PIPE,
                                text=True)
    assert follower.stdout
    assert "job.failures_growing" in follower.stdout.readline()
    acct.set("B", status="cancelled")
    place.once()
    assert "job.cancelled" in follower.stdout.readline()
    follower.stdout.close()  # nobody reads any more: it ends by itself
    assert follower.wait(DEADLINE) == 0


def test_status_of_a_running_daemon(place: Place, acct: Any, receiver: Receiver) -> None:
    acct.add_many(DELETE, 250, active=7)
    place.write(account=FAST, webhook=receiver.url)
    daemon = place.daemon()

    def report() -> dict[str, Any] | None:
        done = reading(place, "status", "--json")
        seen = json.loads(done.stdout) if done.returncode == 0 else {}
        families = seen.get("accounts", [{}])[0].get("families", [{}])
        return seen if families and families[0].get("jobs") == 250 else None
    seen = wait_for(report)
    assert seen["pid"] == daemon.process.pid and seen["running"] is True
    (account,) = seen["accounts"]
    (family,) = account["families"]
    assert account["account"] == "main" and account["saved"] is True
    assert (family["family"], family["jobs"], family["active"], family["problem"]) == (DELETE, 250, 7, "")
    assert 0 < family["spent"] <= family["share"] == 350
    text = reading(place, "status")
    assert text.returncode == 0 and re.search(rf"main +{DELETE} +250 +0 +7 ", text.stdout)
    assert daemon.stop() == 0
    after = reading(place, "status")
    assert after.returncode == 1 and "is not running" in after.stdout


def test_status_tells_the_problem(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    place.write(account=FAST)
    place.daemon().wait_line("watch.started")
    sim.fault("status", times=None, status=503)
    done = wait_for(lambda: (lambda d: d if "503" in d.stdout else None)(reading(place, "status")))
    assert done.returncode == 1 and f"! main, {DELETE}: HTTP 503" in done.stdout


@pytest.mark.parametrize("words", [["status"], ["events"]])
def test_without_a_state(place: Place, words: list[str]) -> None:
    done = reading(place, *words)
    assert done.returncode == 1 and done.stdout == "" and str(place.state) in done.stderr


def test_check(place: Place, acct: Any) -> None:
    acct.add_many(DELETE, 120)
    place.write(webhook="https://user:secret@hooks.example.com/path?token=1")
    done = place.check_config("--online")
    assert (done.returncode, done.stderr) == (0, "")
    assert "key present" in done.stdout and "https://hooks.example.com," in done.stdout
    assert f"main, {DELETE}: fine, 100 jobs on the first page, more follow" in done.stdout
    for secret in (KEY, "user", "token", "/path"):
        assert secret not in done.stdout


SAME_KEY = 'accounts "two" and "four" have the same key and 2 job types in common'


def same_keys(place: Place, jobs_of_four: str) -> None:
    """Of four sections two have one key; a third has it for other jobs."""
    for name, key in (("one", "pk_one"), ("two", KEY), ("three", KEY), ("four", KEY)):
        place.secret(f"{name}.key", key)
    jobs = {"one": '{ "catalog-item-*" }', "two": '{ "catalog-item-*" }', "three": f'{{ "{DELETE}" }}', "four": jobs_of_four}
    place.write(accounts="".join(f'account "{n}" {{ api-key-file = "{place.path}/{n}.key" jobs = {j} }}\n' for n, j in jobs.items()))


def test_check_warns_of_two_sections_with_one_key(place: Place) -> None:
    same_keys(place, '{ "catalog-item-bulk-create-job", "catalog-item-bulk-delete-job" }')
    done = place.check_config()
    assert done.returncode == 0, "it is not forbidden"
    assert SAME_KEY in done.stderr and "a part of the budget" in done.stderr
    assert done.stderr.count("same key") == 1 and KEY not in done.stdout + done.stderr
    same_keys(place, '{ "catalog-variant-*" }')
    assert place.check_config().stderr == ""
    place.write(accounts="".join(f'account "shop-{i}" {{ api-key-file = "{place.path}/two.key" }}\n' for i in range(50)))
    assert place.check_config().stderr.count("same key") == 49, "one for a section, not for each pair"


def test_the_daemon_warns_of_two_sections_with_one_key(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    sim.account("pk_one", name="other")
    same_keys(place, '{ "catalog-variant-*" }')
    daemon = place.daemon()
    daemon.wait_line("watching")
    same_keys(place, '{ "catalog-item-bulk-create-job", "catalog-item-bulk-delete-job" }')
    daemon.reload()
    daemon.wait_line(SAME_KEY)
    daemon.stop()
    assert daemon.text().count("same key") == 1
    daemon = place.daemon()
    daemon.wait_line(SAME_KEY)


def test_old_events_are_forgotten_but_not_told_again(place: Place, acct: Any, told: list[dict[str, Any]]) -> None:
    (file,) = place.state.glob("*.db")
    with sqlite3.connect(file) as db:
        db.execute("UPDATE deliveries SET queued_at = queued_at - 40 * 86400000")
    db.close()
    assert place.once() == []
    assert reading(place, "events").stdout == ""
    assert place.once() == []


def test_jobs(place: Place, acct: Any, told: list[dict[str, Any]]) -> None:
    def ids(*words: str) -> list[str]:
        done = reading(place, "jobs", *words, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert ids() == ["B", "A"]  # the one in progress first
    assert ids("--reverse") == ["A", "B"]
    assert ids("--sort", "id") == ["A", "B"]
    assert ids("--failed") == ["B"]
    assert ids("--status", "complete") == ["A"]
    assert ids("--stalled") == []
    assert ids("--family", "catalog-item*") == []
    assert ids("-n", "1") == ["B"]
    assert json.loads(reading(place, "jobs", "A", "--json").stdout)["events"][0]["type"] == "job.completed"
    nobody = reading(place, "jobs", "C")
    assert (nobody.returncode, nobody.stdout) == (1, "") and 'no job begins with "C"' in nobody.stderr
