#!/usr/bin/python3
"""Whether the core still needs as many instructions as core.txt says: `gate.py CORE`, or `gate.py CORE --update` to write it anew."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

FIGURES = Path(__file__).resolve().parent / "core.txt"
PHASES = ("first", "same", "changed")
# glibc has other memcpy and strlen for other processors; nothing else moves the figures of one set of packages.
TOLERANCE = 0.05
PACKAGES = ("gcc", "libc6", "libjson-c5", "libxxhash0")
# Of other versions what is judged is what a phase needs of the first sweep: so many times what core.txt says at most. Without AVX2 the
# digest of a page, which is most of the second sweep, takes about three times the instructions; a page parsed again takes a hundred times.
RATIOS = {"same": 4.0, "changed": 1.1}


def versions() -> str:
    """What the figures depend on: upstream versions, and the registers that the digest of a page is made with."""
    found = []
    for package in PACKAGES:
        text = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False).stdout
        found.append(f"{package} {re.sub(r'^[0-9]+:|[-+].*$', '', text) or 'none'}")
    wide = re.search(r"^flags.*\bavx2\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return ", ".join([*found, "avx2" if wide else "no avx2"])


def instructions(core: str, phase: str) -> int:
    with tempfile.TemporaryDirectory(prefix="klv-gate-") as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=measured", f"--callgrind-out-file={folder}/out", core, phase],
                              capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or int(found[1]) < 100_000:
        raise RuntimeError(f"{core} {phase}: exit code {done.returncode}\n{done.stderr}")
    return int(found[1])


def ratios_hold(now: dict[str, int], before: dict[str, int]) -> bool:
    """Whether the later sweeps cost no more of the first than they may."""
    fine = True
    for phase, times in RATIOS.items():
        found, most = now[phase] / now["first"], times * before[phase] / before["first"]
        print(f"  {phase:8} {found:8.2%} of the first sweep, at most {most:.2%}")
        fine &= found <= most
    return fine


def main() -> int:
    core, update = sys.argv[1], "--update" in sys.argv[2:]
    now = {phase: instructions(core, phase) for phase in PHASES}
    if update:
        FIGURES.write_text(f"packages: {versions()}\n" + "".join(f"{phase}: {count}\n" for phase, count in now.items()))
    kept = dict(line.split(": ", 1) for line in FIGURES.read_text().splitlines())
    before = {phase: int(kept[phase]) for phase in PHASES}
    for phase, count in now.items():
        print(f"core, 20 pages of 100 jobs, {phase:8} {count:12,} instructions, {count / before[phase] - 1:+.1%} of what is kept")
    if kept["packages"] == versions():
        print(f"judged: each count, which may be {TOLERANCE:.0%} more than {FIGURES.name} says")
        fine = all(now[phase] <= before[phase] * (1 + TOLERANCE) for phase in PHASES)
    else:
        print(f"judged: the second and third beside the first only, because {FIGURES.name} is of {kept['packages']}; here are {versions()}")
        fine = ratios_hold(now, before)
    print("fine" if fine else "too much: mend it, or say why in a commit that runs `make bench-gate-update`")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
