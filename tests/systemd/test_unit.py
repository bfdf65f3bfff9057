"""The unit under a real systemd: what an operator sees of it, and what keeps it running."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Callable

from klaviyo import SimKlaviyo, error
from machine import Machine, wait_for
from receiver import Receiver
from service import CONFIG, DELETE, KEY, KEY_FILE, STATE, UNIT, Service

HERE = Path(__file__).resolve().parent
STOPPING, STOPPED = "de5b426a63be47a7b6ac3eaac82e2f6f", "9d1aaa27d60140bd96365438aad20286"  # systemd's own messages
COMPLETED_WITH_FAILURES = "9e9bb8cdfb4544e4a1ed4d74c15558fb"


def watching(service: Service, sim: SimKlaviyo, acct: Any, webhook: str = "") -> list[str]:
    """The unit at work, and the ids of the 40 active jobs that it knows."""
    ids: list[str] = acct.add_many(DELETE, 60, active=40)
    service.configure(sim.url, webhook)
    service.start()
    service.wait_told("watch.started")
    return ids[20:]


def test_start_blocks_until_ready(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.configure(sim.url)
    config = service.machine.path(CONFIG)
    text = config.read_text()
    config.unlink()
    os.mkfifo(config)  # reading the configuration takes as long as we like
    starting: list[int] = []
    thread = threading.Thread(target=lambda: starting.append(service.try_start()))
    thread.start()
    wait_for(lambda: service.show("ActiveState") == "activating" and service.pid, what="starting")
    assert not starting and not sim.requests
    config.write_text(text)
    thread.join(60)
    assert starting == [0], service.text()
    assert service.show("ActiveState") == "active" and service.show("StatusText")
    service.wait_told("watch.started")


def test_a_bad_configuration_fails_the_start(service: Service, sim: SimKlaviyo) -> None:
    service.configure(sim.url, account="intervall = 3s")
    assert service.try_start() != 0
    assert "klv-jobwatch.conf:2: no such option 'intervall'; did you mean \"interval\"?" in service.text()
    assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0"), "it does not heal by starting again"


def test_events_are_found_by_field_and_by_message_id(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    acct.set(jobs[0], status="complete", completed=90, failed=10, errors=[error(detail="Category does not exist.")])
    service.wait_told("job.completed_with_failures", jobs[0])
    by_id = service.journal(f"MESSAGE_ID={COMPLETED_WITH_FAILURES}")
    assert by_id == service.journal(f"KLV_JOB_ID={jobs[0]}", "KLV_EVENT=job.completed_with_failures") and len(by_id) == 1
    entry = by_id[0]
    want = {"KLV_ACCOUNT": "main", "KLV_JOB_TYPE": DELETE, "KLV_JOB_ID": jobs[0], "KLV_STATUS": "complete", "KLV_FAILED_COUNT": "10",
            "KLV_COMPLETED_COUNT": "90", "SYSLOG_IDENTIFIER": "klv-jobwatch", "PRIORITY": "4", "_SYSTEMD_UNIT": UNIT}
    assert {name: entry.get(name) for name in want} == want
    assert "Category does not exist." in entry["KLV_ERRORS"] and jobs[0] in entry["MESSAGE"]


def test_the_journal_feeds_other_tools(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    """By the unit in klv-jobwatch(8), which a tool that asks for warnings uses."""
    fed = service.machine.path("/run/fed")
    service.machine.write("/run/systemd/system/feed.service", "[Service]\nExecStart=/bin/sh -c 'journalctl -f -n 0 -o json -t klv-jobwatch "
                          "-p warning | exec /usr/bin/tee /run/fed'\n")
    jobs = iter(watching(service, sim, acct))
    service.machine.run("systemctl", "start", "feed.service")
    try:
        def fails_and_is_fed() -> bool:
            acct.set(next(jobs), status="complete")
            acct.set(next(jobs), status="complete", failed=10)
            return fed.exists() and fed.read_text() != ""
        wait_for(fails_and_is_fed, pause=0.5)
    finally:
        service.machine.run("systemctl", "stop", "feed.service")
    alerts = [json.loads(line) for line in fed.read_text().splitlines()]
    assert {alert["KLV_EVENT"] for alert in alerts} == {"job.completed_with_failures"}


def test_the_journal_can_be_kept_quiet(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.drop_in("[Service]\nLogLevelMax=warning\n", "quiet")
    jobs: list[str] = acct.add_many(DELETE, 60, active=40)[20:]
    service.configure(sim.url)
    service.start()
    service.wait_status(lambda text: "60 jobs, 40 active" in text)
    acct.set(jobs[0], status="complete")
    service.wait_status(lambda text: "60 jobs, 39 active" in text)
    acct.set(jobs[1], status="complete", failed=10)
    service.wait_told("job.completed_with_failures", jobs[1])
    service.wait_status(lambda text: text.endswith("0 queued"))
    assert not service.told("job.completed") and not service.told("watch.started")
    assert jobs[0] in service.machine.out("klv-jobwatch", "events", "--kind", "job.completed"), "it is recorded all the same"


def test_journalctl_explains_an_event(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    acct.set(jobs[0], status="complete", completed=90, failed=10)
    service.wait_told("job.completed_with_failures", jobs[0])
    told = service.machine.out("journalctl", "--catalog", f"MESSAGE_ID={COMPLETED_WITH_FAILURES}", f"KLV_JOB_ID={jobs[0]}")
    assert f"Subject: Klaviyo job {jobs[0]} is complete, but parts of it failed" in told
    assert f"The job of the type {DELETE} in account main ran to its end." in told
    assert "Klaviyo counts 10 of its parts as failed" in told and "@" not in told


def test_every_event_has_a_catalog_entry(installed: Machine) -> None:
    listed = installed.out("journalctl", "--list-catalog")
    source = (HERE.parents[1] / "lib" / "event.c").read_text()
    ids = [word for word in source.replace('"', " ").split() if len(word) == 32 and set(word) <= set("0123456789abcdef")]
    assert len(ids) > 20 and [i for i in ids if f"{i} klv-jobwatch" not in listed] == []


def test_credentials_arrive(service: Service, sim: SimKlaviyo, acct: Any, receiver: Receiver) -> None:
    jobs = watching(service, sim, acct, receiver.url)
    acct.set(jobs[0], status="complete")
    receiver.wait_for(lambda: any(d.json["type"] == "job.completed" for d in receiver.accepted))
    assert all(r.headers["authorization"] == f"Klaviyo-API-Key {KEY}" for r in sim.requests)
    assert all(d.verified for d in receiver.deliveries)
    assert service.machine.out("stat", "--format=%U %a", KEY_FILE) == "root 600"


def test_the_key_may_be_encrypted_at_rest(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    """As the unit's comment describes it."""
    service.configure(sim.url)
    service.machine.run("systemd-creds", "encrypt", "--with-key=host", "--name=api-key", KEY_FILE, f"{KEY_FILE}.cred")
    service.machine.run("rm", KEY_FILE)
    service.drop_in(f"[Service]\nLoadCredentialEncrypted=api-key:{KEY_FILE}.cred\n", "encrypted")
    try:
        assert KEY not in service.machine.path(f"{KEY_FILE}.cred").read_text()
        service.start()
        service.wait_told("watch.started")
    finally:
        service.machine.run("rm", f"{KEY_FILE}.cred")


