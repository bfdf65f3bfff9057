"""The commands on a terminal: colours, characters, widths, the pager, live views. A pseudo-terminal plays the terminal, pyte draws its screen."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pyte
import pytest
from conftest import DEADLINE, DELETE, PROGRAM, Place, wait_for

FAST = "interval = 200ms idle-interval = 300ms full-sweep-interval = 3s"


class Terminal:
    """A program on a terminal of its own; what it writes is drawn on a screen, and kept."""

    def __init__(self, words: list[str], columns: int = 100, lines: int = 20, **environment: str) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.drawn = 0  # bytes of it
        self.lock = threading.Lock()
        self.ours, theirs = pty.openpty()
        self.size(columns, lines)
        usual = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", "TZ": "UTC"}
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=usual | environment, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0))
        os.close(theirs)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.ours, 65536)
            except OSError:  # the last one on the other side is gone
                return
            with self.lock:
                self.raw += data
                self._draw()

    def _draw(self) -> None:
        """As terminals do that know the mode 2026, which begins and ends a frame: a frame when all of it is there."""
        begun, ended = self.raw.rfind(b"\x1b[?2026h"), self.raw.rfind(b"\x1b[?2026l")
        whole = begun if begun > ended else len(self.raw)
        if whole > self.drawn:
            self.stream.feed(self.raw[self.drawn:whole])
            self.drawn = whole

    def size(self, columns: int, lines: int) -> None:
        with self.lock:
            self.screen.resize(lines, columns)
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def text(self) -> list[str]:
        with self.lock:
            return [line.rstrip() for line in self.screen.display]

    def wait(self, seen: Callable[[str], Any]) -> list[str]:
        """The lines of the first screen of which that is true."""
        def found() -> list[str] | None:
            lines = self.text()
            return lines if seen("\n".join(lines)) else None
        lines: list[str] = wait_for(found, what=lambda: "\n".join(self.text()))
        return lines

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def end(self) -> int:
        """The exit code, once it has ended by itself."""
        code = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(DEADLINE)
        os.close(self.ours)


Opener = Callable[..., Terminal]


@pytest.fixture
def terminal() -> Iterator[Opener]:
    opened: list[Terminal] = []

    def open_one(*words: str, **options: Any) -> Terminal:
        opened.append(Terminal([str(PROGRAM), *words], **options))
        return opened[-1]
    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def watched(place: Place, acct: Any) -> Place:
    """A daemon that watches two jobs in progress."""
    acct.add_job(DELETE, id="LARGE", status="processing", total=40000, completed=10000)
    acct.add_job(DELETE, id="SMALL", status="processing", total=10)
    place.write(account=FAST)
    place.daemon().wait_line("watch.started")
    return place


def test_a_live_view_of_the_jobs(watched: Place, acct: Any, terminal: Opener) -> None:
    live = terminal("jobs", "--follow", "--state", str(watched.state), columns=140)
    rows = live.wait(lambda text: "LARGE" in text and "SMALL" in text and " 25%" in text)
    assert rows[0].startswith("2 jobs, 20") and rows[0].endswith("Ctrl-C ends")
    acct.set("LARGE", completed=30000)
    live.wait(lambda text: " 75%" in text and "30,000" in text)
    acct.set("SMALL", status="complete", completed=10)
    rows = live.wait(lambda text: re.search(r"^complete .*SMALL", text, re.M))
    assert [row.split()[-1] for row in rows[2:4]] == ["LARGE", "SMALL"]  # what is in progress comes first
    assert live.raw.startswith(b"\x1b[?1049h")  # on the alternate screen ...
    live.type(b"\x03")
    assert live.end() == 0
    assert live.raw.endswith(b"\x1b[?25h\x1b[?1049l")  # ... which is given back, with the cursor


def test_each_frame_is_within_the_terminal(watched: Place, terminal: Opener) -> None:
    live = terminal("jobs", "--follow", "--state", str(watched.state), columns=160)
    live.wait(lambda text: DELETE in text)
    live.size(40, 3)
    live.process.send_signal(signal.SIGWINCH)
    # Three lines are a heading, titles, and one job; what does not fit is left out or shortened, never wrapped.
    rows = live.wait(lambda text: "1 job of more" in text and len([line for line in text.splitlines() if line]) == 3)
    assert rows[1].split() == ["STATE", "FAILED", "ID"] and rows[2].endswith(("LARGE", "SMALL"))
    live.size(160, 20)
    live.process.send_signal(signal.SIGWINCH)
    live.wait(lambda text: "LARGE" in text and "SMALL" in text and DELETE in text)
    live.process.send_signal(signal.SIGTERM)
    assert live.end() == 0


def test_stopped_and_continued(watched: Place, terminal: Opener) -> None:
    live = terminal("jobs", "--follow", "--state", str(watched.state))
    live.wait(lambda text: "LARGE" in text)
    live.type(b"\x1a")  # Ctrl-Z
    wait_for(lambda: Path(f"/proc/{live.process.pid}/stat").read_text().split(")")[1].split()[0] == "T")
    wait_for(lambda: live.raw.endswith(b"\x1b[?25h\x1b[?1049l"))
    live.process.send_signal(signal.SIGCONT)
    wait_for(lambda: live.raw.count(b"\x1b[?1049h") == 2)
    live.type(b"\x03")
    assert live.end() == 0


def test_the_terminal_goes_away(watched: Place, terminal: Opener) -> None:
    live = terminal("status", "--follow", "--state", str(watched.state))
    live.wait(lambda text: "all is well" in text)
    live.process.send_signal(signal.SIGHUP)
    assert live.end() == 0


def test_nothing_flickers(watched: Place, acct: Any, terminal: Opener) -> None:
    live = terminal("jobs", "--follow", "--state", str(watched.state))
    live.wait(lambda text: "LARGE" in text)
    acct.set("LARGE", completed=20000)
    live.wait(lambda text: " 50%" in text)
    live.type(b"\x03")
    live.end()
    # Each frame is drawn over the last one, and only what is behind it is erased.
    assert b"\x1b[2J" not in live.raw
    frames = live.raw.split(b"\x1b[?2026h")[1:]
    assert len(frames) >= 2 and all(frame.startswith(b"\x1b[?7l\x1b[H") and b"\x1b[?2026l" in frame for frame in frames)


def test_colours_and_characters(watched: Place, terminal: Opener) -> None:
    words = ("jobs", "--state", str(watched.state))

    def shown(**environment: str) -> bytes:
        screen = terminal(*words, **({"PAGER": "cat"} | environment))
        assert screen.end() == 0
        return screen.raw
    rich = shown()
    assert b"\x1b[32mprocessing\x1b[0m" in rich and "██▌".encode() in rich
    assert b"\x1b" not in shown(NO_COLOR="1")
    assert b"\x1b" not in shown(TERM="dumb")
    assert b"\x1b[32mprocessing" in shown(NO_COLOR="")  # only a value that is not empty counts
    plain = shown(LANG="C")
    assert plain.isascii() and b"##........  25%" in plain
    piped = subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, timeout=DEADLINE)
    assert "\x1b" not in piped.stdout and "##" not in piped.stdout and " 25%" in piped.stdout


def test_the_pager(watched: Place, terminal: Opener, tmp_path: Path) -> None:
    words = ("events", "--state", str(watched.state))
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho paged; cat\n")
    pager.chmod(0o755)
    paged = terminal(*words, PAGER=str(pager))
    assert paged.end() == 0 and paged.text()[0] == "paged" and "watch.started" in paged.text()[1]
    pager.write_text("#!/bin/sh\nexec true\n")  # one that is left at once is no failure
    left = terminal(*words, PAGER=str(pager))
    assert left.end() == 0
    unpaged = terminal(*words, "--json", PAGER=str(pager))
    assert unpaged.end() == 0 and b'"watch.started"' in unpaged.raw  # programs do not page


def test_events_follow_ends_by_ctrl_c(watched: Place, acct: Any, terminal: Opener) -> None:
    live = terminal("events", "--follow", "--state", str(watched.state), columns=200)
    live.wait(lambda text: "watch.started" in text)
    acct.set("SMALL", status="cancelled")
    live.wait(lambda text: "job.cancelled" in text)
    live.type(b"\x03")
    assert live.end() == 0


@pytest.mark.parametrize("words", [["jobs", "--follow"], ["jobs", "--follow", "--json"], ["events", "--follow"]])
def test_the_reader_of_a_pipe_goes_away(watched: Place, words: list[str]) -> None:
    follower = subprocess.Popen([str(PROGRAM), *words, "--state", str(watched.state)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout and follower.stderr
    follower.stdout.readline()
    follower.stdout.close()
    assert follower.wait(DEADLINE) == 0 and follower.stderr.read() == ""


def test_jobs_follow_in_a_pipe_tells_what_changed(watched: Place, acct: Any) -> None:
    follower = subprocess.Popen([str(PROGRAM), "jobs", "--follow", "--json", "--state", str(watched.state)], stdout=subprocess.PIPE, text=True)
    assert follower.stdout
    assert {json.loads(follower.stdout.readline())["id"] for _ in range(2)} == {"LARGE", "SMALL"}
    acct.set("SMALL", completed=4)
    changed = json.loads(follower.stdout.readline())
    assert (changed["id"], changed["completed_count"]) == ("SMALL", 4)
    follower.terminate()
    assert follower.wait(DEADLINE) == 0


def test_status_follow_needs_a_terminal(watched: Place) -> None:
    done = subprocess.run([str(PROGRAM), "status", "--follow", "--state", str(watched.state)], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2 and "events --follow" in done.stderr
