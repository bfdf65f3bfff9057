"""Hostile text in ids, states and errors, end to end: nothing is forged in the journal, on a terminal, in a webhook, in JSON."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, WRAPPER, Place, _environment, wait_for
from receiver import Receiver

PAYLOADS = {
    "journal": "x\nPRIORITY=0\nMESSAGE=forged\nKLV_EVENT=forged\n",
    "journal-binary": "x\nMESSAGE\n\x07\x00\x00\x00\x00\x00\x00\x00forged!\n",
    "terminal": "x\x1b]0;forged\x07\x1b[2J\x1b[31mred\x1b[0m\r\x08\x7f\x9b31mforged",
    "lines": "x\r\n2026-11-24T09:00:00.123Z crit    job.vanished forged\u2028forged\u2029forged\x85forged\x0bforged",
    "bidi": "x\u202eforged\u202c\u2066\u2069\ufeff",
    "json": 'x","type":"forged","data":{"priority":"emerg"},"y":"\\',
    "slack": "x <!channel> <!here> <@U123> <https://evil.example|forged> & *b* `c` &lt;!channel&gt;",
    "discord": "x @everyone @here <@123> [forged](https://evil.example) ||s|| ```c```",
    "html": "x<script>alert('forged')</script><img src=x onerror=forged>&amp;",
    "format": "x%s%n%1$s{{account}}{0}${HOME}$(id)`id`",
    "header": "x\r\nX-Forged: 1\r\n\r\nforged",
}
FORMATS = ("standard", "cloudevents", "slack", "discord", "pagerduty", "ntfy", "template")
FIELDS = {"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "KLV_EVENT", "KLV_EVENT_ID", "KLV_ACCOUNT", "KLV_JOB_TYPE", "KLV_JOB_ID",
          "KLV_STATUS", "KLV_PREVIOUS_STATUS", "KLV_TOTAL_COUNT", "KLV_COMPLETED_COUNT", "KLV_FAILED_COUNT", "KLV_SKIPPED_COUNT",
          "KLV_PREVIOUS_FAILED_COUNT", "KLV_ERRORS"}
# What none of our texts may hold: C0 but the line's end, DEL, C1, separators, bidirectional controls.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def hostile_error(text: str) -> dict[str, Any]:
    return {"id": text, "code": text, "title": text, "detail": text, "source": {"pointer": text}}


def forged_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.lstrip().startswith(("forged", "PRIORITY=", "MESSAGE=", "X-Forged", "2026-11-24T09:00:00.123Z"))]


def assert_clean(text: str) -> None:
    assert not CONTROL.search(text), repr(CONTROL.search(text))
    assert forged_lines(text) == []


# ---- the terminal and JSON ----

def on_a_terminal(place: Place, *words: str) -> str:
    """What a command writes to a terminal of its own."""
    master, slave = pty.openpty()
    process = subprocess.Popen([*WRAPPER, str(PROGRAM), *words, "--config", str(place.config), "--state", str(place.state)],
                               stdin=slave, stdout=slave, stderr=slave, env=_environment({"TERM": "xterm-256color", "PAGER": ""}))
    os.close(slave)
    written = b""
    with contextlib.suppress(OSError):  # EIO is the end
        while block := os.read(master, 65536):
            written += block
    os.close(master)
    process.wait()
    return written.decode(errors="surrogateescape")


def add_jobs(acct: Any, *texts: str) -> list[str]:
    """A running job for each text, whose id it is; ids cannot hold NUL."""
    return [acct.add_job(DELETE, id=text.replace("\x00", ""), status="processing", total=9) for text in texts]


def fail_job(acct: Any, job: str, text: str) -> None:
    acct.set(job, status="complete", completed=6, failed=3, errors=[hostile_error(text)])


@pytest.fixture
def told(place: Place, acct: Any) -> str:
    """For each text a job whose id and errors it is; they run and fail. What `once` prints of it."""
    place.write()
    jobs = add_jobs(acct, *PAYLOADS.values())
    assert place.run("once").returncode == 0
    for job, text in zip(jobs, PAYLOADS.values()):
        fail_job(acct, job, text)
    done = place.run("once")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_print_it_clean(place: Place, told: str) -> None:
    ids = [text.replace("\x00", "") for text in PAYLOADS.values()]
    assert len(told.splitlines()) == len(ids)
    assert_clean(told)
    for words in (["events"], ["jobs"], ["status"], *(["jobs", job] for job in ids), ["events", "--job", ids[0]]):
        piped = place.run(*words)
        # No daemon runs, which `status` says with its exit code.
        assert piped.returncode == (1 if words == ["status"] else 0), (words, piped.stderr)
        assert piped.stdout
        assert_clean(piped.stdout)
    assert len(place.run("events").stdout.splitlines()) == len(ids) + 1
    for words in (["events"], ["jobs"], ["status"], *(["jobs", job] for job in ids[1:4])):
        # Our own colours are all that may steer the terminal.
        shown = on_a_terminal(place, *words)
        assert_clean(re.sub("\x1b\\[[0-9;]*m", "", shown).replace("\r\n", "\n"))
        assert "\x1b[31mred" not in shown


def test_json_says_what_was_said_and_no_more(place: Place, told: str) -> None:
    lines = place.run("events", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [e["type"] for e in events] == ["watch.started"] + ["job.completed_with_failures"] * len(PAYLOADS)
    assert {e["priority"] for e in events} == {"info", "warning"}
    assert all(not CONTROL.search(line) for line in lines)
    by_id = {e["job"]["id"]: e for e in events if "job" in e}
    for text in PAYLOADS.values():
        (error,) = by_id[text.replace("\x00", "")]["errors"]
        assert error["detail"] == error["title"] == error["code"] == error["pointer"] == text.replace("\x00", "\ufffd")
    for words in (["jobs", "--json"], ["status", "--json"]):
        for line in place.run(*words).stdout.splitlines():
            json.loads(line)
            assert not CONTROL.search(line)


# ---- the journal and webhooks ----

class Journald:
    """journald's socket, for a daemon in a mount namespace of its own; every entry as a list of (field, value)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.entries: list[list[tuple[str, bytes]]] = []
        directory.mkdir()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "socket"))
        self._thread = threading.Thread(target=self._receive)

    def __enter__(self) -> "Journald":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _receive(self) -> None:
        while datagram := self._socket.recv(1 << 20):
            self.entries.append(list(self._fields(datagram)))

    @staticmethod
    def _fields(datagram: bytes) -> Iterator[tuple[str, bytes]]:
        """As journald reads it: NAME=value up to the line's end, or NAME, a length of 8 bytes and so many of a value."""
        while datagram:
            line, _, rest = datagram.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if equals:
                datagram = rest
            else:
                length = int.from_bytes(rest[:8], "little")
                value, datagram = rest[8:8 + length], rest[9 + length:]
            yield name.decode(), value

    def alerts(self) -> list[dict[str, str]]:
        """Entries about jobs; a field that stands there twice is an error."""
        entries = []
        for entry_ in self.entries:
            names = [name for name, _ in entry_]
            assert len(set(names)) == len(names), names
            fields = {name: value.decode() for name, value in entry_}
            if fields.get("KLV_JOB_ID"):
                entries.append(fields)
        return entries


