#!/usr/bin/python3
"""make bench-scale: a million jobs; 500 accounts of 13 families in one process; how soon a change reaches a webhook."""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from account import FAMILY, Nginx, Shape, in_own_mounts, write_lists, write_pages  # noqa: E402
from bench import KEY, Watch  # noqa: E402
from families import FAMILIES  # noqa: E402
from klaviyo import SimKlaviyo  # noqa: E402
from receiver import Receiver  # noqa: E402

SECRET = "whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyAuLi4u"


class Daemon:
    """`run`, with a socket for its READY=1; what it costs is asked of the kernel while it runs."""

    def __init__(self, program: Path, place: Path, config: str, state: Path, ready_within: float = 600) -> None:
        (place / "run.conf").write_text(config)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(place / "notify"))
            notify.settimeout(ready_within)
            env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(place / "notify")}
            self.process = subprocess.Popen(
                [str(program), "run", "--no-journal", "--config", str(place / "run.conf"), "--state", str(state)],
                stderr=(place / "log").open("w"), env=env)
            while b"READY=1" not in notify.recv(4096):
                pass
            self.cpu_ready, self.memory_ready = self.cpu(), self.memory()
        (place / "notify").unlink()

    def cpu(self) -> float:
        """Seconds of user and system time so far, by the process's own clock: see clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def memory(self) -> float:
        """Resident MiB."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60) != 0:
            raise RuntimeError("the daemon did not end well")

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def judge(kept: bool, text: str) -> bool:
    print(f"  {'kept  ' if kept else 'MISSED'} {text}", flush=True)
    return kept


def many_jobs(program: Path, place: Path, jobs: int) -> bool:
    """Two sweeps of one account over TLS by `once`, then the start of `run` from what they stored."""
    print(f"\n{jobs:,} jobs in one account, pages of 100 as a server with sparse fieldsets sends them, over TLS", flush=True)
    pages = write_pages(place / "pages", Shape(jobs, whole=False))
    with Nginx({"base": place / "pages"}) as server:
        server.check("base", pages)
        server.trust()
        watch = Watch(program, place)
        first = watch.sweep(server.url("base+tls"), keep=place / "swept")
        print(f"  first sweep      {first.cpu:8.2f} s CPU  {first.peak / 1024:8.1f} MiB at its peak", flush=True)
        same = watch.sweep(server.url("base+tls"), place / "swept")
        print(f"  nothing changed  {same.cpu:8.2f} s CPU  {same.peak / 1024:8.1f} MiB at its peak", flush=True)
    size = sum(file.stat().st_size for file in (place / "swept").iterdir()) / 2**20
    # The API is away: what is measured is the start alone.
    config = (place / "klv-jobwatch.conf").read_text()
    starts, memory = [], 0.0
    for _ in range(5):
        with Daemon(program, place, config, place / "swept") as daemon:
            starts.append(daemon.cpu_ready)
            memory = daemon.memory_ready
            daemon.stop()
    start = statistics.median(starts)
    print(f"  start of run     {start:8.2f} s CPU  {memory:8.1f} MiB resident; {size:.0f} MiB stored", flush=True)
    small = jobs <= 10_000
    kept = judge(max(first.peak, same.peak) / 1024 <= (20 if small else 160 * max(1.0, jobs / 1_000_000)),
                 f"at most {20 if small else 160} MiB resident")
    return judge(start <= 0.7 * max(1.0, jobs / 1_000_000), "start from the store in at most 0.7 s CPU") and kept


@dataclass(frozen=True)
class Steady:
    """How a daemon of many accounts does once its first sweeps are over."""

    start: tuple[float, float]  # seconds of CPU, MiB
    share: float  # of one core
    memory: float  # MiB
    families: list[dict[str, Any]]  # of `status --json`


def steady(program: Path, place: Path, accounts: int, seconds: float, kind: str = "+tls") -> Steady:
    """Every family of many accounts at an interval of 10 s, on one core."""
    write_lists(place / "lists", list(FAMILIES))
    (place / "key").write_text(KEY)
    (place / "key").chmod(0o600)
    (place / "state").mkdir()
    with Nginx({"lists": place / "lists"}) as server:
        server.trust()
        parts = [f'api-url = "{server.url("lists" + kind)}"']
        parts += [f'account "shop-{i}" {{ api-key-file = "{place}/key" jobs = {{ "*" }} interval = 10s }}' for i in range(accounts)]
        with Daemon(program, place, "\n".join(parts), place / "state") as daemon:
            os.sched_setaffinity(daemon.process.pid, {sorted(os.sched_getaffinity(0))[0]})
            time.sleep(min(40.0, seconds))  # the first full sweeps, spread over the first interval, are over
            cpu, began = daemon.cpu(), time.monotonic()
            time.sleep(seconds)
            share, memory = (daemon.cpu() - cpu) / (time.monotonic() - began), daemon.memory()
            time.sleep(15)
            shown = subprocess.run([str(program), "status", "--json", "--config", str(place / "run.conf"), "--state", str(place / "state")],
                                   capture_output=True, text=True, timeout=60, check=False)
            daemon.stop()
    families = [family for account in json.loads(shown.stdout)["accounts"] for family in account["families"]]
    return Steady((daemon.cpu_ready, daemon.memory_ready), share, memory, families)


