"""Accounts and their bulk jobs: adding, changing, removing, scripted lives, and the lists in their order."""

from __future__ import annotations

import base64
import itertools
import random
import threading
from bisect import bisect_right
from datetime import datetime, timezone
from typing import Any, Callable, Iterable
from zlib import crc32

from clock import Timeline
from families import ACTIVE, FAMILIES, Family
from limits import Meter

WEEK = 7 * 86400.0
ORDERS = ("newest", "oldest", "random", "reshuffled")
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
Time = float | str | datetime | None


def ulid(when: float, chance: int) -> str:
    """The kind of id that Klaviyo gives to jobs: 48 bits of milliseconds and 80 of chance."""
    number = max(int(when * 1000), 0) << 80 | chance
    return base64.b32encode(number.to_bytes(20, "big"))[6:].translate(_CROCKFORD).decode()


def seconds(when: Time) -> float | None:
    """Epoch seconds of a number, a datetime or an ISO 8601 text (UTC unless it says otherwise)."""
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
    return when


class Job:
    """One job. `past` holds what changed, with the time until which it was so, for answers as of an earlier time."""

    FIELDS = ("status", "total", "completed", "failed", "skipped", "errors", "created_at", "started_at", "completed_at",
              "expires_at", "attributes")
    __slots__ = FIELDS + ("id", "family", "appeared_at", "removed_at", "past")

    def __init__(self, job_id: str, family: Family, appeared_at: float, **fields: Any) -> None:
        self.id, self.family, self.appeared_at = job_id, family, appeared_at
        self.removed_at: float | None = None
        self.past: list[tuple[float, dict[str, Any]]] | None = None
        for name in self.FIELDS:
            setattr(self, name, fields.get(name))

    def change(self, now: float, changes: dict[str, Any]) -> None:
        unknown = set(changes) - set(self.FIELDS)
        if unknown:
            raise ValueError(f"a job has no {sorted(unknown)}; it has {self.FIELDS}")
        if self.past is None:
            self.past = []
        self.past.append((now, {name: getattr(self, name) for name in changes}))
        for name, value in changes.items():
            setattr(self, name, value)

    def as_of(self, when: float) -> "Job | None":
        """The job as it was seen then; None when it was not there."""
        if self.appeared_at > when or (self.removed_at is not None and self.removed_at <= when):
            return None
        fields = {name: getattr(self, name) for name in self.FIELDS}
        for until, old in reversed(self.past or []):
            if until > when:
                fields.update(old)
        return Job(self.id, self.family, self.appeared_at, **fields)


