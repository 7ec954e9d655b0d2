"""A validation as a page that needs no network, no script and no other file, and as JSON beside it."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from smspartner.redaction import REDACT

from smspartner_pipelines.load.files import make_directory, refuse_planted_link, replace_files, try_writing
from smspartner_pipelines.load.folder import refuse_inside_dataset

MOST_FINDINGS = 500
"""Rows of a table: nobody reads more, and a page stays below a megabyte."""


def prepare_folder(folder: Path) -> None:
    """Make sure that a page can be written there, before the work is done.

    Raises:
        DestinationError: nothing can be written there, or it lies inside a dataset.
    """
    refuse_inside_dataset(folder)
    refuse_planted_link(folder)
    make_directory(folder)
    try_writing(folder / "validation.html")


def write_validation(folder: Path, document: dict[str, Any]) -> Path:
    """Write a validation's JSON and page, named by its run; return the page.

    Raises:
        DestinationError: they can't be written.
    """
    page = folder / f"{document['run_id']}.html"
    content = REDACT(validation_page(document)).encode("utf-8", "backslashreplace")
    replace_files({page.with_suffix(".json"): validation_json(document), page: content})
    return page


def validation_json(document: dict[str, Any]) -> bytes:
    """Give the document as JSON, indented, UTF-8, without any secret."""
    text = REDACT.json(document, ensure_ascii=False)
    return msgspec.json.format(text.encode("utf-8", "backslashreplace"), indent=2) + b"\n"


def validation_page(document: dict[str, Any]) -> str:
    """Give the page of one validation, by its document."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "percent": _percent, "time": _time}
    findings = document["findings"]
    return environment.from_string(
        _file("validation.html.jinja")
    ).render(
        run=document,
        style=Markup(_file("style.css")),  # noqa: S704  # our own file
        expectations=sorted(document["expectations"], key=lambda one: one["success"]),
        findings=findings[:MOST_FINDINGS],
        more=max(0, len(findings) - MOST_FINDINGS),
    )


def _file(name: str) -> str:
    return (files("smspartner_pipelines") / "pages" / name).read_text(encoding="utf-8")


def _number(value: int) -> str:
    return f"{value:,}"


def _percent(part: int, whole: int) -> str:
    """Give a share in percent that is 0 or 100 only where it is exactly."""
    if not whole or part in {0, whole}:
        return "100 %" if part else "0 %"
    share = f"{100 * part / whole:.2f}"
    return {"0.00": "< 0.01 %", "100.00": "> 99.99 %"}.get(share, f"{share} %")


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
