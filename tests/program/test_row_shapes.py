"""Every shape in which the API is known to send a row, value by value, through the command into Parquet."""

import json
from datetime import UTC, datetime

import pytest
from smspartner_pipelines.sandbox import Campaign, Fault

NUMBER = "+33639980001"
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


BELIEVED = {
    "documented": (ROW, typed()),
    "status Not delivered": (changed(status="Not delivered", date=""), typed(status="not_delivered", status_at=None)),
    "status Waiting": (changed(status="Waiting", date=""), typed(status="waiting", status_at=None)),
    "status ko": (changed(status="ko", date=""), typed(status="ko", status_at=None)),
    "status KO": (changed(status="KO", date=""), typed(status="ko", status_at=None)),
    "status in lower case": (changed(status="delivered"), typed()),
    "status in upper case": (changed(status="NOT DELIVERED"), typed(status="not_delivered")),
    "status with stray spaces": (changed(status="  Not  Delivered "), typed(status="not_delivered")),
    "statut": (changed(status=..., statut="Waiting", date=""), typed(status="waiting", status_at=None)),
    "statut beside status": (changed(statut="DELIVERED"), typed()),
    "stopSMS true": (changed(stopSMS=True), typed(stop_sms=True)),
    "stopSMS 0": (changed(stopSMS=0), typed()),
    "stopSMS 1": (changed(stopSMS=1), typed(stop_sms=True)),
    'stopSMS "0"': (changed(stopSMS="0"), typed()),
    'stopSMS "1"': (changed(stopSMS="1"), typed(stop_sms=True)),
    'stopSMS "true"': (changed(stopSMS="true"), typed(stop_sms=True)),
    'stopSMS "False"': (changed(stopSMS="False"), typed()),
    "stopSMS null": (changed(stopSMS=None), typed()),
    "stopSMS absent": (changed(stopSMS=...), typed()),
    'stopSms "0"': (changed(stopSMS=..., stopSms="0"), typed()),
    'stopSms "1"': (changed(stopSMS=..., stopSms="1"), typed(stop_sms=True)),
    "stopSms true": (changed(stopSMS=..., stopSms=True), typed(stop_sms=True)),
    "date as number": (changed(date=1517989111), typed()),
    "date with a fraction of zero": (changed(date=1517989111.0), typed()),
    "date in Paris winter": (changed(date="2018-02-07 08:38:31"), typed()),
    "date in Paris summer": (
        changed(date="2018-07-07 08:38:31"),
        typed(status_at=datetime(2018, 7, 7, 6, 38, 31, tzinfo=UTC)),
    ),
    "date in the hour that occurs twice": (
        changed(date="2018-10-28 02:30:00"),
        typed(status_at=datetime(2018, 10, 28, 0, 30, tzinfo=UTC)),
    ),
    'date ""': (changed(date=""), typed(status_at=None)),
    'date "0"': (changed(date="0"), typed(status_at=None)),
    "date 0": (changed(date=0), typed(status_at=None)),
    "date null": (changed(date=None), typed(status_at=None)),
    "date absent": (changed(date=...), typed(status_at=None)),
    "date 0000-00-00": (changed(date="0000-00-00 00:00:00"), typed(status_at=None)),
    "national number": (changed(phoneNumber="0639980001"), typed()),
    "national number with spaces": (changed(phoneNumber="06 39 98 00 01"), typed()),
    "number with 00": (changed(phoneNumber="0033639980001"), typed()),
    "number with 00, foreign": (changed(phoneNumber="0032470123456"), typed(phone_number="+32470123456", country="BE")),
    "number with spaces": (changed(phoneNumber="+33 6 39 98 00 01"), typed()),
    "number with a trunk zero": (changed(phoneNumber="+330639980001"), typed()),
    "number of no country": (
        changed(phoneNumber="+88312345678901"),
        typed(phone_number="+88312345678901", country=None),
    ),
    "Réunion": (changed(phoneNumber="+262692123456"), typed(phone_number="+262692123456", country="RE")),
    "row that says success": (changed(success=True, code=200), typed()),
    "message id of the siblings": (changed(messageId="123"), typed()),
}


