"""status, jobs, events and check in each state that people meet: a running daemon (the whole text), a stopped one, an empty store, one of
another version, one that may not be read."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Receiver

SLOW = "interval = 1h idle-interval = 1h full-sweep-interval = 1h"
READERS = [["status"], ["jobs"], ["events"]]


def reading(place: Place, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *words, "--state", str(place.state)], capture_output=True, text=True, timeout=DEADLINE,
                          env=os.environ | {"TZ": "Asia/Kolkata", "LC_ALL": "C"}, **more)


def shape(text: str) -> str:
    """Times, ages and process numbers as signs, and any run of spaces as one."""
    for pattern, sign in [(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?Z?", "TIME"), (r"\b(\d+[smhd] )?\d+[smhd] ago\b|\bnow\b", "AGO"),
                          (r"\bin (\d+[mhd] )?\d+[smhd]\b", "AHEAD"), (r"\b(\d+[mhd] )?\d+[smhd]\b", "SPAN"), (r"process \d+", "process N"), (r" +", " ")]:
        text = re.sub(pattern, sign, text)
    return text


@pytest.fixture
def running(place: Place, acct: Any, receiver: Receiver) -> Iterator[Place]:
    """A daemon at rest: one job running, one complete; a webhook that has taken everything."""
    acct.add_job(DELETE, id="RUN", status="processing", total=1000, completed=250)
    acct.add_job(DELETE, id="END", status="complete", total=10, completed=10)
    place.write(account=SLOW, webhook=receiver.url)
    place.daemon()

    def at_rest() -> bool:
        done = reading(place, "status", "--json")
        seen = json.loads(done.stdout) if done.stdout else {"sinks": [], "accounts": []}
        sinks = seen["sinks"]
        # The daemon leaves its report once a second, so that it may be a moment behind the jobs.
        known = [family["jobs"] for account in seen["accounts"] for family in account["families"]]
        return known == [2] and len(sinks) == 2 and all(sink["waiting"] == 0 and "last" in sink for sink in sinks)
    wait_for(at_rest)
    yield place


def test_status_whole(running: Place) -> None:
    done = reading(running, "status")
    assert (done.returncode, done.stderr) == (0, "")
    # How many requests it took, and how much of the share is free yet, is the budget's to say.
    assert re.sub(r"\d/\d+ 3,49\d/3,500", "USED LEFT", shape(done.stdout)) == f"""\
klv-jobwatch 0.1.0 runs as process N, last news AGO: all is well

ACCOUNT JOB TYPE JOBS QUEUED RUNNING DONE CANCELLED FAILURES DELAY SWEPT NEXT NEXT FULL USED/MIN API LEFT
main {DELETE} 2 0 1 1 0 0 SPAN SPAN SPAN SPAN USED LEFT

SINK WAITING GIVEN UP NEXT ATTEMPT LAST ANSWER
ops 0 0 - delivered AGO
journal 0 0 - delivered AGO
"""


def test_jobs_whole(running: Place) -> None:
    done = reading(running, "jobs")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.sub(r" \d+(\.\d+)?/(s|min|h)", "", shape(done.stdout).replace("RATE ", "").replace("LEFT ", "")).replace(" SPAN SPAN ", " SPAN ") == f"""\
STATE PROGRESS DONE TOTAL FAILED AGE ACCOUNT JOB TYPE ID
processing 25% 250 1,000 0 SPAN main {DELETE} RUN
complete 100% 10 10 0 SPAN main {DELETE} END
"""


def test_one_job_whole(running: Place) -> None:
    done = reading(running, "jobs", "END")
    assert (done.returncode, done.stderr) == (0, "")
    text = shape(done.stdout)
    assert text.startswith(f"""\
END
 job type {DELETE}
 account main
 state complete
 progress ############################## 100%
 items 10 completed of 10
 created TIME, AGO
""")
    assert text.endswith("\nNothing was told about it: it had ended before the first sweep, or nothing of interest has happened yet.\n")


def test_events_whole(running: Place) -> None:
    done = reading(running, "events", "--deliveries")
    assert (done.returncode, done.stderr) == (0, "")
    assert shape(done.stdout) == f"""\
