#!/usr/bin/python3
"""make bench-http2: the same lists by HTTP/1.1 and by HTTP/2, both over TLS from the same nginx: what multiplexing costs and saves.

In turns, each from an empty state; medians. The daemon is the same for both: it offers both, and the server chooses.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from account import FAMILY, Nginx, Shape, in_own_mounts, write_lists, write_pages  # noqa: E402
from bench import KEY  # noqa: E402
from families import FAMILIES  # noqa: E402
from measure import Cost, run  # noqa: E402
from scale import steady  # noqa: E402

PROTOCOLS = {"HTTP/1.1": "+tls1", "HTTP/2": "+tls"}


@dataclass(frozen=True)
class Case:
    name: str
    root: str
    accounts: int
    jobs: str


CASES = [Case("one list of 100 pages", "long", 1, f'"{FAMILY}"'),
         Case("13 lists of 10 pages, one account", "families", 1, '"*"'),
         Case("13 short lists each of 100 accounts", "lists", 100, '"*"')]


def write_roots(place: Path) -> dict[str, Path]:
    roots = {case.root: place / case.root for case in CASES}
    write_pages(roots["long"], Shape(10_000, whole=False))
    for family in FAMILIES:
        write_pages(roots["families"] / family, Shape(1_000, whole=False), family)
    write_lists(roots["lists"], list(FAMILIES))
    return roots


def sweep(program: Path, place: Path, url: str, case: Case) -> Cost:
    shutil.rmtree(place / "state", ignore_errors=True)
    (place / "state").mkdir()
    account = f'{{ api-key-file = "{place}/key" jobs = {{ {case.jobs} }} burst = 1000 steady = 4000 detail-timeout = 0s }}'
    lines = [f'api-url = "{url}"', *(f'account "shop-{i}" {account}' for i in range(case.accounts))]
    (place / "once.conf").write_text("\n".join(lines))
    return run(place, str(program), "once", "--config", str(place / "once.conf"), "--state", str(place / "state"))


def measure(program: Path, place: Path, server: Nginx, case: Case, runs: int) -> None:
    costs: dict[str, list[tuple[Cost, int]]] = {name: [] for name in PROTOCOLS}
    for _ in range(runs):
        for name, suffix in PROTOCOLS.items():
            before = server.accepted()
            cost = sweep(program, place, server.url(case.root + suffix), case)
            costs[name].append((cost, server.accepted() - before))
    for name, taken in costs.items():
        cpu, peak, took = (statistics.median(getattr(cost, what) for cost, _ in taken) for what in ("cpu", "peak", "took"))
        print(f"{case.name:38}{name:10}{cpu * 1000:9.0f} {peak / 1024:9.1f} {took * 1000:9.0f} {max(n for _, n in taken):12}", flush=True)


def watch(program: Path, accounts: int, seconds: float) -> None:
    """The daemon at its interval: a connection that is there already costs no handshake."""
    for name, kind in PROTOCOLS.items():
        with tempfile.TemporaryDirectory(prefix="klv-http2-") as folder:
            found = steady(program, Path(folder), accounts, seconds, kind)
        print(f"{f'{accounts} accounts x {len(FAMILIES)} lists, every 10 s':38}{name:10}{found.share:9.1%} of a core {found.memory:9.1f} MiB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    words = parser.parse_args()
    in_own_mounts()
    with tempfile.TemporaryDirectory(prefix="klv-http2-") as folder:
        place = Path(folder)
        (place / "key").write_text(KEY)
        (place / "key").chmod(0o600)
        with Nginx(write_roots(place)) as server:
            server.trust()
            print(f"klv-jobwatch once, {words.runs} runs each, medians")
            print(f"{'':38}{'':10}{'CPU ms':>9} {'peak MiB':>9} {'took ms':>9} {'connections':>12}")
            for case in CASES:
                measure(words.program, place, server, case, words.runs)
    print("\nklv-jobwatch run, one run each")
    watch(words.program, words.accounts, words.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
