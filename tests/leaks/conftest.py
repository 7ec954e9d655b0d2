"""A reader who wants the key: decodes whatever is written, in every order, and looks; without the product's code."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.cli import run_command
from smspartner_pipelines.output import RedactingStream
from smspartner_pipelines.sandbox import Campaign

KEY = "k3y+/=&% secret"
PHONE_KEY = "phone%key & more/0123"
_DEEPEST = 4
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U000([0-9a-fA-F]{5})|(.))", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")
_GAP = r"[\W_]{0,3}"
_NUMBERS = re.compile(
    rf"(?<![0-9])(?<![0-9][.])(?:(?:00)?33|0)?{_GAP}{_GAP.join('6399800')}{_GAP}(?:0{_GAP}[0-5]|9{_GAP}[89])"
)
"""All numbers of these tests, however they are grouped, and no part of a longer run of digits: times have many."""


def _unescaped(text: str) -> str:
    """Take one layer of JSON's or Python's escapes off."""

    def character(found: re.Match[str]) -> str:
        return chr(int(found[1] or found[2] or found[3], 16)) if found[4] is None else found[4]

    pairs = _ESCAPE.sub(character, text).encode("utf-16", "surrogatepass")
    return pairs.decode("utf-16", "replace")


def _bytes_as_text(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


_LAYERS: tuple[Callable[[str], str], ...] = (unquote, unquote_plus, _unescaped, html.unescape, _bytes_as_text)


def readings(text: str) -> set[str]:
    """Give a text and all that it becomes when escapes are taken off, layer by layer, in every order."""
    known, latest = {text}, {text}
    for _ in range(_DEEPEST):
        latest = {take_off(one) for one in latest for take_off in _LAYERS} - known
        known |= latest
    return known


def _uncoded(text: str) -> Iterator[str]:
    """Decode every run of characters that may be base64 or hexadecimal, at every alignment."""
    for run in set(_BASE64.findall(text)):
        standard = run.translate(str.maketrans("-_", "+/"))
        for start in range(4):
            group = standard[start : start + (len(standard) - start) // 4 * 4]
            rest = standard[start + len(group) :]
            data = base64.b64decode(group + (rest.ljust(4, "A") if rest else ""))
            yield from (data.decode("utf-8", "replace"), data.decode("latin-1"))
    for run in set(_HEX.findall(text)):
        for start in range(2):
            digits = run[start : start + (len(run) - start) // 2 * 2]
            yield bytes.fromhex(digits).decode("utf-8", "replace")


def everything_read(text: str) -> set[str]:
    """Give all readings of a text and of what is coded in it."""
    return readings(text) | readings("\n".join(set(_uncoded(text))))


class Leaks:
    """Looks for keys and phone numbers."""

    def of_keys(self, outputs: dict[str, str], *secrets: str) -> list[str]:
        """Name the outputs of which any reading gives a key."""
        wanted = secrets or (KEY, PHONE_KEY)
        read = {name: everything_read(text) for name, text in outputs.items()}
        return [name for name, texts in read.items() if any(key in text for key in wanted for text in texts)]

    def of_numbers(self, outputs: dict[str, str]) -> list[str]:
        """Give the phone numbers in outputs, with what is around them."""
        found = {(name, one) for name, text in outputs.items() for reading in readings(text) for one in _seen(reading)}
        return [f"{name}: {one}" for name, one in sorted(found)]


def _seen(text: str) -> Iterator[str]:
    yield from (text[max(one.start() - 40, 0) : one.end() + 40] for one in _NUMBERS.finditer(text))


@pytest.fixture
def leaks() -> Leaks:
    """The reader."""
    return Leaks()


@pytest.fixture
def key() -> str:
    """A key of signs that every encoding writes in another way (tests/connector/test_redaction.py has others)."""
    return KEY


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything happens in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def rows(count: int) -> list[dict[str, Any]]:
    """Make rows as the API sends them, with numbers in several spellings, and the last of them not valid."""
    spellings = ("+336399800{:02}", "06 39 98 00 {:02}", "00336399800{:02}", "+33-6.39.98.00.{:02}")
    row = {"status": "Delivered", "stopSMS": False, "date": "1517989111"}
    valid = [row | {"phoneNumber": spellings[n % len(spellings)].format(n)} for n in range(count - 1)]
    return [*valid, row | {"phoneNumber": "+33639980099", "status": "lost at 06 39 98 00 99", "+33639980098": "called"}]


@pytest.fixture
def campaigns() -> list[Campaign]:
    """Two tags of seven rows."""
    return [Campaign.of_rows(tag, rows(7)) for tag in ("promo", "other")]


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Ended]:
    """Run the command within this process: `command(url, key, *arguments, NAME=value, …)`."""

    def run(url: str | None, key: str, *arguments: str, **changes: str) -> Ended:
        given = {"API_KEY": key, "PHONE_KEY": PHONE_KEY, "RETRIES": "1", "BACKOFF": "0", "VALIDATE": "contract"}
        given |= {"BASE_URL": url} if url else {}
        with monkeypatch.context() as patch:
            for name, value in ({f"SMSPARTNER_{name}": value for name, value in given.items()} | changes).items():
                patch.setenv(name, value)
            for name in ("stdout", "stderr"):
                patch.setattr(sys, name, RedactingStream(getattr(sys, name)))
            capfdbinary.readouterr()
            code = int(run_command(list(arguments)))
        return Ended(code, *(text.decode() for text in capfdbinary.readouterr()))

    return run


@pytest.fixture
def files(here: Path) -> Callable[[], dict[str, str]]:
    """Read every file below: its name, its bytes, and of Parquet also values, schema, metadata and statistics."""

    def read() -> dict[str, str]:
        found = [path for path in sorted(here.rglob("*")) if path.is_file()]
        return {str(path.relative_to(here)): f"{path.name}\n{_content(path)}" for path in found}

    return read


def _content(path: Path) -> str:
    raw = path.read_bytes().decode("latin-1") if path.suffix == ".parquet" else path.read_text("utf-8")
    if path.suffix != ".parquet":
        return raw
    with pq.ParquetFile(path) as opened:
        groups = [opened.metadata.row_group(index) for index in range(opened.num_row_groups)]
        columns = [group.column(index) for group in groups for index in range(group.num_columns)]
        statistics = [(column.statistics.min, column.statistics.max) for column in columns if column.is_stats_set]
        table = opened.read()
        told = (table.to_pylist(), opened.metadata.metadata, opened.schema_arrow.metadata, statistics)
        return "\n".join([raw, repr(told), json.dumps(table.to_pylist(), default=str), str(opened.schema_arrow)])
