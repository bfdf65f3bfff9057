"""An account that lives by chance, and what has to be told of it: the other side of the comparison."""

from __future__ import annotations

import random
import re
from typing import Any

from harness import DELETE
from klaviyo import error

Told = tuple[str, str, int]  # kind, job id, failed_count


class Script:
    """Jobs that change step by step. `expected` is what every step until now has to be told as, each exactly once."""

    def __init__(self, acct: Any, chance: random.Random, prefix: str) -> None:
        self.acct, self.chance, self.prefix = acct, chance, prefix
        self.states: dict[str, dict[str, Any]] = {}
        self.expected: set[Told] = set()
        self.made = 0
        for _ in range(chance.randrange(2, 6)):
            self._add(chance.choice(["queued", "processing", "complete"]))
        self.expected.add(("watch.started", "", 0))

    def step(self) -> None:
        """Some jobs change, each once, so that one sweep shows all there is to see."""
        active = [job for job, state in self.states.items() if state["status"] in ("queued", "processing")]
        for job in self.chance.sample(active, self.chance.randrange(0, len(active) + 1)):
            self._change(job)
        for _ in range(self.chance.randrange(1, 3)):
            job = self._add(self.chance.choice(["queued", "processing", "complete", "cancelled"]))
            self._tell_new(job)

    def _add(self, status: str) -> str:
        job = f"{self.prefix}-{self.made}"
        self.made += 1
        self.states[job] = {"status": status, "failed": 0}
        self.acct.add_job(DELETE, id=job, status=status, total=100, completed=100 if status == "complete" else 0)
        return job

    def _tell_new(self, job: str) -> None:
        kind = {"complete": "job.completed", "cancelled": "job.cancelled"}.get(self.states[job]["status"])
        if kind:
            self.expected.add((kind, job, 0))

    def _change(self, job: str) -> None:
        state = self.states[job]
        ways = {"queued": ["start", "cancel", "vanish"], "processing": ["fail", "fail", "end", "end badly", "cancel", "vanish"]}
        way = self.chance.choice(ways[state["status"]])
        if way == "start":
            self._set(job, "job.started", status="processing")
        elif way == "fail":
            self._set(job, "job.failures_growing", failed=max(1, state["failed"] * 2), errors=[error(detail=f"{job} failed.")])
        elif way == "end":
            kind = "job.completed_with_failures" if state["failed"] else "job.completed"
            self._set(job, kind, status="complete", completed=100 - state["failed"])
        elif way == "end badly":
            failed = state["failed"] + 1
            self._set(job, "job.completed_with_failures", status="complete", failed=failed, completed=100 - failed,
                      errors=[error(detail=f"{job} failed.")])
        elif way == "cancel":
            self._set(job, "job.cancelled", status="cancelled")
        else:
            self.acct.remove(job)
            self.expected.add(("job.vanished", job, state["failed"]))
            del self.states[job]

    def _set(self, job: str, kind: str, **changes: Any) -> None:
        self.acct.set(job, **changes)
        self.states[job].update({name: value for name, value in changes.items() if name in ("status", "failed")})
        self.expected.add((kind, job, self.states[job]["failed"]))


class Ledger:
    """What one sink was told: by what it says, the ids under which it came. A copy has to be the same, to the byte."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: dict[Told, set[str]] = {}
        self.lines: dict[Told, set[str]] = {}
        self.bodies: dict[str, Any] = {}
        self.copies = 0

    def add(self, event: dict[str, Any]) -> None:
        """An event as `once --json` writes it."""
        job = event.get("job") or {}
        key = (event["type"], job.get("id", ""), job.get("failed_count", 0) or 0)
        self.ids.setdefault(key, set()).add(event["event_id"])
        self.copies += event["event_id"] in self.bodies
        old = self.bodies.setdefault(event["event_id"], event)
        assert old == event, f"{self.name}: two bodies under one id: {old} {event}"

    def add_line(self, line: str) -> None:
        """An alert as `run --no-journal` writes it, which has no id: the whole line takes its place."""
        alert = re.match(r"\S+Z +\w+ +([a-z_]+\.[a-z_]+) +(.*)", line)
        if not alert:
            return
        job = re.search(r"\bJ\d+-\d+\b", alert[2])
        failed = re.search(r"\b(\d+) (?:of \d+ )?failed", alert[2])
        key = (alert[1], job[0] if job else "", int(failed[1]) if failed else 0)
        self.lines.setdefault(key, set()).add(line)

    def check(self, expected: set[Told]) -> None:
        """Every change, nothing else, each under one id."""
        told = set(self.ids) | set(self.lines)
        assert told == expected, f"{self.name}: missing {expected - told}, invented {told - expected}"
        assert all(len(ids) == 1 for ids in self.ids.values()), f"{self.name}: told under two ids: {self.ids}"
        assert all(len(lines) == 1 for lines in self.lines.values()), f"{self.name}: told in two ways: {self.lines}"
