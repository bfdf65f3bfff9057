"""A day of traffic, 200 times as fast (libfaketime), with faults of every kind at random: all ends told once, nothing made up,
and memory, descriptors, threads and the state's files as large in the end as they were before.

KLV_SOAK_HOURS says how many hours of the accelerated clock (24), KLV_SEED which ones, KLV_SOAK_SPEED how many times as fast. In
fewer than twelve the sizes in bytes are printed, not judged: events are kept for an hour, and what the C library keeps after the
largest answers comes when chance wants it. The time-outs are so long that a second for which
everything stands still, two hundred of the fast clock, breaks nothing: the checks are the same at every speed.
"""

from __future__ import annotations

import contextlib
import glob
import os
import random
import sqlite3
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness import DELETE, KEY, SECRET, Daemon, Place, wait_for
from klaviyo import Life, SimKlaviyo, error
from receiver import Receiver

HOURS = float(os.environ.get("KLV_SOAK_HOURS", "24"))
SEED = int(os.environ.get("KLV_SEED", "1"))
SPEED = float(os.environ.get("KLV_SOAK_SPEED", "200"))
MOST_RESIDENT = 96 << 10  # KiB: four of the largest answers at once, the most that one fault makes
JUDGED_HOURS = 12
TICK = 30.0  # seconds of the fast clock between two turns of the driver
LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
CREATE = "catalog-item-bulk-create-job"
ENDS = ("job.completed", "job.completed_with_failures", "job.cancelled")

# (kind, parameters, whether it may hit a look at one job). A stale look would be believed, and should be.
FAULTS: list[tuple[str, dict[str, Any], bool]] = [
    ("status", {"status": 500}, True), ("status", {"status": 503, "retry_after": 30}, True), ("status", {"status": 429, "retry_after": 20}, True),
    ("status", {"status": 502, "body": "<html>Bad Gateway"}, True), ("status", {"status": 400}, False), ("html", {}, True), ("empty", {}, True),
    ("redirect", {}, True), ("raw", {"body": b'{"data":null}'}, True), ("raw", {"body": b"\x00" * 5000}, True), ("raw_response", {}, True),
    ("reset", {}, True), ("reset", {"at": 70}, True), ("close", {}, True), ("close", {"at": 200}, True), ("content_length", {"delta": 50}, True),
    ("content_length", {"delta": -50}, True), ("headers", {"count": 5000}, True), ("truncated_gzip", {}, True), ("garbage_gzip", {}, True),
    ("gzip_bomb", {"mib": 64}, True), ("drop", {}, True), ("slow", {"chunk": 400, "pause": 0.01}, True), ("expired_cursor", {}, False),
    ("endless_next", {}, False), ("repeat_cursor", {}, False), ("next", {"value": 7}, False), ("next_host", {}, False), ("double", {}, False),
    ("lose", {"count": 3}, False), ("wrong_type", {}, False), ("stale", {"age": 120.0}, False),
]
RECEIVER_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 500}), ("status", {"status": 503, "retry_after": 30}), ("status", {"status": 429, "retry_after": 10}), ("reset", {}),
    ("close", {}), ("drop", {}), ("raw_response", {}), ("headers", {"count": 5000}), ("huge", {"mib": 8}), ("slow", {"chunk": 1, "pause": 0.02}),
]


