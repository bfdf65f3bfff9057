"""SIGTERM and SIGHUP at bad moments: the end comes soon and clean, nothing queued is lost, no baseline is taken twice."""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import RUNS, SEED
from harness import DELETE, SOON, Daemon, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Receiver
from test_crash import POINTS
from test_disk import FAST, jobs, start, told


@pytest.fixture
def sim() -> Iterator[SimKlaviyo]:
    with SimKlaviyo() as server:
        yield server


def ends_soon(daemon: Daemon, record_property: Any) -> None:
    took = daemon.stop_timed()
    assert took < SOON
    record_property("stops", 1)
    record_property("ms they took together", int(took * 1000))


def test_in_a_tls_handshake(place: Place, record_property: Any) -> None:
    """The server takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place.api_url = f"https://127.0.0.1:{server.getsockname()[1]}"
        place.write()
        daemon = place.daemon()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(5, socket.MSG_WAITALL)[:1] == b"\x16"  # its hello has come
            ends_soon(daemon, record_property)


def test_in_the_middle_of_a_body(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver, record_property: Any) -> None:
    acct.add_many(DELETE, 300, active=100)
    daemon = start(place, receiver)
    slow = sim.fault("slow", chunk=16, pause=0.05, times=None)
    wait_for(lambda: slow.hits >= 1)
    ends_soon(daemon, record_property)


@pytest.mark.parametrize("seed", range(SEED, SEED + max(2, RUNS // 20)))
def test_at_any_moment_of_a_busy_life(place: Place, acct: Any, receiver: Receiver, seed: int, record_property: Any) -> None:
    """In sweeps, commits, journal writes and webhooks; afterwards everything is told, once."""
    chance = random.Random(seed)
    active = [acct.add_job(DELETE, id=f"J{i}", status="processing") for i in range(300)]
    daemon = start(place, receiver)
    for job in active:
        acct.set(job, status="complete")
    time.sleep(chance.uniform(0, 0.4))  # the moment itself is what is left to chance
    ends_soon(daemon, record_property)
    again = place.daemon()
    wait_for(lambda: {e["data"]["job"]["id"] for e in told(receiver, "job.completed")} == set(active))
    assert again.stop() == 0
    assert len(told(receiver, "job.completed")) == len(active), "one id each"
    assert len(told(receiver, "watch.started")) == 1


@pytest.mark.parametrize("point", POINTS)
def test_at_each_commit_and_send(place: Place, acct: Any, receiver: Receiver, point: str, record_property: Any) -> None:
    """The program sends itself SIGTERM before or behind it; what it was about comes to a whole end, in this life or the next."""
    lives = [[acct.add_job(DELETE, id=f"J{n}-{i}", status="processing") for i in range(n)] for n in (1, 2, 3)]
    start(place, receiver).stop()
    ended: set[str] = set()
    for active in lives:
        passage = 1 if point.startswith("journal") else len(active)  # several events are one write to the journal
        daemon = place.daemon(env={"KLV_CRASH": f"{point}:{passage}", "KLV_CRASH_SIGNAL": str(int(signal.SIGTERM))})
        daemon.wait_line("watching")
        for job in active:
            acct.set(job, status="complete")
        began = time.monotonic()
        wait_for(lambda: daemon.process.poll() is not None, what=f"{point} is passed and it ends")
        assert daemon.process.returncode == 0, daemon.text()
        record_property("stops", 1)
        record_property("ms they took together", int((time.monotonic() - began) * 1000))
        ended.update(active)
        again = place.daemon()
        again.wait_line("watching")
        wait_for(lambda: {e["data"]["job"]["id"] for e in told(receiver, "job.completed")} == ended)
        assert again.stop() == 0
    assert len(told(receiver, "job.completed")) == len(ended), "one id each"
    assert len(told(receiver, "watch.started")) == 1


def test_with_100_000_queued_events(place: Place, acct: Any, receiver: Receiver, record_property: Any) -> None:
    jobs(acct)
    daemon = start(place, receiver)
    assert daemon.stop() == 0
    with sqlite3.connect(place.state / "klv-jobwatch.db") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info (events)") if row[1] not in ("seq", "id")]
        db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
                   f"INSERT INTO events (id, {', '.join(columns)}) SELECT 'evt_' || i, {', '.join(columns)} FROM n, "
                   "(SELECT * FROM events LIMIT 1)")
        columns = [row[1] for row in db.execute("PRAGMA table_info (deliveries)") if row[1] not in ("event", "state", "order_key")]
        db.execute(f"INSERT INTO deliveries (event, state, order_key, {', '.join(columns)}) SELECT e.seq, 0, 'k' || e.seq, "
                   f"{', '.join('d.' + name for name in columns)} FROM events AS e, (SELECT * FROM deliveries WHERE sink = 'hook:ops' LIMIT 1) AS d "
                   "WHERE e.id GLOB 'evt_[0-9]*' AND NOT EXISTS (SELECT 1 FROM deliveries AS x WHERE x.sink = 'hook:ops' AND x.event = e.seq)")
    n = len(receiver.deliveries)
    daemon = place.daemon()
    wait_for(lambda: len(receiver.deliveries) >= n + 20)
    ends_soon(daemon, record_property)
    with sqlite3.connect(place.state / "klv-jobwatch.db") as db:
        (waiting,) = db.execute("SELECT count(*) FROM deliveries WHERE state = 0").fetchone()
    assert waiting > 90_000
    assert waiting + len({d.id for d in receiver.accepted}) >= 100_000, "none is lost"


def test_a_webhook_in_flight_is_answered_and_not_sent_again(place: Place, acct: Any, receiver: Receiver, record_property: Any) -> None:
    """Late signals do not kill what waits for the answer."""
    jobs(acct)
    daemon = start(place, receiver)
    slow = receiver.fault("delay", delay=0.1)
    acct.set("A", status="complete")
    wait_for(lambda: slow.hits == 1)
    stopped_at = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)

    def ended() -> bool:
        daemon.process.send_signal(signal.SIGHUP)
        daemon.process.send_signal(signal.SIGUSR1)
        return daemon.process.poll() is not None
    wait_for(ended)
    assert daemon.process.returncode == 0, daemon.text()
    assert place.once() == []
    started, told_first, *again = receiver.accepted
    assert (started.json["type"], told_first.json["type"]) == ("watch.started", "job.completed")
    # It waits 0.4 s; of an answer that a busy machine held back for longer it cannot know.
    assert not again or told_first.answered_at is not None and told_first.answered_at > stopped_at + 0.2
    assert {d.id for d in again} <= {told_first.id}
    record_property("stops", 1)


def test_reload_keeps_what_is_queued_and_takes_no_second_baseline(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    """An account and a webhook come, go and come back, while the receiver is away; a broken file changes nothing."""
    second = sim.account("pk_second", name="second")
    second.add_job(DELETE, id="S", status="processing")
    jobs(acct)
    place.secret("second.key", "pk_second")
    daemon = start(place, receiver)
    one = place.config.read_text()
    both = one + (f'account "second" {{ api-key-file = "{place.path}/second.key" {FAST} }}\n')
    no_hook = "".join(line for line in both.splitlines(keepends=True) if not line.startswith("webhook"))

    def reload(text: str, n: int) -> None:
        place.config.write_text(text)
        daemon.reload()
        wait_for(lambda: daemon.text().count("configuration reloaded") == n)
    reload(both, 1)
    wait_for(lambda: len(told(receiver, "watch.started")) == 2)
    receiver.refuse()
    acct.set("A", status="complete")
    daemon.wait_line("job.completed")
    reload(no_hook, 2)
    reload(one, 3)
    place.config.write_text("account {")
    daemon.reload()
    daemon.wait_line("stays in effect")
    second.set("S", status="cancelled")
    acct.set("B", status="cancelled")
    daemon.wait_line("job.cancelled .* B ")
    reload(both, 4)
    receiver.accept()
    wait_for(lambda: told(receiver, "job.completed") and len(told(receiver, "job.cancelled")) == 2)
    assert len(told(receiver, "watch.started")) == 2
    assert daemon.stop() == 0
    assert len({d.id for d in receiver.accepted}) == 5
