"""A disk that is full, read-only or broken, and state that is damaged or taken away: alerts go on, nothing is lost, nothing made up."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from conftest import RUNS, SEED
from harness import BUILD, DEADLINE, DELETE, KEY, PROGRAM, Daemon, Place, wait_for
from klaviyo import SimKlaviyo, error
from receiver import Receiver
from history import Ledger

SHIM = BUILD / "disk_shim.so"
FAST = "budget = 100% interval = 100ms idle-interval = 100ms full-sweep-interval = 1s"
ALL = 1 << 30
PARTS = 4  # for workers to share


@pytest.fixture
def sim() -> Iterator[SimKlaviyo]:
    """Hundreds of lives whose state, the ledger too, is put back spend more than an account may."""
    with SimKlaviyo(limits={"*": (100000, 1000000)}) as server:
        yield server


class Disk:
    """The disk under one place's state directory."""

    def __init__(self, place: Place) -> None:
        self.control, self.log = place.path / "disk", place.path / "disk.log"
        self.env = {"LD_PRELOAD": str(SHIM), "KLV_DISK_DIR": str(place.state), "KLV_DISK_CONTROL": str(self.control),
                    "KLV_DISK_LOG": str(self.log)}
        assert SHIM.exists(), f"{SHIM} is missing: make torture-build"

    def breaks(self, number: int, calls: str = "ws", first: int = 1, count: int = ALL) -> None:
        new = self.control.with_suffix(".new")
        new.write_text(f"{calls} {number} {first} {count}")
        new.rename(self.control)

    def mend(self) -> None:
        self.control.unlink(missing_ok=True)

    def calls(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


def lines_of(text: str, kind: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(rf"Z +\w+ +{re.escape(kind)} ", line)]


def told(receiver: Receiver, kind: str) -> list[dict[str, Any]]:
    """Each once, by its id."""
    events = {d.id: d.json for d in receiver.accepted if d.json["type"] == kind}
    return list(events.values())


def start(place: Place, receiver: Receiver, **daemon: Any) -> Daemon:
    place.write(webhook=receiver.url, account=FAST)
    process = place.daemon(**daemon)
    wait_for(lambda: told(receiver, "watch.started"))
    return process


def tell_the_journal_only(acct: Any, receiver: Receiver, daemon: Daemon) -> None:
    """While the store fails, alerts reach the journal, with the fact that they are not saved."""
    acct.set("A", status="complete", completed=90, failed=10, errors=[error(detail="No such category.")])
    line = daemon.wait_line("job.completed_with_failures")
    assert "No such category." in line
    daemon.wait_line("state is not being saved, alerts go to the journal only")
    acct.set("B", status="cancelled")
    daemon.wait_line("job.cancelled")
    acct.add_job(DELETE, id="C", status="complete")
    daemon.wait_line(r"job.completed .*\bC\b")
    assert not any(told(receiver, kind) for kind in ("job.completed_with_failures", "job.cancelled", "job.completed"))


def alerts_go_on(place: Place, acct: Any, receiver: Receiver, daemon: Daemon, breaks: Callable[[], None], mend: Callable[[], None]) -> None:
    """The journal has each once; when the disk is back the webhook too, under the id that a restart knows."""
    breaks()
    tell_the_journal_only(acct, receiver, daemon)
    mend()
    wait_for(lambda: all(told(receiver, kind) for kind in ("job.completed_with_failures", "job.cancelled", "job.completed")))
    daemon.wait_line("state is being saved again")
    assert told(receiver, "job.completed_with_failures")[0]["data"]["errors"][0]["detail"] == "No such category."
    assert daemon.stop() == 0
    for kind in ("job.completed_with_failures", "job.cancelled", "job.completed"):
        assert len(lines_of(daemon.text(), kind)) == 1, daemon.text()
        assert len(told(receiver, kind)) == 1
    done = place.run("once", "--json")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def jobs(acct: Any) -> None:
    acct.add_job(DELETE, id="A", status="processing", total=100)
    acct.add_job(DELETE, id="B", status="processing", total=100)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_alerts_go_on_while_writing_fails(place: Place, acct: Any, receiver: Receiver, number: int) -> None:
    jobs(acct)
    disk = Disk(place)
    daemon = start(place, receiver, env=disk.env)
    alerts_go_on(place, acct, receiver, daemon, lambda: disk.breaks(number), disk.mend)


def test_what_is_told_was_synced_before(place: Place, acct: Any, receiver: Receiver) -> None:
    """All writes succeed, and no sync does, as before a power cut: what has not reached the disk for certain goes to no webhook."""
    jobs(acct)
    disk = Disk(place)
    daemon = start(place, receiver, env=disk.env)
    alerts_go_on(place, acct, receiver, daemon, lambda: disk.breaks(errno.EIO, "s"), disk.mend)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_alerts_go_on_on_a_real_file_system(place: Place, acct: Any, receiver: Receiver, fault: str) -> None:
    """A tmpfs of 1 MiB that is filled to the last byte; or one whose backing is made immutable, which SQLite sees as read-only."""
    jobs(acct)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place.state)], check=True)
    try:
        daemon = start(place, receiver)
        filler = place.state / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as file:
                while True:
                    try:
                        file.write(bytes(4096))
                    except OSError as e:
                        assert e.errno == errno.ENOSPC
                        return
        if fault == "full":
            alerts_go_on(place, acct, receiver, daemon, fill, filler.unlink)
            return
        # What is open for writing stays so; a new process finds a file system that it cannot write to, and says so.
        assert daemon.stop() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(place.state)], check=True)
        done = place.run("once", "--json")
        assert done.returncode == 1 and done.stdout == "" and str(place.state) in done.stderr and "ead-only" in done.stderr
        subprocess.run(["mount", "-o", "remount,rw", str(place.state)], check=True)
        acct.set("A", status="complete")
        assert [e["type"] for e in place.once()] == ["job.completed"]
    finally:
        place.stop()
        subprocess.run(["umount", str(place.state)], check=True)


