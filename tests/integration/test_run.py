"""`run`: the daemon itself, through lives of jobs, restarts, kills, outages and reloads."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, SECRET, SOON, Daemon, Place, time_end, wait_for
from klaviyo import SimKlaviyo, error
from receiver import Receiver

FAST = "interval = 200ms idle-interval = 300ms full-sweep-interval = 3s budget = 100%"


def told(receiver: Receiver, kind: str = "") -> list[dict[str, Any]]:
    """The events that came, each once: after a stop or a kill a second copy may come, under the same id and with the same body."""
    copies: dict[str | None, dict[str, Any]] = {}
    for delivery in receiver.accepted:
        assert copies.setdefault(delivery.id, delivery.json) == delivery.json
    return [event for event in copies.values() if event["type"].startswith(kind)]


def wait_told(receiver: Receiver, *wanted: tuple[str, str]) -> None:
    """Waits until each (kind, job id) has come."""
    def here() -> bool:
        have = {(e["type"], e["data"].get("job", {}).get("id", "")) for e in told(receiver)}
        return set(wanted) <= have
    wait_for(here, what=lambda: f"{wanted}, have {[(e['type'], e['data'].get('job', {}).get('id')) for e in told(receiver)]}")


def start(place: Place, receiver: Receiver, account: str = FAST, **parts: str) -> Daemon:
    place.write(webhook=receiver.url, account=account, **parts)
    daemon = place.daemon()
    wait_told(receiver, ("watch.started", ""))
    return daemon


def test_a_whole_life(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="OLD", status="complete")
    daemon = start(place, receiver)
    acct.add_job(DELETE, id="A", total=10)
    sim.wait_requests(len(sim.requests) + 4)
    acct.set("A", status="processing")
    wait_told(receiver, ("job.started", "A"))
    acct.set("A", completed=2, failed=1, errors=[error(detail="Category does not exist.")])
    wait_told(receiver, ("job.failures_growing", "A"))
    acct.set("A", status="complete", completed=9)
    wait_told(receiver, ("job.completed_with_failures", "A"))
    assert daemon.stop() == 0
    kinds = [e["type"] for e in told(receiver, "job.")]
    assert kinds == ["job.started", "job.failures_growing", "job.completed_with_failures"]
    assert all(d.verified for d in receiver.deliveries)
    growing = told(receiver, "job.failures_growing")[0]["data"]
    assert growing["errors"][0]["detail"] == "Category does not exist."
    # Without a journal, the same events are readable lines.
    lines = daemon.text()
    assert "job.completed_with_failures" in lines and "A" in lines


def test_a_restart_neither_forgets_nor_repeats(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    ids = acct.add_many(DELETE, 300, active=30)
    daemon = start(place, receiver)
    acct.set(ids[-1], status="complete")
    wait_told(receiver, ("job.completed", ids[-1]))
    assert daemon.stop() == 0
    acct.set(ids[-2], status="cancelled")
    sim.advance(3600)
    acct.add_job(DELETE, id="BORN-AND-DONE", status="complete")
    place.daemon()
    wait_told(receiver, ("job.cancelled", ids[-2]), ("job.completed", "BORN-AND-DONE"))
    assert sorted(e["data"]["job"]["id"] for e in told(receiver, "job.")) == sorted([ids[-1], ids[-2], "BORN-AND-DONE"])
    assert len(told(receiver, "watch.started")) == 1


def test_kill_9_loses_nothing(place: Place, acct: Any, receiver: Receiver) -> None:
    ids = acct.add_many(DELETE, 60, active=60)
    start(place, receiver)
    for i, job in enumerate(ids):
        acct.set(job, status="complete")
        if i % 6 == 0:
            place.started[-1].kill()
            place.daemon()
    wait_told(receiver, *[("job.completed", job) for job in ids])
    by_id: dict[str, set[str]] = {}
    for e in told(receiver, "job."):
        by_id.setdefault(e["data"]["job"]["id"], set()).add(e["data"]["event_id"])
    assert set(by_id) == set(ids)
    assert all(len(events) == 1 for events in by_id.values()), "a second copy carries the same event id"


def test_the_api_goes_away_and_comes_back(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    daemon = start(place, receiver, alerts="unreachable-after = 1s")
    sim.refuse()
    wait_told(receiver, ("api.unreachable", ""))
    acct.set("A", status="complete")
    sim.accept()
    wait_told(receiver, ("api.recovered", ""), ("job.completed", "A"))
    assert [e["type"] for e in told(receiver, "api.")] == ["api.unreachable", "api.recovered"]
    assert daemon.stop() == 0


def test_a_restart_during_an_outage_does_not_tell_it_again(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    daemon = start(place, receiver, alerts="unreachable-after = 1s")
    sim.refuse()
    wait_told(receiver, ("api.unreachable", ""))
    assert daemon.stop() == 0
    place.daemon()
    n = len(sim.requests)
    sim.accept()
    sim.wait_requests(n + 1)
    wait_told(receiver, ("api.recovered", ""))
    assert [e["type"] for e in told(receiver, "api.")] == ["api.unreachable", "api.recovered"]


def test_a_revoked_key(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    start(place, receiver, account=FAST + ' jobs = { "catalog-category-*" }')
    wait_for(lambda: len(told(receiver, "watch.started")) == 3)
    acct.revoke(KEY)
    wait_told(receiver, ("api.unauthorized", ""))
    acct.add_key(KEY, ["catalogs:read"])
    wait_told(receiver, ("api.recovered", ""))
    (alarm,) = told(receiver, "api.unauthorized")
    assert alarm["data"]["priority"] == "crit" and "401" in json.dumps(alarm)


def test_a_missing_scope_is_told_for_its_family_only(place: Place, sim: SimKlaviyo, receiver: Receiver) -> None:
    acct = sim.account(KEY, scopes=["catalogs:read"])
    acct.add_job(DELETE, id="A", status="processing")
    start(place, receiver, account=FAST + f' jobs = {{ "{DELETE}", "coupon-code-bulk-create-job" }}')
    wait_told(receiver, ("api.unauthorized", ""))
    acct.set("A", status="complete")
    wait_told(receiver, ("job.completed", "A"))
    (alarm,) = told(receiver, "api.unauthorized")
    assert "coupon-code-bulk-create-job" in json.dumps(alarm) and "403" in json.dumps(alarm)


def test_a_stall_and_its_end(place: Place, acct: Any, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="S", status="processing", total=10, completed=3)
    start(place, receiver, alerts="stalled-after = 1s")
    wait_told(receiver, ("job.stalled", "S"))
    acct.set("S", completed=4)
    wait_told(receiver, ("job.resumed", "S"))
    assert len(told(receiver, "job.resumed")) == 1


def test_capacity(place: Place, acct: Any, receiver: Receiver) -> None:
    ids = acct.add_many(DELETE, 450, active=450)
    start(place, receiver)
    wait_told(receiver, ("capacity.high", ""))
    acct.set(ids[0], status="complete")
    wait_told(receiver, ("capacity.ok", ""), ("job.completed", ids[0]))


def test_expiring(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="E", status="complete", total=5, completed=4, failed=1, expires_at=time.time() + 24 * 3600 + 120)
    start(place, receiver)
    wait_told(receiver, ("watch.started", ""))
    sim.advance(121)
    wait_told(receiver, ("job.expiring", "E"))
    assert len(told(receiver, "job.")) == 1


def test_reload(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    second = sim.account("pk_second", name="second")
    second.add_job(DELETE, id="B", status="processing")
    acct.add_job(DELETE, id="A", status="processing")
    daemon = start(place, receiver)
    place.secret("second.key", "pk_second")
    good = place.config.read_text()
    place.config.write_text(good + 'account "second" { interval = 5 }\n')
    daemon.reload()
    daemon.wait_line(r"klv-jobwatch\.conf:\d+:")
    daemon.wait_line("stays in effect")
    acct.set("A", completed=1, failed=1)
    wait_told(receiver, ("job.failures_growing", "A"))
    place.config.write_text(good + f'account "second" {{ api-key-file = "{place.path}/second.key" {FAST} }}\n')
    daemon.reload()
    daemon.wait_line("configuration reloaded")
    wait_for(lambda: len(told(receiver, "watch.started")) == 2)
    second.set("B", status="complete")
    acct.set("A", status="complete")
    wait_told(receiver, ("job.completed", "B"), ("job.completed_with_failures", "A"))
    place.config.write_text(good)
    daemon.reload()
    wait_for(lambda: daemon.text().count("configuration reloaded") == 2)
    assert daemon.stop() == 0


@pytest.mark.parametrize("request_for", [signal.SIGHUP, signal.SIGUSR1])
def test_what_is_asked_of_a_start_waits(place: Place, acct: Any, receiver: Receiver, request_for: signal.Signals) -> None:
    """A start that reads a million jobs takes a while, and neither signal may be the end of it."""
    acct.add_job(DELETE, id="A", status="complete")
    place.write(webhook=receiver.url, account=FAST)
    text = place.config.read_bytes()
    place.config.unlink()
    os.mkfifo(place.config)  # the start lasts until somebody writes
    daemon = place.daemon()
    def reader() -> int:
        try:
            return os.open(place.config, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return 0
    pipe = wait_for(reader, what="it reads its configuration")
    daemon.process.send_signal(request_for)
    place.config.unlink()
    place.config.write_bytes(text)
    os.write(pipe, text)
    os.close(pipe)
    wait_told(receiver, ("watch.started", ""))
    if request_for == signal.SIGHUP:
        daemon.wait_line("configuration reloaded")
    assert daemon.stop() == 0


@pytest.mark.parametrize("moment", ["idle", "request in flight", "webhook in flight"])
def test_stop_takes_less_than_a_second(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver, moment: str) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    daemon = start(place, receiver)
    if moment == "request in flight":
        sim.fault("drop", times=None)
        n = len(sim.requests)
        sim.wait_for(lambda: len(sim.requests) > n)
    if moment == "webhook in flight":
        receiver.fault("drop", times=None)
        acct.set("A", status="complete")
        wait_for(lambda: any(d.fault == "drop" for d in receiver.deliveries))
    assert daemon.stop_timed() < SOON


def test_a_second_process_is_refused(place: Place, acct: Any, receiver: Receiver) -> None:
    daemon = start(place, receiver)
    done = place.run("once")
    assert done.returncode == 1 and done.stdout == ""
    assert str(daemon.process.pid) in done.stderr and str(place.state) in done.stderr


def test_http2_where_the_server_has_it(tmp_path: Any, acct: Any, sim: SimKlaviyo, receiver: Receiver, certificates: Any) -> None:
    from h2 import Http2Front
    with Http2Front(sim.port, certificates, alpn="h2") as front:
        place = Place(tmp_path, front.url)
        acct.add_job(DELETE, id="H", status="processing")
        try:
            start(place, receiver, top=f'ca-file = "{certificates.ca_file}"')
            acct.set("H", status="complete")
            wait_told(receiver, ("job.completed", "H"))
        finally:
            place.stop()


def test_connections_are_reused(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    start(place, receiver)
    sim.wait_requests(30)
    assert sim.connections <= 4


def test_the_key_is_nowhere_else(place: Place, acct: Any, sim: SimKlaviyo, receiver: Receiver) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    daemon = start(place, receiver)
    acct.set("A", status="complete")
    wait_told(receiver, ("job.completed", "A"))
    proc = f"/proc/{daemon.process.pid}"
    for name in ("cmdline", "environ"):
        try:
            content = open(f"{proc}/{name}", "rb").read()
        except PermissionError:
            continue
        assert KEY.encode() not in content and SECRET.encode() not in content
    assert daemon.stop() == 0
    for file in [*place.state.iterdir(), daemon.log]:
        content = file.read_bytes()
        assert KEY.encode() not in content and SECRET.encode() not in content and SECRET[6:].encode() not in content, file
    for delivery in receiver.deliveries:
        assert KEY not in json.dumps(delivery.headers) and KEY.encode() not in delivery.body


def test_sigint_ends_too(place: Place, acct: Any, receiver: Receiver) -> None:
    daemon = start(place, receiver)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(DEADLINE) == 0


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
                    reason="a hanging resolver needs root, unshare and ip: it gets a network of its own")
def test_stop_while_the_resolver_hangs(place: Place) -> None:
    """In a network namespace whose only name server swallows every question."""
    (place.path / "resolv.conf").write_text("nameserver 192.0.2.1\noptions timeout:30 attempts:5\n")
    place.api_url = "https://api.example.com"
    place.write()
    script = ('ip link set lo up && ip route add 192.0.2.1 dev lo && mount --bind "$0" /etc/resolv.conf && '
              'exec "$@"')
    log = (place.path / "hang.log").open("w")
    process = subprocess.Popen(
        ["unshare", "--mount", "--net", "sh", "-c", script, str(place.path / "resolv.conf"), str(PROGRAM), "run", "--no-journal",
         "--config", str(place.config), "--state", str(place.state)], stdout=log, stderr=log)
    try:
        def resolving() -> bool:
            tasks = Path(f"/proc/{process.pid}/task")
            return "watching" in (place.path / "hang.log").read_text() and len(list(tasks.iterdir())) > 1
        wait_for(resolving, what="a resolver's thread")
        took = time_end(process, signal.SIGTERM)
        assert process.returncode == 0 and took < SOON
    finally:
        process.kill()
        process.wait()
        log.close()
