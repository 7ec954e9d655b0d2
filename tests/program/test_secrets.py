"""Masked or hashed, phone numbers are nowhere; tests/leaks looks for the key, and for numbers that are kept plain."""

import hmac
import json
import re

import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.sandbox import Campaign

PHONE_KEY = "a phone key of 26 letters!"
ANY_NUMBER = re.compile(rb"(?:\+|00)?33[ .]?6[ .]?39[ .]?98|06[ .]?39[ .]?98|6399800")
"""How the fictional numbers of the tests begin, in all the spellings they are sent in; longer than a port's number."""


def protected(form, number):
    """Give a number in the form asked for, by the definition of the form."""
    if form == "hashed":
        key_id, of_number = (
            hmac.new(PHONE_KEY.encode(), text, "sha256").hexdigest() for text in (b"key id", number.encode())
        )
        return f"{key_id[:8]}:{of_number}"
    return f"+33*******{number[-2:]}"


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_phone_numbers_in_the_form_asked_for(start_sandbox, api_row, command, here, rows, form):
    """No plain number is anywhere, nor the key of the hashes; countries and all that is no number are kept."""
    valid = [api_row(1, phoneNumber=number) for number in ("+33639980001", "+33 6 39 98 00 02", "0033639980003")]
    invalid = [
        api_row(4, status="Teleported"),
        api_row(5, phoneNumber="0033 6.39.98.00.05", status="lost at 0639980005"),
        {"phoneNumber": "+33639980006 bis", "status": "Delivered", "numero": 33639980006, "date": "1517989111"},
        {"success": False, "code": 4, "status": "Numéro 06.39.98.00.07 introuvable"},
        '"+33639980008"',
        [{"phoneNumber": "+33 6 39 98 00 09"}],
        api_row(10, status="?", note={"0639980010": "0639980010"}),
    ]
    sandbox = start_sandbox([Campaign.of_rows("promo", [*valid, *invalid])], page_size=4)
    loads = ("run", "promo", "--to", "data", "--to", "all.csv", "--to", "all.parquet", "--json", "-vv")
    ended = command(sandbox, *loads, SMSPARTNER_PHONE_KEY=PHONE_KEY, SMSPARTNER_PHONE_NUMBERS=form)
    expected = sorted((protected(form, f"+3363998000{n}"), "FR") for n in (1, 2, 3))
    assert expected == [(row["phone_number"], row["country"]) for row in rows("data")]
    written = [ended.stdout.encode(), ended.stderr.encode()]
    written += [path.read_bytes() for path in here.rglob("*") if path.is_file()]
    for path in here.rglob("*.parquet"):
        table = pq.read_table(path)
        written.append(repr((table.to_pylist(), table.schema.metadata)).encode())
    assert (ended.returncode, [ANY_NUMBER.findall(one) for one in written]) == (4, [[]] * len(written))
    assert not any(PHONE_KEY.encode() in one for one in written)
    assert [name for name in json.loads(ended.stdout)["settings"] if "key" in name] == []
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
