"""Runs a program to its end and says what it cost: processor time of it and its children, its peak of resident memory, and how long it took."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# A process that fork(2) made counts its maker's memory into its own peak, also after exec; so a small one stands between.
BETWEEN = """
import os, sys, time
began = time.monotonic()
out = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
pid = os.posix_spawnp(sys.argv[3], sys.argv[3:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as report:
    report.write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss} {time.monotonic() - began}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Cost:
    cpu: float  # seconds, user and system
    peak: int  # KiB; of one process, so nothing that a pipeline's could be added up from
    took: float  # seconds
    output: str


def run(place: Path, *words: str) -> Cost:
    """RuntimeError when the program does not end well."""
    report, output = place / "report", place / "output"
    done = subprocess.run([sys.executable, "-S", "-c", BETWEEN, str(report), str(output), *words], stderr=subprocess.PIPE, text=True,
                          timeout=900, env={**os.environ, "LC_ALL": "C"}, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} {words[1]}: exit code {done.returncode}\n{done.stderr}")
    cpu, peak, took = report.read_text().split()
    return Cost(float(cpu), int(peak), float(took), output.read_text())
