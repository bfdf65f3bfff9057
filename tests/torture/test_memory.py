"""Memory and file descriptors that run out: a clean error or a late success, never a crash of ours, a leak, or a made-up event."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import RUNS, SEED
from harness import BUILD, DEADLINE, DELETE, Place, wait_for
from klaviyo import SimKlaviyo, error
from receiver import Receiver
from test_disk import FAST, Once, jobs, lines_of, sim, start, told  # noqa: F401 (fixture)

SHIM = BUILD / "memory_shim.so"
SANITIZED = BUILD.parent / "sanitize"  # the same program under AddressSanitizer, and the shim for it
FOUND = 23  # its exit code
ALL = 1 << 40
PARTS = 12  # for workers to share
# Where these run out of memory they end the process themselves: json-c 0.16 uses a key that it could not copy, libConfuse, the scanner
# in it and libuv call abort(3) and exit(3), libcrypto uses a lock that it could not make. The state is as good as after a kill -9.
CANNOT = ("libjson-c", "libconfuse", "libuv", "libcrypto")

# What these have taken stays when they fail half-way: the loader keeps libraries loaded; libcrypto drops the entry that it cannot add
# to its list of all ciphers' names, made for the first digest, and its global context when it cannot set it up.
LOSES = ("dl_open_worker_begin", "OBJ_NAME_do_all", "OPENSSL_init_crypto")


class Memory:
    def __init__(self, place: Place) -> None:
        self.log, self.where = place.path / "memory.log", place.path / "memory.where"
        assert SHIM.exists(), f"{SHIM} is missing: make torture-build"

    def env(self, first: int, count: int) -> dict[str, str]:
        self.where.unlink(missing_ok=True)
        return {"LD_PRELOAD": str(SHIM), "KLV_MEMORY": f"{first}:{count}", "KLV_MEMORY_LOG": str(self.log), "KLV_MEMORY_WHERE": str(self.where)}

    def is_a_librarys(self) -> bool:
        """Whether the allocation that failed first was one of those libraries'."""
        objects = self.where.read_text().splitlines() if self.where.exists() else []
        callers = [Path(name).name for name in objects if not any(word in name for word in ("memory_shim", "libasan", "libc.so"))]
        return bool(callers) and callers[0].startswith(CANNOT)


class Lives:
    """Lives of `once --json`, each forked off where main() begins."""

    def __init__(self, place: Place, memory: Memory) -> None:
        self._outputs = [place.path / name for name in ("life.out", "life.err")]
        self._process = subprocess.Popen(
            [str(BUILD / "klv-jobwatch"), "once", "--json", "--config", str(place.config), "--state", str(place.state)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env={"PATH": os.environ["PATH"], **memory.env(0, 0), "KLV_MEMORY_LIVES": "1"})

    def run(self, first: int = 0, count: int = 0) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{first} {count} {self._outputs[0]} {self._outputs[1]}\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], DEADLINE)
        assert ready, f"it hangs: {first} {count}"
        status = int(self._process.stdout.readline())
        out, err = (path.read_text(errors="surrogateescape") for path in self._outputs)
        return subprocess.CompletedProcess((first, count), os.waitstatus_to_exitcode(status), out, err)

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


class OnceForked(Once):
    """The same by lives that are forked off, which costs about half."""

    def __init__(self, place: Place, acct: Any, receiver: Receiver) -> None:
        super().__init__(place, acct, receiver)
        self.memory = Memory(place)
        self.lives = Lives(place, self.memory)

    def fail(self, first: int, count: int) -> subprocess.CompletedProcess[str]:
        self.memory.where.unlink(missing_ok=True)
        return self.lives.run(first, count)

    def _process(self, env: dict[str, str] | None) -> subprocess.CompletedProcess[str]:
        return super()._process(env) if env else self.lives.run()


@pytest.fixture
def once_place(place: Place, acct: Any, receiver: Receiver) -> Once:
    return Once(place, acct, receiver)


