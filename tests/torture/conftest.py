"""The harness of the integration tests, by the name `harness`, and what a torture run is told from outside."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

_spec = importlib.util.spec_from_file_location("harness", Path(__file__).resolve().parents[1] / "integration" / "conftest.py")
assert _spec and _spec.loader
_harness = importlib.util.module_from_spec(_spec)
sys.modules["harness"] = _harness
_spec.loader.exec_module(_harness)

from harness import acct, canaries, certificates, place, receiver, sim  # noqa: E402, F401 (fixtures)

RUNS = int(os.environ.get("KLV_RUNS", "60"))
SEED = int(os.environ.get("KLV_SEED", "1"))


def pytest_report_header() -> str:
    return f"torture: {RUNS} runs from seed {SEED} (KLV_RUNS, KLV_SEED)"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was really done, added up over all workers."""
    totals: dict[str, int] = {}
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", []):
        for name, value in report.user_properties:
            totals[name] = totals.get(name, 0) + value
    for name, value in totals.items():
        terminalreporter.write_line(f"torture: {name}: {value}")
    _harness.pytest_terminal_summary(terminalreporter)
