"""Measures the transformer by itself: response bodies to pages (`read_page`), populations to snapshots (`transform`).

    python tests/benchmarks/transformer.py [--rounds 7]

prints a table of medians, in one process and without a network. MB are those of the bodies.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from datetime import UTC, datetime

from loopback_server import PAGE_ROWS, cut_page, row_digits
from smspartner.page import Page, read_page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.reading import Population
from smspartner.transform import transform

SHAPES = (
    ("small tags: 10,000 x 20", 10_000, 20),
    ("tags: 40 x 5,000", 40, 5_000),
    ("one tag of 200,000", 1, 200_000),
)


def bodies(tag: int, rows: int, *, loose: bool) -> list[bytes]:
    """Give what the server sends of a tag; if `loose`, with a row in each page that is not in the documented shape."""
    width = row_digits(rows)
    digits = str(tag).zfill(8 - width).encode()
    answers = (digits.join(cut_page(number, rows)) for number in range(1, -(-rows // PAGE_ROWS) + 1))
    sent = [answer.split(b"\r\n\r\n", 1)[1] for answer in answers]
    return [body.replace(b'"stopSMS": true', b'"stopSMS": "1"', 1) for body in sent] if loose else sent


def population(tag: int, rows: int, pages: tuple[Page, ...]) -> Population:
    """Give a tag as the connector reads it."""
    now = datetime.now(UTC)
    return Population(f"tag-{tag}", "complete", "", pages, now, now, rows, rows, len(pages), len(pages), 0, 0.1)


def measure(tags: int, rows: int, rounds: int, *, loose: bool) -> tuple[float, float, int]:
    """Give the medians of seconds for reading and for typing, and the bytes that were read."""
    received = [bodies(tag, rows, loose=loose) for tag in range(tags)]
    reading, typing = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        pages = [tuple(map(read_page, of_tag)) for of_tag in received]
        reading.append(time.perf_counter() - began)
        sent = [population(tag, rows, of_tag) for tag, of_tag in enumerate(pages)]
        began = time.perf_counter()
        snapshots = list(transform(sent, "run", PhonePrivacy()))
        typing.append(time.perf_counter() - began)
        found = sum(one.table.num_rows for one in snapshots if one is not None)
        if found != tags * rows:
            raise SystemExit(f"{found} typed rows of {tags * rows}")
    return statistics.median(reading), statistics.median(typing), sum(len(body) for one in received for body in one)


def table(rounds: int) -> str:
    """Measure every shape, and give a Markdown table."""
    lines = ["| rows | `read_page` | `transform` | both |", "|---|---|---|---|"]
    for name, tags, rows in SHAPES:
        for loose in (False, True):
            reading, typing, size = measure(tags, rows, rounds, loose=loose)
            cells = (
                f"{tags * rows / seconds / 1e6:.2f}M rows/s, {size / seconds / 1e6:.0f} MB/s"
                for seconds in (reading, typing, reading + typing)
            )
            note = ", one row a page of another shape" if loose else ""
            lines.append(f"| {name}{note} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    sys.stdout.write(table(parser.parse_args().rounds) + "\n")


if __name__ == "__main__":
    main()