class Sizes:
    """What the daemon and its file take, sampled."""

    def __init__(self, daemon: Daemon, place: Place) -> None:
        self._proc, self._state = Path(f"/proc/{daemon.process.pid}"), place.state
        self.samples: list[dict[str, int]] = []

    def take(self) -> None:
        resident = next(line for line in (self._proc / "status").read_text().splitlines() if line.startswith("VmRSS"))
        self.samples.append({
            "resident KiB": int(resident.split()[1]),
            "descriptors": len(list((self._proc / "fd").iterdir())),
            "threads": len(list((self._proc / "task").iterdir())),
            "database KiB": (self._state / "klv-jobwatch.db").stat().st_size // 1024,
            "its log KiB": (self._state / "klv-jobwatch.db-wal").stat().st_size // 1024,
            "used KiB of the database": self._used(),
        })

    def _used(self) -> int:
        """Without the pages that are free again, which the file keeps."""
        with contextlib.closing(sqlite3.connect(f"file:{self._state}/klv-jobwatch.db?mode=ro", uri=True)) as db:
            pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size // 1024

    def check(self) -> None:
        """The most of the last third against the most of the middle one; the first is for growing up. Of memory the median, for the most
        is how many of the largest answers happened to come at once; that has a bound of its own."""
        third = len(self.samples) // 3
        for name, room in {"resident KiB": 2048, "descriptors": 8, "threads": 4, "database KiB": 256, "its log KiB": 512,
                           "used KiB of the database": 256}.items():
            parts = [[s[name] for s in part] for part in (self.samples[third:2 * third], self.samples[2 * third:])]
            most = [max(part) for part in parts]
            print(f"{name}: at first {self.samples[0][name]}, at most {most[0]} in the middle third, {most[1]} in the last, "
                  f"medians {statistics.median(parts[0]):.0f} and {statistics.median(parts[1]):.0f}")
            assert name != "resident KiB" or max(most) < MOST_RESIDENT
            middle, last = (statistics.median(part) for part in parts) if name == "resident KiB" else most
            judged = HOURS >= JUDGED_HOURS or "KiB" not in name
            assert not judged or last <= middle * 1.15 + room, f"{name} grows: {middle}, then {last}"


