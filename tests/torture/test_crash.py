"""kill -9 at chosen points and at random moments: every change is told once, a second copy carries the same id."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import RUNS, SEED
from harness import DEADLINE, PROGRAM, SECRET, Place, wait_for
from klaviyo import SimKlaviyo
from receiver import Receiver
from history import Ledger, Script

CHUNK = 10  # runs that share a simulator
POINTS = ["begin", "commit-before", "commit-after", "request-before", "request-after", "answer", "webhook-before", "webhook-after",
          "webhook-answer", "journal-before", "journal-after"]
FAST = "budget = 100% interval = 100ms idle-interval = 100ms full-sweep-interval = 1s"


class Run:
    """One account from its first sweep on, under kills."""

    def __init__(self, path: Path, sim: SimKlaviyo, receiver: Receiver, seed: int) -> None:
        self.chance = random.Random(seed)
        self.seed, self.receiver = seed, receiver
        self.place = Place(path, sim.url)
        self.key = f"pk_torture_{seed}"
        self.place.secret("api-key", self.key)
        self.place.write(webhook=receiver.url, account=FAST)
        self.script = Script(sim.account(self.key, name=f"a{seed}"), self.chance, f"J{seed}")
        self.journal, self.webhook = Ledger("journal"), Ledger("webhook")
        self.seen = 0
        self.crashes = 0

    def play(self) -> None:
        for _ in range(self.chance.randrange(2, 4)):
            self._spoil_webhook()
            for _ in range(self.chance.randrange(1, 4)):
                self._life()
            self._converge()
            self.script.step()
        self._converge()
        self.journal.check(self.script.expected)
        self.webhook.check(self.script.expected)

    def _spoil_webhook(self) -> None:
        self.receiver.clear_faults()
        kind = self.chance.choice(["", "", "status", "reset", "close"])
        if kind:
            self.receiver.fault(kind, times=self.chance.randrange(1, 4), skip=self.chance.randrange(0, 3))

    def _life(self) -> None:
        """One life of the process, ended from outside if nothing else ends it."""
        env: dict[str, str] = {}
        if self.chance.random() < 0.7:
            point = self.chance.choice([*POINTS, "any", "any", "any"])
            env["KLV_CRASH"] = f"{point}:{self.chance.randrange(1, 40 if point == 'any' else 6)}"
        daemon = self.chance.random() < 0.25
        command = ["run", "--no-journal"] if daemon else ["once", "--json"]
        process = self._start(command, env)
        # A daemon does not end by itself, and without a point the kill comes at a random moment.
        patience = self.chance.uniform(0, 0.5) if daemon else DEADLINE if env else self.chance.uniform(0, 0.06)
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            assert daemon or not env, "`once` hangs"
            process.kill()
            out, err = process.communicate()
        self.crashes += process.returncode == -9
        assert process.returncode in (0, -9), err
        if not daemon:
            self._hear(out, whole=process.returncode == 0)
        for line in err.split("\n")[:-1]:
            self.journal.add_line(line)

    def _start(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen([str(PROGRAM), *command, "--config", str(self.place.config), "--state", str(self.place.state)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin", **env})

    def _hear(self, out: str, whole: bool) -> None:
        lines = out.split("\n")
        assert not whole or lines[-1] == ""
        for line in lines[:-1]:  # what a kill cut off is no line
            self.journal.add(json.loads(line))

    def _hear_webhook(self) -> None:
        deliveries = [d for d in self.receiver.deliveries if d.status is not None and 200 <= d.status < 300 and d.verified]
        for delivery in deliveries[self.seen:]:
            data = dict(delivery.json["data"])
            self.webhook.add({"type": delivery.json["type"], **data})
            assert delivery.id == data["event_id"]
        self.seen = len(deliveries)

    def _converge(self) -> None:
        """Lives without a crash, until the receiver has all that is expected by now."""
        def quiet() -> bool:
            done = self._start(["once", "--json"], {})
            out, err = done.communicate(timeout=DEADLINE)
            assert done.returncode == 0, err
            self._hear(out, whole=True)
            self._hear_webhook()
            return self.script.expected <= set(self.webhook.ids)
        wait_for(quiet, what=f"the webhook lacks {self.script.expected - set(self.webhook.ids)}")


@pytest.mark.parametrize("first", range(SEED, SEED + RUNS, CHUNK))
def test_nothing_is_lost_or_told_under_two_ids(tmp_path: Path, first: int, record_property: Any) -> None:
    crashes = copies = 0
    with SimKlaviyo() as sim, Receiver([SECRET]) as receiver:
        for seed in range(first, min(first + CHUNK, SEED + RUNS)):
            path = tmp_path / str(seed)
            path.mkdir()
            receiver.clear()
            run = Run(path, sim, receiver, seed)
            try:
                run.play()
            except BaseException as e:
                e.add_note(f"seed {seed}") if hasattr(e, "add_note") else print(f"seed {seed}")
                raise
            crashes += run.crashes
            copies += run.webhook.copies + run.journal.copies
    assert crashes > 0, "nothing crashed: this is no MODE=torture build"
    record_property("crash runs", min(CHUNK, SEED + RUNS - first))
    record_property("crashes in them", crashes)
    record_property("second copies under the same id", copies)


def test_each_point_is_passed(tmp_path: Path) -> None:
    """A point that nothing passes any more would make the runs above weaker without a word."""
    log = tmp_path / "points"
    with SimKlaviyo() as sim, Receiver([SECRET]) as receiver:
        run = Run(tmp_path, sim, receiver, SEED)
        done = run._start(["once", "--json"], {"KLV_CRASH_LOG": str(log)})
        done.communicate(timeout=DEADLINE)
    assert set(log.read_text().split()) == set(POINTS)


def test_the_program_that_is_installed_has_no_points() -> None:
    for program, wanted in ((PROGRAM, True), (PROGRAM.parents[1] / "release" / "klv-jobwatch", False)):
        if program.exists():
            assert (b"KLV_CRASH" in program.read_bytes()) == wanted, program
