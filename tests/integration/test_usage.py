"""What the commands take and say: help, mistyped values, times, sorting, rates, many accounts; and remedies of check --online."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, ROOT, Daemon, Place, wait_for
from klaviyo import SimKlaviyo

IMPORT = "profile-bulk-import-job"


def said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, timeout=DEADLINE)


def reading(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    return said(*words, "--state", str(place.state))


# ---- help ----


def commands() -> list[str]:
    text = said("--help").stdout
    return re.findall(r"^  ([a-z-]+) ", text[text.index("Commands:"):text.index("First steps")], re.MULTILINE)


def offered(command: str) -> set[str]:
    done = said("complete", "--", command, "--")
    return {line.split("\t")[0] for line in done.stdout.splitlines()}


def test_help_of_each_command() -> None:
    """It has each option that the command takes and no other, and its examples are made of these."""
    manual = (ROOT / "config" / "klv-jobwatch.8").read_text().replace("\\-", "-")
    names = commands()
    assert {"run", "once", "check", "status", "jobs", "events", "test-webhook", "replay"} <= set(names)
    for name in names:
        if name == "help":
            continue
        done = said(name, "--help")
        assert (done.returncode, done.stderr) == (0, "") and f"Usage: klv-jobwatch {name} [OPTIONS]" in done.stdout
        usage, _, examples = done.stdout.partition("\nExamples:\n")
        options = set(re.findall(r"^  (?:-[a-zA-Z],|   ) (--[a-z-]+)", usage, re.MULTILINE))
        assert options == offered(name), name
        for example in examples.splitlines():
            assert example.startswith("  klv-jobwatch "), example
            assert set(re.findall(r"--[a-z-]+", example)) <= options, example
        assert all(option[2:] in manual for option in options), name
    assert said("help", "jobs").stdout == said("jobs", "-h").stdout == said("jobs", "--help").stdout
    assert said("jobs", "--version").stdout == said("--version").stdout


def test_help_of_no_command() -> None:
    done = said("help", "statsu")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'klv-jobwatch: unknown command "statsu"; did you mean "status"? `klv-jobwatch --help` lists them\n'
    assert said("xyzzy").stderr == 'klv-jobwatch: unknown command "xyzzy"; `klv-jobwatch --help` lists them\n'


@pytest.mark.parametrize("words, complaint", [
    (["jobs", "--sort", "totl"], '--sort "totl": did you mean "total"? It takes usual, created, finished, failed, total, progress or id\n'),
    (["jobs", "--status", "xyzzy"], '--status "xyzzy": It takes all, active, queued, processing, complete, cancelled, other or inactive\n'),
    (["events", "-p", "warnin"], 'did you mean "warning"?'),
    (["events", "-p", "8"], "--priority"),
    (["events", "--kind", "job.compleeted"], 'no event is of that kind; did you mean "job.completed"? man 8 klv-jobwatch lists them\n'),
    (["jobs", "--stauts", "all"], 'unknown option "--stauts"; did you mean "--status"? `klv-jobwatch jobs --help` lists them\n'),
    (["events", "--kind", "job.*,nonsense"], '--kind "nonsense": no event is of that kind'),
    (["events", "--follow", "--until", "1h"], "give one of them"),
    (["events", "-n", "1x"], 'or "all", not "1x"'),
])
def test_values_that_are_none(words: list[str], complaint: str) -> None:
    done = said(*words)
    assert (done.returncode, done.stdout) == (2, "") and complaint in done.stderr and done.stderr.count("\n") == 1


def test_what_shells_are_offered(place: Place) -> None:
    place.write(webhook="https://hooks.example.com/", top='family "own-bulk-job" { path = "/api/own" burst = 1 steady = 1 }')
    typed = ["--config", str(place.config)]

    def values(*words: str) -> list[str]:
        return [line.split("\t")[0] for line in said("complete", "--", *words).stdout.splitlines()]
    assert values("jobs", *typed, "--family", "own") == ["own-bulk-job"]
    assert values("test-webhook", *typed, "o") == ["ops"]
    assert values("jobs", "--state", "") == [":directory"]
    assert values("jobs", "--config", "") == [":file"]


# ---- events ----


@pytest.fixture
def history(place: Place, acct: Any) -> Place:
    """Two jobs that ran, seen in three sweeps."""
    now = time.time()
    acct.add_job(DELETE, id="SLOW", status="processing", total=1000, created_at=now - 3600)
    acct.add_job(DELETE, id="FAST", status="processing", total=100, created_at=now - 1800)
    acct.add_job(DELETE, id="LONG", status="complete", total=5000, completed=4990, failed=10, created_at=now - 7200, completed_at=now - 7000)
    acct.add_job(DELETE, id="NONE", status="queued", total=10, created_at=now - 60)
    place.write()
    place.once()
    acct.set("SLOW", completed=250, failed=3)
    acct.set("FAST", completed=50)
    place.once()
    return place


def test_events_by_priority_and_time(history: Place) -> None:
    def kinds(*words: str) -> list[str]:
        done = reading(history, "events", "--json", *words)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert kinds() == kinds("-n", "all") == ["watch.started", "job.failures_growing"]
    assert kinds("-p", "warning") == kinds("-p", "4") == kinds("-p", "5") == ["job.failures_growing"]
    assert kinds("-p", "err") == kinds("-p", "3") == []
    assert kinds("-p", "info") == kinds("-p", "debug") == kinds()
    assert kinds("--since", "yesterday") == kinds("--until", "now") == kinds()
    assert kinds("--until", "yesterday") == kinds("--since", "now") == []
    assert kinds("--kind", "job.*,watch.*") == kinds()


def test_events_follow_with_nothing_before(history: Place, acct: Any) -> None:
    """Nothing of that kind was recorded yet: it waits for the first."""
    words = ["events", "--follow", "--json", "--kind", "job.completed", "--state", str(history.state)]
    follower = subprocess.Popen([str(PROGRAM), *words], stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout
        acct.set("FAST", status="complete", completed=100)
        history.once()
        assert json.loads(follower.stdout.readline())["type"] == "job.completed"
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


# ---- jobs ----


@pytest.mark.parametrize("limit", [["-n", "10"], ["-n", "all"]])
def test_jobs_in_each_order(history: Place, limit: list[str]) -> None:
    """The same order when the best few are kept and when SQLite sorts them all."""
    def ids(*words: str) -> list[str]:
        done = reading(history, "jobs", "--json", *limit, *words)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line)["id"] for line in done.stdout.splitlines()]
    orders = {"created": ["NONE", "FAST", "SLOW", "LONG"], "total": ["LONG", "SLOW", "FAST", "NONE"], "failed": ["LONG", "SLOW", "NONE", "FAST"],
              "finished": ["LONG", "NONE", "FAST", "SLOW"], "progress": ["LONG", "FAST", "SLOW", "NONE"], "id": ["FAST", "LONG", "NONE", "SLOW"]}
    for order, expected in orders.items():
        assert ids("--sort", order) == expected, order
        assert ids("--sort", order, "--reverse") == expected[::-1], order


def test_the_first_of_many_jobs(history: Place) -> None:
    done = reading(history, "jobs", "-n", "2", "--sort", "total")
    assert re.findall(r"\S+$", done.stdout, re.MULTILINE)[1:] == ["LONG", "SLOW"]
    assert done.stderr == "There are more: -n all shows them\n"
    assert reading(history, "jobs", "-n", "4").stderr == ""


def test_rate_and_end(history: Place) -> None:
    """253 of 1,000 items in an hour: that rate, and an end as far off as the rest takes."""
    job = json.loads(reading(history, "jobs", "SLOW", "--json").stdout)
    assert job["items_per_second"] == pytest.approx(253 / 3600, rel=0.05)
    page = reading(history, "jobs", "SLOW").stdout
    assert re.search(r"^ +rate +4/min$", page, re.MULTILINE)
    assert re.search(r"^ +done +in about 2h 5\dm|^ +done +in about 2h 4\dm", page, re.MULTILINE), page
    waiting = json.loads(reading(history, "jobs", "NONE", "--json").stdout)
    assert "items_per_second" not in waiting and "estimated_end_at" not in waiting
    took = reading(history, "jobs", "LONG").stdout
    assert re.search(r"^ +took +3m 20s$", took, re.MULTILINE), took


def test_a_job_that_stands_still_or_is_of_another_state(place: Place, acct: Any) -> None:
    acct.add_job(DELETE, id="STILL", status="processing", total=100, completed=10)
    acct.add_job(DELETE, id="ODD", attributes={"status": "paused", "total_count": None})
    place.write()
    place.once()
    (file,) = place.state.glob("*.db")
    with sqlite3.connect(file) as db:
        db.execute("UPDATE jobs SET told = told | 1 WHERE id = 'STILL'")  # TOLD_STALLED
    db.close()
    assert [json.loads(line)["id"] for line in reading(place, "jobs", "--stalled", "--json").stdout.splitlines()] == ["STILL"]
    still = json.loads(reading(place, "jobs", "STILL", "--json").stdout)
    assert still["stalled"] is True and "items_per_second" not in still
    assert re.search(r"^stalled .*STILL$", reading(place, "jobs").stdout, re.MULTILINE)
    assert "processing, stalled" in reading(place, "jobs", "STILL").stdout
    odd = reading(place, "jobs", "ODD").stdout
    assert re.search(r"^ +state +paused$", odd, re.MULTILINE) and re.search(r"^ +items +0 completed$", odd, re.MULTILINE), odd
    assert [json.loads(line)["id"] for line in reading(place, "jobs", "--status", "other", "--json").stdout.splitlines()] == ["ODD"]


# ---- status ----


def change_report(place: Place, change: Any) -> None:
    """What the daemon last said of itself, as it might have said."""
    (file,) = place.state.glob("*.db")
    with sqlite3.connect(file) as db:
        ((text,),) = db.execute("SELECT text FROM notes WHERE key = 'status'")
        report = json.loads(text)
        change(report)
        db.execute("UPDATE notes SET text = ? WHERE key = 'status'", (json.dumps(report),))
    db.close()


def test_status_of_many_accounts(place: Place, sim: SimKlaviyo) -> None:
    """More rows than a screen has: each account is one, those in trouble come first, then those with most to do."""
    names = [f"shop-{i:02}" for i in range(24)]
    accounts = []
    for i, name in enumerate(names):
        key = f"pk_{name}"
        account = sim.account(key, name=name)
        for n in range(i % 3):
            account.add_job(DELETE, id=f"J{i}-{n}", status="processing")
        accounts.append(f'account "{name}" {{ api-key-file = "{place.secret(name, key)}" jobs = {{ "{DELETE}", "{IMPORT}" }} '
                        "interval = 3s idle-interval = 3s full-sweep-interval = 3s }\n")
    sim.fault("status", times=None, status=503, match=lambda r: r.account == "shop-21" and r.family == IMPORT)
    place.write(accounts="".join(accounts))
    place.daemon()

    def whole() -> Any:
        done = reading(place, "status", "--json")
        seen = json.loads(done.stdout) if done.stdout else {}
        families = [family for account in seen.get("accounts", []) for family in account["families"]]
        active = sum(family.get("active", 0) for family in families)
        return seen if active == 24 and any("503" in family.get("problem", "") for family in families) else None
    seen = wait_for(whole)
    assert [account["account"] for account in seen["accounts"]] == names
    done = reading(place, "status")
    rows = re.findall(r"^(shop-\d\d) +2 job types ", done.stdout, re.MULTILINE)
    assert len(rows) == 20 and rows[0] == "shop-21"
    assert rows[1:9] == [name for i, name in enumerate(names) if i % 3 == 2] and rows[9] == "shop-01"
    assert "and 4 more accounts: klv-jobwatch status --account NAME\n" in done.stdout
    assert done.returncode == 1 and f"! shop-21, {IMPORT}: HTTP 503" in done.stdout
    one = reading(place, "status", "--account", "shop-05").stdout
    assert re.search(rf"^shop-05 +{DELETE} +2 ", one, re.MULTILINE) and "more accounts" not in one


def freeze(place: Place, daemon: Daemon) -> None:
    """Stops it where it writes nothing, or the state file would stay locked."""
    (file,) = place.state.glob("*.db")

    def is_free() -> bool:
        daemon.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        with contextlib.closing(sqlite3.connect(file, timeout=0)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError:
                daemon.process.send_signal(signal.SIGCONT)
                return False
    wait_for(is_free)


def test_status_tells_what_hangs_or_is_not_saved(place: Place, acct: Any) -> None:
    place.write(account="interval = 10m idle-interval = 10m full-sweep-interval = 10m")
    daemon = place.daemon()
    daemon.wait_line("watch.started")
    wait_for(lambda: reading(place, "status").returncode == 0)
    freeze(place, daemon)  # it says nothing of its own any more
    try:
        def unsaved(report: Any) -> None:
            report["accounts"][0]["saved"] = False
        change_report(place, unsaved)
        assert "! main: state is not being saved; journalctl -u klv-jobwatch says why" in reading(place, "status").stdout

        def overdue(report: Any) -> None:
            report["accounts"][0]["saved"] = True
            report["at_ms"] -= 3600000
            report["accounts"][0]["families"][0].update(next_ms=report["at_ms"] + 1000, blocked_until_ms=0)
        change_report(place, overdue)
        done = reading(place, "status")
        assert done.returncode == 1 and re.search(r"! a sweep has been due for (59m \d+s|1h) and the daemon does nothing: ", done.stdout), done.stdout
    finally:
        daemon.process.send_signal(signal.SIGCONT)


# ---- check --online ----


@pytest.mark.parametrize("fault, said_of_it", [
    (dict(kind="status", status=400, body='{"errors":[{"title":"Bad.","detail":"No such revision."}]}'), "HTTP 400: Bad. No such revision.; the API refuses the request: is `revision`"),
    (dict(kind="status", status=404), "no such path: is `api-url` right"),
    (dict(kind="status", status=429), "the account's rate limit is used up right now"),
    (dict(kind="status", status=500), "FAILED: HTTP 500"),
    (dict(kind="html"), "the answer is no list of jobs"),
    (dict(kind="reset"), "FAILED: "),
])
def test_what_check_advises(place: Place, acct: Any, sim: SimKlaviyo, fault: dict[str, Any], said_of_it: str) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    place.write()
    sim.fault(times=None, **fault)
    done = place.check_config("--online")
    assert done.returncode == 1 and said_of_it in done.stdout, done.stdout
    assert KEY not in done.stdout + done.stderr
