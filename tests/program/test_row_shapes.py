"""Every shape in which the API is known to send a row, value by value, through the command into Parquet."""

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
    "Not delivered": (changed(status="Not delivered", date=""), typed(status="not_delivered", status_at=None)),
    "Waiting, undated": (changed(status="Waiting", date="0"), typed(status="waiting", status_at=None)),
    "KO, with stray spaces": (changed(status=" KO ", date=None), typed(status="ko", status_at=None)),
    "an SMPP word": (changed(status="EXPIRED", date=...), typed(status="not_delivered", status_at=None)),
    "statut": (changed(status=..., statut="DELIVERED"), typed()),
    "an opt-out as text": (changed(stopSMS="1"), typed(stop_sms=True)),
    "stopSms": (changed(stopSMS=..., stopSms="true"), typed(stop_sms=True)),
    "no opt-out given": (changed(stopSMS=None), typed()),
    "date as number": (changed(date=1517989111), typed()),
    "date in Paris": (changed(date="2018-02-07 08:38:31"), typed()),
    "date with an offset": (changed(date="2018-02-07T08:38:31+01:00"), typed()),
    "national number": (changed(phoneNumber="06 12 34 56 78"), typed()),
    "number without its +": (changed(phoneNumber=33612345678), typed()),
    "number of Réunion": (changed(phoneNumber="0692123456"), typed(phone_number="+262692123456", country="RE")),
    "number with 00": (changed(phoneNumber="0032470123456"), typed(phone_number="+32470123456", country="BE")),
    "number of no country": (
        changed(phoneNumber="+88312345678901"),
        typed(phone_number="+88312345678901", country=None),
    ),
    "row that says success": (changed(success=True, code=200, messageId="123"), typed()),
}


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
    "unknown status word": (changed(status="UNKNOWN"), ["status_unknown"]),
    "status absent": (changed(status=...), ["status_missing"]),
    "two statuses": (changed(statut="Waiting"), ["spellings_contradict"]),
    "stopSMS oui": (changed(stopSMS="oui"), ["stop_sms_unreadable"]),
    "number null": (changed(phoneNumber=None), ["phone_number_missing"]),
    "number that may be two": (changed(phoneNumber="687750020"), ["phone_number_unreadable"]),
    "number as object": (changed(phoneNumber={"e164": NUMBER}), ["phone_number_unreadable"]),
    "date in the hour that never was": (changed(date="2025-03-30 02:30:00"), ["date_unreadable"]),
    "date ahead": (changed(date="4102444799"), ["date_in_future"]),
    "date in milliseconds": (changed(date="1517989111000"), ["date_out_of_range"]),
    "half a surrogate pair": (r'{"phoneNumber": "+33612345678", "status": "\ud83d"}', ["text_broken"]),
    "error of its own": ({"success": False, "code": 4, "status": "Numéro introuvable"}, ["row_error"]),
    "null": (None, ["entry_not_object"]),
    "list": ([ROW], ["entry_not_object"]),
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


@pytest.mark.parametrize(
    "kind",
    [
        *("list_as_object", "list_renamed", "total_string", "success_string", "bom", "wrong_content_type"),
        *("epoch_number", "local_date", "stop_string", "statut_key", "status_lower"),
        *("number_spaced", "number_national", "number_00", "extra_field", "extra_envelope_field"),
    ],
)
def test_spellings_of_a_whole_campaign(start_sandbox, command, rows, kind):
    """A campaign that is spelled as a sibling endpoint would, loads as the documented one does."""
    promo = Campaign("promo", 300, sent_at=1_700_000_000)
    command(start_sandbox([promo], page_size=100), "run", "promo", "--to", "documented")
    ended = command(start_sandbox([promo], page_size=100, faults=[Fault(kind)]), "run", "promo", "--to", "spelled")
    assert (0, rows("documented", without=VARYING)) == (ended.returncode, rows("spelled", without=VARYING))
    assert (len(rows("spelled")), rows("spelled", "quarantine")) == (300, [])


def test_list_as_object_with_rows_that_are_not_valid(start_sandbox, command, rows):
    """Rows of a list that came as an object are quarantined by their position in it."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [ROW, None])], faults=[Fault("list_as_object")])
    ended = command(sandbox, "run", "promo", "--to", "data")
    quarantined = [{"tag": "promo", "page": 1, "position": 2, "reasons": ["entry_not_object"], "raw": "null"}]
    found = rows("data", without=VARYING), rows("data", "quarantine", without=VARYING)
    assert (4, [typed()], quarantined) == (ended.returncode, *found)


DRIFT = {
    "unknown fields": (
        [Fault("extra_field"), Fault("extra_envelope_field")],
        {"envelope field perPage": 2, "row field operator": 3},
    ),
    "changed types": (
        [Fault("epoch_number"), Fault("total_string")],  # totals as text are the vendor's habit
        {"row field date as number": 3},
    ),
    "unknown status words": ([Fault("bad_status")], {"status word 'Teleported'": 2}),
}


@pytest.mark.parametrize("case", DRIFT.values(), ids=DRIFT.keys())
def test_drift(start_sandbox, report, command, case):
    """What the documentation does not show is counted by tag in the report, and named once in the summary."""
    faults, expected = case
    campaigns = [Campaign.of_rows(tag, [ROW, ROW, ROW]) for tag in ("promo", "other")]
    sandbox = start_sandbox(campaigns, faults=faults, page_size=2)
    _, found = report(sandbox, "promo", "other", "--to", "data")
    assert found["drift"] == {"promo": expected, "other": expected}
    told = command(sandbox, "run", "promo", "other", "--to", "rows.csv").stderr.splitlines()
    noted = [line.partition(" (")[0] for line in told if line.startswith("note: ")]
    assert sorted(noted) == sorted(f"note: not in the API's documentation: {kind}" for kind in expected)


def test_renamed_field_shows_as_drift(start_sandbox, report):
    """A field that the vendor renames is reported as unknown and as missing, before its column quietly turns empty."""
    renamed = [{"phoneNumber": "+33612345678", "status": "Delivered", "optOut": True, "deliveredAt": "1517989111"}]
    ended, found = report(start_sandbox([Campaign.of_rows("promo", renamed)]), "promo", "--to", "data")
    drift = {
        "delivered row without date": 1,
        "row field deliveredAt": 1,
        "row field optOut": 1,
        "row without stopSMS": 1,
    }
    assert (ended, found["drift"]) == (0, {"promo": drift})


def test_both_validations_load_the_same(start_sandbox, command, rows):
    """With Great Expectations and without, the same rows are loaded and the same rows are quarantined."""
    sent = [*(row for row, _ in VALID.values()), *(row for row, _ in NOT_VALID.values())]
    sandbox = start_sandbox([Campaign.of_rows("promo", sent)], page_size=7)
    codes = [command(sandbox, "run", "promo", "--to", how, "--validate", how).returncode for how in ("contract", "gx")]
    assert codes == [4, 4]
    assert (len(VALID), len(NOT_VALID)) == (len(rows("gx")), len(rows("gx", "quarantine")))
    for table in ("statuses", "quarantine"):
        assert rows("contract", table, without=VARYING) == rows("gx", table, without=VARYING)
