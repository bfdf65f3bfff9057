"""The thirteen bulk-job families: path, limits, scopes, attributes and what each list understands."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("queued", "processing", "complete", "cancelled")
ACTIVE = ("queued", "processing")

CATALOG_ATTRIBUTES = ("status", "created_at", "total_count", "completed_count", "failed_count", "completed_at", "errors",
                      "expires_at")
IMPORT_ATTRIBUTES = ("status", "created_at", "total_count", "completed_count", "failed_count", "completed_at", "expires_at",
                     "started_at")
SUPPRESSION_ATTRIBUTES = ("status", "created_at", "total_count", "completed_count", "completed_at", "skipped_count")


@dataclass(frozen=True)
class Family:
    """One job type. `relations` are (name, resource type); the first one lists the job's items."""

    type: str
    burst: int
    steady: int
    scopes: tuple[str, ...]
    relations: tuple[tuple[str, str], ...]
    attributes: tuple[str, ...] = CATALOG_ATTRIBUTES
    filter_statuses: tuple[str, ...] = STATUSES
    any_filter: bool = False
    sort: str | None = None
    sized_pages: bool = False
    include: tuple[str, str] | None = None
    since: str = "2022-10-17"

    @property
    def path(self) -> str:
        return f"/api/{self.type}s"


def _catalog(noun: str, verb: str, limits: tuple[int, int]) -> Family:
    relation = ({"category": "categories"}.get(noun, noun + "s"), f"catalog-{noun}")
    return Family(f"catalog-{noun}-bulk-{verb}-job", *limits, ("catalogs:read",), (relation,),
                  include=None if verb == "delete" else relation)


FAST, SLOW = (350, 3500), (75, 750)

FAMILIES: dict[str, Family] = {f.type: f for f in (
    _catalog("category", "create", FAST), _catalog("category", "update", FAST), _catalog("category", "delete", FAST),
    _catalog("item", "create", SLOW), _catalog("item", "update", SLOW), _catalog("item", "delete", FAST),
    _catalog("variant", "create", SLOW), _catalog("variant", "update", SLOW), _catalog("variant", "delete", FAST),
    Family("coupon-code-bulk-create-job", *SLOW, ("coupon-codes:read",), (("coupon-codes", "coupon-code"),),
           include=("coupon-codes", "coupon-code"), since="2023-01-01"),
    Family("profile-bulk-import-job", 10, 150, ("lists:read", "profiles:read"),
           (("lists", "list"), ("profiles", "profile"), ("import-errors", "import-error")), IMPORT_ATTRIBUTES,
           ("queued", "processing", "complete"), any_filter=True, sort="created_at", sized_pages=True,
           include=("lists", "list"), since="2023-01-01"),
    Family("profile-suppression-bulk-create-job", *SLOW, ("subscriptions:read",),
           (("lists", "list"), ("segments", "segment")), SUPPRESSION_ATTRIBUTES, sort="created", since="2023-01-01"),
    Family("profile-suppression-bulk-delete-job", *SLOW, ("subscriptions:read",),
           (("lists", "list"), ("segments", "segment")), SUPPRESSION_ATTRIBUTES, sort="created", since="2023-01-01"),
)}

ALL_SCOPES = tuple(sorted({scope for family in FAMILIES.values() for scope in family.scopes}))


def find(path: str) -> tuple[Family, str | None] | None:
    """The family and, for one job, its id as it stands in the path (still percent-encoded); None for another path."""
    parts = path.removeprefix("/api/").rstrip("/").split("/")
    if not path.startswith("/api/") or not parts[0].endswith("s") or len(parts) > 2:
        return None
    family = FAMILIES.get(parts[0][:-1])
    return (family, parts[1] if len(parts) == 2 else None) if family else None