TIME info watch.started {DELETE} in account main is being watched: 2 jobs known, 1 active
 ops: delivered TIME, HTTP 204 (1 attempt)
 journal: delivered TIME (1 attempt)
"""
    # Local time, or UTC where it is asked for; columns that stay where they are.
    local, utc = (reading(running, "events", *words).stdout for words in ([], ["--utc"]))
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  info     watch\.started                \S", local)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z  info     watch\.started                \S", utc)
    assert local[11:16] != utc[11:16]


def test_events_json_with_deliveries(running: Place) -> None:
    (event,) = [json.loads(line) for line in reading(running, "events", "--json", "--deliveries").stdout.splitlines()]
    assert event["type"] == "watch.started"
    hook, journal = event["deliveries"]
    assert {**hook, "last_attempt_at": ""} == {"sink": "ops", "state": "delivered", "attempts": 1, "last_attempt_at": "", "last_status": 204}
    assert (journal["sink"], journal["state"]) == ("journal", "delivered")


def test_a_webhook_that_does_not_answer(place: Place, acct: Any, receiver: Receiver) -> None:
    receiver.fault("status", times=None, status=503)
    acct.add_job(DELETE, id="RUN", status="processing")
    place.write(account=SLOW, webhook=receiver.url)
    place.daemon()

    def in_trouble() -> Any:
        done = reading(place, "status")
        return done if done.returncode == 1 and "! ops has not taken an event in" in done.stdout else None
    done = wait_for(in_trouble)
    assert re.search(r"! ops has not taken an event in \d+ attempts: .*503.*; next (in \d+s|now|\d+s ago)", done.stdout)
    assert re.search(r"^ops +1 +0 +.*503", done.stdout, re.M)
    assert re.search(r"ops: waits, next attempt .*; \d+ so far, the last .*503", reading(place, "events", "--deliveries").stdout)
    (waiting,) = [sink for sink in json.loads(reading(place, "status", "--json").stdout)["sinks"] if sink["sink"] == "ops"]
    assert waiting["waiting"] == 1 and waiting["last"]["last_status"] == 503 and "next_attempt_at" in waiting


def test_the_daemon_is_stopped(running: Place) -> None:
    assert running.started[0].stop() == 0
    done = reading(running, "status")
    assert done.returncode == 1
    assert shape(done.stdout).startswith("klv-jobwatch: 1 problem\n! klv-jobwatch is not running, its last report is of AGO: systemctl start klv-jobwatch\n")
    assert json.loads(reading(running, "status", "--json").stdout)["healthy"] is False
    assert reading(running, "jobs").returncode == 0 and "RUN" in reading(running, "jobs").stdout
    assert "watch.started" in reading(running, "events").stdout


def test_a_killed_daemon_is_not_taken_for_another_process(running: Place) -> None:
    """The number of a dead process may be another one's by now: here, ours."""
    running.started[0].kill()
    (file,) = running.state.glob("*.db")
    with sqlite3.connect(file) as db:
        ((text,),) = db.execute("SELECT text FROM notes WHERE key = 'status'")
        db.execute("UPDATE notes SET text = ? WHERE key = 'status'", (json.dumps(json.loads(text) | {"pid": os.getpid()}),))
    db.close()
    assert "is not running" in reading(running, "status").stdout


@pytest.fixture
def empty(place: Place, sim: SimKlaviyo) -> Place:
    """A store that knows nothing: the API never answered."""
    sim.account(KEY)
    sim.fault("status", times=None, status=404)
    place.write()
    assert place.run("once").returncode == 1
    return place


def test_an_empty_store(empty: Place) -> None:
    status = reading(empty, "status")
    assert status.returncode == 1 and "no daemon has run with this state directory yet" in status.stdout
    jobs = reading(empty, "jobs")
    assert (jobs.returncode, jobs.stdout, jobs.stderr) == (0, "", "No such jobs.\n")
    assert (reading(empty, "jobs", "--json").stdout, reading(empty, "events", "--kind", "job.*").stdout) == ("", "")
    assert reading(empty, "events", "--kind", "job.*").returncode == 0
    assert json.loads(reading(empty, "status", "--json").stdout)["running"] is False