@pytest.fixture
def once_forked(place: Place, acct: Any, receiver: Receiver) -> Iterator[OnceForked]:
    forked = OnceForked(place, acct, receiver)
    yield forked
    forked.lives.end()


def fail_one(once_forked: OnceForked, first: int, count: int) -> int:
    """One run with the fault, judged; 1 when a library ended the process."""
    memory = once_forked.memory
    once_forked.again()
    done = once_forked.fail(first, count)
    gave_up = done.returncode in (-signal.SIGSEGV, -signal.SIGABRT) or (done.returncode and not done.stderr)
    assert not gave_up or memory.is_a_librarys() or count == ALL and done.returncode == -signal.SIGABRT, (first, count, done)
    assert gave_up or done.returncode in (0, 1, 2), (first, count, done)
    once_forked.hear(done.stdout)
    once_forked.converge()
    return int(bool(gave_up))


@pytest.mark.parametrize("count", [1, ALL], ids=["one", "from-then-on"])
@pytest.mark.parametrize("part", range(PARTS))
def test_each_allocation_fails_in_turn(once_forked: OnceForked, part: int, count: int, record_property: Any) -> None:
    once_forked.again()
    once_forked.run()
    total = int(once_forked.memory.log.read_text())
    assert total > 1000
    step = PARTS * max(1, total // max(RUNS // 2, PARTS))
    places = range(1 + part + PARTS * (SEED % (step // PARTS)), total + 1, step)
    ended = sum(fail_one(once_forked, first, count) for first in places)
    record_property("allocations made to fail", len(places))
    record_property("of which a library ended the process", ended)


def test_a_configuration_is_read_whole_or_refused(place: Place, receiver: Receiver, record_property: Any) -> None:
    """libConfuse drops what it cannot copy, without a word: a webhook that lost its filter would get nothing."""
    place.write(webhook=receiver.url, account=f"{FAST} jobs = {{ {DELETE} }}")
    memory = Memory(place)
    good = place.run("check", env=memory.env(ALL, 1))
    assert good.returncode == 0, good.stderr
    places = range(1 + SEED % 8 if RUNS < 1000 else 1, int(memory.log.read_text()) + 1, 1 if RUNS >= 1000 else 8)
    for first in places:
        done = place.run("check", env=memory.env(first, 1))
        whole = done.stdout.replace("?", receiver.url.rsplit("/", 1)[0])  # what is written for an URL that could not be cut
        assert done.returncode != 0 or whole == good.stdout, (first, done)
        assert done.returncode in (0, 1, 2) or memory.is_a_librarys(), (first, done)
    record_property("allocations of check made to fail", len(places))


def test_json_is_whole_or_missing(place: Place, acct: Any, record_property: Any) -> None:
    """json-c leaves out of its text what it has no memory for, without a word: names, values, brackets."""
    place.write(account=FAST)
    place.once()
    for status in ("complete", "cancelled"):
        acct.add_job(DELETE, status=status, total=10, failed=1, errors=[error(detail="No such category. " * 20)])
    place.once()
    memory = Memory(place)
    good = place.run("events", "--json", env=memory.env(ALL, 1))
    assert good.returncode == 0 and len(good.stdout.splitlines()) == 3, good
    step = max(1, 1500 // RUNS)
    places = range(1 + SEED % step, int(memory.log.read_text()) + 1, step)
    for first in places:
        done = place.run("events", "--json", env=memory.env(first, 1))
        assert set(done.stdout.splitlines()) <= set(good.stdout.splitlines()), (first, done)
        assert done.returncode != 0 or done.stdout == good.stdout, (first, done)
        assert done.returncode in (0, 1, 2) or memory.is_a_librarys(), (first, done)
    record_property("allocations of events made to fail", len(places))


def leak_check(once_place: Once, memory: Memory, first: int, count: int, **more: str) -> subprocess.CompletedProcess[str]:
    """A run of the sanitized program, in which every block that nothing points to at the end is an error."""
    once_place.again()
    place = once_place.place
    known = place.path / "known-leaks"
    known.write_text("".join(f"leak:{function}\n" for function in LOSES))
    env = memory.env(first, count) | {
        "LD_PRELOAD": str(SANITIZED / "memory_shim.so"), "UBSAN_OPTIONS": f"exitcode={FOUND}",
        # Whole stacks, or the callers within libcrypto, which has no frame pointers, would have no names.
        "ASAN_OPTIONS": "verify_asan_link_order=0:allocator_may_return_null=1:detect_leaks=1:fast_unwind_on_malloc=0:handle_segv=0:"
                        f"handle_abort=0:exitcode={FOUND}",
        "LSAN_OPTIONS": f"suppressions={known}:print_suppressions=0"}
    return subprocess.run([str(SANITIZED / "klv-jobwatch"), "once", "--json", "--config", str(place.config), "--state", str(place.state)],
                          capture_output=True, text=True, timeout=120, env={"PATH": os.environ["PATH"], **env, **more})


NO_TRACE = pytest.mark.skipif(os.geteuid() != 0, reason="the daemon forbids tracing, and the leak check has to trace it")


@NO_TRACE
@pytest.mark.parametrize("count", [1, ALL], ids=["one", "from-then-on"])
@pytest.mark.parametrize("part", range(PARTS // 4))
def test_nothing_leaks_when_an_allocation_fails(once_place: Once, part: int, count: int, record_property: Any) -> None:
    memory = Memory(once_place.place)
    done = leak_check(once_place, memory, ALL, 1)
    assert done.returncode == 0, done.stderr
    total = int(memory.log.read_text())
    sample = max(1, RUNS // 20)
    step = max(1, total // sample)
    places = [1 + (part * step // (PARTS // 4) + SEED * 37 + n * step) % total for n in range(sample)]
    for first in places:
        done = leak_check(once_place, memory, first, count)
        gave_up = done.returncode in (-signal.SIGSEGV, -signal.SIGABRT) and memory.is_a_librarys()
        assert done.returncode in (0, 1, 2) or gave_up, (first, count, done.returncode, done.stderr)
    record_property("allocations made to fail under the leak check", len(places))


@NO_TRACE
def test_the_leak_check_finds_a_leak(once_place: Once) -> None:
    """A block that the program frees, and that the shim then keeps."""
    memory = Memory(once_place.place)
    for n in (1, 10, 100):
        done = leak_check(once_place, memory, ALL, 1, KLV_MEMORY_KEEP=str(n))
        assert done.returncode == FOUND and "detected memory leaks" in done.stderr, done


@pytest.mark.parametrize("limit", range(3, 24, 1 if RUNS >= 1000 else 3))
def test_descriptors_run_out_from_the_start(once_place: Once, limit: int, record_property: Any) -> None:
    once_place.again()
    place = once_place.place
    done = subprocess.run(["prlimit", f"--nofile={limit}", str(BUILD / "klv-jobwatch"), "once", "--json", "--config", str(place.config),
                           "--state", str(place.state)], capture_output=True, text=True, timeout=DEADLINE, env={"PATH": os.environ["PATH"]})
    assert done.returncode in (0, 1, 2) or (limit < 5 and done.returncode == 127), (limit, done)
    assert done.returncode == 0 or done.stderr, "it failed without a word"
    once_place.hear(done.stdout)
    once_place.converge()
    record_property("descriptor limits", 1)


def test_descriptors_run_out_under_the_daemon(place: Place, acct: Any, receiver: Receiver) -> None:
    """With none left nothing can be asked or sent; with some again, all is told, once."""
    jobs(acct)
    daemon = start(place, receiver)
    pid = daemon.process.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    receiver.refuse()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, old[1]))
    acct.set("A", status="complete")
    receiver.accept()
    line = daemon.wait_line("job.completed|webhook ops")
    assert line
    acct.set("B", status="cancelled")
    acct.add_job(DELETE, id="C", status="complete")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    wait_for(lambda: len(told(receiver, "job.completed")) == 2 and told(receiver, "job.cancelled"))
    assert daemon.stop() == 0
    assert len(lines_of(daemon.text(), "job.completed")) == 2
