"""Rate limits: Klaviyo's fixed windows as they are enforced, and the measures that judge a client's log."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Callable

BURST_WINDOW, STEADY_WINDOW = 1.0, 60.0


@dataclass
class Verdict:
    """What the limits say about one request."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int


class Window:
    """One fixed window of a length; `others` is what other clients of the account ask for per second."""

    def __init__(self, limit: int, length: float, phase: float) -> None:
        self.limit, self.length, self.phase, self.others = limit, length, phase, 0.0
        self._index, self._used = -1, 0

    def used(self, now: float) -> int:
        index = math.floor((now - self.phase) / self.length)
        if index != self._index:
            self._index, self._used = index, 0
        return min(self._used + int(self.others * ((now - self.phase) % self.length)), max(self.limit, self._used))

    def spend(self, now: float, n: int) -> None:
        self.used(now)
        self._used += n

    def ends_in(self, now: float) -> float:
        return self.length - (now - self.phase) % self.length


class Meter:
    """The two windows of one account and family."""

    def __init__(self, burst: int, steady: int, clock: Callable[[], float], burst_phase: float = 0.0,
                 steady_phase: float = 0.0) -> None:
        self._clock = clock
        self.burst = Window(burst, BURST_WINDOW, burst_phase)
        self.steady = Window(steady, STEADY_WINDOW, steady_phase)

    def take(self) -> Verdict:
        """Counts one request, unless a window is full."""
        now = self._clock()
        full = [window for window in (self.burst, self.steady) if window.used(now) >= window.limit]
        if not full:
            self.spend(1)
        retry_after = max((math.ceil(window.ends_in(now)) for window in full), default=0)
        return Verdict(not full, self.steady.limit, max(self.steady.limit - self.steady.used(now), 0),
                       math.ceil(self.steady.ends_in(now)), retry_after)

    def spend(self, n: int) -> None:
        """n requests of this or another client of the account."""
        now = self._clock()
        self.burst.spend(now, n)
        self.steady.spend(now, n)


@dataclass(frozen=True)
class Windows:
    """The most requests that any window of 1 s and of 60 s saw."""

    sliding_1s: int
    sliding_60s: int
    fixed_1s: int
    fixed_60s: int


def most_in_sliding(times: list[float], length: float) -> int:
    """The most in any half-open window [t, t + length); times ascend."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= length:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_in_fixed(times: list[float], length: float, phase: float) -> int:
    return max(Counter(math.floor((time - phase) / length) for time in times).values(), default=0)


def measure(times: list[float], meter: Meter) -> Windows:
    times = sorted(times)
    return Windows(most_in_sliding(times, BURST_WINDOW), most_in_sliding(times, STEADY_WINDOW),
                   most_in_fixed(times, BURST_WINDOW, meter.burst.phase), most_in_fixed(times, STEADY_WINDOW, meter.steady.phase))
