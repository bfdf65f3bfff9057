"""The daemon while its wall clock is stepped (libfaketime), while it is stopped, and after an hour that it did not see."""

from __future__ import annotations

import glob
import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import BUILD, DELETE, Daemon, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Receiver
from test_run import FAST, told, wait_told

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
DAY = 86400
STEPS = {"+1 day": DAY, "-1 day": -DAY, "+10 years": 3652 * DAY, "-10 years": -3652 * DAY, "right again": 0}
# Long enough for a loaded machine, far below any step.
PATIENT = "stalled-after = 10m unreachable-after = 5m"

pytestmark = [
    pytest.mark.skipif(not LIBRARY, reason="needs the package libfaketime"),
    pytest.mark.skipif("sanitize" in str(BUILD), reason="a sanitizer's runtime has to be the first library, libfaketime too"),
]


class Clock:
    """A wall clock for the daemons of one place; with monotonic, CLOCK_MONOTONIC is stepped with it."""

    def __init__(self, place: Place, monotonic: bool = False) -> None:
        self._file = place.path / "clock"
        self.env = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "0" if monotonic else "1"}
        self.step(0)

    def step(self, seconds: int) -> None:
        """From now on it is that much off. Replaced in one go: the daemon may read it at any time."""
        new = Path(f"{self._file}.new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)


def start(place: Place, receiver: Receiver, clock: Clock, account: str = FAST, alerts: str = PATIENT) -> Daemon:
    place.write(webhook=receiver.url, account=account, alerts=alerts)
    daemon = place.daemon(env=clock.env)
    wait_told(receiver, ("watch.started", ""))
    return daemon


def more_requests(sim: SimKlaviyo, n: int) -> None:
    """The schedule goes on: so many more are asked."""
    before = len(sim.requests)
    wait_for(lambda: len(sim.requests) >= before + n, what=f"{n} more requests")


def kinds(receiver: Receiver) -> list[str]:
    return [e["type"] for e in told(receiver)]


def test_the_wall_clock_is_stepped(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    clock = Clock(place)
    acct.add_job(DELETE, id="RUNS", status="processing", total=100, completed=1)
    acct.add_job(DELETE, id="STILL", status="processing", total=100, completed=1)
    daemon = start(place, receiver, clock)
    for n, seconds in enumerate(STEPS.values()):
        clock.step(seconds)
        acct.set("RUNS", completed=10 + n)
        more_requests(sim, 6)
        acct.add_job(DELETE, id=f"DONE-{n}", status="processing")
        more_requests(sim, 4)
        acct.set(f"DONE-{n}", status="complete")
        wait_told(receiver, ("job.completed", f"DONE-{n}"))
    assert sorted(kinds(receiver)) == sorted(["watch.started"] + ["job.completed"] * len(STEPS))
    # What was said of times is the wall clock's of that moment, so people see that it was off.
    for event, seconds in zip(told(receiver, "job.completed"), STEPS.values()):
        said = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
        assert abs(said.timestamp() - (time.time() + seconds)) < DAY / 4, event
    assert daemon.stop() == 0


def test_a_stall_is_told_by_no_step_and_hidden_by_none(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    clock = Clock(place)
    acct.add_job(DELETE, id="S", status="processing", total=10, completed=3)
    start(place, receiver, clock, alerts="stalled-after = 3s unreachable-after = 5m")
    clock.step(-3652 * DAY)
    wait_told(receiver, ("job.stalled", "S"))
    clock.step(3652 * DAY)
    more_requests(sim, 6)
    acct.set("S", completed=4)
    wait_told(receiver, ("job.resumed", "S"))
    (stalled,) = told(receiver, "job.stalled")
    (resumed,) = told(receiver, "job.resumed")
    assert 3000 <= stalled["data"]["still_ms"] < 60000 and resumed["data"]["still_ms"] < 60000


def test_restarts_under_another_clock_keep_the_ledger(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    """Twenty requests a minute, spent in a moment: no life under whatever clock gets more of them, or begins anew."""
    clock = Clock(place)
    acct.add_job(DELETE, id="A", status="processing", total=10, completed=3)
    daemon = start(place, receiver, clock, account="interval = 100ms full-sweep-interval = 3s burst = 20 steady = 20")
    wait_for(lambda: len(sim.requests) >= 15, what="most of the share is spent")
    for seconds in STEPS.values():
        clock.step(seconds)
        assert daemon.stop() == 0
        daemon = place.daemon(env=clock.env)
        daemon.wait_line("watching")
        status = place.run("status", "--json", env=clock.env)
        assert status.returncode == 0, status.stderr
        json.loads(status.stdout)
    assert daemon.stop() == 0
    assert sim.windows("shop", DELETE).sliding_60s <= 20
    assert set(kinds(receiver)) <= {"watch.started", "api.throttled"}


def test_a_clock_far_ahead_prunes_no_history(place: Place, acct: Any) -> None:
    """`retention` is counted in time that has passed, not in what a clock says."""
    clock = Clock(place)
    place.write(top="retention = 1h")

    def recorded() -> list[str]:
        assert place.run("once", env=clock.env).returncode == 0
        lines = place.run("events", "--json", env=clock.env).stdout.splitlines()
        return [json.loads(line)["event_id"] for line in lines]
    recorded()
    acct.add_job(DELETE, status="complete")
    before = recorded()
    assert len(before) == 2
    for seconds in STEPS.values():
        clock.step(seconds)
        assert recorded() == before


@pytest.mark.parametrize("change", ["2026-03-08T07:00:00+00:00", "2026-11-01T06:00:00+00:00"], ids=["begins", "ends"])
def test_summer_time(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver, change: str) -> None:
    """The local hour that is left out, and the one that comes twice: what is said is in UTC, and in order."""
    moment = datetime.fromisoformat(change)
    offset = int(moment.timestamp() - time.time()) - 4
    clock = Clock(place)
    clock.step(offset)
    clock.env["TZ"] = "EST5EDT,M3.2.0,M11.1.0"
    acct.add_job(DELETE, id="RUNS", status="processing", total=100, completed=1)
    acct.add_job(DELETE, id="BEFORE", status="processing")
    acct.add_job(DELETE, id="AFTER", status="processing")
    daemon = start(place, receiver, clock)
    acct.set("BEFORE", status="complete")
    wait_told(receiver, ("job.completed", "BEFORE"))
    wait_for(lambda: time.time() + offset > moment.timestamp() + 1, what="the change")
    acct.set("AFTER", status="complete")
    wait_told(receiver, ("job.completed", "AFTER"))
    more_requests(sim, 6)
    assert sorted(kinds(receiver)) == ["job.completed", "job.completed", "watch.started"]
    stamps = [e["timestamp"] for e in told(receiver)]
    assert stamps == sorted(stamps) and all(stamp.endswith("Z") for stamp in stamps)
    assert abs(datetime.fromisoformat(stamps[-1].replace("Z", "+00:00")) - moment) < timedelta(minutes=5)
    assert daemon.stop() == 0
    since = place.run("events", "--json", "--since", moment.strftime("%Y-%m-%d 00:30"), env=clock.env)
    assert since.returncode == 0 and len(since.stdout.splitlines()) == 3, since.stderr


def test_leap_seconds(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    """All times of all jobs, and the one of a Retry-After, in a second that only the calendar has."""
    def leap(answer: Any) -> None:
        data = (answer.document or {}).get("data", [])
        for job in data if isinstance(data, list) else [data]:
            for name in ("created_at", "started_at", "completed_at"):
                if job["attributes"].get(name):
                    job["attributes"][name] = "2016-12-31T23:59:60.5+00:00"
    acct.add_many(DELETE, 150, active=120)
    acct.add_job(DELETE, id="RUNS", status="processing")
    acct.add_job(DELETE, id="ENDS", status="processing")
    sim.fault("edit", change=leap, times=None)
    clock = Clock(place)
    daemon = start(place, receiver, clock)
    acct.set("ENDS", status="complete")
    wait_told(receiver, ("job.completed", "ENDS"))
    sim.clear_faults()
    refused = sim.fault("status", status=429, retry_after="Sat, 31 Dec 2016 23:59:60 GMT")
    sim.fault("edit", change=leap, times=None)
    wait_for(lambda: refused.hits)
    more_requests(sim, 6)
    told_kinds = [kind for kind in kinds(receiver) if kind != "api.throttled"]  # which a 429 may well be
    assert sorted(told_kinds) == ["job.completed", "watch.started"]
    assert told(receiver, "job.completed")[0]["data"]["job"]["created_at"] == "2016-12-31T23:59:59.999Z"
    assert daemon.stop() == 0


def another_boot(place: Place) -> None:
    """From the next life on, CLOCK_MONOTONIC is not the one that the state's times were counted in."""
    with closing(sqlite3.connect(place.state / "klv-jobwatch.db")) as db, db:
        changed = db.execute("UPDATE notes SET text = 'boot-of-yesterday' || substr(text, instr(text, ' ')) WHERE key = 'time'")
        assert changed.rowcount == 1


@pytest.mark.parametrize("years", [10, -10])
def test_a_boot_with_a_clock_that_is_years_off(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver, years: int) -> None:
    """As with a dead battery: no stall is told, nothing queued is given up, no history forgotten, nothing told twice."""
    clock = Clock(place)
    acct.add_job(DELETE, id="RUNS", status="processing", total=100, completed=1)
    acct.add_job(DELETE, id="ENDS", status="processing", total=100, completed=1)
    daemon = start(place, receiver, clock, alerts="stalled-after = 15m unreachable-after = 5m")
    receiver.fault("status", times=1000)
    acct.set("ENDS", status="complete", completed=100)
    daemon.wait_line("job.completed .*ENDS")
    assert daemon.stop() == 0
    another_boot(place)
    clock.step(years * 365 * DAY)
    daemon = place.daemon(env=clock.env)
    failed = len(receiver.deliveries)
    wait_for(lambda: len(receiver.deliveries) >= failed + 4, what="the webhook is tried and refuses")
    more_requests(sim, 10)
    receiver.clear_faults()
    wait_told(receiver, ("job.completed", "ENDS"))
    assert sorted(kinds(receiver)) == ["job.completed", "watch.started"]
    assert daemon.stop() == 0
    recorded = [json.loads(line)["type"] for line in place.run("events", "--json", env=clock.env).stdout.splitlines()]
    assert sorted(recorded) == ["job.completed", "watch.started"]


@pytest.mark.parametrize("monotonic", [False, True], ids=["suspended", "paused-from-outside"])
def test_an_hour_away(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver, monotonic: bool) -> None:
    """Suspended: CLOCK_MONOTONIC stands still. Paused from outside (a virtual machine, SIGSTOP): it goes on. Connections are gone."""
    clock = Clock(place, monotonic)
    acct.add_job(DELETE, id="RUNS", status="processing", total=100, completed=1)
    acct.add_job(DELETE, id="ENDS", status="processing", total=100, completed=1)
    daemon = start(place, receiver, clock)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        sim.drop_connections()
        sim.advance(3600)
        acct.set("ENDS", status="complete", completed=100)
        acct.set("RUNS", completed=50)
        acct.add_job(DELETE, id="SHORT", status="complete")
        clock.step(3600)
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    wait_told(receiver, ("job.completed", "ENDS"), ("job.completed", "SHORT"))
    more_requests(sim, 10)
    assert sorted(kinds(receiver)) == ["job.completed", "job.completed", "watch.started"]
    assert daemon.stop() == 0
