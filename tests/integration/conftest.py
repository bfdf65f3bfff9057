"""What the tests of the real daemon share: the simulated API, the receiver, and the program itself in a temporary folder."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "sim"), str(ROOT / "tests" / "integration")]

from canaries import Canaries  # noqa: E402
from klaviyo import SimKlaviyo  # noqa: E402
from receiver import Receiver  # noqa: E402
from tls import Certificates  # noqa: E402

BUILD = Path(os.environ.get("KLV_BUILD", ROOT / "build" / "release"))
PROGRAM = BUILD / "klv-jobwatch"
WRAPPER = shlex.split(os.environ.get("KLV_WRAPPER", ""))  # valgrind and its like, before the program
DELETE = "catalog-category-bulk-delete-job"
KEY = "pk_canary_Tq7vYx2LmN9cRb4Wz8KdJs5F"
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ....").decode()
DEADLINE = 60.0  # of what comes in moments on an idle machine
# Seconds that a stop may take, promise 5 of the design. A sanitizer looks for leaks then, in a process of its own.
SOON = 1.0 if "sanitize" not in str(BUILD) else 3.0
watching: Canaries | None = None  # of the running test

# A process that fork(2) made counts its maker's memory into its own peak, also after exec; so a small one stands between.
MEASURE = """
import os, sys
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as report:
    report.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Place:
    """A temporary folder with keys, a state directory and a configuration, and ways to run the program there."""

    def __init__(self, path: Path, api_url: str) -> None:
        self.path, self.api_url = path, api_url
        self.state = path / "state"
        self.config = path / "klv-jobwatch.conf"
        self.state.mkdir()
        self.secret("api-key", KEY)
        self.secret("webhook.secret", SECRET)
        self.started: list[Daemon] = []

    def secret(self, name: str, text: str, mode: int = 0o600) -> Path:
        file = self.path / name
        file.write_text(text + "\n")
        file.chmod(mode)
        return file

    def write(self, accounts: str | None = None, webhook: str = "", top: str = "", account: str = "", alerts: str = "") -> None:
        """Writes a configuration; `account` adds options to the one account "main", `webhook` is an URL for "ops"."""
        if accounts is None:
            accounts = f'account "main" {{ api-key-file = "{self.path}/api-key"\n {account} }}\n'
        hook = f'webhook "ops" {{ url = "{webhook}" secret-file = "{self.path}/webhook.secret" retry-base = 50ms retry-max = 500ms }}\n'
        self.config.write_text(f'api-url = "{self.api_url}"\n{top}\n{accounts}\n{hook if webhook else ""}\nalerts {{ {alerts} }}\n')

    def run(self, *words: str, timeout: float = DEADLINE, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command with --config and --state of this place, until it ends."""
        return subprocess.run([*WRAPPER, str(PROGRAM), *words, "--config", str(self.config), "--state", str(self.state)],
                              capture_output=True, text=True, timeout=timeout, env=_environment(env), errors="surrogateescape")

    def run_measured(self, *words: str, timeout: float = DEADLINE) -> tuple[subprocess.CompletedProcess[str], int]:
        """Like run(), with the peak of resident memory in KiB."""
        report = self.path / "peak"
        done = subprocess.run([sys.executable, "-S", "-c", MEASURE, str(report), *WRAPPER, str(PROGRAM), *words, "--config", str(self.config),
                               "--state", str(self.state)],
                              capture_output=True, text=True, timeout=timeout, env=_environment(None), errors="surrogateescape")
        return done, int(report.read_text())

    def once(self, *words: str) -> list[dict[str, Any]]:
        """One `once --json` that has to succeed; its events."""
        done = self.run("once", "--json", *words)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_config(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(PROGRAM), "check", "--config", str(self.config), *words], capture_output=True, text=True,
                              timeout=DEADLINE, env=_environment(None))

    def daemon(self, *words: str, env: dict[str, str] | None = None) -> "Daemon":
        daemon = Daemon(self, words, env)
        self.started.append(daemon)
        return daemon

    def stop(self) -> None:
        for daemon in self.started:
            daemon.kill()


class Daemon:
    """A running `klv-jobwatch run`; what it says goes to a file that can be waited on."""

    def __init__(self, place: Place, words: tuple[str, ...], env: dict[str, str] | None) -> None:
        self.log = place.path / f"daemon-{len(place.started)}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*WRAPPER, str(PROGRAM), "run", "--no-journal", "--config", str(place.config), "--state", str(place.state), *words],
                stdout=log, stderr=log, env=_environment(env))

    def text(self) -> str:
        return self.log.read_text(errors="surrogateescape")

    def wait_line(self, pattern: str, timeout: float = DEADLINE) -> str:
        """The first line that matches, once all of it is there."""
        def found() -> str | None:
            whole = self.text().rpartition("\n")[0]
            return next((line for line in whole.splitlines() if re.search(pattern, line)), None)
        return wait_for(found, timeout, lambda: f"line {pattern!r} in:\n{self.text()}")

    def _look(self) -> None:
        if watching and self.process.poll() is None:
            watching.look_at_process(self.process.pid)

    def kill(self) -> None:
        self._look()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout: float = DEADLINE) -> int:
        """In its first moments a process is ended by the signal itself, which says nothing of how it stops."""
        wait_for(lambda: self.process.poll() is not None or self._catches(signal.SIGTERM))
        self._look()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def stop_timed(self) -> float:
        """Like stop(), which has to succeed, and says how long it took."""
        wait_for(lambda: self._catches(signal.SIGTERM))
        self._look()
        took = time_end(self.process, signal.SIGTERM)
        assert self.process.returncode == 0, self.text()
        return took

    def _catches(self, number: signal.Signals) -> bool:
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except FileNotFoundError:
            return False
        caught = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> number - 1 & 1)

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)


def without_core(task: str) -> float:
    """Seconds in which a thread (below /proc) was ready to run and other processes had all cores; 0 where the kernel does not count them."""
    try:
        return int(Path(f"/proc/{task}/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


def starved(*pids: int) -> float:
    """The same of all threads of processes and of our own. Only differences mean something."""
    total = 0.0
    for pid in (*pids, os.getpid()):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # a thread that has ended
                total += without_core(f"{pid}/task/{task}")
    return total


def time_end(process: "subprocess.Popen[Any]", number: signal.Signals) -> float:
    """Sends the signal, waits until it has ended, and says how long that took: seconds, without those in which it, or we at hearing of it,
    stood in line for a core. So a busy machine does not count, and the bound can be the promise itself."""
    handle = os.pidfd_open(process.pid)
    try:
        began, waited = time.monotonic(), without_core(str(process.pid)) + without_core("thread-self")
        process.send_signal(number)
        ended, _, _ = select.select([handle], [], [], DEADLINE)
        assert ended, "it does not end"
        took = time.monotonic() - began - (without_core(str(process.pid)) + without_core("thread-self") - waited)
    finally:
        os.close(handle)
    process.wait()
    return took


def wait_for(condition: Callable[[], Any], timeout: float = DEADLINE, what: str | Callable[[], str] = "condition") -> Any:
    """The first true result; the pause between two looks is no measure of anything."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(what() if callable(what) else what)
        time.sleep(0.02)


def _environment(extra: dict[str, str] | None) -> dict[str, str]:
    """None of the caller's credentials, journal or proxies; sanitizers fail loudly."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LLVM_PROFILE_FILE")
    return {name: os.environ[name] for name in keep if name in os.environ} | (extra or {})


@pytest.fixture(autouse=True)
def canaries(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    """Nothing of the key or the secret in what this test's programs left in its folder, said, showed or sent."""
    global watching
    run = subprocess.run

    def watched(*args: Any, **more: Any) -> subprocess.CompletedProcess[Any]:
        done = run(*args, **more)
        if str(PROGRAM) in map(str, args[0]):
            canaries.look_at_output(done)
        return done
    monkeypatch.setattr(subprocess, "run", watched)
    with Canaries(KEY, SECRET) as canaries:
        watching = canaries
        yield canaries
        watching = None
        canaries.look_at_files(tmp_path)
    for what, n in canaries.searched.items():
        request.node.user_properties.append((f"canaries: {what}", n))
    assert not canaries.found, "\n".join(canaries.found)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How much was searched, by all workers."""
    totals: dict[str, int] = {}
    for report in terminalreporter.stats.get("", []):
        for name, value in report.user_properties if report.when == "teardown" else []:
            totals[name] = totals.get(name, 0) + (value if name.startswith("canaries: ") else 0)
    found = ", ".join(f"{n} {name.removeprefix('canaries: ')}" for name, n in totals.items() if n)
    if found:
        terminalreporter.write_line(f"searched for the key and the secret: {found}")


@pytest.fixture
def sim() -> Iterator[SimKlaviyo]:
    with SimKlaviyo(manual=True) as server:
        yield server


@pytest.fixture
def acct(sim: SimKlaviyo) -> Any:
    return sim.account(KEY, name="shop")


@pytest.fixture
def place(tmp_path: Path, sim: SimKlaviyo) -> Iterator[Place]:
    here = Place(tmp_path, sim.url)
    yield here
    here.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver([SECRET]) as server:
        yield server


@pytest.fixture(scope="session")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made
