"""Pages of validations as HTML: each is one file that needs no network, no script and no other file to be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from smspartner_pipelines.validation_files import MARK, Summary

MOST_FINDINGS = 500
MOST_RUNS = 1000
"""Rows of a table: nobody reads more, and a page stays below a megabyte."""

_VALUE = re.compile(r"`([^`]*)`")


def page_html(document: dict[str, Any]) -> str:
    """Give the page of one validation, by its document."""
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            run=document,
            suites=[(name, _worst_first(document, name)) for name in ("contract", "user")],
            findings=document["findings"][:MOST_FINDINGS],
            more=max(0, len(document["findings"]) - MOST_FINDINGS),
        )
    )


def _worst_first(document: dict[str, Any], suite: str) -> list[dict[str, Any]]:
    told = [one for one in document["expectations"] if one["suite"] == suite]
    return sorted(told, key=lambda one: one["success"])


def index_html(summaries: Sequence[Summary]) -> str:
    """Give the index of validations, newest first."""
    runs = summaries[:MOST_RUNS]
    return _environment().get_template("index.html.j2").render(runs=runs, more=len(summaries) - len(runs))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("smspartner_pipelines", "validation_pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "percent": _percent, "time": _time, "values": _values}
    style = (files("smspartner_pipelines") / "pages" / "style.css").read_text(encoding="utf-8")
    environment.globals |= {"style": Markup(style), "mark": Markup(MARK)}  # noqa: S704  # both are ours
    return environment


def _number(value: int) -> str:
    return f"{value:,}"


def _percent(part: int, whole: int) -> str:
    """Give a share in percent that is 0 or 100 only where it is exactly."""
    if not whole or part in {0, whole}:
        return "100 %" if part else "0 %"
    share = f"{100 * part / whole:.2f}"
    return {"0.00": "< 0.01 %", "100.00": "> 99.99 %"}.get(share, f"{share} %")


def _time(text: str) -> Markup:
    at = datetime.fromisoformat(text)
    return Markup('<time datetime="{}">{}</time>').format(text, f"{at:%Y-%m-%d %H:%M:%S} UTC")


def _values(sentence: str) -> Markup:
    """Set what stands between backticks as code."""
    return Markup(_VALUE.sub(r"<code>\1</code>", str(escape(sentence))))  # noqa: S704  # it is escaped
