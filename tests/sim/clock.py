"""The simulated account's clock, real or set by hand, and what is scheduled on it."""

from __future__ import annotations

import heapq
import itertools
import time
from typing import Callable


class Timeline:
    """Runs scheduled changes when somebody looks; each sees the clock at the moment it was due."""

    def __init__(self, manual: bool, start: float | None = None) -> None:
        self._frozen = manual
        self._base = time.time() if start is None else start
        self._offset = self._base - time.time()
        self._running_at: float | None = None
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def now(self) -> float:
        """Seconds since the epoch."""
        if self._running_at is not None:
            return self._running_at
        return self._base if self._frozen else time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Moves the clock on; a real clock jumps and goes on running."""
        self._base += seconds
        self._offset += seconds
        self.run_due()

    def at(self, when: float, change: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._number), change))

    def run_due(self) -> bool:
        """Makes every change that is due, in order; whether there was one."""
        until, ran = self.now(), False
        while self._running_at is None and self._due and self._due[0][0] <= until:
            self._running_at, _, change = heapq.heappop(self._due)
            try:
                change()
            finally:
                self._running_at = None
            ran = True
        return ran
