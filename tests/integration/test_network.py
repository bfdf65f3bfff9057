"""What networks and servers do wrong: none of it makes an event, loses one, or hands the key to somebody else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, DELETE, KEY, PROGRAM, SECRET, WRAPPER, Place
from goaway import MANNERS, BreakingHttp2
from klaviyo import SimKlaviyo
from test_hostile import answer_with, job_events

NEEDS_NAMESPACE = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
                                     reason="a resolver of its own needs a network of its own: root, unshare and ip")


def job_ids(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(e["type"], e["job"]["id"]) for e in events]


# ---- TLS ----

@pytest.mark.parametrize("kind", ["expired", "wrong-host", "self-signed", "other-ca"])
def test_a_bad_certificate_gets_no_key(tmp_path: Any, certificates: Any, kind: str) -> None:
    with SimKlaviyo(manual=True, tls=certificates.context(kind)) as sim:
        sim.account(KEY).add_job(DELETE, id="T", status="processing")
        place = Place(tmp_path, sim.url)
        place.write(top=f'ca-file = "{certificates.ca_file}"')
        done = place.run("once", "--json")
        assert done.returncode == 1 and done.stdout == ""
        assert "certificate" in done.stderr.lower() or "ssl" in done.stderr.lower()
        assert sim.requests == [] and KEY not in done.stderr


def test_a_bad_certificate_of_a_receiver_gets_no_event(tmp_path: Any, sim: SimKlaviyo, acct: Any, certificates: Any) -> None:
    from receiver import Receiver
    with Receiver([SECRET], tls=certificates.context("wrong-host")) as receiver:
        place = Place(tmp_path, sim.url)
        place.write(webhook=receiver.url, top=f'ca-file = "{certificates.ca_file}"')
        place.run("once", "--json")
        assert receiver.deliveries == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_tls_version_is_refused(tmp_path: Any, certificates: Any) -> None:
    import ssl
    context = certificates.context(minimum=ssl.TLSVersion.TLSv1)
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with SimKlaviyo(manual=True, tls=context) as sim:
        place = Place(tmp_path, sim.url)
        place.write(top=f'ca-file = "{certificates.ca_file}"')
        assert place.run("once", "--json").returncode == 1
        assert sim.requests == []


def as_system_authorities(folder: Any, hashed: list[str], bundled: list[str]) -> None:
    """Fills a folder as /etc/ssl/certs is: a file for each authority, named by its hash, and all in one file."""
    folder.mkdir()
    for n, path in enumerate(hashed):
        shutil.copy(path, folder / f"authority-{n}.pem")
    subprocess.run(["openssl", "rehash", str(folder)], check=True, stderr=subprocess.DEVNULL)
    (folder / "ca-certificates.crt").write_text("".join(open(path).read() for path in bundled))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="authorities of its own in the system's place need root and unshare")
@pytest.mark.parametrize("hashed,bundled,ca_file,trusted", [
    (["ours"], ["other"], None, True),
    (["other"], ["ours"], None, True),  # put into the file by hand, without update-ca-certificates
    ([], ["ours"], None, True),
    (["other"], ["other"], None, False),
    (["other"], ["other"], "ours", True),
    (["ours"], ["ours"], "other", False),
], ids=["in-the-folder", "in-the-file-only", "no-folder", "unknown", "own-file", "own-file-and-no-other"])
def test_whom_it_trusts(tmp_path: Any, certificates: Any, hashed: list[str], bundled: list[str], ca_file: str | None, trusted: bool) -> None:
    import trustme
    paths = {"ours": certificates.ca_file, "other": str(tmp_path / "other.pem")}
    trustme.CA().cert_pem.write_to_path(paths["other"])
    as_system_authorities(tmp_path / "certs", [paths[name] for name in hashed], [paths[name] for name in bundled])
    with SimKlaviyo(manual=True, tls=certificates.context()) as sim:
        sim.account(KEY).add_job(DELETE, id="T", status="processing")
        place = Place(tmp_path, sim.url)
        place.write(top=f'ca-file = "{paths[ca_file]}"' if ca_file else "")
        done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/ssl/certs && exec "$@"', str(tmp_path / "certs"),
                               *WRAPPER, str(PROGRAM), "once", "--json", "--config", str(place.config), "--state", str(place.state)],
                              capture_output=True, text=True, timeout=DEADLINE)
        assert (done.returncode == 0) == trusted, done.stderr
        assert bool(sim.requests) == trusted


# ---- HTTP/2 ----

@pytest.mark.parametrize("manner", [m for m in MANNERS if m != "answer"])
def test_http2_breaks_off_within_a_sweep(tmp_path: Any, acct: Any, sim: SimKlaviyo, certificates: Any, manner: str) -> None:
    ids = acct.add_many(DELETE, 350, active=350)
    broken = {1, 6}  # one of the baseline's pages, and one of the next sweep's
    with BreakingHttp2(sim.port, certificates, lambda n: manner if n in broken else "answer") as front:
        place = Place(tmp_path, front.url)
        place.write(top=f'ca-file = "{certificates.ca_file}"')
        (started,) = place.once()
        assert started["type"] == "watch.started" and started["jobs_known"] == 350
        acct.set(ids[0], status="complete")
        acct.set(ids[-1], status="cancelled")
        assert sorted(job_ids(place.once())) == sorted([("job.completed", ids[0]), ("job.cancelled", ids[-1])])
        assert place.once() == []
        assert front.requests > max(broken)


# ---- names ----

def run_with_resolver(place: Place, resolv_conf: str, hosts: str = "") -> subprocess.CompletedProcess[str]:
    """`once` in a network of its own with such a resolver configuration."""
    (place.path / "resolv.conf").write_text(resolv_conf)
    (place.path / "hosts").write_text(hosts)
    script = ('ip link set lo up && ip route add 192.0.2.1 dev lo && mount --bind "$0/resolv.conf" /etc/resolv.conf && '
              'mount --bind "$0/hosts" /etc/hosts && exec "$@"')
    return subprocess.run(["unshare", "--mount", "--net", "sh", "-c", script, str(place.path), str(PROGRAM), "once", "--json",
                           "--config", str(place.config), "--state", str(place.state)], capture_output=True, text=True, timeout=DEADLINE)


@NEEDS_NAMESPACE
@pytest.mark.parametrize("resolv_conf,said", [
    pytest.param("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "resolve", id="refused"),
    pytest.param("nameserver 192.0.2.1\noptions timeout:30 attempts:5\n", "time", id="hangs"),
])
def test_a_name_that_does_not_resolve(place: Place, resolv_conf: str, said: str) -> None:
    place.api_url = "https://api.example.com"
    place.write(top="request-timeout = 1s connect-timeout = 1s")
    done = run_with_resolver(place, resolv_conf)
    assert done.returncode == 1 and job_events(done.stdout) == []
    assert said in done.stderr.lower() and "api.example.com" in done.stderr and KEY not in done.stderr


# ---- sizes and lengths ----

def test_a_length_that_is_too_short_does_not_poison_the_next_answer(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    """What is left of the body stands in the connection where the next answer's head should begin."""
    ids = acct.add_many(DELETE, 250, active=250)
    sim.gzip = False
    place.write()
    place.once()
    for n, delta in enumerate((-1, -50, -500)):
        acct.set(ids[n], status="complete")
        sim.fault("content_length", delta=delta)
        assert job_ids(place.once()) == [("job.completed", ids[n])]


