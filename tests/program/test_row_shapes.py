"""Rows as the API is known to send them, through the command into Parquet."""

import json
from datetime import UTC, datetime

import pytest
from smspartner_pipelines.sandbox import Campaign, Fault

NUMBER = "+33612345678"
DELIVERED_AT = datetime(2018, 2, 7, 7, 38, 31, tzinfo=UTC)  # 1517989111
ROW = {"phoneNumber": NUMBER, "status": "Delivered", "stopSMS": False, "date": "1517989111"}
VARYING = ("run_id", "extracted_at")


def changed(**facts):
    """Give the documented row with other facts; `...` takes a field away."""
    return {name: value for name, value in {**ROW, **facts}.items() if value is not ...}


def typed(**facts):
    """Give the row of `statuses` that the documented row becomes, with other facts."""
    return {
        "tag": "promo",
        "phone_number": NUMBER,
        "occurrence": 1,
        "country": "FR",
        "status": "delivered",
        "stop_sms": False,
        "status_at": DELIVERED_AT,
    } | facts


VALID = {
    "documented": (ROW, typed()),
    "Not delivered, undated": (changed(status="Not delivered", date=""), typed(status="not_delivered", status_at=None)),
    "an SMPP word": (changed(status=" EXPIRED ", date=...), typed(status="not_delivered", status_at=None)),
    "other names": (changed(status=..., statut="DELIVERED", stopSMS=..., stopSms="1"), typed(stop_sms=True)),
    "date in Paris": (changed(date="2018-02-07 08:38:31"), typed()),
    "number of Réunion": (changed(phoneNumber="0692 12 34 56"), typed(phone_number="+262692123456", country="RE")),
    "numbers and more": (changed(phoneNumber=33612345678, date=1517989111, stopSMS=None, messageId="123"), typed()),
}
"""Some of the spellings that `tests/connector` lists in full (test_values, test_phone_numbers, test_rows)."""


def test_valid(start_sandbox, command, rows):
    """A spelling the vendor is known for becomes the one typed row it means; nothing is quarantined."""
    tags = [f"shape-{number:02}" for number in range(len(VALID))]
    sandbox = start_sandbox(
        [Campaign.of_rows(tag, [sent]) for tag, (sent, _) in zip(tags, VALID.values(), strict=True)]
    )
    ended = command(sandbox, "run", *tags, "--to", "data")
    expected = {name: row | {"tag": tag} for tag, (name, (_, row)) in zip(tags, VALID.items(), strict=True)}
    found = dict(zip(VALID, rows("data", without=VARYING), strict=True))
    assert (0, expected, []) == (ended.returncode, found, rows("data", "quarantine"))


NOT_VALID = {
    "number that may be two": (changed(phoneNumber="687750020"), ["phone_number_unreadable"]),
    "date ahead": (changed(date="4102444799"), ["date_in_future"]),
    "half a surrogate pair": (r'{"phoneNumber": "+33612345678", "status": "\ud83d"}', ["text_broken"]),
    "error of its own": ({"success": False, "code": 4, "status": "Numéro introuvable"}, ["row_error"]),
    "null": (None, ["entry_not_object"]),
    "everything wrong": (
        {"phoneNumber": "?", "status": "?", "stopSMS": "?", "date": "?"},
        ["phone_number_unreadable", "status_unknown", "stop_sms_unreadable", "date_unreadable"],
    ),
}


def test_not_valid(start_sandbox, command, rows):
    """A row that is not valid goes to quarantine, raw, with its position and every reason; its neighbours load."""
    valid = changed(phoneNumber="+33698765432")
    sent = [row for bad, _ in NOT_VALID.values() for row in (valid, bad)]
    ended = command(start_sandbox([Campaign.of_rows("promo", sent)], page_size=2), "run", "promo", "--to", "data")
    expected = [typed(phone_number="+33698765432", occurrence=number + 1) for number in range(len(NOT_VALID))]
    assert (4, expected) == (ended.returncode, rows("data", without=VARYING))
    quarantined = {
        name: {
            "tag": "promo",
            "page": on_page,
            "position": 2,
            "reasons": reasons,
            "raw": bad if isinstance(bad, str) else json.dumps(bad, ensure_ascii=False),
        }
        for on_page, (name, (bad, reasons)) in enumerate(NOT_VALID.items(), start=1)
    }
    assert quarantined == dict(zip(NOT_VALID, rows("data", "quarantine", without=VARYING), strict=True))


RENAMED = {"phoneNumber": "+33612345678", "status": "Delivered", "optOut": True, "deliveredAt": "1517989111"}
DRIFT = {
    "unknown fields": (
        ROW,
        [Fault("extra_field"), Fault("extra_envelope_field")],
        {"envelope field perPage": 2, "row field operator": 3},
    ),
    "changed types": (
        ROW,
        [Fault("epoch_number"), Fault("total_string")],  # totals as text are the vendor's habit
        {"row field date as number": 3},
    ),
    "unknown status words": (ROW, [Fault("bad_status")], {"status word 'Teleported'": 2}),
    "renamed fields": (
        RENAMED,
        [],
        dict.fromkeys(
            ("delivered row without date", "row field deliveredAt", "row field optOut", "row without stopSMS"), 3
        ),
    ),
}


@pytest.mark.parametrize(("row", "faults", "expected"), DRIFT.values(), ids=DRIFT)
def test_drift(start_sandbox, report, command, row, faults, expected):
    """What the documentation does not show is counted by tag in the report, and named once in the summary."""
    campaigns = [Campaign.of_rows(tag, [row] * 3) for tag in ("promo", "other")]
    sandbox = start_sandbox(campaigns, faults=faults, page_size=2)
    _, found = report(sandbox, "promo", "other", "--to", "data")
    assert found["drift"] == {"promo": expected, "other": expected}
    said = command(sandbox, "run", "promo", "other", "--to", "rows.csv").stderr.splitlines()
    noted = [line.partition(" (")[0] for line in said if line.startswith("note: ")]
    assert sorted(noted) == sorted(f"note: not in the API's documentation: {kind}" for kind in expected)