class Life:
    """What happens to a job: (seconds after its start, changes); the change {"remove": True} takes it away."""

    def __init__(self, steps: Iterable[tuple[float, dict[str, Any]]]) -> None:
        self.steps = [(float(offset), dict(changes)) for offset, changes in steps]

    @classmethod
    def steady(cls, total: int, lasts: float, queued: float = 0.0, failed: int = 0, steps: int = 10,
               errors: list[dict[str, Any]] | None = None, ends: str = "complete") -> "Life":
        """Queued for a while, then processing in equal steps, failures spread evenly, then the end."""
        life: list[tuple[float, dict[str, Any]]] = [(queued, {"status": "processing"})]
        for i in range(1, steps):
            life.append((queued + lasts * i / steps, {"completed": (total - failed) * i // steps, "failed": failed * i // steps}))
        end: dict[str, Any] = {"status": ends, "completed": total - failed, "failed": failed}
        return cls(life + [(queued + lasts, end | ({"errors": errors} if errors else {}))])


def error(code: str = "invalid", title: str = "Invalid input.", detail: str = "The payload provided is invalid.",
          pointer: str = "/data", error_id: str = "e4eebb08-b055-4a6f-bb13-c8cb69c9eb94") -> dict[str, Any]:
    """One entry of a job's `errors`."""
    return {"id": error_id, "code": code, "title": title, "detail": detail, "source": {"pointer": pointer}}


class Account:
    """One Klaviyo account: its keys, its jobs, its share of the limits. Every call is safe from any thread."""

    def __init__(self, name: str, timeline: Timeline, changed: threading.Condition, chance: random.Random, order: str,
                 meter: Callable[[Family], Meter]) -> None:
        self.name, self.order = name, order
        self.keys: dict[str, tuple[str, ...]] = {}
        self._timeline, self._changed, self._chance, self._new_meter = timeline, changed, chance, meter
        self._jobs: dict[str, dict[str, Job]] = {family: {} for family in FAMILIES}
        self._gone: list[Job] = []
        self._version: dict[str, int] = dict.fromkeys(FAMILIES, 0)
        self._lists: dict[tuple[Any, ...], tuple[int, list[Job]]] = {}
        self._meters: dict[str, Meter] = {}
        self._shuffle = itertools.count()

    def add_key(self, key: str, scopes: Iterable[str]) -> None:
        """One more key of this account: other scopes, the same jobs and limits."""
        with self._changed:
            self.keys[key] = tuple(scopes)

    def revoke(self, key: str) -> None:
        with self._changed:
            self.keys.pop(key, None)

    def meter(self, family: str | Family) -> Meter:
        """The limits of one family, to be read or changed: .burst.limit, .steady.limit."""
        kind = family if isinstance(family, Family) else FAMILIES[family]
        with self._changed:
            if kind.type not in self._meters:
                self._meters[kind.type] = self._new_meter(kind)
            return self._meters[kind.type]

    def spend(self, family: str, n: int) -> None:
        """Other clients of the account make n requests now."""
        with self._changed:
            self.meter(family).spend(n)

    def others(self, family: str, per_second: float) -> None:
        """Other clients draw evenly on the steady window from now on."""
        with self._changed:
            self.meter(family).steady.others = per_second

    def add_job(self, family: str, id: str | None = None, status: str = "queued", total: int = 10, completed: int | None = 0,
                failed: int | None = 0, skipped: int | None = 0, errors: list[Any] | None = None, created_at: Time = None,
                started_at: Time = None, completed_at: Time = None, expires_at: Time = None,
                attributes: dict[str, Any] | None = None, life: Life | None = None) -> str:
        """A new job, visible at once; its id. `attributes` overrides what the answer shows, verbatim."""
        with self._changed:
            now = self._timeline.now()
            created = now if created_at is None else seconds(created_at)
            job_id = id or ulid(created, self._chance.getrandbits(80))
            if self._find(job_id):
                raise ValueError(f"there is a job {job_id} already")
            active = status in ACTIVE
            job = Job(job_id, FAMILIES[family], now, status=status, total=total, completed=completed, failed=failed,
                      skipped=skipped, errors=[] if errors is None else errors, created_at=created,
                      started_at=seconds(started_at) or (None if status == "queued" else created),
                      completed_at=seconds(completed_at) or (None if active else created),
                      expires_at=seconds(expires_at) or created + WEEK, attributes=attributes)
            self._jobs[family][job_id] = job
            self._touch(family)
            if life:
                self.run(job_id, life)
            return job_id

    def add_many(self, family: str, n: int, active: int = 0, status: str = "complete", total: int = 100,
                 failed: int = 0, spacing: float = 1.0, active_status: str = "processing") -> list[str]:
        """n finished jobs, created `spacing` seconds apart up to now; the newest `active` of them are in progress."""
        with self._changed:
            now, kind, ids = self._timeline.now(), FAMILIES[family], []
            for i in range(n):
                created, running = now - (n - i) * spacing, i >= n - active
                job = Job(ulid(created, self._chance.getrandbits(80)), kind, now,
                          status=active_status if running else status, total=total, completed=0 if running else total - failed,
                          failed=0 if running else failed, skipped=0, errors=[], created_at=created, started_at=created,
                          completed_at=None if running else created, expires_at=created + WEEK)
                self._jobs[family][job.id] = job
                ids.append(job.id)
            self._touch(family)
            return ids

    def set(self, job_id: str, **changes: Any) -> None:
        """Changes a job now. A terminal status sets completed_at, "processing" started_at, unless given."""
        with self._changed:
            job, now = self.job(job_id), self._timeline.now()
            for name in ("created_at", "started_at", "completed_at", "expires_at"):
                if name in changes:
                    changes[name] = seconds(changes[name])
            status = changes.get("status", job.status)
            if status not in ACTIVE and job.completed_at is None:
                changes.setdefault("completed_at", now)
            if status != "queued" and job.started_at is None:
                changes.setdefault("started_at", now)
            job.change(now, changes)
            self._touch(job.family.type)

    def remove(self, job_id: str) -> None:
        """The job is gone: from lists, and 404 on its own URL."""
        with self._changed:
            job = self.job(job_id)
            del self._jobs[job.family.type][job_id]
            job.removed_at = self._timeline.now()
            self._gone.append(job)
            self._touch(job.family.type)

    def run(self, job_id: str, life: Life) -> None:
        """Lets a job live from now on."""
        with self._changed:
            start = self._timeline.now()
            for offset, changes in life.steps:
                self._timeline.at(start + offset, lambda changes=changes: self._live(job_id, dict(changes)))

    def job(self, job_id: str) -> Job:
        """The job as it is; KeyError when there is none."""
        found = self._find(job_id)
        if not found:
            raise KeyError(job_id)
        return found

    def get(self, family: str, job_id: str, as_of: float | None = None) -> Job | None:
        job = self._jobs[family].get(job_id)
        if as_of is None:
            return job
        candidates = [job] if job else [gone for gone in self._gone if gone.id == job_id]
        return next((old for job in candidates if (old := job.as_of(as_of))), None)

    def listed(self, family: str, statuses: frozenset[str] | None, order: str, as_of: float | None = None) -> list[Job]:
        """The jobs of a list, in its order. The list is shared: do not change it."""
        if as_of is not None:
            every = itertools.chain(self._jobs[family].values(), (job for job in self._gone if job.family.type == family))
            return self._sorted((old for job in every if (old := job.as_of(as_of))), statuses, order)
        cached = self._lists.get((family, statuses, order))
        if order == "reshuffled" or not cached or cached[0] != self._version[family]:
            cached = (self._version[family], self._sorted(self._jobs[family].values(), statuses, order))
            self._lists[(family, statuses, order)] = cached
        return cached[1]

    def order_key(self, order: str) -> Callable[[Job], tuple[float, str]]:
        """A job's place in a list, as one comparable key: what keyset cursors point at."""
        if order == "newest":
            return lambda job: (-job.created_at, job.id)
        if order == "oldest":
            return lambda job: (job.created_at, job.id)
        salt = next(self._shuffle) if order == "reshuffled" else 0
        return lambda job: (crc32(f"{salt}{job.id}".encode()), job.id)

    def place_after(self, jobs: list[Job], key: tuple[float, str], order: str) -> int:
        """The index of the first job behind a key."""
        return bisect_right(jobs, key, key=self.order_key(order))

    def _sorted(self, jobs: Iterable[Job], statuses: frozenset[str] | None, order: str) -> list[Job]:
        if order not in ORDERS:
            raise ValueError(f"order {order!r}: one of {ORDERS}")
        return sorted((job for job in jobs if statuses is None or job.status in statuses), key=self.order_key(order))

    def _live(self, job_id: str, changes: dict[str, Any]) -> None:
        if not self._find(job_id):
            return
        if changes.pop("remove", False):
            self.remove(job_id)
        else:
            self.set(job_id, **changes)

    def _find(self, job_id: str) -> Job | None:
        return next((jobs[job_id] for jobs in self._jobs.values() if job_id in jobs), None)

    def _touch(self, family: str) -> None:
        self._version[family] += 1
        self._changed.notify_all()