class Ext4:
    """A file system of its own on the state directory, that can be made to find itself damaged."""

    def __init__(self, place: Place) -> None:
        self._image, self._at = place.path / "image", place.state
        with self._image.open("wb") as file:
            file.truncate(16 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(self._image)], check=True)

    def mount(self) -> None:
        """Skips the test where there are no loop devices, as in some containers."""
        done = subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self._at)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no loop device: {done.stderr.strip()}")

    def goes_read_only(self) -> None:
        device = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", str(self._image)], capture_output=True, text=True, check=True).stdout
        name = Path(device.strip()).name
        assert name.startswith("loop"), "no other file system may be hit"
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def unmount(self) -> None:
        subprocess.run(["umount", str(self._at)], check=True)

    def repair(self) -> None:
        self.unmount()
        assert subprocess.run(["e2fsck", "-f", "-p", str(self._image)], capture_output=True).returncode in (0, 1)
        self.mount()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mkfs.ext4"), reason="mounting needs root, the file system e2fsprogs")
def test_a_file_system_goes_read_only_under_the_daemon(place: Place, acct: Any, receiver: Receiver) -> None:
    """As ext4 does after an error, for good: alerts go on; after the repair a new life tells the webhook, and the journal again."""
    jobs(acct)
    disk = Ext4(place)
    disk.mount()
    try:
        daemon = start(place, receiver)
        before = list(place.state.iterdir())
        disk.goes_read_only()
        tell_the_journal_only(acct, receiver, daemon)
        daemon.wait_line("state is not being saved.*its file system has become read-only")
        assert daemon.stop() == 0
        assert list(place.state.iterdir()) == before
        disk.repair()
        once = {e["event_id"]: e for e in place.once()}
        kinds = ["job.cancelled", "job.completed", "job.completed_with_failures"]
        assert sorted(e["type"] for e in once.values()) == kinds
        for kind in kinds:
            assert len(told(receiver, kind)) == 1 and told(receiver, kind)[0]["data"]["event_id"] in once
            assert len(lines_of(daemon.text(), kind)) == 1, daemon.text()
        assert place.once() == []
    finally:
        place.stop()
        disk.unmount()