@pytest.mark.parametrize(("sent", "expected"), BELIEVED.values(), ids=BELIEVED.keys())
def test_believed(start_sandbox, command, rows, sent, expected):
    """A spelling the vendor is known for becomes the one typed row it means; nothing is quarantined."""
    ended = command(start_sandbox([Campaign.of_rows("promo", [sent])]), "run", "promo", "--to", "data")
    assert (0, [expected], []) == (ended.returncode, rows("data", without=VARYING), rows("data", "quarantine"))


DOUBTED = {
    "unknown status word": (changed(status="Teleported"), ["status_unknown"]),
    "status null": (changed(status=None), ["status_missing"]),
    "status absent": (changed(status=...), ["status_missing"]),
    "status as number": (changed(status=1), ["status_unknown"]),
    "status as list": (changed(status=["Delivered"]), ["status_unknown"]),
    "two statuses": (changed(statut="Waiting"), ["spellings_contradict"]),
    "two opt-outs": (changed(stopSms="1"), ["spellings_contradict"]),
    "stopSMS 2": (changed(stopSMS=2), ["stop_sms_unreadable"]),
    "stopSMS oui": (changed(stopSMS="oui"), ["stop_sms_unreadable"]),
    "number absent": (changed(phoneNumber=...), ["phone_number_missing"]),
    "number null": (changed(phoneNumber=None), ["phone_number_missing"]),
    "number empty": (changed(phoneNumber=""), ["phone_number_missing"]),
    "number is text": (changed(phoneNumber="n/a"), ["phone_number_unreadable"]),
    "number of letters": (changed(phoneNumber="0800FLOWERS"), ["phone_number_unreadable"]),
    "number as object": (changed(phoneNumber={"e164": NUMBER}), ["phone_number_unreadable"]),
    "date is text": (changed(date="soon"), ["date_unreadable"]),
    "date that is none": (changed(date="2018-02-30 08:38:31"), ["date_unreadable"]),
    "date with a zone": (changed(date="2018-02-07T08:38:31+01:00"), ["date_unreadable"]),
    "date in milliseconds": (changed(date="1517989111000"), ["date_out_of_range"]),
    "date as bool": (changed(date=True), ["date_unreadable"]),
    "date beyond 64 bits": (changed(date=10**30), ["date_unreadable"]),
    "error of its own": ({"success": False, "code": 4, "status": "Numéro introuvable"}, ["row_error"]),
    "error beside facts": (changed(success="0"), ["row_error"]),
    "code of an error": (changed(code=4), ["row_error"]),
    "null": (None, ["entry_not_object"]),
    "text": ('"Numéro introuvable"', ["entry_not_object"]),
    "number alone": (12, ["entry_not_object"]),
    "list": ([ROW], ["entry_not_object"]),
    "everything wrong": (
        {"phoneNumber": "?", "status": "?", "stopSMS": "?", "date": "?"},
        ["phone_number_unreadable", "status_unknown", "stop_sms_unreadable", "date_unreadable"],
    ),
}


@pytest.mark.parametrize(("sent", "reasons"), DOUBTED.values(), ids=DOUBTED.keys())
def test_doubted(start_sandbox, command, rows, sent, reasons):
    """A row that can't be believed goes to quarantine, raw, with its place and every reason; its neighbours load."""
    believed = [changed(phoneNumber=f"+3363998000{number}") for number in (2, 3, 4)]
    sandbox = start_sandbox([Campaign.of_rows("promo", [*believed, sent])], page_size=2)
    ended = command(sandbox, "run", "promo", "--to", "data")
    expected = [typed(phone_number=f"+3363998000{number}") for number in (2, 3, 4)]
    raw = sent if isinstance(sent, str) else json.dumps(sent, ensure_ascii=False)
    quarantined = [{"tag": "promo", "page": 2, "position": 2, "reasons": reasons, "raw": raw}]
    found = rows("data", without=VARYING), rows("data", "quarantine", without=VARYING)
    assert (4, expected, quarantined) == (ended.returncode, *found)


