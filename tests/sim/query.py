"""Reads a request's revision and query as the API does: what is allowed per family, 400 for anything else."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from dataclasses import dataclass

from aiohttp import web

from answer import Answer, api_error
from families import Family

FIRST_REVISION, NEWEST_REVISION = "2022-10-17", "2026-07-15"
LAST_OLD_SHAPE = "2023-07-15"
PAGE, IMPORT_PAGE = 100, 20

_REVISION = re.compile(r"(\d{4}-\d{2}-\d{2})(\.[a-z0-9-]+)?")
_EQUALS = re.compile(r"""equals\(\s*status\s*,\s*(["'])([^"']*)\1\s*\)""")
_ANY = re.compile(r"""any\(\s*status\s*,\s*\[\s*((?:(["'])[^"']*\2)(?:\s*,\s*(["'])[^"']*\3)*)\s*\]\s*\)""")


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


@dataclass(frozen=True)
class Revision:
    date: str

    @property
    def old_shape(self) -> bool:
        """attributes.job_id instead of data[].id, and times without an offset."""
        return self.date <= LAST_OLD_SHAPE

    @property
    def slash(self) -> bool:
        """Whether canonical paths end in a slash."""
        return self.date < "2024"


@dataclass(frozen=True)
class Cursor:
    """A place in a list: an offset, or the key of the job before the page ("" for the start)."""

    offset: int | None = None
    key: tuple[float, str] | None = None

    def text(self) -> str:
        plain = f"next::offset::{self.offset}" if self.key is None else f"next::key::{self.key[0]!r}::{self.key[1]}"
        return base64.urlsafe_b64encode(plain.encode()).decode()


@dataclass(frozen=True)
class Query:
    """A valid request's wishes. `fields` None: every attribute; `statuses` None: every status."""

    statuses: frozenset[str] | None = None
    fields: frozenset[str] | None = None
    cursor: Cursor | None = None
    size: int = PAGE
    order: str | None = None
    included: bool = False


def bad(detail: str, parameter: str, code: str = "invalid") -> Refused:
    return Refused(api_error(400, code, "Invalid input.", detail, parameter=parameter))


def read_revision(request: web.BaseRequest) -> Revision:
    text = request.headers.get("revision")
    if text is None:
        raise Refused(api_error(400, "missing_revision", "Missing revision.", "The `revision` header is required.",
                                pointer="/headers/revision"))
    match = _REVISION.fullmatch(text)
    today = datetime.date.today().isoformat()
    if not match or not _is_date(match[1]) or not FIRST_REVISION <= match[1] <= max(today, NEWEST_REVISION):
        raise Refused(api_error(400, "invalid_revision", "Invalid revision.", f"'{text[:40]}' is not an API revision.",
                                pointer="/headers/revision"))
    return Revision(match[1])


def read_query(request: web.BaseRequest, family: Family, revision: Revision, one: bool) -> Query:
    """The query of a list, or of one job, which knows fields (and include) only."""
    pairs: dict[str, str] = {}
    for name, value in request.query.items():
        if name in pairs:
            raise bad(f"'{name}' is given twice.", name)
        if name not in _known(family, one):
            raise bad(f"'{name}' is not a valid parameter of this endpoint.", name)
        pairs[name] = value
    return Query(_statuses(pairs.get("filter"), family), _fields(pairs.get(f"fields[{family.type}]"), family, revision),
                 _cursor(pairs.get("page[cursor]")), _size(pairs.get("page[size]"), family), _order(pairs.get("sort"), family),
                 _included(pairs.get("include"), family))


def fields_of(family: Family, revision: Revision) -> tuple[str, ...]:
    """What a sparse fieldset may name."""
    return family.attributes + ("job_id" if revision.old_shape else "id",)


def _known(family: Family, one: bool) -> set[str]:
    known = {f"fields[{family.type}]"}
    if one:
        return known | ({"include", f"fields[{family.include[1]}]"} if family.include else set())
    return (known | {"filter", "page[cursor]"} | ({"page[size]"} if family.sized_pages else set())
            | ({"sort"} if family.sort else set()))


def _statuses(text: str | None, family: Family) -> frozenset[str] | None:
    if text is None:
        return None
    equals, several = _EQUALS.fullmatch(text), _ANY.fullmatch(text) if family.any_filter else None
    if equals:
        wanted = [equals[2]]
    elif several:
        wanted = [match[1] for match in re.findall(r"""(["'])([^"']*)\1""", several[1])]
    else:
        raise bad(f"The filter '{text[:100]}' is not valid; this endpoint filters `status`.", "filter", "invalid_filter")
    for status in wanted:
        if status not in family.filter_statuses:
            raise bad(f"'{status[:40]}' is not a value of `status` here; {family.filter_statuses} are.", "filter", "invalid_filter")
    return frozenset(wanted)


def _fields(text: str | None, family: Family, revision: Revision) -> frozenset[str] | None:
    if text is None:
        return None
    names = frozenset(text.split(","))
    unknown = names - set(fields_of(family, revision))
    if unknown:
        raise bad(f"{sorted(unknown)} is no field of {family.type}.", f"fields[{family.type}]")
    return names


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        kind, *rest = base64.b64decode(text, b"-_", validate=True).decode().removeprefix("next::").split("::", 2)
        return Cursor(offset=int(rest[0])) if kind == "offset" else Cursor(key=(float(rest[0]), rest[1]))
    except (binascii.Error, ValueError, IndexError):
        raise bad("The cursor is invalid.", "page[cursor]", "invalid_cursor") from None


def _size(text: str | None, family: Family) -> int:
    if text is None:
        return IMPORT_PAGE if family.sized_pages else PAGE
    if not re.fullmatch(r"\d{1,3}", text) or not 1 <= int(text) <= PAGE:
        raise bad("page[size] is 1 to 100.", "page[size]")
    return int(text)


def _order(text: str | None, family: Family) -> str | None:
    if text is None:
        return None
    if text.removeprefix("-") != family.sort:
        raise bad(f"'{text[:40]}' cannot be sorted by.", "sort")
    return "newest" if text.startswith("-") else "oldest"


def _included(text: str | None, family: Family) -> bool:
    if text is not None and (not family.include or text != family.include[0]):
        raise bad(f"'{text[:40]}' cannot be included.", "include")
    return text is not None


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
