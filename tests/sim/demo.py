#!/usr/bin/python3
"""The demonstration behind `make demo`: a simulated account, a receiver that checks signatures, and the real daemon, for half a minute.

On the left what the simulated account does, on the right what klv-jobwatch makes of it: alerts (as the journal would have them) and webhook
pings. In a terminal with colours; through a pipe as plain text. Ends by itself with a summary, exit code 0 when everything came as it should.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from klaviyo import SimKlaviyo, error  # noqa: E402
from receiver import Delivery, Receiver  # noqa: E402

DELETE = "catalog-category-bulk-delete-job"
KEY = "pk_demo_" + secrets.token_hex(16)
SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
PATIENCE = 30.0  # seconds for what has to come before the next scene, or after the last one

CONFIG = """
api-url = "{api}"
account "demo" {{
    api-key-file        = "{dir}/api-key"
    interval            = 500ms
    idle-interval       = 1s
    full-sweep-interval = 5s
}}
alerts {{ stalled-after = 3s  unreachable-after = 2s }}
webhook "ops" {{ url = "{hook}"  secret-file = "{dir}/ops.secret"  retry-base = 200ms  retry-max = 2s }}
"""

EXPECTED = [
    ("watch.started", ""), ("job.started", "SPRING-CLEANING"), ("job.completed", "SPRING-CLEANING"), ("job.started", "OLD-SEASON"),
    ("job.failures_growing", "OLD-SEASON"), ("job.completed_with_failures", "OLD-SEASON"), ("job.started", "STUCK-IMPORT"), ("job.stalled", "STUCK-IMPORT"),
    ("job.resumed", "STUCK-IMPORT"), ("job.completed", "STUCK-IMPORT"), ("job.cancelled", "MISTAKE"), ("api.unreachable", ""),
    ("api.recovered", ""), ("job.completed", "DURING-OUTAGE"),
]
COLOURS = {"account": "36", "alert": "33", "ping": "32", "bad": "31", "dim": "2"}


class Stage:
    """Prints lines of three kinds, one at a time, with the seconds since the beginning."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lock = threading.Lock()
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, colour: str, text: str) -> str:
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self.colour else text

    def say(self, kind: str, text: str, colour: str | None = None) -> None:
        with self.lock:
            at = f"{time.monotonic() - self.began:5.1f}s"
            print(f"{self.paint('dim', at)}  {self.paint(colour or kind, f'{kind:<8}')}{text}", flush=True)


class Audience:
    """What the daemon has seen and told: on a slow machine the next scene waits for it."""

    def __init__(self, sim: SimKlaviyo, receiver: Receiver) -> None:
        self._sim, self._receiver = sim, receiver
        self.since = time.monotonic()  # of the last scene

    def was_told(self, kind: str, *jobs: str) -> bool:
        return {(kind, job) for job in jobs or ("",)} <= {key_of(d) for d in self._receiver.accepted}

    def has_looked(self) -> bool:
        """Whatever the last scene changed: two requests are a sweep of what is active, so that one of three began it."""
        return sum(r.at > self.since and r.status == 200 for r in self._sim.requests) >= 3


def script(sim: SimKlaviyo, stage: Stage, audience: Audience) -> list[tuple[float, Any, Any]]:
    """The scenes: (seconds from the beginning, what has to be so before, what happens)."""
    acct = sim.accounts["demo"]

    def told(kind: str, *jobs: str) -> Any:
        return lambda: audience.was_told(kind, *jobs)
    looked = audience.has_looked

    def always() -> bool:
        return True

    def add(job: str, total: int, **more: Any) -> None:
        acct.add_job(DELETE, id=job, total=total, **more)
        stage.say("account", f"{job}: created, {total} categories to delete")

    def change(job: str, **changes: Any) -> None:
        acct.set(job, **changes)
        shown = "  ".join(f"{name} {value}" for name, value in changes.items() if name != "errors")
        stage.say("account", f"{job}: {shown}")

    def outage(begins: bool) -> None:
        stage.say("account", "the API goes away" if begins else "the API is back")
        sim.refuse() if begins else sim.accept()

    missing = [error("not_found", "Category not found.", f"No category with external id CAT-{n}.", f"/data/{n}") for n in (7, 19)]
    return [
        (1.5, told("watch.started"), lambda: add("SPRING-CLEANING", 40)), (1.6, always, lambda: add("OLD-SEASON", 100)),
        (1.7, always, lambda: add("STUCK-IMPORT", 60)), (1.8, always, lambda: add("MISTAKE", 500)),
        (3.0, looked, lambda: change("SPRING-CLEANING", status="processing", completed=5)),
        (3.2, always, lambda: change("OLD-SEASON", status="processing", completed=10)),
        (3.4, always, lambda: change("STUCK-IMPORT", status="processing", completed=12)),
        (4.0, told("job.started", "SPRING-CLEANING", "OLD-SEASON", "STUCK-IMPORT"), lambda: change("SPRING-CLEANING", completed=22)),
        (4.3, always, lambda: change("MISTAKE", status="cancelled")),
        (4.6, always, lambda: change("OLD-SEASON", completed=30, failed=1, errors=missing[:1])),
        (5.6, always, lambda: change("SPRING-CLEANING", status="complete", completed=40)),
        (6.0, told("job.failures_growing", "OLD-SEASON"), lambda: change("OLD-SEASON", completed=75)),
        (7.2, looked, lambda: change("OLD-SEASON", status="complete", completed=98, failed=2, errors=missing)),
        (9.0, told("job.stalled", "STUCK-IMPORT"), lambda: change("STUCK-IMPORT", completed=35)),
        (10.0, told("job.resumed", "STUCK-IMPORT"), lambda: change("STUCK-IMPORT", status="complete", completed=60)),
        (10.5, always, lambda: add("DURING-OUTAGE", 9, status="processing")), (12.0, looked, lambda: outage(True)),
        (13.0, always, lambda: change("DURING-OUTAGE", status="complete", completed=9)), (16.5, told("api.unreachable"), lambda: outage(False)),
    ]