@pytest.mark.parametrize("words", READERS)
@pytest.mark.parametrize("version, said", [(99, "upgrade klv-jobwatch"), (1, "start the daemon once")])
def test_a_store_of_another_version(empty: Place, words: list[str], version: int, said: str) -> None:
    (file,) = empty.state.glob("*.db")
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    done = reading(empty, *words)
    assert done.returncode == 1 and done.stdout == "" and said in done.stderr and str(file) in done.stderr


@pytest.mark.parametrize("words", READERS)
def test_without_permission(empty: Place, words: list[str]) -> None:
    """As root runs the tests, somebody else has to try; the program is copied to where they may run it."""
    (file,) = empty.state.glob("*.db")
    with tempfile.TemporaryDirectory() as public:
        os.chmod(public, 0o755)
        program = shutil.copy(PROGRAM, public)
        state = Path(public) / "state"
        shutil.copytree(empty.state, state)
        os.chmod(state, 0o700)
        somebody: dict[str, Any] = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
        if not somebody:
            os.chmod(state, 0)
        done = subprocess.run([program, *words, "--state", str(state)], capture_output=True, text=True, timeout=DEADLINE, **somebody)
        os.chmod(state, 0o700)
    assert done.returncode == 1 and done.stdout == ""
    assert "Permission denied" in done.stderr and "may you read it?" in done.stderr and file.name in done.stderr


# ---- check ----


def test_check_whole(place: Place) -> None:
    place.write(top='revision = "2026-07-15"', webhook="https://hooks.example.com/klv", account="interval = 5s budget = 20%")
    done = place.check_config()
    assert (done.returncode, done.stderr) == (0, "")
    assert re.sub(r" +", " ", done.stdout) == f"""\
{place.config}: no errors
API {place.api_url}, revision 2026-07-15
account "main": key present, every 5s (idle 1m), full sweep every 10m
 JOB TYPE OURS/S OURS/MIN KLAVIYO'S/S KLAVIYO'S/MIN SCOPES OF THE KEY
 {DELETE} 70 700 350 3,500 catalogs:read
webhook "ops": https://hooks.example.com, format standard, secret present, from info, events *, accounts *, job types *
alerts: stalled after 15m, unreachable after 2m, expiring before 1d, reminders every 4h
"""


def test_check_tells_all_errors_at_once(place: Place) -> None:
    place.config.write_text('revision = "last year"\naccount "main" {\n interval = 10\n jobs = { "no-such-job" }\n}\nwebhook "ops" {\n url = "ftp://x"\n}\n')
    done = place.check_config()
    assert done.returncode == 2 and done.stdout == ""
    for line in (1, 3, 4, 7):
        assert re.search(rf"{place.config}:{line}: ", done.stderr), done.stderr


def test_check_tells_all_missing_secrets(place: Place) -> None:
    place.write(webhook="https://hooks.example.com/klv")
    (place.path / "api-key").unlink()
    (place.path / "webhook.secret").unlink()
    done = place.check_config()
    assert done.returncode == 2 and done.stdout.count("MISSING") == 2
    assert "api-key" in done.stderr and "webhook.secret" in done.stderr


def test_check_online_whole(place: Place, acct: Any) -> None:
    acct.add_many(DELETE, 140, active=7)
    place.write()

    def online(*words: str) -> list[str]:
        done = place.check_config("--online", *words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout[done.stdout.index("online, "):].splitlines()
    at_first = online("--state", str(place.path / "nothing"))
    assert at_first[:2] == ["online, with one request for each account and job type:", f"  main, {DELETE}: fine, 100 jobs on the first page, more follow"]
    assert at_first[2] == "    the API's limit: 3,500/min, 3,499 left"
    assert re.fullmatch(r"    at least 100 jobs, \d in progress: active sweep 2 requests every 10s, full sweep at least 1 every 10m = at least 0\.3% of 3,500/min",
                        at_first[3])
    assert re.fullmatch(r"  revision 2026-07-15 is accepted; it is (\d+ months|\d+ days) old, Klaviyo keeps it until about 2028-07-1\d.*|.*dated in the future.*", at_first[4])
    assert "clock" in at_first[5]
    place.once()
    assert online("--state", str(place.state))[3] == \
        "    140 jobs, 7 in progress: active sweep 2 requests every 10s, full sweep 2 every 10m = 0.3% of 3,500/min"