class Traffic:
    """Jobs that come, run, fail, end and leave the list; faults on both sides."""

    def __init__(self, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
        self.acct, self.sim, self.receiver, self.chance = acct, sim, receiver, random.Random(SEED)
        self.ends: dict[str, str] = {}
        self.faults: Counter[str] = Counter()
        self.spoiling: Any = None  # the receiver's latest fault
        self.untried = FAULTS.copy()  # each kind comes early, once: what the largest answer takes is no growth

    def turn(self) -> None:
        for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
            self.begin_job()
        if self.chance.random() < 0.25:
            kind, params, looks = self.untried.pop() if self.untried else self.chance.choice(FAULTS)
            times = 1 if self.untried else self.chance.randint(1, 4)
            self.sim.fault(kind, match=None if looks else (lambda request: request.job_id is None), times=times, **params)
            self.faults[kind] += 1
        # One after the other: while one lasts, the daemon tries ever more seldom, and they would pile up to an outage without end.
        if self.chance.random() < 0.1 and (not self.spoiling or self.spoiling.done):
            kind, params = self.chance.choice(RECEIVER_FAULTS)
            self.spoiling = self.receiver.fault(kind, times=self.chance.randint(1, 6), **params)
            self.faults[f"receiver's {kind}"] += 1
        if self.chance.random() < 0.01:
            self.sim.refuse(seconds=self.chance.random())
            self.faults["refused"] += 1
        if self.chance.random() < 0.02:
            self.sim.drop_connections()
            self.faults["connections reset"] += 1

    def begin_job(self) -> None:
        total, lasts, ends = self.chance.randint(1, 100), self.chance.uniform(60, 1800), self.chance.choice(("complete", "complete", "cancelled"))
        failed = self.chance.choice((0, 0, self.chance.randint(0, total)))
        life = Life.steady(total, lasts, queued=self.chance.uniform(0, 120), failed=failed, ends=ends,
                           errors=[error(detail=f"item {i} is \x1b[31mbad\n") for i in range(min(failed, 5))])
        gone = (life.steps[-1][0] + 6 * 3600, {"remove": True})  # no outage here is so long
        job = self.acct.add_job(self.chance.choice((DELETE, CREATE)), total=total, life=Life([*life.steps, gone]))
        self.ends[job] = "job.cancelled" if ends == "cancelled" else "job.completed_with_failures" if failed else "job.completed"


def told(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """Events by id, whatever the receiver answered; a second copy is the same."""
    events: dict[str, dict[str, Any]] = {}
    for delivery in receiver.deliveries:
        assert events.setdefault(delivery.id or "", delivery.json) == delivery.json
    return events


def ends_told(receiver: Receiver) -> Counter[tuple[str, str]]:
    return Counter((e["data"]["job"]["id"], e["type"]) for e in told(receiver).values() if e["type"] in ENDS)


def start(place: Place, receiver: Receiver) -> Daemon:
    account = f'api-key-file = "{place.path}/api-key" jobs = {{ "{DELETE}", "{CREATE}" }} interval = 20s idle-interval = 30s full-sweep-interval = 5m'
    hook = f'url = "{receiver.url}" secret-file = "{place.path}/webhook.secret" min-priority = info retry-base = 10s retry-max = 5m timeout = 2m'
    place.config.write_text(f'api-url = "{place.api_url}"\nretention = 1h\nrequest-timeout = 5m\naccount "main" {{ {account} budget = 50% }}\n'
                            f'webhook "ops" {{ {hook} }}\nalerts {{ stalled-after = 2h unreachable-after = 15m }}\n')
    return place.daemon(env={"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"+0 x{SPEED}"})


@pytest.mark.skipif(not LIBRARY, reason="needs the package libfaketime")
def test_soak(tmp_path: Path) -> None:
    with SimKlaviyo(manual=True, limits={"*": (100000, 1000000)}) as sim, Receiver([SECRET]) as receiver:
        acct, place = sim.account(KEY, name="shop"), Place(tmp_path, sim.url)
        traffic = Traffic(acct, sim, receiver)
        daemon = start(place, receiver)
        try:
            wait_for(lambda: sum(e["type"] == "watch.started" for e in told(receiver).values()) == 2, what="both baselines")
            sizes = Sizes(daemon, place)
            go_through(traffic, sizes, daemon)
            come_to_rest(traffic)
            sizes.check()
            check_told(traffic, daemon)
            assert daemon.stop() == 0
        finally:
            place.stop()


def go_through(traffic: Traffic, sizes: Sizes, daemon: Daemon) -> None:
    """Both clocks go on at the same speed; a turn that is late is made up for."""
    turns = int(HOURS * 3600 / TICK)
    began = time.monotonic()
    for n in range(turns):
        traffic.turn()
        time.sleep(max(0.0, began + n * TICK / SPEED - time.monotonic()))
        traffic.sim.advance(TICK)
        if n % 20 == 0:
            assert daemon.process.poll() is None, daemon.text()[-3000:]
            sizes.take()


def come_to_rest(traffic: Traffic) -> None:
    """No more faults; what runs comes to its end, and is told."""
    traffic.sim.clear_faults()
    traffic.receiver.clear_faults()
    traffic.sim.accept()
    for _ in range(int(2200 / TICK)):
        traffic.sim.advance(TICK)
        time.sleep(TICK / SPEED)
    try:
        wait_for(lambda: set(ends_told(traffic.receiver)) >= set(traffic.ends.items()), 60)
    except TimeoutError:
        missing = sorted(set(traffic.ends.items()) - set(ends_told(traffic.receiver)))
        raise AssertionError(f"{len(missing)} of {len(traffic.ends)} ends were not told: {missing}") from None


def check_told(traffic: Traffic, daemon: Daemon) -> None:
    kinds = Counter(e["type"] for e in told(traffic.receiver).values())
    print(f"{HOURS} h, seed {SEED}: {len(traffic.ends)} jobs, {len(traffic.sim.requests)} requests, {sum(traffic.faults.values())} faults of "
          f"{len(traffic.faults)} kinds; events {dict(kinds)}")
    assert ends_told(traffic.receiver) == Counter(traffic.ends.items())
    assert not {"job.vanished", "job.anomaly", "job.stalled", "delivery.failed"} & set(kinds), kinds
    assert all(delivery.verified or "timestamp" in str(delivery.problem) for delivery in traffic.receiver.deliveries)
    assert KEY not in daemon.text() and SECRET not in daemon.text() and "\x1b" not in daemon.text()
