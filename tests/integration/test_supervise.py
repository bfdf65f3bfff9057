"""What systemd is told (sd_notify), word for word: readiness, reloads, the watchdog, the end, and the status line."""

from __future__ import annotations

import os
import queue
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import DEADLINE, DELETE, Daemon, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Receiver

FAST = "interval = 200ms idle-interval = 300ms full-sweep-interval = 3s budget = 100%"
STATUS = re.compile(r"(?P<jobs>\d+) jobs, (?P<active>\d+) active in 1 family; last sweep (none yet|\d\d:\d\d:\d\dZ), next [\d-]{2}:[\d-]{2}:[\d-]{2}Z; "
                    r"budget (?P<spent>\d+) of 3500/min; (?P<queued>\d+) queued(, (?P<failed>\d+) failed)?$")


class Manager:
    """Stands where systemd does: a socket that takes the notifications. As systemd, it takes them when they come: a sender waits while ten
    are not taken."""

    def __init__(self, path: Path) -> None:
        self.path, self.told = path, list[str]()
        self._queue: queue.Queue[str] = queue.Queue()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _take(self) -> None:
        while text := self._socket.recv(8192).decode():
            self._queue.put(text)

    def next(self, timeout: float = DEADLINE) -> str | None:
        """The next notification, None when there is none for so long."""
        try:
            self.told.append(self._queue.get(timeout=timeout))
        except queue.Empty:
            return None
        return self.told[-1]

    def rest(self) -> list[str]:
        """All that were sent until now and not looked at yet."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"that is all", str(self.path))
        return list(iter(self.next, "that is all"))

    def wait(self, pattern: str) -> re.Match[str]:
        """Until a notification is this one."""
        while (text := self.next()) is not None:
            if found := re.fullmatch(pattern, text, re.DOTALL):
                return found
        raise TimeoutError(f"{pattern!r} is not in {self.told}")

    def wait_status(self, **figures: str) -> str:
        """Until STATUS= has these figures; what stands before them is the problem."""
        while True:
            text = self.wait("STATUS=(.*)")[1]
            problem, _, rest = text.rpartition(" | ")
            found = STATUS.match(rest)
            assert found, text
            if all(found[name] == value for name, value in figures.items()):
                return problem


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def start(place: Place, manager: Manager, watchdog: str = "", **parts: str) -> Daemon:
    place.write(account=FAST, **parts)
    return place.daemon(env={"NOTIFY_SOCKET": str(manager.path)} | ({"WATCHDOG_USEC": watchdog} if watchdog else {}))


def test_start_and_stop(place: Place, acct: Any, sim: SimKlaviyo, manager: Manager) -> None:
    acct.add_many(DELETE, 30, active=10)
    daemon = start(place, manager)
    manager.wait("READY=1")
    assert manager.told == ["EXTEND_TIMEOUT_USEC=600000000", "READY=1"], "a migration may take long"
    assert "last sweep none yet" in manager.wait("STATUS=(.*)")[1]
    manager.wait_status(jobs="30", active="10", queued="0")
    assert daemon.stop() == 0
    manager.wait("STOPPING=1")
    assert manager.rest() == [], "nothing comes after it"


def test_no_readiness_without_a_key(place: Place, manager: Manager) -> None:
    (place.path / "api-key").unlink()
    assert start(place, manager).process.wait(DEADLINE) == 2
    assert not [text for text in manager.rest() if "READY" in text]


def test_reload(place: Place, acct: Any, sim: SimKlaviyo, manager: Manager) -> None:
    daemon = start(place, manager)
    manager.wait("READY=1")
    good = place.config.read_text()
    for text in (good + "\n", "account {", good):
        place.config.write_text(text)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        daemon.reload()
        said = manager.wait("RELOADING=1\nMONOTONIC_USEC=([0-9]+)")
        assert before <= int(said[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, "systemd pairs it with its own clock"
        manager.wait("READY=1")
    assert daemon.stop() == 0


def test_the_watchdog_is_fed_by_finished_turns_only(place: Place, acct: Any, sim: SimKlaviyo, manager: Manager) -> None:
    """A turn that does not end (here it waits for a configuration out of a pipe) looks like one to the watchdog."""
    daemon = start(place, manager, watchdog="200000")
    for _ in range(5):
        manager.wait("WATCHDOG=1")
    good = place.config.read_text()
    place.config.unlink()
    os.mkfifo(place.config)
    daemon.reload()
    manager.wait("RELOADING=1\n.*")
    assert manager.next(1.0) is None
    place.config.write_text(good)
    manager.wait("READY=1")
    manager.wait("WATCHDOG=1")
    assert daemon.stop() == 0


def test_nobody_asked_for_a_watchdog(place: Place, acct: Any, sim: SimKlaviyo, manager: Manager) -> None:
    start(place, manager)
    manager.wait_status(jobs="0", queued="0")
    began = len(sim.requests)
    wait_for(lambda: len(sim.requests) > began + 10)
    assert not [text for text in manager.rest() if "WATCHDOG" in text]


def test_the_status_is_true(place: Place, acct: Any, sim: SimKlaviyo, manager: Manager, receiver: Receiver) -> None:
    job = acct.add_many(DELETE, 30, active=10)[-1]
    start(place, manager, webhook=receiver.url)
    assert manager.wait_status(jobs="30", active="10", queued="0") == ""
    receiver.fault("status", times=None, status=503)
    acct.set(job, status="complete")
    assert manager.wait_status(active="9", queued="1") == ""
    receiver.clear_faults()
    manager.wait_status(queued="0")
    receiver.fault("status", times=1, status=400)
    acct.add_job(DELETE, id="NEW", status="complete")
    manager.wait_status(jobs="31", queued="0", failed="1")
    sim.fault("status", times=None, status=503)
    while "HTTP 503" not in manager.wait_status():
        pass
    sim.clear_faults()
    while manager.wait_status() != "":
        pass
