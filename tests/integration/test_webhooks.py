"""Webhooks through the program as it is: test-webhook, replay, secrets that rotate."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

from conftest import DEADLINE, DELETE, PROGRAM, SECRET, WRAPPER, Place, wait_for
from receiver import Receiver

OTHER = "whsec_" + base64.b64encode(b"another secret, of thirty bytes").decode()


def plain(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that takes no --state."""
    return subprocess.run([*WRAPPER, str(PROGRAM), *words, "--config", str(place.config)], capture_output=True, text=True, timeout=DEADLINE)


def configure(place: Place, receiver: Receiver, more: str = "") -> None:
    place.write(accounts=f'account "main" {{ api-key-file = "{place.path}/api-key" interval = 200ms }}\n' + more + f"""
webhook "ops" {{ url = "{receiver.url}" secret-file = "{place.path}/webhook.secret" events = {{ "job.*" }}
                retry-base = 50ms retry-max = 500ms }}
""")


def prepare(place: Place, acct: Any, receiver: Receiver, n: int = 3) -> None:
    """n jobs that ended, and a webhook that refused to hear of them."""
    configure(place, receiver)
    jobs = acct.add_many(DELETE, n, active=n)
    place.once()
    for job in jobs:
        acct.set(job, status="complete", completed=100)
    receiver.statuses(*[400] * n)
    events = [event["type"] for event in place.once()]
    assert sorted(events) == ["delivery.failed"] * n + ["job.completed"] * n
    assert [d.status for d in receiver.deliveries] == [400] * n


def told(receiver: Receiver) -> list[str | None]:
    return sorted(d.id for d in receiver.accepted)


# ---- test-webhook ----

def test_test_webhook_sends_one_signed_event(place: Place, receiver: Receiver) -> None:
    configure(place, receiver)
    done = plain(place, "test-webhook", "ops")
    assert done.returncode == 0, done.stderr
    assert "webhook ops: taken, HTTP 204" in done.stdout
    [delivery] = receiver.deliveries
    assert delivery.verified and delivery.json["type"] == "test"
    assert "nothing happened" in delivery.json["data"]["message"]
    assert list(place.state.iterdir()) == []
    # Each has an id of its own, or a receiver would drop it.
    assert plain(place, "test-webhook", "ops").returncode == 0
    assert len({d.id for d in receiver.deliveries}) == 2


def test_test_webhook_says_what_is_wrong(place: Place, receiver: Receiver) -> None:
    configure(place, receiver)
    for status, hint in ((301, "redirects are not followed"), (401, "same secret"), (410, "new url"), (500, "HTTP 500")):
        receiver.statuses(status)
        done = plain(place, "test-webhook", "ops")
        assert done.returncode == 1 and "NOT taken" in done.stdout and hint in done.stdout, done.stdout
    receiver.refuse()
    done = plain(place, "test-webhook", "ops", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["status"] == 0 and "taken" not in answer
    assert "/hook" not in done.stdout + done.stderr
    done = plain(place, "test-webhook", "osp")
    assert done.returncode == 2 and 'did you mean "ops"?' in done.stderr
    assert plain(place, "test-webhook").returncode == 2


def test_two_secrets_while_rotating(place: Place, receiver: Receiver) -> None:
    configure(place, receiver)
    place.secret("webhook.secret", f"{OTHER}\n{SECRET}")
    for secrets in ([SECRET], [OTHER], [SECRET, OTHER]):
        receiver.secrets = secrets
        assert plain(place, "test-webhook", "ops").returncode == 0
    assert [d.problem for d in receiver.deliveries] == [None] * 3
    assert all(len(d.headers["webhook-signature"].split(" ")) == 2 for d in receiver.deliveries)
    receiver.secrets = ["whsec_" + base64.b64encode(b"none of the two, also thirty b.").decode()]
    plain(place, "test-webhook", "ops")
    assert receiver.deliveries[-1].problem == "no signature matches"


# ---- replay ----

def test_replay_of_what_was_given_up(place: Place, acct: Any, receiver: Receiver) -> None:
    prepare(place, acct, receiver)
    refused = sorted(d.id for d in receiver.deliveries)
    done = place.run("replay", "--failed")
    assert done.returncode == 0, done.stderr
    assert "webhook ops: 3 events" in done.stdout and "as soon as klv-jobwatch runs" in done.stdout
    assert place.run("replay", "--failed").returncode == 1  # they wait already
    place.once()
    assert told(receiver) == refused
    assert place.run("replay", "--failed").returncode == 1  # none is left


def test_replay_wakes_the_daemon(place: Place, acct: Any, receiver: Receiver) -> None:
    prepare(place, acct, receiver)
    daemon = place.daemon()
    daemon.wait_line("watching 1 accounts")
    done = place.run("replay", "--failed")
    assert done.returncode == 0 and "on their way\n" in done.stdout, done.stdout + done.stderr
    receiver.wait_accepted(3, DEADLINE)
    # One event, which was delivered before: the same id and body once more.
    first = receiver.accepted[0]
    wait_for(lambda: place.run("replay", "--event", first.id or "").returncode == 0)
    receiver.wait_accepted(4, DEADLINE)
    assert daemon.stop() == 0
    assert [d.body for d in receiver.accepted if d.id == first.id] == [first.body] * 2
    assert all(d.verified for d in receiver.deliveries)


def test_replay_fills_a_new_webhook(place: Place, acct: Any, receiver: Receiver) -> None:
    prepare(place, acct, receiver)
    configure(place, receiver, f"""webhook "new" {{ url = "{receiver.url}-new" secret-file = "{place.path}/webhook.secret"
                                   events = {{ "job.completed" }} }}""")
    for wrong in (("replay",), ("replay", "--webhook", "new"), ("replay", "--since", "soon"), ("replay", "--webhook", "nwe", "--failed")):
        assert place.run(*wrong).returncode == 2, wrong
    done = place.run("replay", "--webhook", "new", "--since", "1h")
    assert done.returncode == 0 and "webhook new: 3 events" in done.stdout
    place.once()
    assert [d.json["type"] for d in receiver.accepted if d.path == "/hook-new"] == ["job.completed"] * 3
    # What a filter leaves out goes only where both were named.
    events = [json.loads(line) for line in place.run("events", "--json").stdout.splitlines()]
    other = next(event["event_id"] for event in events if event["type"] == "watch.started")
    assert place.run("replay", "--event", other).returncode == 1
    assert "webhook new: 1 event\n" in place.run("replay", "--event", other, "--webhook", "new").stdout


def test_replay_beside_a_busy_daemon(place: Place, acct: Any, receiver: Receiver) -> None:
    """Events are put back again and again while the daemon delivers them: neither fails, and nothing is lost."""
    prepare(place, acct, receiver, 40)
    refused = {d.id for d in receiver.deliveries}
    daemon = place.daemon()
    daemon.wait_line("watching 1 accounts")
    for _ in range(20):
        done = place.run("replay", "--since", "1h")
        assert done.returncode == 0 or "nothing to send" in done.stderr, done.stderr
    receiver.wait_for(lambda: {d.id for d in receiver.accepted} == refused, DEADLINE, "all of them")
    assert "not being saved" not in daemon.text()
    assert daemon.stop() == 0
