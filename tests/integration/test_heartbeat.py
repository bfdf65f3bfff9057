"""The dead man's switch: pinged while sweeps are good, /fail when they are not."""

from __future__ import annotations

from typing import Any

from conftest import DEADLINE, KEY, Place
from klaviyo import SimKlaviyo
from receiver import Receiver

PATH = "/ping/uuid-that-nobody-may-see"


def configure(place: Place, receiver: Receiver, every: str = "200ms") -> None:
    url = receiver.url.removesuffix("/hook") + PATH
    place.write(account="interval = 100ms idle-interval = 100ms budget = 100%", alerts="unreachable-after = 3s",
                top=f'heartbeat {{ url = "{url}?rid=1" every = {every} }}')


def pings(receiver: Receiver) -> list[str]:
    """Each ping once, and the same in a row once: "good", "fail"."""
    names = {f"{PATH}?rid=1": "good", f"{PATH}/fail?rid=1": "fail"}
    seen: list[str] = []
    for delivery in receiver.deliveries:
        name = names[delivery.target]
        if not seen or seen[-1] != name:
            seen.append(name)
    return seen


def test_a_life(place: Place, sim: SimKlaviyo, acct: Any, receiver: Receiver) -> None:
    configure(place, receiver)
    daemon = place.daemon()
    receiver.wait_accepted(3, DEADLINE)
    assert pings(receiver) == ["good"]
    assert {d.method for d in receiver.deliveries} == {"GET"}
    with sim.refusing():
        receiver.wait_for(lambda: pings(receiver) == ["good", "fail"], DEADLINE, "a failure")
        before = len(receiver.deliveries)
        receiver.wait_accepted(before + 2, DEADLINE)  # and so on
        assert pings(receiver) == ["good", "fail"]
    receiver.wait_for(lambda: pings(receiver) == ["good", "fail", "good"], DEADLINE, "good pings again")
    acct.revoke(KEY)
    receiver.wait_for(lambda: pings(receiver) == ["good", "fail", "good", "fail"], DEADLINE, "a refused key")
    assert daemon.stop() == 0
    n = len(receiver.deliveries)
    assert "uuid-that" not in daemon.text()
    assert len(receiver.deliveries) == n  # the end is silence


def test_a_switch_that_fails(place: Place, acct: Any, receiver: Receiver) -> None:
    """It is said once and delays nothing; a reload takes another address or none."""
    configure(place, receiver)
    receiver.fault("status", status=503, body="", times=None)
    daemon = place.daemon()
    daemon.wait_line("heartbeat: http://127.0.0.1:[0-9]+ answers HTTP 503, trying again")
    receiver.wait_for(lambda: len(receiver.deliveries) >= 4, DEADLINE, "more tries")
    receiver.clear_faults()
    daemon.wait_line("heartbeat: http://127.0.0.1:[0-9]+ takes pings again")
    assert daemon.text().count("answers HTTP 503") == 1
    assert "uuid-that" not in daemon.text()
    place.write(account="interval = 100ms")
    daemon.reload()
    daemon.wait_line("configuration reloaded")
    sent = len(receiver.deliveries)
    configure(place, receiver)
    daemon.reload()
    receiver.wait_for(lambda: len(receiver.deliveries) > sent + 1, DEADLINE, "pings after the reload")
    assert daemon.stop() == 0


def test_a_change_does_not_wait(place: Place, sim: SimKlaviyo, acct: Any, receiver: Receiver) -> None:
    configure(place, receiver, "1h")
    daemon = place.daemon()
    receiver.wait_accepted(1, DEADLINE)
    sim.refuse()
    receiver.wait_for(lambda: pings(receiver) == ["good", "fail"], DEADLINE, "a failure")
    sim.accept()
    receiver.wait_for(lambda: pings(receiver) == ["good", "fail", "good"], DEADLINE, "good again")
    assert len(receiver.deliveries) == 3
    assert daemon.stop() == 0


def test_mistakes(place: Place) -> None:
    for section, said in (("every = 1m", "url is needed"), ('url = "http://example.com/x"', "url"), ('url = "https://h/x" every = 0s', "every")):
        place.write(top=f"heartbeat {{ {section} }}")
        done = place.check_config()
        assert done.returncode == 2 and said in done.stderr and "klv-jobwatch.conf:2" in done.stderr
    place.write(top='heartbeat { url = "https://h.example/secret-uuid" }')
    done = place.check_config()
    assert done.returncode == 0 and "heartbeat: https://h.example, every 1m" in done.stdout
