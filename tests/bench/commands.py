#!/usr/bin/python3
"""The CPU that the commands need for their first screen, on a store of a million jobs (or --jobs N): printed, and an error when `status` or
`jobs` needs more than 0.2 s.

The store is one that the program itself made, filled up by SQL: jobs of thirteen families, one of a thousand in progress, one of twenty with
failures; an event with two deliveries for each tenth job. Each figure is user and system time of the process, the best of five runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sim"))

from klaviyo import SimKlaviyo  # noqa: E402

KEY = "pk_bench_0123456789abcdef0123456789"
BAR = 0.2  # seconds of CPU
FAMILIES = 13

JOBS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :jobs - 1)
INSERT INTO jobs (watch, id, status, total, completed, failed, skipped, created_at, completed_at, expires_at, moved_at, gone_at, failures_told,
 told, anomalies, revivals) SELECT (SELECT min(id) FROM watches) + i % :families, printf('01BENCH%019d', i),
 CASE WHEN i % 1000 = 0 THEN 'processing' WHEN i % 50 = 7 THEN 'cancelled' ELSE 'complete' END, 1000, i % 1000, iif(i % 20 = 0, 3, 0), NULL,
 1700000000000 + i * 1000, iif(i % 1000 = 0, NULL, 1700000100000 + i * 1000), NULL, 5000, NULL, 0, iif(i % 30000 = 0, 1, 0), 0, 0 FROM n
"""
EVENTS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :jobs / 10 - 1)
INSERT INTO events (id, kind, priority, at, account, family, job_id, status, note, figure, reminder, more_errors)
 SELECT printf('evt_bench%08d', i), iif(i % 20 = 0, 'job.completed_with_failures', 'job.completed'), iif(i % 20 = 0, 4, 5), 1700000000000 + i * 10000,
 'main', 'catalog-item-bulk-create-job', printf('01BENCH%019d', i * 10), 'complete', '', 0, 0, 0 FROM n
"""
DELIVERIES = """
INSERT INTO deliveries (sink, event, order_key, state, attempts, queued_at, next_at, last_at, last_status, last_error) SELECT sink, seq, 'key' || seq, iif(seq % 1000 = 0, 2, 1), 1, 1000, 1000, at, 200, '' FROM events,
 (SELECT 'journal' AS sink UNION ALL SELECT 'hook:ops') WHERE events.id GLOB 'evt_bench*'
"""


def leave_a_report(words: list[str]) -> None:
    """Runs the daemon until each family has its baseline."""
    daemon = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert daemon.stderr
    begun = 0
    for line in daemon.stderr:
        begun += "watch.started" in line
        if begun == FAMILIES:
            break
    daemon.terminate()
    daemon.stderr.read()
    daemon.wait()


def pretend_it_runs(db: sqlite3.Connection, jobs: int) -> None:
    """The report that a daemon with these jobs would leave, of a process that lives: this one."""
    ((text,),) = db.execute("SELECT text FROM notes WHERE key = 'status'")
    report = json.loads(text) | {"pid": os.getpid(), "started": 0}
    for family in report["accounts"][0]["families"]:
        family["jobs"] = jobs // FAMILIES
    db.execute("UPDATE notes SET text = ? WHERE key = 'status'", (json.dumps(report),))


def pretend_it_ended(folder: Path) -> None:
    """The same report of a process that is gone: jobs have to be counted now."""
    (file,) = folder.glob("*.db")
    with sqlite3.connect(file) as db:
        ((text,),) = db.execute("SELECT text FROM notes WHERE key = 'status'")
        db.execute("UPDATE notes SET text = ? WHERE key = 'status'", (json.dumps(json.loads(text) | {"pid": 1 << 22}),))
    db.close()


def make_store(program: str, place: Path, jobs: int) -> None:
    with SimKlaviyo(manual=True) as sim:
        sim.account(KEY, name="bench")
        key = place / "api-key"
        key.write_text(KEY)
        key.chmod(0o600)
        config = place / "bench.conf"
        config.write_text(f'api-url = "{sim.url}"\naccount "main" {{ api-key-file = "{key}" jobs = {{ "*" }} }}\n')
        leave_a_report([program, "run", "--no-journal", "--config", str(config), "--state", str(place)])
    (file,) = place.glob("*.db")
    with sqlite3.connect(file) as db:
        for sql in (JOBS, EVENTS, DELIVERIES):
            db.execute(sql, {"jobs": jobs, "families": FAMILIES})
        pretend_it_runs(db, jobs)
    db.close()


def measure(words: list[str], runs: int = 5) -> float:
    """The least CPU, in seconds, of a command whose output goes nowhere."""
    best = float("inf")
    for _ in range(runs):
        before = os.times()
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        after = os.times()
        best = min(best, after.children_user + after.children_system - before.children_user - before.children_system)
    return best


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    options = parser.parse_args()
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        make_store(options.program, Path(folder), options.jobs)
        print(f"{options.jobs:,} jobs in {FAMILIES} families; CPU of the first screen, bar {BAR} s for the first two")
        for words, bar in [("status", BAR), ("jobs", BAR), ("jobs --failed", None), ("jobs --status active", None), ("jobs --family catalog-item-*", None),
                           (f"jobs 01BENCH{options.jobs // 2:019d}", None), ("events -n 50", None), ("events --since 1d", None),
                           ("events --job 01BENCH0000000000000000100", None), ("jobs --sort failed", None), ("status --json", None)]:
            seconds = measure([options.program, *words.split(), "--state", folder])
            late = bar is not None and seconds > bar
            slow += late
            print(f"  {words:48} {seconds * 1000:8.0f} ms{'  OVER THE BAR' if late else ''}", flush=True)
        pretend_it_ended(Path(folder))
        seconds = measure([options.program, "status", "--state", folder])
        slow += seconds > BAR
        print(f"  {'status, while no daemon runs':48} {seconds * 1000:8.0f} ms{'  OVER THE BAR' if seconds > BAR else ''}", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