def write_config(place: Place, receiver: Receiver) -> None:
    (place.path / "template").write_text('{"text": "{{message}}", "id": "{{job.id}}"}')
    extra = {"template": f'template-file = "{place.path}/template"', "pagerduty": ""}
    sections = [f'webhook "{f}" {{ url = "{receiver.url.removesuffix("/hook")}/{f}" secret-file = "{place.path}/{"routing" if f == "pagerduty" else "webhook.secret"}" '
                f'format = {f} min-priority = info retry-base = 50ms {extra.get(f, "")} }}' for f in FORMATS]
    place.secret("routing", "0123456789abcdef0123456789abcdef")
    place.write(top="\n".join(sections), account="interval = 100ms idle-interval = 100ms full-sweep-interval = 1s budget = 100%")


@contextlib.contextmanager
def under_journald(place: Place, journald: Journald) -> Iterator[None]:
    script = 'mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"'
    with (place.path / "daemon.log").open("w") as log:
        process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, str(journald.directory), *WRAPPER, str(PROGRAM), "run",
                                    "--config", str(place.config), "--state", str(place.state)], stdout=log, stderr=log, env=_environment(None))
        try:
            yield
            process.terminate()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a journal of its own needs root and unshare")
def test_the_journal_and_webhooks(place: Place, acct: Any, receiver: Receiver) -> None:
    """All payloads at a time, through the real daemon."""
    texts = list(PAYLOADS.values())
    ids = add_jobs(acct, *texts)
    write_config(place, receiver)
    with Journald(place.path / "journal") as journald, under_journald(place, journald):
        wait_for(lambda: len(receiver.accepted) >= len(FORMATS), what="watch.started at each webhook")
        for job, text in zip(ids, texts):
            fail_job(acct, job, text)
        wait_for(lambda: len(journald.alerts()) >= len(ids), what="entries in the journal")
        wait_for(lambda: len(receiver.accepted) >= len(FORMATS) * (1 + len(ids)), what="webhooks")
    check_journal(journald, ids)
    check_webhooks(receiver, ids)
    assert KEY not in str(journald.entries) and not CONTROL.search((place.path / "daemon.log").read_text())