def test_the_status_is_kept_true(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    service.wait_status(lambda text: text.startswith("60 jobs, 40 active"))
    for job in jobs:
        acct.set(job, status="complete")
    service.wait_status(lambda text: "60 jobs, 0 active" in text and "0 queued" in text)
    sim.fault("status", times=None, status=503)
    service.wait_status(lambda text: "503" in text)
    assert "503" in service.machine.run("systemctl", "status", UNIT, check=False).stdout
    sim.clear_faults()
    service.wait_status(lambda text: "503" not in text)


def test_the_state_survives_a_restart(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    acct.set(jobs[0], status="complete")
    service.wait_told("job.completed", jobs[0])
    service.stop()
    acct.set(jobs[1], status="cancelled")
    acct.add_job(DELETE, id="BORN-AND-DONE", status="complete")
    service.start()
    service.wait_told("job.cancelled", jobs[1])
    service.wait_told("job.completed", "BORN-AND-DONE")
    assert sorted(service.told("job.completed")) == sorted([jobs[0], "BORN-AND-DONE"])
    assert len(service.told("watch.started")) == 1
    assert service.machine.out("stat", "--format=%a", STATE) == "700"


def test_reload(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    pid = service.pid
    config = service.machine.path(CONFIG)
    good = config.read_text()
    config.write_text(good + "alerts { job-created = true }\n")
    service.machine.run("systemctl", "reload", UNIT)
    service.wait_said("configuration reloaded: 1 accounts, 0 webhooks")
    acct.add_job(DELETE, id="NEW", status="queued")
    service.wait_told("job.created", "NEW")
    config.write_text("account {")
    service.machine.run("systemctl", "reload", UNIT)
    service.wait_said("the configuration was not taken, the one before stays in effect")
    acct.set(jobs[0], status="complete")
    service.wait_told("job.completed", jobs[0])
    wait_for(lambda: service.show("ActiveState") == "active")
    assert service.pid == pid and len(service.told("watch.started")) == 1


def outlives(service: Service, acct: Any, jobs: list[str], strike: Callable[[], None]) -> None:
    """Changes before, during and after a strike that ends the process: each is told, none twice."""
    pid = service.pid
    acct.set(jobs[0], status="complete")
    service.wait_told("job.completed", jobs[0])
    strike()
    acct.set(jobs[1], status="complete")
    wait_for(lambda: service.pid not in (0, pid), what="it was not started again")
    acct.set(jobs[2], status="complete")
    service.wait_told("job.completed", *jobs[:3])
    assert sorted(service.told("job.completed")) == sorted(jobs[:3])
    assert service.show("NRestarts") == "1" and len(service.told("watch.started")) == 1


def test_a_frozen_daemon_is_replaced(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.drop_in("[Service]\nWatchdogSec=2s\n", "watchdog")
    jobs = watching(service, sim, acct)
    outlives(service, acct, jobs, lambda: service.signal("STOP"))
    assert "Watchdog timeout (limit 2s)!" in service.text()


def test_the_watchdog_leaves_a_waiting_daemon_alone(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.drop_in("[Service]\nWatchdogSec=1s\n", "watchdog")
    jobs = watching(service, sim, acct)
    sim.fault("drop", times=None)
    began = len(sim.requests)
    wait_for(lambda: len(sim.requests) > began)
    # Six times the watchdog's patience, measured by systemd: a job of its own that ends then.
    service.machine.run("systemd-run", "--quiet", "--wait", "--property=Type=oneshot", "sleep", "6")
    sim.clear_faults()
    assert service.show("NRestarts") == "0"
    assert jobs


def test_a_killed_daemon_is_replaced(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    outlives(service, acct, jobs, lambda: service.signal("KILL"))


def test_one_that_keeps_dying_ends_in_failed(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    service.machine.write("/run/systemd/system/tell-somebody.service", "[Service]\nType=oneshot\nExecStart=/bin/echo somebody was told\n")
    service.drop_in("[Unit]\nStartLimitBurst=3\nOnFailure=tell-somebody.service\n[Service]\nRestartSec=0\n", "limit")
    watching(service, sim, acct)

    def strike() -> bool:
        service.machine.run("systemctl", "kill", "--signal=KILL", UNIT, check=False)
        return service.show("ActiveState") == "failed"
    wait_for(strike, what="it is started again and again")
    wait_for(lambda: service.machine.journal("--unit=tell-somebody.service", f"--since=@{service.began:.6f}"), what="OnFailure=")
    assert service.show("Result") in ("signal", "start-limit-hit")


def test_journald_is_restarted_meanwhile(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    jobs = watching(service, sim, acct)
    for i, job in enumerate(jobs):
        acct.set(job, status="complete")
        if i % 10 == 5:
            service.machine.run("systemctl", "restart", "systemd-journald.service")
    service.wait_told("job.completed", *jobs)
    assert sorted(service.told("job.completed")) == sorted(jobs)
    assert service.show("NRestarts") == "0"
    service.machine.run("systemctl", "reload", UNIT)
    service.wait_said("configuration reloaded")  # its stderr survives too


def stop_starved(service: Service) -> float:
    """Stops it; seconds of it in which it, systemd, or we at watching them, were ready to run and other processes had all cores."""
    daemon, systemd = (service.machine.path(f"/proc/{pid}/schedstat") for pid in (service.pid, 1))

    def waited(file: Path) -> float:
        return int(file.read_text().split()[1]) / 1e9
    own = Path("/proc/thread-self/schedstat")
    began, last = waited(systemd) + waited(own) + waited(daemon), waited(daemon)
    stopping = threading.Thread(target=service.stop)
    stopping.start()
    with contextlib.suppress(OSError):  # it is gone
        while True:
            last = waited(daemon)
            time.sleep(0.002)
    stopping.join()
    return waited(systemd) + waited(own) + last - began


def test_it_stops_at_once(service: Service, sim: SimKlaviyo, acct: Any, receiver: Receiver) -> None:
    jobs = watching(service, sim, acct, receiver.url)
    sim.fault("drop", match="bulk", times=None, skip=5)
    receiver.fault("drop", times=None)
    for job in jobs:
        acct.set(job, status="complete")
    wait_for(lambda: any(r.fault for r in sim.requests) and any(d.fault for d in receiver.deliveries))
    starved = stop_starved(service)
    # As systemd saw it: to ask for it and to hear of it takes time too.
    began, over = (int(service.journal(f"MESSAGE_ID={said}")[-1]["__MONOTONIC_TIMESTAMP"]) / 1e6 for said in (STOPPING, STOPPED))
    assert began < over < began + starved + 1, "requests and deliveries that hang must not hold it up"
    assert (service.show("Result"), service.show("ExecMainStatus")) == ("success", "0")


def test_a_burst_is_in_the_journal_to_the_last_alert(service: Service, sim: SimKlaviyo, acct: Any, receiver: Receiver,
                                                       tmp_path: Path) -> None:
    ids = set(acct.add_many(DELETE, 20_000, active=20_000))
    service.configure(sim.url, receiver.url)
    service.start()
    service.wait_told("watch.started")
    with sim.lock:
        for job in ids:
            acct.set(job, status="complete")
    words = ("journalctl", "--output=cat", "--quiet", f"--since=@{service.began:.6f}", "--output-fields=KLV_JOB_ID", "KLV_EVENT=job.completed")
    wait_for(lambda: len(service.machine.out(*words).splitlines()) >= len(ids), 120, "20,000 alerts in the journal")
    service.stop()
    told = service.told("job.completed")
    assert len(told) == len(ids) and set(told) == ids
    assert not service.machine.journal("--unit=systemd-journald", "--grep=Suppressed", f"--since=@{service.began:.6f}")
    # The pings that are not out yet wait in the store. One may be in both: accepted, but not noted before the stop.
    shutil.copy(service.machine.path(f"{STATE}/klv-jobwatch.db"), tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "klv-jobwatch.db")) as store:
        recorded = {job for job, in store.execute("SELECT job_id FROM events WHERE kind = 'job.completed'")}
        waiting = {job for job, in store.execute("SELECT job_id FROM deliveries JOIN events ON event = seq WHERE state = 0"
                                                 " AND sink LIKE '%ops' AND kind = 'job.completed'")}
    pinged = {d.json["data"]["job"]["id"] for d in receiver.accepted if d.json["type"] == "job.completed"}
    assert recorded == ids and waiting | pinged == ids and len(waiting & pinged) <= 8


def test_separate_instances(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    machine, unit = service.machine, "klv-jobwatch@shop.service"
    watching(service, sim, acct)
    machine.write("/etc/klv-jobwatch/shop.conf", machine.path(CONFIG).read_text().replace('"main"', '"shop"'))
    machine.write("/etc/klv-jobwatch/shop.api-key", KEY, 0o600)
    try:
        machine.run("systemctl", "start", unit)
        wait_for(lambda: machine.journal(f"--unit={unit}", "KLV_EVENT=watch.started", "KLV_ACCOUNT=shop"), what="the instance tells")
        assert machine.path("/var/lib/private/klv-jobwatch-shop/klv-jobwatch.db").exists()
        assert service.show("ActiveState") == "active"
        assert machine.show(unit, "Description").endswith("(shop)")
    finally:
        machine.run("systemctl", "stop", unit, check=False)


def test_a_long_start_is_waited_for(service: Service, sim: SimKlaviyo, acct: Any) -> None:
    """A store that takes long to open (a migration, much to recover) must not be cut off by the time limit of a start."""
    source = service.machine.path("/root/slow.c")
    source.write_text("#include <unistd.h>\nint flock(int fd, int how) { (void)how; usleep(6000000); return fd < 0 ? -1 : 0; }\n")
    service.machine.run("cc", "-shared", "-fPIC", "-o", "/usr/local/lib/slow-store.so", "/root/slow.c")
    service.drop_in("[Service]\nTimeoutStartSec=3s\nEnvironment=LD_PRELOAD=/usr/local/lib/slow-store.so\n", "slow")
    service.configure(sim.url)
    service.start()
    service.wait_told("watch.started")
