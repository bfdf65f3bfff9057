"""kill -9 while webhooks are being delivered: each event arrives, in its job's order, and copies are few and the same to the byte."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from typing import Any

import pytest
from conftest import RUNS, SEED
from harness import DELETE, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Delivery, Receiver

KILLS = min(RUNS, 500)
JOBS = 10 * KILLS  # each is told twice: that it started, that it is complete
CONCURRENCY = 4
LONGEST = 0.1  # seconds of a life that is killed


def configure(place: Place, receiver: Receiver, group: str) -> None:
    place.write(accounts=f"""account "main" {{ api-key-file = "{place.path}/api-key" budget = 100% }}
webhook "ops" {{ url = "{receiver.url}" secret-file = "{place.path}/webhook.secret" events = {{ "job.*" }}
                concurrency = {CONCURRENCY} retry-base = 10ms retry-max = 100ms {group} }}
""")


def fill_outbox(place: Place, acct: Any, receiver: Receiver) -> None:
    """Two events of each job wait for a receiver that is away."""
    jobs = [acct.add_job(DELETE, id=f"J{n}", status="queued", total=10) for n in range(JOBS)]
    with receiver.refusing():
        place.run("once", timeout=120)
        for status in ("processing", "complete"):
            for job in jobs:
                acct.set(job, status=status)
            done = place.run("once", timeout=120)
            assert done.returncode == 0, done.stderr


def waiting(place: Place) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{place.state}/klv-jobwatch.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(*) FROM deliveries WHERE state = 0 AND sink = 'hook:ops'").fetchone()[0]


def events_of(delivery: Delivery) -> list[dict[str, Any]]:
    data = delivery.json["data"]
    return [event["data"] for event in data["events"]] if delivery.json["type"] == "digest" else [data]


def check(deliveries: list[Delivery], kills: int) -> int:
    """Returns how many requests were copies."""
    bodies: dict[str | None, bytes] = {}
    told: dict[str, list[str]] = {}
    for delivery in deliveries:
        assert delivery.verified, delivery.problem
        if delivery.id in bodies:
            assert bodies[delivery.id] == delivery.body, f"two bodies under {delivery.id}"
            continue
        bodies[delivery.id] = delivery.body
        for event in events_of(delivery):
            told.setdefault(event["job"]["id"], []).append(event["job"]["status"])
    assert told == {f"J{n}": ["processing", "complete"] for n in range(JOBS)}
    copies = len(deliveries) - len(bodies)
    assert copies <= kills * CONCURRENCY
    return copies


@pytest.mark.parametrize("group", ["", "group-wait = 100ms group-max = 5"], ids=["single", "grouped"])
def test_kill_while_delivering(place: Place, sim: SimKlaviyo, acct: Any, receiver: Receiver, group: str, record_property: Any) -> None:
    chance = random.Random(SEED)
    configure(place, receiver, group)
    fill_outbox(place, acct, receiver)
    sim.refuse()  # from here on only the outbox is of interest
    kills = 0
    while kills < KILLS:
        before = len(receiver.deliveries)
        daemon = place.daemon()
        # A moment by chance, so that all are hit: before the first request, between two, between answer and commit.
        # On a busy machine a start takes long: most lives are measured from their first request.
        if chance.random() < 0.8:
            wait_for(lambda: len(receiver.deliveries) > before or waiting(place) == 0)
        time.sleep(chance.random() * LONGEST)
        assert daemon.process.poll() is None, daemon.text()
        daemon.kill()
        kills += 1
    daemon = place.daemon()
    daemon.wait_line("watching")  # the last life that was killed may have sent it all
    wait_for(lambda: waiting(place) == 0, 600, "an empty outbox")
    assert daemon.stop() == 0
    copies = check(receiver.deliveries, kills)
    record_property("webhook kills", kills)
    record_property("webhook events", 2 * JOBS)
    record_property("webhook requests that were copies", copies)