def check_journal(journald: Journald, ids: list[str]) -> None:
    alerts = journald.alerts()
    assert len(alerts) == len(ids)
    for fields in alerts:
        assert set(fields) <= FIELDS, set(fields) - FIELDS
        assert fields["PRIORITY"] == "4" and fields["KLV_EVENT"] == "job.completed_with_failures"
        assert fields["SYSLOG_IDENTIFIER"] == "klv-jobwatch"
        for name, value in fields.items():
            assert not CONTROL.search(value) and "\n" not in value, name
        assert len(json.loads(fields["KLV_ERRORS"])) == 1
    assert {fields["KLV_JOB_ID"] for fields in alerts} == {CONTROL.sub("\ufffd", job_id.replace("\n", "\ufffd")) for job_id in ids}


def check_webhooks(receiver: Receiver, ids: list[str]) -> None:
    expected = {"host", "user-agent", "accept", "accept-encoding", "content-type", "content-length", "webhook-id", "webhook-timestamp",
                "webhook-signature"}
    for delivery in receiver.accepted:
        assert delivery.json is not None, delivery.body
        assert set(delivery.headers) <= expected, set(delivery.headers) - expected
        assert not CONTROL.search(delivery.body.decode())
    # ntfy's JSON goes to the server, not to the topic.
    by_format = {f: [d.json for d in receiver.accepted if d.path == ("/" if f == "ntfy" else "/" + f)] for f in FORMATS}
    assert all(len(bodies) == 1 + len(ids) for bodies in by_format.values())
    assert {b["data"]["job"]["id"] for b in by_format["standard"] if "job" in b["data"]} == set(ids)
    assert {b["type"] for b in by_format["standard"]} == {"watch.started", "job.completed_with_failures"}
    for body in by_format["slack"]:
        # Slack reads & < > only as what begins a mention, a link or an entity.
        assert not re.search(r"<|>|&(?!(amp|lt|gt);)", json.dumps(body, ensure_ascii=False)), body
    for body in by_format["discord"]:
        assert body["allowed_mentions"] == {"parse": []}
    for body in by_format["pagerduty"]:
        assert body["payload"]["severity"] in ("warning", "info")
    for body in by_format["template"]:
        assert set(body) == {"text", "id"}
