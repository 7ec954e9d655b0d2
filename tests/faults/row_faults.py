"""Faults in the rows of a page: the same facts spelled otherwise, and rows that are not valid."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from smspartner_pipelines.sandbox.faults import Kind

from faults.table import Row, every_row, first_row, rows

_PARIS = ZoneInfo("Europe/Paris")
_CALLING_CODES = ("+33", "+32", "+41", "+44", "+39", "+262", "+590", "+596", "+1")
_SMPP_WORDS = {"Delivered": "DELIVRD", "Not delivered": "UNDELIV", "Waiting": "ENROUTE"}


def _date(meaning: str, write: Callable[[int], object]) -> Kind:
    """Write each date that is given in another way."""
    return every_row(meaning, lambda row: row | {"date": write(int(row["date"]))} if row.get("date") else row)


def _number(meaning: str, write: Callable[[str], str]) -> Kind:
    """Write each number in another way."""
    return every_row(meaning, lambda row: row | {"phoneNumber": write(row["phoneNumber"])})


def _status(meaning: str, write: Callable[[str], str]) -> Kind:
    """Write each status in another way."""
    return every_row(meaning, lambda row: row | {"status": write(row["status"])})


def _first(meaning: str, **changes: object) -> Kind:
    return first_row(meaning, lambda row, _: row | changes)


def _surrogate(meaning: str, name: str, value: str) -> Kind:
    """Put half of a surrogate pair where the first row's text has an `@`; raw JSON text, as every `str` among rows."""
    return first_row(meaning, lambda row, _: json.dumps(row | {name: value.format(**row)}).replace("@", r"\ud83d"))


def _spaced(number: str) -> str:
    code = next((code for code in _CALLING_CODES if number.startswith(code)), "")
    rest = number[len(code) :]
    odd = len(rest) % 2
    groups = [rest[:odd]] * odd + [rest[at : at + 2] for at in range(odd, len(rest), 2)]
    return " ".join([code, *groups]).strip()


def _renamed(row: Row, old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in row.items()}


KINDS = {
    "empty_page": rows("the right envelope around no rows", lambda _rows, _: []),
    "long_page": rows("the last row of the page comes twice", lambda found, _: found + found[-1:]),
    "extra_field": every_row("each row has an unknown field `operator`", lambda row: row | {"operator": "SFR"}),
    "name_controls": every_row(
        "each row has an unknown field whose name holds ESC, NUL and a change of direction",
        lambda row: row | {"\x1b[31mop\0\u202eerator": "SFR"},
    ),
    "epoch_number": _date("`date` as a JSON number", int),
    "local_date": _date(
        "`date` as YYYY-MM-DD HH:MM:SS, French local time", lambda at: f"{datetime.fromtimestamp(at, _PARIS):%F %T}"
    ),
    "iso_date": _date(
        "`date` in ISO 8601 with the offset of Paris", lambda at: datetime.fromtimestamp(at, _PARIS).isoformat()
    ),
    "iso_date_z": _date("`date` in ISO 8601 with Z", lambda at: f"{datetime.fromtimestamp(at, UTC):%FT%TZ}"),
    "stop_string": every_row(
        '`stopSms` as "0" or "1" in place of `stopSMS`',
        lambda row: _renamed(row | {"stopSMS": str(int(row["stopSMS"]))}, "stopSMS", "stopSms"),
    ),
    "statut_key": every_row("`statut` in place of `status`", lambda row: _renamed(row, "status", "statut")),
    "status_lower": _status("status words in lower case, with stray spaces", lambda word: f" {word.lower()}  "),
    "smpp_words": _status(
        "statuses as the SMPP words that the vendor documents: DELIVRD, UNDELIV, ENROUTE",
        lambda word: _SMPP_WORDS.get(word, word),
    ),
    "words_renamed": _status("every status is a word that nobody knows", lambda word: f"neu: {word}"),
    "number_spaced": _number("numbers grouped with spaces: +33 6 12 34 56 78", _spaced),
    "number_national": _number(
        "French numbers in national form: 0612345678",
        lambda number: "0" + number[3:] if number.startswith("+33") else number,
    ),
    "number_00": _number(
        "numbers with 00 in place of the plus: 0033612345678", lambda number: "00" + number.removeprefix("+")
    ),
    "bad_date": _first("the first row's date is `soon`", date="soon"),
    "huge_date": _first("the first row's date is a number of 400 digits", date=10**399),
    "date_ahead": _first("the first row's date is in the year 2100", date="4102444800"),
    "date_never": _first(
        "the first row's date is in an hour that never was: 2025-03-30 02:30:00 in Paris", date="2025-03-30 02:30:00"
    ),
    "smpp_unknown": _first("the first row's status is UNKNOWN, an SMPP word that says nothing", status="UNKNOWN"),
    "number_with_nul": first_row(
        "the first row's number ends with a NUL character",
        lambda row, _: row | {"phoneNumber": f"{row['phoneNumber']}\0"},
    ),
    "row_error": first_row(
        "the first row is an error of its own, code 4",
        lambda _row, _: {"success": False, "code": 4, "status": "Numéro introuvable"},
    ),
    "row_null": first_row("the first row is null", lambda _row, _: None),
    "row_text": first_row("the first row is a JSON string", lambda _row, _: '"Numéro introuvable"'),
    "status_twice": first_row(
        "the first row gives `status` twice: its own, then `Ko`",
        lambda row, _: json.dumps(row)[:-1] + ', "status": "Ko"}',
    ),
    "surrogate_status": _surrogate("the first row's status holds half of a surrogate pair", "status", "x@"),
    "surrogate_number": _surrogate(
        "the first row's number holds half of a surrogate pair", "phoneNumber", "{phoneNumber}@"
    ),
    "surrogate_extra": _surrogate("an unknown field of the first row holds half of a surrogate pair", "note", "@"),
    "surrogate_name": _surrogate(
        "the name of an unknown field of the first row holds half of a surrogate pair", "@", "note"
    ),
}