def test_memory_is_bounded_while_writing_fails(place: Place, acct: Any, sim: SimKlaviyo) -> None:
    """When 4096 records wait, Klaviyo is not asked any more; what changed since is seen afterwards."""
    active = [acct.add_job(DELETE, id=f"A{i}", status="processing") for i in range(5000)]
    disk = Disk(place)
    place.write(account=FAST)
    place.once()
    daemon = place.daemon(env=disk.env)
    daemon.wait_line("watching")
    disk.breaks(errno.ENOSPC)
    for job in active:
        acct.set(job, status="complete")
    daemon.wait_line("Klaviyo is not asked again", timeout=2 * DEADLINE)
    wait_for(lambda: len(lines_of(daemon.text(), "job.completed")) >= 2000)
    late = acct.add_job(DELETE, id="LATE", status="complete")
    n, tries = len(sim.requests), disk.calls()
    wait_for(lambda: disk.calls() >= tries + 2, what="it goes on trying to write")
    assert len(sim.requests) - n <= 8, "only what was in flight"
    disk.mend()
    wait_for(lambda: len(lines_of(daemon.text(), "job.completed")) == 5001, timeout=2 * DEADLINE)
    assert daemon.stop() == 0
    lines = lines_of(daemon.text(), "job.completed")
    assert len(lines) == len(set(lines)) == 5001
    recorded = [json.loads(line) for line in place.run("events", "--kind", "job.completed", "--json").stdout.splitlines()]
    assert sorted(event["job"]["id"] for event in recorded) == sorted([*active, late])
    assert place.once() == []


def test_a_state_directory_that_is_removed(place: Place, acct: Any, receiver: Receiver) -> None:
    jobs(acct)
    daemon = start(place, receiver)
    alerts_go_on(place, acct, receiver, daemon, lambda: shutil.rmtree(place.state), place.state.mkdir)


def test_a_state_file_that_is_removed_is_written_anew_with_all_it_held(place: Place, acct: Any, receiver: Receiver) -> None:
    jobs(acct)
    daemon = start(place, receiver)
    receiver.refuse()
    acct.set("A", status="complete")
    daemon.wait_line("job.completed")
    for file in place.state.iterdir():
        file.unlink()
    acct.set("B", status="cancelled")
    daemon.wait_line("job.cancelled")
    daemon.kill()
    receiver.accept()

    def both() -> bool:
        place.once()
        return bool(told(receiver, "job.completed") and told(receiver, "job.cancelled"))
    wait_for(both)
    assert (place.state / "klv-jobwatch.db").stat().st_mode & 0o777 == 0o600


def test_a_state_file_that_is_replaced_is_left_alone(place: Place, acct: Any, receiver: Receiver) -> None:
    jobs(acct)
    daemon = start(place, receiver)
    other = place.path / "other"
    other.write_bytes(b"somebody's work")
    shutil.copy(other, place.state / "other")
    (place.state / "other").rename(place.state / "klv-jobwatch.db")
    acct.set("A", status="complete")
    daemon.wait_line("was replaced by another file")
    daemon.wait_line("job.completed")
    assert daemon.stop() == 0
    assert (place.state / "klv-jobwatch.db").read_bytes() == b"somebody's work"