def follow_alerts(process: subprocess.Popen[str], stage: Stage, alerts: list[str]) -> None:
    """The daemon's own lines and its alerts, as they come on stderr."""
    assert process.stderr
    for line in process.stderr:
        parts = line.rstrip("\n").split(None, 3)
        if len(parts) == 4 and parts[0].endswith("Z") and "." in parts[2]:
            alerts.append(parts[2])
            stage.say("alert", f"{parts[1]:<8}{parts[2]:<28} {parts[3]}", "bad" if parts[1] in ("crit", "err") else None)
        else:
            stage.say("daemon", line.rstrip(), "dim")


def key_of(delivery: Delivery) -> tuple[str, str]:
    return delivery.json["type"], delivery.json["data"].get("job", {}).get("id", "")


def play(program: str, directory: Path, stage: Stage) -> bool:
    def on_delivery(delivery: Delivery) -> None:
        kind, job = key_of(delivery)
        proof = "signature verified" if delivery.verified else f"NOT VERIFIED: {delivery.problem}"
        stage.say("ping", f"{kind:<28} {job:<16} {proof}", None if delivery.verified else "bad")

    with SimKlaviyo() as sim, Receiver([SECRET], on_delivery=on_delivery) as receiver:
        sim.account(KEY, name="demo").add_many(DELETE, 250)
        write_files(directory, sim.url, receiver.url)
        stage.say("account", "250 finished jobs are there already: they are the baseline, and silent")
        alerts: list[str] = []
        process = subprocess.Popen([program, "run", "--no-journal", "--config", str(directory / "demo.conf"), "--state",
                                    str(directory / "state")], stderr=subprocess.PIPE, text=True)
        reader = threading.Thread(target=follow_alerts, args=(process, stage, alerts))
        reader.start()
        try:
            complete = perform(sim, receiver, stage, process)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)
            reader.join()
        return summary(sim, receiver, stage, alerts, complete and code == 0)


def write_files(directory: Path, api: str, hook: str) -> None:
    (directory / "state").mkdir()
    for name, text in (("api-key", KEY), ("ops.secret", SECRET)):
        (directory / name).touch(0o600)
        (directory / name).write_text(text)
    (directory / "demo.conf").write_text(CONFIG.format(api=api, hook=hook, dir=directory))


def perform(sim: SimKlaviyo, receiver: Receiver, stage: Stage, process: subprocess.Popen[str]) -> bool:
    """Plays the scenes at their times, or when all is ready, then waits for the last ping. Without the daemon there is nothing to show."""
    audience, waited = Audience(sim, receiver), 0.0
    for at, ready, scene in script(sim, stage, audience):
        time.sleep(max(0.0, stage.began + waited + at - time.monotonic()))
        began = time.monotonic()
        if not comes_true(ready, process):
            return False
        waited += time.monotonic() - began
        scene()
        audience.since = time.monotonic()
    return comes_true(lambda: set(EXPECTED) <= {key_of(d) for d in receiver.accepted}, process)


def comes_true(condition: Any, process: subprocess.Popen[str]) -> bool:
    """Soon enough, and while the daemon runs."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def summary(sim: SimKlaviyo, receiver: Receiver, stage: Stage, alerts: list[str], fine: bool) -> bool:
    pings = [key_of(d) for d in receiver.accepted]
    missing = [e for e in EXPECTED if e not in pings]
    surplus = [p for p in pings if p not in EXPECTED]
    unverified = sum(not d.verified for d in receiver.deliveries)
    repeated = len(pings) - len({d.id for d in receiver.accepted})
    windows = sim.windows("demo", DELETE)
    good = fine and not missing and not surplus and not unverified and not repeated and len(alerts) == len(EXPECTED)
    print()
    print(stage.paint("ping" if good else "bad", "All came as it should." if good else "Something is wrong."))
    print(f"  alerts {len(alerts)}, pings {len(pings)}, expected {len(EXPECTED)} of each; repeated {repeated}, not verified {unverified}")
    print(f"  missing {missing or 'none'}, not expected {surplus or 'none'}")
    print(f"  requests to the API: {len(sim.requests)}, at most {windows.sliding_60s} in any minute (allowed to us: 350 of 3500)")
    print(f"  {time.monotonic() - stage.began:.0f} seconds; nothing was left behind")
    return good


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: demo.py PROGRAM", file=sys.stderr)
        return 2
    stage = Stage()
    with tempfile.TemporaryDirectory(prefix="klv-demo-") as directory:
        return 0 if play(sys.argv[1], Path(directory), stage) else 1


if __name__ == "__main__":
    sys.exit(main())