def many_accounts(program: Path, place: Path, accounts: int, seconds: float) -> bool:
    print(f"\n{accounts} accounts x {len(FAMILIES)} families at an interval of 10 s, each list with a few jobs, over TLS, on one core", flush=True)
    found = steady(program, place, accounts, seconds)
    print(f"  start            {found.start[0]:8.2f} s CPU  {found.start[1]:8.1f} MiB resident", flush=True)
    periods = [family["period_ms"] / 1000 for family in found.families if family.get("period_ms", 0) > 0]
    print(f"  steady state     {found.share:8.0%} of a core {found.memory:8.1f} MiB resident", flush=True)
    median, late = (percentile(periods, 0.5), percentile(periods, 0.99)) if periods else (math.inf, math.inf)
    print(f"  from one active sweep to the next: median {median:.2f} s, 99% within {late:.2f} s ({len(periods)} of {len(found.families)} families)",
          flush=True)
    kept = judge(len(periods) == accounts * len(FAMILIES) and late <= 12, "does not fall behind")
    return judge(found.share <= 1, "on one core") and kept


def latency(program: Path, place: Path, interval: float, changes: int) -> bool:
    """10,000 jobs, 100 in progress; one after the other ends at a random time."""
    print(f"\nfrom a change on the server to the webhook: 10,000 jobs, 1% active, interval {interval:g} s, {changes} ends of jobs", flush=True)
    (place / "secret").write_text(SECRET)
    (place / "key").write_text(KEY)
    for name in ("secret", "key"):
        (place / name).chmod(0o600)
    (place / "state").mkdir()
    chance, ended = random.Random(1), {}
    with SimKlaviyo() as sim, Receiver([SECRET]) as receiver:
        account = sim.account(KEY)
        account.add_many(FAMILY, 10_000 - 100, status="complete")
        waiting = [f"LIVE-{i:04}" for i in range(changes)]
        for job in waiting[:100]:
            account.add_job(FAMILY, id=job, status="processing")
        config = (f'api-url = "{sim.url}"\naccount "main" {{ api-key-file = "{place}/key" interval = {interval * 1000:.0f}ms'
                  f' idle-interval = {interval * 1000:.0f}ms budget = 100% detail-timeout = 0s }}\n'
                  f'webhook "ops" {{ url = "{receiver.url}" secret-file = "{place}/secret" events = {{ "job.completed" }} }}\n')
        with Daemon(program, place, config, place / "state") as daemon:
            deadline = time.monotonic() + 60
            while "watch.started" not in (place / "log").read_text() and "watching" not in (place / "log").read_text():
                if time.monotonic() > deadline:
                    raise RuntimeError("no baseline")
                time.sleep(0.1)
            time.sleep(3 * interval + 5)
            for i, job in enumerate(waiting):
                time.sleep(chance.uniform(0, 0.4))
                account.set(job, status="complete", completed=10)
                ended[job] = time.monotonic()
                if i + 100 < changes:  # another takes its place
                    account.add_job(FAMILY, id=waiting[i + 100], status="processing")
            receiver.wait_accepted(changes, timeout=60)
            daemon.stop()
        arrived = {delivery.json["data"]["job"]["id"]: delivery.at for delivery in reversed(receiver.accepted)}
    delays = [arrived[job] - ended[job] for job in waiting]
    median, late = percentile(delays, 0.5), percentile(delays, 0.99)
    print(f"  half within {median * 1000:.0f} ms, 99% within {late * 1000:.0f} ms, all within {max(delays) * 1000:.0f} ms", flush=True)
    return judge(late <= interval + 0.1, "99% within the interval and 100 ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("--jobs", type=int, nargs="*", default=[10_000, 1_000_000])
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=2)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--only", choices=("jobs", "accounts", "latency"))
    words = parser.parse_args()
    in_own_mounts()
    kept = True
    runs = [("jobs", lambda place, n=n: many_jobs(words.program, place, n)) for n in words.jobs]
    runs.append(("accounts", lambda place: many_accounts(words.program, place, words.accounts, words.seconds)))
    runs.append(("latency", lambda place: latency(words.program, place, words.interval, words.changes)))
    for name, run in runs:
        if words.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="klv-scale-") as folder:
                kept &= run(Path(folder))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
