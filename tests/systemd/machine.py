"""A machine under a real systemd: boots it (boot.sh), runs commands in it, reads its journal, listens on its loopback."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator, TypeVar

BOOT = Path(__file__).resolve().parent / "boot.sh"
DEADLINE = 60.0
CLONE_NEWNET = 0x40000000
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root",
               "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "DEBIAN_FRONTEND": "noninteractive"}
T = TypeVar("T")


def why_not() -> str | None:
    """Why no machine can be booted here; None when one can."""
    probe = subprocess.run(["sh", str(BOOT), "--probe"], capture_output=True, text=True)
    return None if probe.returncode == 0 else probe.stderr.strip()


def wait_for(condition: Callable[[], T], timeout: float = DEADLINE, what: str | Callable[[], str] = "condition",
             pause: float = 0.02) -> T:
    """The first true result; the pause between two looks is no measure of anything."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(what if isinstance(what, str) else what())
        time.sleep(pause)


class Machine:
    """`with Machine(folder) as machine:` boots it and powers it off; all that was written in it is gone then."""

    before: set[str]  # files() before anything was installed

    def __init__(self, place: Path) -> None:
        self._place, self._console = place / "root", place / "console"
        self._place.mkdir()

    def __enter__(self) -> "Machine":
        with self._console.open("w") as console:
            self._boot = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "sh", str(BOOT), str(self._place)],
                                          stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            self._leader = wait_for(self._find_leader, what=self._console.read_text)
            wait_for(self._is_up, what="systemd did not finish booting")
        except BaseException:
            self._boot.terminate()
            self._boot.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("systemctl", "poweroff", check=False)
            self._boot.wait(15)
        self._boot.terminate()
        self._boot.wait()

    def path(self, inside: str) -> Path:
        """A file of the machine, from outside."""
        return Path(f"/proc/{self._leader}/root{inside}")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        file = self.path(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def run(self, *words: str, check: bool = True, timeout: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        """A command in the machine, as root; what it says is part of the failure."""
        done = subprocess.run(["nsenter", "--target", str(self._leader), "--all", *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=timeout, env=ENVIRONMENT, errors="surrogateescape")
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def install(self, package: Path) -> str:
        """Installs or upgrades a Debian package as an administrator does; what that said."""
        inside = f"/root/{package.name}"
        shutil.copy(package, self.path(inside))
        done = self.run("dpkg", "--install", inside)
        return done.stdout + done.stderr

    def files(self) -> set[str]:
        """All that a package may leave behind: every file and folder but the logs, caches and dpkg's own notes."""
        found = self.out("find", "/etc", "/usr", "/var/lib", "/var/cache/private", "-xdev", "-path", "/var/lib/dpkg", "-prune", "-o", "-print")
        return set(found.splitlines())

    def out(self, *words: str) -> str:
        return self.run(*words).stdout.strip()

    def show(self, unit: str, name: str) -> str:
        return self.out("systemctl", "show", "--property", name, "--value", unit)

    def journal(self, *words: str) -> list[dict[str, Any]]:
        """The entries that journalctl finds, each with all of its fields."""
        lines = self.run("journalctl", "--output=json", "--all", "--quiet", *words, check=False).stdout.splitlines()
        return [json.loads(line) for line in lines]

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """What is started or bound in this block (by this thread) belongs to the machine's network."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(fd: int) -> None:
            if libc.setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        own, theirs = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(f"/proc/{self._leader}/ns/net", os.O_RDONLY)
        try:
            enter(theirs)
            yield
        finally:
            enter(own)
            os.close(own)
            os.close(theirs)

    def _find_leader(self) -> int | None:
        """The process that is PID 1 of its own namespace, once it is systemd, below the one that boots."""
        assert self._boot.poll() is None, f"the boot failed:\n{self._console.read_text()}"
        pid: str | None = str(self._boot.pid)
        with contextlib.suppress(OSError):
            while pid:
                numbers = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:"))
                if len(numbers.split()) > 2 and numbers.split()[-1] == "1":
                    return int(pid) if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else None
                pid = next(iter(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()), None)
        return None

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")
