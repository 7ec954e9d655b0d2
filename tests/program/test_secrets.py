"""Phone numbers are nowhere but in the tables asked for, in the form asked for; tests/leaks looks for the key."""

import hmac
import json
import re

import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.sandbox import Campaign

KEY = "k3y+/=&% secret"
PHONE_KEY = "a phone key of 26 letters!"
ANY_NUMBER = re.compile(rb"(?:\+|00)?33[ .]?6[ .]?39[ .]?98|06[ .]?39[ .]?98|6399800")
"""How the fictional numbers of the tests begin, in all the spellings they are sent in; longer than a port's number."""


@pytest.fixture
def serve(start_sandbox, api_row):
    """Serve rows with numbers in several spellings, some of them not valid, to whoever has the key."""
    spellings = ("+33639980001", "+33 6 39 98 00 02", "0033639980003")
    invalid = [
        api_row(4, status="Teleported"),
        api_row(5, phoneNumber="0033 6.39.98.00.05", status="lost at 0639980005"),
        {"phoneNumber": "+33639980006 bis", "status": "Delivered", "numero": 33639980006, "date": "1517989111"},
        {"success": False, "code": 4, "status": "Numéro 06.39.98.00.07 introuvable"},
        '"+33639980008"',
        [{"phoneNumber": "+33 6 39 98 00 09"}],
        api_row(10, status="?", note={"0639980010": "0639980010"}),
    ]
    valid = [api_row(1, phoneNumber=number) for number in spellings]
    return lambda *faults: start_sandbox(
        [Campaign.of_rows("promo", [*valid, *invalid]), Campaign.of_rows("sound", valid)],
        faults=faults,
        api_key=KEY,
        page_size=4,
    )


def read(files):
    """Give the content of every file: its bytes, and for Parquet also what is in them."""
    return {name: content + _decoded(name) for name, content in files.items()}


def _decoded(name):
    if not name.endswith(".parquet"):
        return b""
    table = pq.read_table(name)
    return repr((table.to_pylist(), table.schema.metadata)).encode()


def found_in(ended, files):
    """Give the numbers found in what a command said, and in each of some files."""
    shown = {**files, "stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    return {name: numbers for name, content in shown.items() if (numbers := ANY_NUMBER.findall(content))}


def test_phone_numbers_are_in_the_tables_only(serve, command, files):
    """No phone number is in output, logs, reports or `tag_runs`, in any spelling, also not those of invalid rows."""
    ended = command(serve(), *("run", "promo", "sound", "--to", "data", "--json", "-vv"), SMSPARTNER_API_KEY=KEY)
    outside = ("data/runs/", "data/tag_runs/")
    shown = {name: content for name, content in read(files(".")).items() if name.startswith(outside)}
    assert (ended.returncode, len(shown), found_in(ended, shown)) == (4, 2, {})


def test_phone_numbers_as_field_names(start_sandbox, api_row, report, command):
    """A number that comes as the name of a field is not shown as drift."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1, **{"+33639980001": "called"})])])
    _, found = report(sandbox, "promo", "--to", "data")
    ended = command(sandbox, "run", "promo", "--to", "all.csv")
    assert (len(found["drift"]["promo"]), ANY_NUMBER.findall((json.dumps(found) + ended.stderr).encode())) == (1, [])


def protected(form, number):
    """Give a number in the form asked for, by the definition of the form."""
    if form == "hashed":
        key_id, of_number = (
            hmac.new(PHONE_KEY.encode(), text, "sha256").hexdigest() for text in (b"key id", number.encode())
        )
        return f"{key_id[:8]}:{of_number}"
    return f"+33*******{number[-2:]}"


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_phone_numbers_in_the_form_asked_for(serve, command, files, rows, form):
    """Masked or hashed, no plain number is anywhere, nor the key of the hashes; countries and all else are kept.

    The quarantine's raw JSON keeps what is no number, and the number in the form asked for.
    """
    ended = command(
        serve(),
        *("run", "promo", "sound", "--to", "data", "--to", "all.csv", "--to", "all.parquet", "-vv"),
        SMSPARTNER_API_KEY=KEY,
        SMSPARTNER_PHONE_KEY=PHONE_KEY,
        SMSPARTNER_PHONE_NUMBERS=form,
    )
    numbers = ("+33639980001", "+33639980002", "+33639980003")
    expected = sorted((tag, protected(form, number), "FR") for tag in ("promo", "sound") for number in numbers)
    assert expected == [(row["tag"], row["phone_number"], row["country"]) for row in rows("data")]
    written = read(files("."))
    assert (ended.returncode, found_in(ended, written)) == (4, {})
    everything = {**written, "stdout": ended.stdout.encode(), "stderr": ended.stderr.encode()}
    assert [name for name, content in everything.items() if PHONE_KEY.encode() in content] == []
    facts = {"stopSMS": False, "date": "1517989111"}
    assert [json.loads(row["raw"]) for row in rows("data", "quarantine")] == [
        {"phoneNumber": protected(form, "+33639980004"), "status": "Teleported", **facts},
        {"phoneNumber": protected(form, "+33639980005"), "status": "***", **facts},
        {"phoneNumber": "***", "status": "Delivered", "numero": "***", "date": "1517989111"},
        {"success": False, "code": 4, "status": "***"},
        "***",
        [{"phoneNumber": protected(form, "+33639980009")}],
        {"phoneNumber": protected(form, "+33639980010"), "status": "?", **facts, "note": {"***": "***"}},
    ]


def test_hashes_join(serve, command, rows):
    """Under one key, a number has one hash in every tag and run; under another key, another."""
    seen = []
    for key in (PHONE_KEY, PHONE_KEY, PHONE_KEY[::-1]):
        command(
            serve(),
            *("run", "sound", "--to", "data", "--refresh", "all", "--phone-numbers", "hashed"),
            SMSPARTNER_API_KEY=KEY,
            SMSPARTNER_PHONE_KEY=key,
        )
        seen.append({row["phone_number"] for row in rows("data")})
    assert (seen[0], set()) == (seen[1], seen[0] & seen[2])


def test_settings_of_the_report(serve, report):
    """The report's settings name neither a key nor a key file."""
    _, found = report(serve(), "sound", "--to", "data", SMSPARTNER_API_KEY=KEY, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert [name for name in found["settings"] if "key" in name] == []
