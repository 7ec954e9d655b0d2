"""Faults in the rows of a page: other spellings of the same facts, rows to doubt, pages too short or too long."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from smspartner_pipelines.sandbox.faults import Strike

from faults import table

Row = dict[str, Any]

_CALLING_CODES = ("+33", "+32", "+41", "+44", "+39", "+262", "+590", "+596", "+1")


def _of_page(kind: str, description: str) -> Callable[[Callable[[list[object]], list[object]]], None]:
    """Register a function from all rows of a page to the rows sent instead."""

    def decorate(edit: Callable[[list[object]], list[object]]) -> None:
        table.rows(kind, description)(lambda rows, _strike: edit(rows))

    return decorate


def _every_row(kind: str, description: str) -> Callable[[Callable[[Row], object]], None]:
    """Register a function from a row to the row sent instead; rows that are no objects stay."""

    def decorate(edit: Callable[[Row], object]) -> None:
        def edit_all(rows: list[object], _strike: Strike) -> list[object]:
            return [edit(row) if isinstance(row, dict) else row for row in rows]

        table.rows(kind, description)(edit_all)

    return decorate


def _first_row(kind: str, description: str) -> Callable[[Callable[[Row], object]], None]:
    """Register a function from the first row of a page to the row sent instead."""

    def decorate(edit: Callable[[Row], object]) -> None:
        def edit_first(rows: list[object], _strike: Strike) -> list[object]:
            first = rows[0] if rows else None
            return [edit(first if isinstance(first, dict) else {}), *rows[1:]] if rows else rows

        table.rows(kind, description)(edit_first)

    return decorate


@_of_page("empty_page", "the right envelope around no rows")
def _empty_page(_rows: list[object]) -> list[object]:
    return []


@_of_page("long_page", "the last row of the page comes twice")
def _long_page(rows: list[object]) -> list[object]:
    return rows + rows[-1:]


@_every_row("extra_field", "each row has an unknown field `operator`")
def _extra_field(row: Row) -> Row:
    return row | {"operator": "SFR"}


@_every_row("epoch_number", "`date` as a JSON number")
def _epoch_number(row: Row) -> Row:
    epoch = _epoch(row)
    return row if epoch is None else row | {"date": epoch}


@_every_row("local_date", "`date` as YYYY-MM-DD HH:MM:SS, French local time")
def _local_date(row: Row) -> Row:
    epoch = _epoch(row)
    if epoch is None:
        return row
    return row | {"date": f"{datetime.fromtimestamp(epoch, ZoneInfo('Europe/Paris')):%Y-%m-%d %H:%M:%S}"}


@_every_row("stop_string", '`stopSms` as "0" or "1" in place of `stopSMS`')
def _stop_string(row: Row) -> Row:
    return _renamed(row | {"stopSMS": str(int(bool(row.get("stopSMS"))))}, "stopSMS", "stopSms")


@_every_row("statut_key", "`statut` in place of `status`")
def _statut_key(row: Row) -> Row:
    return _renamed(row, "status", "statut")


@_every_row("status_lower", "status words in lower case, with stray spaces")
def _status_lower(row: Row) -> Row:
    return row | {"status": f" {str(row.get('status', '')).lower()}  "}


@_every_row("number_spaced", "numbers grouped with spaces: +33 6 12 34 56 78")
def _number_spaced(row: Row) -> Row:
    number = str(row.get("phoneNumber", ""))
    code = next((code for code in _CALLING_CODES if number.startswith(code)), "")
    rest = number[len(code) :]
    odd = len(rest) % 2
    groups = [rest[:odd]] * odd + [rest[at : at + 2] for at in range(odd, len(rest), 2)]
    return row | {"phoneNumber": " ".join([code, *groups]).strip()}


@_every_row("number_national", "French numbers in national form: 0612345678")
def _number_national(row: Row) -> Row:
    number = str(row.get("phoneNumber", ""))
    return row | {"phoneNumber": "0" + number[3:]} if number.startswith("+33") else row


@_every_row("number_00", "numbers with 00 in place of the plus: 0033612345678")
def _number_00(row: Row) -> Row:
    number = str(row.get("phoneNumber", ""))
    return row | {"phoneNumber": "00" + number[1:]} if number.startswith("+") else row


@_first_row("bad_date", "the first row's date is `soon`")
def _bad_date(row: Row) -> Row:
    return row | {"date": "soon"}


@_first_row("row_error", "the first row is an error of its own, code 4")
def _row_error(_row: Row) -> Row:
    return {"success": False, "code": 4, "status": "Numéro introuvable"}


@_first_row("row_null", "the first row is null")
def _row_null(_row: Row) -> None:
    return None


@_first_row("row_text", "the first row is a JSON string")
def _row_text(_row: Row) -> str:
    return '"Numéro introuvable"'  # raw JSON text, as every `str` among rows


@_first_row("huge_date", "the first row's date is a number of 400 digits")
def _huge_date(row: Row) -> Row:
    return row | {"date": 10**399}


@_first_row("number_with_nul", "the first row's number ends with a NUL character")
def _number_with_nul(row: Row) -> Row:
    return row | {"phoneNumber": f"{row.get('phoneNumber')}\0"}


@_first_row("status_twice", "the first row gives `status` twice: its own, then `Ko`")
def _status_twice(row: Row) -> str:
    return json.dumps(row)[:-1] + ', "status": "Ko"}'


@_every_row("iso_date", "`date` in ISO 8601 with the offset of Paris")
def _iso_date(row: Row) -> Row:
    epoch = _epoch(row)
    return row if epoch is None else row | {"date": datetime.fromtimestamp(epoch, ZoneInfo("Europe/Paris")).isoformat()}


@_every_row("iso_date_z", "`date` in ISO 8601 with Z")
def _iso_date_z(row: Row) -> Row:
    epoch = _epoch(row)
    return row if epoch is None else row | {"date": f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"}


_SMPP_WORDS = {"Delivered": "DELIVRD", "Not delivered": "UNDELIV", "Waiting": "ENROUTE"}


@_every_row("smpp_words", "statuses as the SMPP words that the vendor documents: DELIVRD, UNDELIV, ENROUTE")
def _smpp_words(row: Row) -> Row:
    return row | {"status": _SMPP_WORDS.get(str(row.get("status")), row.get("status"))}


@_every_row("words_renamed", "every status is a word that nobody knows")
def _words_renamed(row: Row) -> Row:
    return row | {"status": f"neu: {row.get('status')}"}


@_first_row("smpp_unknown", "the first row's status is UNKNOWN, an SMPP word that says nothing")
def _smpp_unknown(row: Row) -> Row:
    return row | {"status": "UNKNOWN"}


@_first_row("date_ahead", "the first row's date is in the year 2100")
def _date_ahead(row: Row) -> Row:
    return row | {"date": "4102444800"}


@_first_row("date_never", "the first row's date is in an hour that never was: 2025-03-30 02:30:00 in Paris")
def _date_never(row: Row) -> Row:
    return row | {"date": "2025-03-30 02:30:00"}


@_first_row("surrogate_status", "the first row's status holds half of a surrogate pair")
def _surrogate_status(row: Row) -> str:
    return _with_surrogate(row | {"status": "x@"})


@_first_row("surrogate_number", "the first row's number holds half of a surrogate pair")
def _surrogate_number(row: Row) -> str:
    return _with_surrogate(row | {"phoneNumber": f"{row.get('phoneNumber')}@"})


@_first_row("surrogate_extra", "the first row has an unknown field that holds half of a surrogate pair")
def _surrogate_extra(row: Row) -> str:
    return _with_surrogate(row | {"note": "@"})


@_first_row("surrogate_name", "the first row has an unknown field whose name holds half of a surrogate pair")
def _surrogate_name(row: Row) -> str:
    return _with_surrogate(row | {"@": "note"})


@_every_row("name_controls", "each row has an unknown field whose name holds ESC, NUL and a change of direction")
def _name_controls(row: Row) -> Row:
    return row | {"\x1b[31mop\0\u202eerator": "SFR"}


def _with_surrogate(row: Row) -> str:
    return json.dumps(row).replace("@", r"\ud83d")  # raw JSON text, as every `str` among rows


def _epoch(row: Row) -> int | None:
    date = row.get("date")
    return int(date) if isinstance(date, str) and date.isdigit() else None


def _renamed(row: Row, old: str, new: str) -> Row:
    return {new if key == old else key: value for key, value in row.items()}
