"""A reader who wants a secret: takes encodings off, layer by layer and in every order, and looks.

It knows nothing of how the product hides secrets, so that it can find what that misses.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, unquote_plus

_DEEPEST = 4
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_BASE64_GROUP = 4
_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2}){4,}")
_TO_STANDARD = str.maketrans("-_", "+/")


def find(texts: dict[str, str], wanted: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Give, for each name in `wanted`, the names of the texts in which any of its values stands, however spelled."""
    found: dict[str, list[str]] = {name: [] for name in wanted}
    for place, text in texts.items():
        read = _readings(text) | _readings("\n".join(set(_uncoded(text))))
        for name, values in wanted.items():
            if any(value and value in reading for value in values for reading in read):
                found[name].append(place)
    return found


def file_as_text(path: Path) -> str:
    """Give all that a file tells: its name and content; of Parquet values, schema, metadata and statistics too."""
    raw = path.read_bytes().decode("utf-8", "replace")
    return f"{path.name}\n{raw}\n{_parquet(path) if path.suffix == '.parquet' else ''}"


def _parquet(path: Path) -> str:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as opened:
        groups = [str(opened.metadata.row_group(index).to_dict()) for index in range(opened.num_row_groups)]
        return "\n".join([str(opened.read().to_pylist()), str(opened.metadata.metadata), str(opened.schema), *groups])


def _readings(text: str) -> set[str]:
    known, latest = {text}, {text}
    for _ in range(_DEEPEST):
        latest = {take_off(one) for one in latest for take_off in _LAYERS} - known
        known |= latest
    return known


def _uncoded(text: str) -> Iterator[str]:
    """Decode whatever may be base64 or hexadecimal, at every alignment."""
    for run in set(_BASE64.findall(text)):
        for start in range(_BASE64_GROUP):
            whole = (len(run) - start) // _BASE64_GROUP * _BASE64_GROUP
            code = run[start : start + whole] + run[start + whole :].ljust(_BASE64_GROUP, "A")
            yield base64.b64decode(code.translate(_TO_STANDARD)).decode("utf-8", "replace")
    for run in set(_HEXADECIMAL.findall(text)):
        for start in range(2):
            yield bytes.fromhex(run[start : start + (len(run) - start) // 2 * 2]).decode("utf-8", "replace")


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        return found[3] if found[3] is not None else chr(int(found[1] or found[2], 16))

    return _ESCAPE.sub(character, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_LAYERS: tuple[Callable[[str], str], ...] = (unquote, unquote_plus, _unescaped, html.unescape)
