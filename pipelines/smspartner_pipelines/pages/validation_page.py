"""A validation as a page that needs no network, no script and no other file, and as JSON beside it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import smspartner
from smspartner.redaction import REDACT
from smspartner_schemas.rules import END, suite

from smspartner_pipelines.load.files import make_directory, refuse_planted_link, replace_files, try_writing
from smspartner_pipelines.load.folder import refuse_inside_dataset

MOST_TAGS = 100
"""Shown for a rule: nobody reads more, and a page stays below a megabyte."""

_MOST_IN_COMMAND = 20
_ORIGINS = {"built in": 0, "contract": 1, "user": 2}

SENTENCES = {
    "columns_in_order": "Every column of the contract is there, in its order.",
    "tag_not_null": "Every row names its tag.",
    "tag_matches": "A tag has 1 to 20 characters and no white space.",
    "phone_number_not_null": "Every row has a phone number.",
    "phone_number_matches": "Every phone number is written in the form that its tag is kept in.",
    "occurrence_not_null": "Every row has its place among the rows of its number.",
    "occurrence_between": "That place counts from 1.",
    "country_matches": "A country is two capital letters.",
    "status_not_null": "Every row has a status.",
    "status_in_set": "A status is delivered, not_delivered, waiting or ko.",
    "stop_sms_not_null": "Every row says whether the person opted out.",
    "status_at_between": "A status is dated between 2000 and 2100.",
    "extracted_at_not_null": "Every row says when it was read.",
    "extracted_at_between": "A row was read between 2000 and 2100.",
    "run_id_not_null": "Every row names the run that loaded it.",
    "run_id_matches": "The name of a run is letters, digits and hyphens.",
    "primary_key_unique": "No phone number has the same place twice under one tag.",
}
"""The contract's rules in words, by their names."""

_PHONE_SENTENCES = {
    "plain": "A phone number is written in the international form: + and 7 to 15 digits.",
    "masked": "A phone number is masked: of its digits only the calling code and the last two are left.",
    "hashed": "A phone number is a hash, behind the name of its key.",
}
"""For a destination whose tags all keep their numbers in one form."""


@dataclass
class _Rule:
    """A rule as the page shows it; `findings` say where it is broken, the most rows first."""

    sentence: str
    origin: str
    check: str
    rows: int
    findings: list[dict[str, Any]]

    @property
    def rows_failed(self) -> int:
        return sum(one["rows"] or 0 for one in self.findings)

    @property
    def tags(self) -> int:
        return len({one["tag"] for one in self.findings} - {None})


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
    environment.filters |= {"number": "{:,}".format, "percent": _percent}
    folder = files("smspartner_pipelines") / "pages"
    rules = _rules(document)
    return environment.from_string((folder / "validation.html.jinja").read_text(encoding="utf-8")).render(
        run=document,
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),  # noqa: S704  # our own file
        failing=[one for one in rules if one.findings],
        holding=[one for one in rules if not one.findings],
        tags=document["tags"] + len(document["tags_not_read"]),
        most=_most_in(document["findings"]),
        command=_command(document),
        made_at=f"{datetime.fromisoformat(document['started_at']):%-d %B %Y, %H:%M} UTC",
        version=smspartner.__version__,
        most_tags=MOST_TAGS,
    )


def _rules(document: dict[str, Any]) -> list[_Rule]:
    """Give all rules, those that fail worst: what can't be read or was changed, then rows, then the user's own."""
    broken: dict[str, list[dict[str, Any]]] = {}
    for finding in sorted(document["findings"], key=lambda one: -(one["rows"] or 0)):
        broken.setdefault(finding["rule"], []).append(finding)
    checks = {one["meta"]["rule"]: one for form in document["phone_numbers"] for one in suite(form)["expectations"]}
    rows: Counter[str] = Counter()
    for one in document["expectations"]:
        rows[one["rule"]] += one["rows_checked"]
    of_form = _PHONE_SENTENCES[next(iter(document["phone_numbers"]))] if len(document["phone_numbers"]) == 1 else ""
    sentences = SENTENCES | ({"phone_number_matches": of_form} if of_form else {})
    rules = {
        one["rule"]: _Rule(one["meaning"], "built in", "", 0, broken.get(one["rule"], []))
        for one in document["tag_rules"]
    }
    for one in document["expectations"]:
        name = one["rule"]
        check = _check(one["expectation"], checks[name]["kwargs"] if name in checks else one["columns"])
        unnamed = one["expectation"].replace("_", " ").capitalize() if name.endswith(one["expectation"]) else name
        rules[name] = _Rule(sentences.get(name, unnamed), one["suite"], check, rows[name], broken.get(name, []))
    return sorted(rules.values(), key=lambda one: (_ORIGINS[one.origin], -one.rows_failed))


def _check(expectation: str, arguments: dict[str, Any] | list[str]) -> str:
    """Give an expectation as it is called; of the user's, the columns only, since other arguments hold values."""
    named = [f"{name}={value!r}" for name, value in arguments.items()] if isinstance(arguments, dict) else arguments
    return f"{expectation}({', '.join(named)})".replace(repr(END)[1:-1], "$")


def _most_in(findings: Iterable[dict[str, Any]]) -> str:
    """Name the tag that has more than half of the failing rows, if there are others."""
    rows: Counter[str] = Counter()
    for one in findings:
        rows[one["tag"] or ""] += one["rows"] or 0
    tag, count = max(rows.items(), key=lambda item: item[1], default=("", 0))
    return tag if count < rows.total() < 2 * count else ""


def _command(document: dict[str, Any]) -> list[str]:
    """Give the words of the command that reads again what fails more than the user's own rules."""
    own = {one["rule"] for one in document["expectations"] if one["suite"] == "user"}
    tags = sorted({one["tag"] for one in document["findings"] if one["tag"] and one["rule"] not in own})
    if not tags:
        return []
    named = [shlex.quote(tag) for tag in tags] if len(tags) <= _MOST_IN_COMMAND else ["--tags-file", "FILE"]
    kept = [form for form in document["phone_numbers"] if form != "plain"]
    form = ["--phone-numbers", kept[0]] if kept and len(document["phone_numbers"]) == 1 else []
    return ["smspartner", "run", *named, "--refresh", "all", *form, "--to", shlex.quote(document["destination"])]


def _percent(part: int, whole: int) -> str:
    """Give a share with one decimal that is 0 or 100 only where it is exactly."""
    share = f"{100 * part / whole:.1f}"
    return {"0.0": "under 0.1%", "100.0": "over 99.9%"}.get(share, f"{share}%") if part < whole else "100%"
