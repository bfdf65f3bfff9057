"""Reads a demo script (JSON, see README.md): accounts with jobs and their lives, faults and outages at set times."""

from __future__ import annotations

from typing import Any

from jobs import Account, Life

DEFAULT: dict[str, Any] = {"accounts": [{"key": "pk_demo", "name": "demo", "jobs": [
    {"family": "catalog-category-bulk-delete-job", "total": 40, "life": {"total": 40, "lasts": 20, "queued": 3, "failed": 2}}]}]}
SETTINGS = ("manual", "start", "seed", "gzip", "limits", "window_phase", "paging", "related", "rate_headers", "strict_slash",
            "omit_null_links")
TOP = SETTINGS + ("accounts", "faults", "refuse")


def settings(plan: dict[str, Any]) -> dict[str, Any]:
    """The arguments of SimKlaviyo that the script gives."""
    _only(plan, TOP, "script")
    return {name: plan[name] for name in SETTINGS if name in plan}


def prepare(sim: Any, plan: dict[str, Any]) -> None:
    """Makes the accounts and the jobs that are there from the beginning."""
    for entry in plan.get("accounts", []):
        _only(entry, ("key", "name", "scopes", "keys", "many", "jobs", "others"), "account")
        acct = sim.account(entry["key"], entry.get("name"), **({"scopes": entry["scopes"]} if "scopes" in entry else {}))
        for key in entry.get("keys", []):
            acct.add_key(key, acct.keys[entry["key"]])
        for many in entry.get("many", []):
            acct.add_many(**many)
        for family, per_second in entry.get("others", {}).items():
            acct.others(family, per_second)


def run(sim: Any, plan: dict[str, Any]) -> None:
    """Starts what happens in time, counted from now."""
    for entry in plan.get("accounts", []):
        acct = sim.accounts[entry.get("name") or entry["key"]]
        for job in entry.get("jobs", []):
            job = dict(job)
            sim.after(job.pop("at", 0.0), lambda acct=acct, job=job: _add(acct, job))
    for fault in plan.get("faults", []):
        fault = dict(fault)
        sim.after(fault.pop("at", 0.0), lambda fault=fault: sim.fault(**fault))
    for outage in plan.get("refuse", []):
        _only(outage, ("at", "seconds"), "refuse")
        sim.refuse_later(outage.get("at", 0.0), outage["seconds"])


def _add(acct: Account, job: dict[str, Any]) -> None:
    life = job.pop("life", None)
    if isinstance(life, dict):
        job["life"] = Life.steady(**life)
    elif life is not None:
        job["life"] = Life(life)
    acct.add_job(**job)


def _only(entry: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = set(entry) - set(known)
    if unknown:
        raise ValueError(f"{what}: {sorted(unknown)} is unknown; {known} are known")