@pytest.mark.parametrize("kind,params", [("slow", {"chunk": 1, "pause": 0.05}), ("delay", {"delay": 20}), ("slow", {"body_delay": 20}), ("drop", {})],
                         ids=["slow-body", "slow-head", "stops-behind-the-head", "silent"])
def test_slow_answers_are_given_up(place: Place, acct: Any, sim: SimKlaviyo, kind: str, params: dict[str, Any]) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    place.write(top="request-timeout = 300ms")
    sim.fault(kind, times=None, **params)
    done = place.run("once", "--json")
    assert done.returncode == 1 and job_events(done.stdout) == [] and "time" in done.stderr.lower()


# ---- answers that are somebody else's ----

OTHER_SHAPES = [
    pytest.param({"data": {"type": "account", "id": "ABC123", "attributes": {"test_account": False}}}, id="an-account"),
    pytest.param({"data": [{"type": "list", "id": "Y6nRLr", "attributes": {"name": "Newsletter", "created": "2022-11-08T00:00:00+00:00"}}]}, id="lists"),
    pytest.param({"data": [{"type": "catalog-item-bulk-create-job", "id": "A", "attributes": {"status": "complete", "total_count": 1}}]}, id="another-family"),
    pytest.param([{"id": "A", "status": "complete"}], id="a-bare-list"),
    pytest.param({"jobs": [{"id": "A", "status": "complete"}], "next": None}, id="another-api"),
    pytest.param({"errors": [{"status": 500, "title": "An error, but with status 200"}]}, id="errors"),
    pytest.param({"data": [], "errors": [{"title": "partly"}], "links": {"next": 7}}, id="a-number-as-next"),
]


