"""Webhooks through the program as it is: test-webhook, replay, secrets that rotate."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from conftest import DEADLINE, DELETE, PROGRAM, SECRET, WRAPPER, Place, starved, wait_for
from klaviyo import SimKlaviyo
from receiver import Delivery, Receiver
from tls import Certificates

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


# ---- TLS with a certificate of ours ----

def client_pem(place: Place, name: str, leaf: Any, mode: int = 0o600) -> Path:
    pems = [*leaf.cert_chain_pems, leaf.private_key_pem]
    return place.secret(name, b"".join(pem.bytes() for pem in pems).decode(), mode)


def test_client_certificate(place: Place, certificates: Certificates) -> None:
    context = certificates.context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.ca_file)
    fine = client_pem(place, "client.pem", certificates.ca.issue_cert("klv-jobwatch.example"))
    with Receiver([SECRET], tls=context) as receiver:
        ca = f'ca-file = "{certificates.ca_file}"'

        def attempt(more: str) -> subprocess.CompletedProcess[str]:
            place.write(webhook=receiver.url)
            text = place.config.read_text()
            place.config.write_text(text.replace("retry-base", f"{ca} {more} retry-base"))
            return plain(place, "test-webhook", "ops")
        assert attempt("").returncode == 1
        assert receiver.deliveries == []
        done = attempt(f'client-cert-file = "{fine}"')
        assert done.returncode == 0, done.stdout + done.stderr
        assert [d.verified for d in receiver.deliveries] == [True]
        # What is wrong is said before anything is sent.
        key = fine.read_text()
        end = key.rindex("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        certificate = key[:end]
        mixed = certificate + "\n" + Path(certificates.files("good")[1]).read_text()
        for name, content, mode, said in (("open.pem", key, 0o644, "chmod 600"), ("no-key.pem", certificate, 0o600, "no private key"),
                                          ("mixed.pem", mixed, 0o600, "do not belong together"), ("noise.pem", "noise", 0o600, "no certificate")):
            done = attempt(f'client-cert-file = "{place.secret(name, content, mode)}"')
            assert done.returncode == 2 and said in done.stderr and "PRIVATE KEY" not in done.stderr, done.stderr
        assert len(receiver.deliveries) == 1


# ---- isolation ----

class Loris:
    """Takes connections and answers with a byte now and then, so that none of them ever ends by itself."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.setblocking(False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._trickle)
        self.port, self.taken = self._listener.getsockname()[1], 0

    def __enter__(self) -> "Loris":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _trickle(self) -> None:
        open_ones: list[socket.socket] = []
        answer = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100000
        sent = 0
        while not self._over.wait(0.05):
            with contextlib.suppress(BlockingIOError):
                open_ones.append(self._listener.accept()[0])
                self.taken += 1
            for one in open_ones:
                with contextlib.suppress(OSError):
                    one.send(answer[sent % 20:][:1])
            sent += 1
        for one in open_ones:
            one.close()


def waiting(place: Place, sink: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{place.state}/klv-jobwatch.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(*) FROM deliveries WHERE state = 0 AND sink = ?", (sink,)).fetchone()[0]


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def time_of(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def watch_for_a_while(place: Place, sim: SimKlaviyo, acct: Any, arrived: list[tuple[float, Delivery]], n: int) -> tuple[list[float], list[float]]:
    """One job after the other ends while the daemon runs; how late each was told, from its sight to its arrival, and the time between sweeps:
    seconds, without those in which daemon or test were ready to run and other processes had all cores."""
    jobs = acct.add_many(DELETE, n, active=n)
    daemon = place.daemon()
    daemon.wait_line("watching 1 accounts")
    wait_for(lambda: any(r.query.get("filter") for r in sim.requests))
    arrived.clear()
    sim.clear_requests()
    late, began = [], starved(daemon.process.pid)
    for job in jobs:
        before = starved(daemon.process.pid)
        acct.set(job, status="complete", completed=100)
        at, told = wait_for(lambda: next(((at, d) for at, d in arrived if d.path == "/hook" and job in str(d.json["data"]["job"])), None))
        late.append(at - time_of(told.json["timestamp"]) - (starved(daemon.process.pid) - before))
    lacked = starved(daemon.process.pid) - began
    assert daemon.stop() == 0
    sweeps = [r.at for r in sim.requests if "processing" in r.query.get("filter", "")]
    return late, [b - a - lacked / len(sweeps) for a, b in zip(sweeps, sweeps[1:])]


def test_the_healthy_one_beside_a_dead_and_a_slow_one(place: Place, sim: SimKlaviyo, acct: Any) -> None:
    arrived: list[tuple[float, Delivery]] = []
    with Receiver([SECRET], on_delivery=lambda d: arrived.append((time.time(), d))) as receiver, Loris() as loris, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and never listens; nobody else is given the port
        dead = unused.getsockname()[1]
        account = f'account "main" {{ api-key-file = "{place.path}/api-key" budget = 100% interval = 200ms idle-interval = 200ms }}\n'

        def hook(name: str, url: str) -> str:
            return f"""webhook "{name}" {{ url = "{url}" secret-file = "{place.path}/webhook.secret" events = {{ "job.*" }} timeout = 60s
                       concurrency = 32 retry-base = 50ms retry-max = 1s }}\n"""
        healthy = hook("ops", receiver.url)
        place.write(accounts=account + healthy)
        place.once()
        alone, steady = watch_for_a_while(place, sim, acct, arrived, 30)
        # Two that have a long queue each, and one more on the healthy one's own host and port that never answers.
        receiver.fault("drop", match=lambda d: d.path == "/hook-stuck", times=None)
        bad = hook("dead", f"http://127.0.0.1:{dead}/x") + hook("loris", f"http://127.0.0.1:{loris.port}/x") + hook("stuck", receiver.url + "-stuck")
        place.write(accounts=account + bad)
        many = acct.add_many(DELETE, 1000, active=1000)
        place.once()
        for job in many:
            acct.set(job, status="complete", completed=100)
        daemon = place.daemon()
        wait_for(lambda: waiting(place, "hook:dead") == waiting(place, "hook:loris") == waiting(place, "hook:stuck") == 1000)
        assert daemon.stop() == 0
        place.write(accounts=account + bad + healthy)
        taken = loris.taken
        beside, sweeps = watch_for_a_while(place, sim, acct, arrived, 30)
        assert loris.taken > taken  # it was busy with them all the time
        assert [d.path for _, d in arrived if d.path == "/hook"] == ["/hook"] * 30
    figures = {"p99 alone": percentile(alone, 0.99), "p99 beside": percentile(beside, 0.99),
               "sweeps alone": percentile(steady, 0.5), "sweeps beside": percentile(sweeps, 0.5)}
    print({name: f"{value * 1000:.0f} ms" for name, value in figures.items()})
    # The dead and the slow ones would hold up for their time-outs, which are 60 s; a loaded machine for less than this.
    assert figures["p99 beside"] < max(1.0, 10 * figures["p99 alone"])
    assert figures["sweeps beside"] < 2 * max(figures["sweeps alone"], 0.2), "the interval is 200 ms"
