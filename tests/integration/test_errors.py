"""Mistakes of people: one clear line that names the place and the remedy, and the exit code of the manual."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from typing import Any

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, ROOT, SECRET, Place


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_a_wrong_key(place: Place, acct: Any) -> None:
    place.secret("api-key", "pk_wrong")
    place.write()
    done = place.run("once", "--json")
    assert done.returncode == 1
    assert "401" in done.stderr and "main" in done.stderr and "pk_wrong" not in done.stderr
    online = place.check_config("--online")
    assert online.returncode == 1 and "401" in online.stdout and "new private key" in online.stdout


def test_a_missing_scope(place: Place, sim: Any) -> None:
    sim.account(KEY, scopes=["lists:read"])
    place.write()
    done = place.run("once", "--json")
    assert done.returncode == 1 and "403" in done.stderr and DELETE in done.stderr
    online = place.check_config("--online")
    assert online.returncode == 1 and "catalogs:read" in online.stdout


@pytest.mark.parametrize("words,expected", [
    (["--frobnicate"], "unknown command"), (["runn"], 'did you mean "run"'), (["once", "--jsno"], 'did you mean "--json"'),
    (["events", "--lines"], "needs a value"), (["events", "-n", "0"], "1 to 1000000"), (["once", "extra"], "extra"),
])
def test_usage(words: list[str], expected: str) -> None:
    done = subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2 and done.stdout == ""
    assert expected in one_line(done.stderr)


def test_typed_alone() -> None:
    done = subprocess.run([str(PROGRAM)], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2 and "First steps" in done.stdout
    done = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0 and done.stdout.startswith("klv-jobwatch ")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_file_that_others_can_read(place: Place, mode: int) -> None:
    place.secret("api-key", KEY, mode)
    place.write()
    done = place.run("once")
    assert done.returncode == 2
    line = one_line(done.stderr)
    assert "api-key" in line and "chmod" in line and KEY not in line


def test_a_key_file_that_is_not_there(place: Place) -> None:
    (place.path / "api-key").unlink()
    place.write()
    done = place.run("once")
    assert done.returncode == 2 and "api-key" in one_line(done.stderr)


def test_a_key_with_a_line_break_in_it(place: Place) -> None:
    place.secret("api-key", "pk_one\nX-Evil: 1")
    place.write()
    done = place.run("once")
    assert done.returncode == 2 and "api-key" in one_line(done.stderr) and "X-Evil" not in done.stderr


@pytest.mark.parametrize("text,expected", [
    ("interval = 10", "10"), ("interval = 10 parsecs", "parsecs"), ("intervall = 10s", "interval"),
    ("budget = 200%", "budget"), ('jobs = { "no-such-job" }', "no-such-job"),
])
def test_a_mistake_in_the_configuration(place: Place, text: str, expected: str) -> None:
    place.write(account=text)
    done = place.run("once")
    assert done.returncode == 2 and done.stdout == ""
    line = done.stderr.strip().splitlines()[0]
    assert f"{place.config}:" in line and expected in line


def test_no_configuration(place: Place) -> None:
    done = place.run("once")
    assert done.returncode == 2 and str(place.config) in one_line(done.stderr)


def test_plain_http_to_elsewhere(place: Place) -> None:
    place.api_url = "http://api.example.com"
    place.write()
    done = place.run("once")
    assert done.returncode == 2 and "https" in done.stderr


def test_a_state_directory_that_is_not_there(place: Place) -> None:
    place.write()
    place.state.rmdir()
    done = place.run("once")
    assert done.returncode == 1 and str(place.state) in one_line(done.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand the directory to somebody else and drop its rights")
def test_a_state_directory_that_cannot_be_written(place: Place) -> None:
    place.write()
    for path in [place.path, *place.path.parents]:
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    for name in ("api-key", "klv-jobwatch.conf"):
        os.chown(place.path / name, 65534, 65534)
    place.state.chmod(0o555)
    counts = place.path / "counts"  # where this user may leave the counts of a build for `make coverage`
    counts.mkdir()
    counts.chmod(0o777)
    done = subprocess.run([str(PROGRAM), "once", "--config", str(place.config), "--state", str(place.state)],
                          capture_output=True, text=True, timeout=DEADLINE, user=65534, group=65534, extra_groups=[],
                          env=os.environ | {"GCOV_PREFIX": str(counts)})
    assert done.returncode == 1 and str(place.state) in one_line(done.stderr)


def test_a_store_of_a_newer_version(place: Place, acct: Any) -> None:
    place.write()
    place.once()
    (file,) = place.state.glob("*.db")
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for words in (["once"], ["status"], ["events"]):
        done = place.run(*words)
        line = one_line(done.stderr)
        assert done.returncode == 1 and "99" in line and str(file) in line


def test_a_store_that_is_no_database(place: Place) -> None:
    place.write()
    (place.state / "klv-jobwatch.db").write_bytes(b"this is no database, but somebody's notes" * 100)
    done = place.run("once")
    assert done.returncode == 1 and "klv-jobwatch.db" in one_line(done.stderr)
    assert (place.state / "klv-jobwatch.db").read_bytes().startswith(b"this is no database")


def test_a_bad_webhook_secret(place: Place, acct: Any) -> None:
    place.write(webhook="https://hooks.example.com/x")
    place.secret("webhook.secret", "not-a-secret")
    done = place.run("once")
    assert done.returncode == 2 and "ops" in one_line(done.stderr) and "not-a-secret" not in done.stderr


def test_the_example_configuration_is_fine(place: Place) -> None:
    """As it is, and with every commented option in effect but those of format = template."""
    text = (ROOT / "config" / "klv-jobwatch.conf").read_text()
    place.config.write_text(text)
    credentials = place.path / "credentials"
    credentials.mkdir()
    (credentials / "api-key").write_text(KEY)
    (credentials / "webhook-ops").write_text(SECRET)
    env = {"CREDENTIALS_DIRECTORY": str(credentials), "PATH": os.environ["PATH"]}

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(PROGRAM), "check", "--config", str(place.config)], capture_output=True, text=True, env=env, timeout=DEADLINE)
    done = check()
    assert done.returncode == 0 and "no errors" in done.stdout, done.stderr
    options = [line[2:] if line.startswith("# ") and ("=" in line or "{" in line or "}" in line) and "file" not in line else
               line.replace("    # ", "    ", 1) if line.startswith("    # ") and "=" in line and "file" not in line else line
               for line in text.splitlines()]
    place.config.write_text("\n".join(line for line in options if "klv-jobwatch.conf:" not in line and "Make a secret" not in line and "content-type" not in line))
    done = check()
    assert done.returncode == 0 and 'webhook "ops"' in done.stdout, done.stderr