@pytest.mark.parametrize("body", OTHER_SHAPES)
def test_another_shape_ends_no_job(place: Place, acct: Any, sim: SimKlaviyo, body: Any) -> None:
    """Absence from such a list, and a look that shows such a thing, say nothing of a job."""
    acct.add_job(DELETE, id="A", status="processing")
    place.write()
    place.once()
    answer_with(sim, json.dumps(body).encode())
    assert job_events(place.run("once", "--json").stdout) == []
    sim.clear_faults()
    acct.set("A", status="complete")
    assert job_ids([e for e in place.once() if e["type"].startswith("job.")]) == [("job.completed", "A")]


def test_a_look_that_shows_another_job_is_not_believed(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    acct.add_job(DELETE, id="A", status="processing")
    acct.add_job(DELETE, id="B", status="processing")
    place.write()
    place.once()
    sim.fault("lose", times=None, jobs=["A"])
    sim.fault("raw", match=lambda r: r.job_id == "A", times=None, body=json.dumps(
        {"data": {"type": DELETE, "id": "B", "attributes": {"status": "cancelled", "created_at": "2026-11-24T08:00:00+00:00", "total_count": 1}}}))
    assert job_events(place.run("once", "--json").stdout) == []


# ---- another clock ----

@pytest.mark.parametrize("skew", [5 * 3600, -5 * 3600, 10 * 365 * 86400, -10 * 365 * 86400], ids=["+5h", "-5h", "+10y", "-10y"])
def test_the_servers_clock_is_off(place: Place, acct: Any, sim: SimKlaviyo, skew: float) -> None:
    """A job that ran between two sweeps is told, whatever the Date of the answers; none from before the watch is."""
    acct.add_job(DELETE, id="OLD", status="complete")
    acct.add_job(DELETE, id="RUNS", status="processing")
    sim.date_skew = skew
    place.write()
    assert [e["type"] for e in place.once()] == ["watch.started"]
    sim.advance(60)
    acct.add_job(DELETE, id="SHORT", status="complete")
    acct.set("RUNS", completed=1)
    assert job_ids(place.once()) == [("job.completed", "SHORT")]


# ---- many at once ----

def test_many_families_at_once_make_no_storm_of_connections(tmp_path: Path, sim: SimKlaviyo) -> None:
    """Those beyond the connections that are open at a time wait for one of them, and none is forgotten."""
    place = Place(tmp_path, sim.url)
    accounts = []
    for n in range(20):
        sim.account(f"pk_{n}").add_job(DELETE, id=f"J{n}", status="processing")
        key = place.secret(f"key-{n}", f"pk_{n}")
        accounts.append(f'account "a{n}" {{ api-key-file = "{key}" jobs = {{ "*" }} }}')
    place.write(accounts="\n".join(accounts))
    sim.fault("delay", delay=0.2, times=None)
    started = [event for event in place.once() if event["type"] == "watch.started"]
    assert len(started) == len(sim.requests) == 20 * 13
    assert sim.connections <= 128