class Once:
    """`once` under one fault a run: an account with a baseline and three changes, whose state is put back before each run."""

    def __init__(self, place: Place, acct: Any, receiver: Receiver) -> None:
        self.place, self.receiver = place, receiver
        jobs(acct)
        acct.add_job(DELETE, id="C", status="queued")
        place.write(webhook=receiver.url, account=FAST, top="connect-timeout = 2s request-timeout = 2s")
        place.once()
        receiver.clear()
        acct.set("A", status="complete", completed=99, failed=1, errors=[error()])
        acct.set("B", status="cancelled")
        acct.add_job(DELETE, id="D", status="complete")
        self.saved = place.path / "saved"
        shutil.copytree(place.state, self.saved)
        self.expected = {("job.completed_with_failures", "A", 1), ("job.cancelled", "B", 0), ("job.completed", "D", 0)}

    def again(self) -> None:
        shutil.rmtree(self.place.state)
        shutil.copytree(self.saved, self.place.state)
        self.receiver.clear()
        self.journal, self.webhook = Ledger("journal"), Ledger("webhook")

    def run(self, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = self._process(env)
        assert done.returncode in (0, 1), (done.returncode, done.stderr)
        assert done.returncode == 0 or done.stderr, "it failed without a word"
        self.hear(done.stdout)
        return done

    def _process(self, env: dict[str, str] | None) -> subprocess.CompletedProcess[str]:
        return self.place.run("once", "--json", env=env)

    def hear(self, out: str) -> None:
        for line in out.split("\n")[:-1]:  # what a crash cut off is no line
            self.journal.add(json.loads(line))
        assert set(self.journal.ids) <= self.expected, "invented"

    def converge(self) -> None:
        """After the fault: all is told, once, under one id."""
        def whole() -> bool:
            done = self.run()
            assert done.returncode == 0, done.stderr
            heard = {d.json["data"]["job"]["id"] for d in self.receiver.accepted}
            return heard >= {"A", "B", "D"} and set(self.journal.ids) >= self.expected
        wait_for(whole, 90)  # an event that a failed read made look damaged is tried again in a minute
        for delivery in self.receiver.accepted:
            self.webhook.add({"type": delivery.json["type"], **delivery.json["data"]})
        self.journal.check(self.expected)
        self.webhook.check(self.expected)


@pytest.fixture
def once_place(place: Place, acct: Any, receiver: Receiver) -> Once:
    return Once(place, acct, receiver)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("forever", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_each_disk_call_fails_in_turn(once_place: Once, number: int, forever: bool, part: int, record_property: Any) -> None:
    disk = Disk(once_place.place)
    calls = "rwso" if number == errno.EIO else "w"
    once_place.again()
    disk.breaks(number, calls, first=ALL)
    once_place.run(disk.env)
    total = disk.calls()
    assert total > 10
    # The quick form takes a sample, which the seed moves.
    step = 1 if RUNS >= 1000 else max(1, total // 12)
    places = range(1 + SEED % step, total + 1, step)[part::PARTS]
    for first in places:
        once_place.again()
        disk.breaks(number, calls, first, ALL if forever else 1)
        once_place.run(disk.env)
        disk.mend()
        try:
            once_place.converge()
        except (AssertionError, TimeoutError) as e:
            raise AssertionError(f"call {first} of {total}") from e
    record_property("disk calls made to fail", len(places))


@pytest.mark.parametrize("seed", range(SEED, SEED + max(4, RUNS // 10)))
def test_a_damaged_state_file(once_place: Once, seed: int, record_property: Any) -> None:
    """Cut, zeroed or scribbled over: it is used or refused, never deleted, and nothing crashes or hangs."""
    chance = random.Random(seed)
    once_place.again()
    file = once_place.place.state / "klv-jobwatch.db"
    data = bytearray(file.read_bytes())
    way = chance.choice(["cut", "zero", "scribble", "scribble"])
    at = chance.randrange(len(data))
    if way == "cut":
        data = data[:at]
    elif way == "zero":
        data[at:at + 4096] = bytes(len(data[at:at + 4096]))
    else:
        for _ in range(chance.randrange(1, 200)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(data)
    before = hashlib.sha256(data).hexdigest()
    done = once_place.place.run("once", "--json")
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    if done.returncode == 1:
        assert "klv-jobwatch.db" in done.stderr or "could not be saved" in done.stderr, done.stderr
    assert file.exists()
    if "not a database" in done.stderr:
        assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    record_property("damaged state files", 1)


@pytest.mark.parametrize("seed", range(SEED, SEED + max(4, RUNS // 10)))
def test_a_torn_log(once_place: Once, seed: int, record_property: Any) -> None:
    """What a power cut leaves: the database as of the last checkpoint, and a write-ahead log that ends anywhere, its tail zero or noise."""
    chance = random.Random(seed)
    once_place.again()
    place = once_place.place
    env = {"KLV_CRASH": f"any:{chance.randrange(8, 60)}"}
    killed = subprocess.run([str(PROGRAM), "once", "--json", "--config", str(place.config), "--state", str(place.state)],
                            capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **env})
    assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
    once_place.hear(killed.stdout)
    wal = place.state / "klv-jobwatch.db-wal"
    if wal.exists() and wal.stat().st_size:
        data = bytearray(wal.read_bytes())
        at = chance.randrange(len(data))
        tail = chance.choice([b"", bytes(len(data) - at), chance.randbytes(len(data) - at)])
        wal.write_bytes(bytes(data[:at]) + tail)
    (place.state / "klv-jobwatch.db-shm").unlink(missing_ok=True)
    once_place.converge()
    record_property("torn logs", 1)
