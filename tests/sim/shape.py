"""Shows jobs as JSON:API documents, in the shape of the revision that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from families import Family
from jobs import Job
from query import Query, Revision

_COUNTS = {"total_count": "total", "completed_count": "completed", "failed_count": "failed", "skipped_count": "skipped"}
_TIMES = ("created_at", "started_at", "completed_at", "expires_at")


def time_text(when: float | None, naive: bool) -> str | None:
    """ISO 8601: microseconds when there are any; without an offset in old revisions."""
    if when is None:
        return None
    moment = datetime.fromtimestamp(when, timezone.utc)
    return (moment.replace(tzinfo=None) if naive else moment).isoformat()


@dataclass(frozen=True)
class Shape:
    """One request's point of view. `related` is how many related items a job shows."""

    origin: str
    family: Family
    revision: Revision
    query: Query
    related: int = 2

    def resource(self, job: Job) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": self.family.type}
        if not self.revision.old_shape:
            shown["id"] = job.id
        shown["attributes"] = self._attributes(job)
        shown["relationships"] = {name: self._relation(job, name, kind) for name, kind in self.family.relations}
        shown["links"] = {"self": self.job_url(job.id)}
        return shown

    def one(self, job: Job) -> dict[str, Any]:
        included: dict[str, Any] = {"included": []} if self.query.included else {}
        links: dict[str, Any] = {} if self.revision.old_shape else {"links": {"self": self.job_url(job.id)}}
        return {"data": self.resource(job), **included, **links}

    def page(self, jobs: list[Job], params: dict[str, str], this: str | None, prev: str | None,
             next_: str | None) -> dict[str, Any]:
        """A page of a list; the cursors are those of itself and its neighbours, None where there is none."""
        links: dict[str, Any] = {"self": self.list_url(params, this)}
        if self.revision.old_shape:
            links["first"] = self.list_url(params, None)
        links["next"] = self.list_url(params, next_) if next_ is not None else None
        links["prev"] = self.list_url(params, prev) if prev is not None else None
        return {"data": [self.resource(job) for job in jobs], "links": links}

    def job_url(self, job_id: str) -> str:
        return f"{self.origin}{self.family.path}/{quote(job_id, safe='')}{'/' if self.revision.slash else ''}"

    def list_url(self, params: dict[str, str], cursor: str | None) -> str:
        pairs = [(name, value) for name, value in params.items() if name != "page[cursor]"]
        text = urlencode(pairs + ([] if cursor is None else [("page[cursor]", cursor)]), quote_via=quote)
        return f"{self.origin}{self.family.path}{'/' if self.revision.slash else ''}{'?' if text else ''}{text}"

    def _attributes(self, job: Job) -> dict[str, Any]:
        wanted, shown = self.query.fields, {}
        if self.revision.old_shape and (wanted is None or "job_id" in wanted):
            shown["job_id"] = job.id
        for name in self.family.attributes:
            if wanted is None or name in wanted:
                shown[name] = self._attribute(job, name)
        for name, value in (job.attributes or {}).items():
            if wanted is None or name in wanted or name not in self.family.attributes:
                shown[name] = value
        return shown

    def _attribute(self, job: Job, name: str) -> Any:
        if name in _TIMES:
            return time_text(getattr(job, name), self.revision.old_shape)
        return getattr(job, _COUNTS.get(name, name))

    def _relation(self, job: Job, name: str, kind: str) -> dict[str, Any]:
        base = f"{self.origin}{self.family.path}/{quote(job.id, safe='')}"
        links = {"self": f"{base}/relationships/{name}", "related": f"{base}/{name}"}
        if name == "import-errors":
            return {"links": {"related": links["related"]}}
        if name == "profiles":
            return {"links": links}
        data = [{"type": kind, "id": f"$custom:::$default:::{job.id[-8:]}-{i}"} for i in range(min(self.related, job.total or 0))]
        return {"data": data} if self.revision.old_shape else {"data": data, "links": links}
