"""The folder of validation pages: a JSON document and a page for each validation, and an index of all of them.

The index is made of the documents that are there. Files of others are left alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from smspartner.errors import SettingsError
from smspartner_pipelines.load.atomic import guarded, make_directory, replace_file, replace_files, try_writing
from smspartner_pipelines.load.nesting import refuse_inside_dataset
from smspartner.redaction import REDACT

from smspartner_pipelines.validation_outcome import KIND

INDEX = "index.html"
MARK = f'<meta name="generator" content="{KIND}">'
"""By this a page of ours is known."""

_DOCUMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\.json")
_LONGEST_HEAD = 2048
"""Characters within which a page of ours shows its mark."""


class Summary(msgspec.Struct):
    """What the index says of one validation; the names are those of its document."""

    kind: str
    run_id: str
    success: bool
    started_at: str
    destination: str
    tags: int
    rows: int
    rows_failed: int
    tags_failed: int
    expectations_judged: int
    expectations_failed: int
    expectations_not_evaluated: int
    seconds: float


def prepare_folder(folder: Path) -> None:
    """Make sure that pages can be written there, before the work is done.

    Raises:
        SettingsError: an index stands there that is not ours.
        DestinationError: nothing can be written there, or it lies inside a dataset.
    """
    refuse_inside_dataset(folder)
    make_directory(folder)
    index = folder / INDEX
    head = guarded(f"reading {index}", lambda: _head(index))
    if head is not None and MARK not in head:
        raise SettingsError(f"{index} is no page of this product, and would be replaced: name another folder with -o")
    try_writing(index, staging=folder)


def _head(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_HEAD)
    except FileNotFoundError:
        return None


def document_json(document: dict[str, Any]) -> bytes:
    """Give a document as JSON, indented, without any secret."""
    return msgspec.json.format(REDACT.json(document, ensure_ascii=False, default=str).encode(), indent=2) + b"\n"


def write_validation(folder: Path, document: dict[str, Any]) -> Path:
    """Write a validation's document and page, and the index anew; return the page.

    Raises:
        DestinationError: something can't be written; each file is the old one or the new one.
    """
    from smspartner_pipelines.validation_html import index_html, page_html

    name = document["run_id"]
    page = folder / f"{name}.html"
    contents = [(folder / f"{name}.json", document_json(document)), (page, _bytes(page_html(document)))]
    list(replace_files(contents, staging=folder))
    replace_file(folder / INDEX, _bytes(index_html(summaries_in(folder))), staging=folder)
    return page


def _bytes(html: str) -> bytes:
    return REDACT(html).encode("utf-8")


def summaries_in(folder: Path) -> list[Summary]:
    """Read what the documents in the folder say, the newest first; files that are no documents are passed over.

    Raises:
        DestinationError: the folder, or a file in it, can't be read.
    """
    paths = guarded(f"reading {folder}", lambda: sorted(folder.iterdir(), reverse=True))
    found = [_summary(path) for path in paths if _DOCUMENT.fullmatch(path.name)]
    return [summary for summary in found if summary is not None]


def _summary(path: Path) -> Summary | None:
    content = guarded(f"reading {path}", path.read_bytes)
    try:
        summary = msgspec.json.decode(content, type=Summary)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return summary if (summary.kind, f"{summary.run_id}.json") == (KIND, path.name) else None
