#!/usr/bin/python3
"""make bench: one sweep of an account by klv-jobwatch, by a loop of libcurl and json-c, and by bash, curl and jq, side by side."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent))

from account import PATH, Nginx, Shape, in_own_mounts, write_pages  # noqa: E402
from measure import Cost, run  # noqa: E402

HERE = Path(__file__).resolve().parent
KEY = "pk_bench"


class Watch:
    """klv-jobwatch once, each time from a copy of the state that an earlier run left."""

    def __init__(self, program: Path, place: Path) -> None:
        self.program, self.place = program, place
        (place / "key").write_text(KEY)
        (place / "key").chmod(0o600)

    def sweep(self, url: str, before: Path | None = None, keep: Path | None = None) -> Cost:
        state = self.place / "state"
        shutil.rmtree(state, ignore_errors=True)
        if before:
            shutil.copytree(before, state)
        else:
            state.mkdir()
        config = self.place / "klv-jobwatch.conf"
        config.write_text(f'api-url = "{url}"\naccount "main" {{ api-key-file = "{self.place}/key" burst = 1000 steady = 4000 '
                          f'detail-timeout = 0s }}\n')
        cost = run(self.place, str(self.program), "once", "--json", "--config", str(config), "--state", str(state))
        if keep:
            shutil.copytree(state, keep)
        return cost


def events(cost: Cost) -> int:
    """How many job events a run told."""
    return cost.output.count('"job.')


class Table:
    """Costs by row, taken in turns; what is shown are medians."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Cost]] = {}

    def take(self, name: str, measure: Callable[[], Cost]) -> Cost:
        cost = measure()
        self.rows.setdefault(name, []).append(cost)
        return cost

    def cpu(self, name: str) -> float:
        return statistics.median(cost.cpu for cost in self.rows[name])

    def peak(self, name: str) -> float:
        return statistics.median(cost.peak for cost in self.rows[name]) / 1024

    def show(self, jobs: int, script: str) -> None:
        base, names = self.cpu("(b) fetch and parse"), list(self.rows)
        print(f"\n{jobs:,} jobs, medians")
        print(f"{'':44}{'runs':>5} {'CPU ms':>9} {'peak MiB':>9} {'x (b)':>7} {'(c) is':>7}")
        for name in names:
            times = f"{self.cpu(script) / self.cpu(name):6.0f}x" if script in self.rows and name.startswith("(d)") else ""
            peak = "" if name.startswith("(c)") else f"{self.peak(name):.1f}"
            print(f"{name:44}{len(self.rows[name]):5} {self.cpu(name) * 1000:9.1f} {peak:>9} {self.cpu(name) / base:7.2f} {times:>7}", flush=True)


SCRIPT = "(c) bash, curl, jq"
FIRST, SAME = "(d) klv-jobwatch once, first sweep", "(d) nothing changed"
NEWEST, SPREAD = "(d) the newest 1% changed", "(d) 1% changed, one on each page"


def measure(jobs: int, runs: int, programs: tuple[Path, Path], place: Path) -> Table:
    program, reference = programs
    table, roots = Table(), {}
    for name in ("", "newest", "spread"):
        roots[name or "base"] = place / f"pages-{name or 'base'}"
        pages = write_pages(roots[name or "base"], Shape(jobs, moved=name))
    with Nginx(roots) as server:
        for name in roots:
            server.check(name, pages)
        server.trust()
        watch, base = Watch(program, place), server.url("base")
        watch.sweep(base, keep=place / "swept")
        watch.sweep(server.url("base+tls"), keep=place / "swept-tls")
        for _ in range(runs):
            table.take("(a) fetch", lambda: run(place, str(reference), "fetch", base + PATH, str(pages)))
            table.take("(b) fetch and parse", lambda: run(place, str(reference), "parse", base + PATH, str(pages)))
            (place / "poll").unlink(missing_ok=True)
            table.take(SCRIPT, lambda: run(place, "bash", str(HERE / "poll.sh"), base + PATH, str(place / "poll")))
            table.take(FIRST, lambda: watch.sweep(base))
            same = table.take(SAME, lambda: watch.sweep(base, place / "swept"))
            newest = table.take(NEWEST, lambda: watch.sweep(server.url("newest"), place / "swept"))
            spread = table.take(SPREAD, lambda: watch.sweep(server.url("spread"), place / "swept"))
            table.take("(d) over TLS, first sweep", lambda: watch.sweep(server.url("base+tls")))
            table.take("(d) over TLS, nothing changed", lambda: watch.sweep(server.url("base+tls"), place / "swept-tls"))
            told = events(same), events(newest), events(spread)
            if told[0] != 0 or told[1] == 0 or told[2] == 0:
                raise RuntimeError(f"klv-jobwatch told {told} events of nothing, 1% and 1% changed: the figures are of no use")
    table.show(jobs, SCRIPT)
    return table


def bars(table: Table) -> list[str]:
    """What is not kept of what the design asks for."""
    base, script = table.cpu("(b) fetch and parse"), table.cpu(SCRIPT)
    found = {
        "first sweep at most 1.5 x (b)": table.cpu(FIRST) <= 1.5 * base,
        "nothing changed at most 0.3 x (b)": table.cpu(SAME) <= 0.3 * base,
        "(c) at least 30 x the first sweep": script >= 30 * table.cpu(FIRST),
        "(c) at least 100 x nothing changed": script >= 100 * table.cpu(SAME),
    }
    for text, kept in found.items():
        print(f"  {'kept  ' if kept else 'MISSED'} {text}")
    return [text for text, kept in found.items() if not kept]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--jobs", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--runs", type=int, help="15 of at most 10,000 jobs, 5 of more: a short sweep is a matter of the machine's mood")
    words = parser.parse_args()
    in_own_mounts()
    print("CPU is user and system time of the whole process, start-up included. nginx serves everybody the same static pages, with errors and\n"
          "relationships, as if it did not know the sparse fieldsets that klv-jobwatch asks for; no compression.")
    missed = []
    for jobs in words.jobs:
        with tempfile.TemporaryDirectory(prefix="klv-bench-") as folder:
            runs = words.runs or (15 if jobs <= 10_000 else 5)
            missed += bars(measure(jobs, runs, (words.program, words.reference), Path(folder)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
