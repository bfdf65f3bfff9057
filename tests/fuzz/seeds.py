#!/usr/bin/python3
"""Writes seeds for the fuzzers: seeds.py DATA OUT. They come from Klaviyo's schemas, the original request and our example configuration."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path
from typing import Iterable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "sim"))
from examples import answers  # noqa: E402

TIMES = ["2026-07-15T09:00:00.123456+00:00", "2022-11-08T00:00:00", "2016-12-31T23:59:60Z", "2026-03-29T01:59:59+01:00",
         "2026-03-29 03:00:00+02", "0001-01-01T00:00:00-0330", "9999-12-31T23:59:59.999Z"]
HTTP_TIMES = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sat, 31 Dec 2016 23:59:60 GMT"]
HEADERS = ["120", "0", "18446744073709551616", "-1", "3500, 3500;w=60", "350;w=1, 3500;w=60"]
TEMPLATES = ['{"text":"{{message}}"}', "{{#if job_id}}{{job_id}}{{/if}}", "{{account|json}} {{status}}", "{{#errors}}{{detail}}{{/errors}}"]


def documents(data: Path) -> list[tuple[str, dict]]:
    return [(file.stem, json.loads(file.read_text())) for file in sorted(data.glob("openapi-*.json"))]


def pages(data: Path) -> Iterable[bytes]:
    yield (data / "seed-example.json").read_bytes()
    for _, document in documents(data):
        for _, body in answers(document):
            yield json.dumps(body).encode()


def times(data: Path) -> Iterable[bytes]:
    found = set(TIMES + HTTP_TIMES)
    for file in data.glob("*.json"):
        found |= set(re.findall(r'"(\d{4}-\d\d-\d\d[T ][^"]{5,30})"', file.read_text()))
    return (text.encode() for text in sorted(found))


def row(table: int, values: list[int | str]) -> bytes:
    """One row in the form in which fuzz_store reads it: the table, then a type and a value for each column."""
    out = bytes([table])
    for value in values:
        if isinstance(value, str):
            text = value.encode()[:127]
            out += bytes([128 + len(text)]) + text
        else:
            out += bytes([0, 15]) + struct.pack(">q", value)[1:]
    return out


def rows() -> Iterable[bytes]:
    now = 1795510800000
    job = row(0, ["A", "processing", 9, 3, 1, 0, now, now, now, now, now, 1, 0, 0, 0])
    done = row(0, ["B", "complete", 9, 8, 1, 0, now, now, now, now, now, 1, 0, 0, 0])
    event = row(1, [1, "evt_1", "job.completed_with_failures", 4, now, "A", "complete", 9, 8, 1, 0, "processing", 3, 1, now, now, now,
                    "note", 7, 0, 2])
    error = row(2, [1, 0, "code", "title", "detail", "/data/0"])
    delivery = row(3, [1, "main/A", 2, now, now, now, 503, "error"])
    condition = row(4, ["api.throttled", now, now, now, 3, "why"])
    health = row(5, ["api.unreachable", now, now, now, 3, "why"])
    watch = row(7, [now, 100, now])
    mark = row(8, [f"here 12 {now} {now}"])
    yield from (job, done, event + error, delivery, condition, health, watch, mark, job + done + event + error + delivery)
    yield watch + mark + condition + health + job


def write(directory: Path, seeds: Iterable[bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(seeds):
        (directory / f"seed-{n}").write_bytes(seed)


def main() -> int:
    data, out = map(Path, sys.argv[1:3])
    write(out / "fuzz_page_decode", pages(data))
    write(out / "fuzz_timestamp", times(data))
    write(out / "fuzz_headers", [*times(data), *(text.encode() for text in HEADERS)])
    write(out / "fuzz_config", [file.read_bytes() for file in sorted((ROOT / "config").glob("*.conf"))])
    write(out / "fuzz_template", [text.encode() for text in TEMPLATES])
    write(out / "fuzz_store", rows())
    return 0


if __name__ == "__main__":
    sys.exit(main())