def test_half_of_a_surrogate_pair(start_sandbox, command, rows):
    """A body with half of a surrogate pair is no text: its tag fails as a whole, and is reported."""
    sent = r'{"phoneNumber": "+33639980002", "status": "\ud83d"}'
    sandbox = start_sandbox([Campaign.of_rows("promo", [ROW, sent])])
    ended = command(sandbox, "run", "promo", "--to", "data", "--retries", "1")
    assert (ended.returncode, rows("data"), len(sandbox.requests)) == (3, [], 2)


def test_occurrences_follow_the_order_of_the_api(start_sandbox, command, rows):
    """Rows of one number are numbered from 1 in the API's order, also across pages and spellings of the number."""
    sent = [
        changed(status="Waiting", date=""),
        changed(phoneNumber="+33639980002"),
        changed(phoneNumber="06 39 98 00 01", date="1517989112"),
        changed(phoneNumber="0033639980001", status="ko", date=None),
    ]
    command(start_sandbox([Campaign.of_rows("promo", sent)], page_size=2), "run", "promo", "--to", "data")
    expected = [
        typed(status="waiting", status_at=None),
        typed(occurrence=2, status_at=DELIVERED_AT.replace(second=32)),
        typed(occurrence=3, status="ko", status_at=None),
        typed(phone_number="+33639980002"),
    ]
    assert expected == rows("data", without=VARYING)


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


def test_list_as_object_with_doubtful_rows(start_sandbox, command, rows):
    """Rows of a list that came as an object are quarantined by their place in it."""
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
        [Fault("epoch_number"), Fault("total_string")],
        {"envelope field total as string": 2, "row field date as number": 3},
    ),
    "unknown status words": ([Fault("bad_status")], {"status word 'Teleported'": 2}),
}


@pytest.mark.parametrize("case", DRIFT.values(), ids=DRIFT.keys())
def test_drift(start_sandbox, report, command, case):
    """What the documentation does not show is counted by tag in the report, and told once in the summary."""
    faults, expected = case
    campaigns = [Campaign.of_rows(tag, [ROW, ROW, ROW]) for tag in ("promo", "other")]
    sandbox = start_sandbox(campaigns, faults=faults, page_size=2)
    _, found = report(sandbox, "promo", "other", "--to", "data")
    assert found["drift"] == {"promo": expected, "other": expected}
    told = command(sandbox, "run", "promo", "other", "--to", "rows.csv").stderr.splitlines()
    lines = [
        f"note: drift, not in the API's documentation: {kind} (promo: {n}, other: {n})" for kind, n in expected.items()
    ]
    assert sorted(lines) == sorted(line for line in told if line.startswith("note: "))


def test_drift_of_many_tags_is_told_once(start_sandbox, command):
    """A change of the API that is in every tag takes one line of the summary, however many tags there are."""
    tags = [f"tag-{number}" for number in range(5)]
    sandbox = start_sandbox([Campaign.of_rows(tag, [ROW, ROW]) for tag in tags], faults=[Fault("extra_field")])
    told = command(sandbox, "run", *tags, "--to", "rows.csv").stderr.splitlines()
    assert [line for line in told if line.startswith("note: ")] == [
        "note: drift, not in the API's documentation: row field operator (10 times in 5 tags)"
    ]


def test_renamed_field_shows_as_drift(start_sandbox, report):
    """A field that the vendor renames is reported as unknown and as missing, before its column quietly turns empty."""
    renamed = [{"phoneNumber": "+33639980001", "status": "Delivered", "optOut": True, "deliveredAt": "1517989111"}]
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
    sent = [*(row for row, _ in BELIEVED.values()), *(row for row, _ in DOUBTED.values())]
    sandbox = start_sandbox([Campaign.of_rows("promo", sent)], page_size=7)
    codes = [command(sandbox, "run", "promo", "--to", how, "--validate", how).returncode for how in ("contract", "gx")]
    assert codes == [4, 4]
    assert (len(BELIEVED), len(DOUBTED)) == (len(rows("gx")), len(rows("gx", "quarantine")))
    for table in ("statuses", "quarantine"):
        assert rows("contract", table, without=VARYING) == rows("gx", table, without=VARYING)
