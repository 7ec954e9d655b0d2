"""`smspartner forget`: a person's rows leave a destination, and no later run brings them back."""

import json
import resource
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from faults import Campaign
from load.conftest import an_ordinary_user
from smspartner import Secret
from smspartner.errors import SettingsError
from smspartner.phone_numbers import numbers_in
from smspartner.privacy import PhonePrivacy
from smspartner_pipelines.forget import forget_person

PHONE_KEY, OTHER_KEY = "a phone key of 26 letters!", "another key of the year after"
GONE, STAYS = "+33639980001", "+33639980002"
VARYING = ("run_id", "extracted_at")


@pytest.fixture
def serve(start_sandbox, api_row):
    """Serve two tags with rows of one person (one not valid, one written in another way) among those of others."""
    promo = [
        *(api_row(2), api_row(1), api_row(3), api_row(1, phoneNumber="0033 6 39 98 00 01")),
        *(api_row(4, status="?"), api_row(1, status="?"), {"phoneNumber": "n/a", "status": "lost at 0033639980001"}),
    ]
    others = [api_row(2), api_row(3)]
    return lambda: start_sandbox([Campaign.of_rows("promo", promo), Campaign.of_rows("others", others)], page_size=3)


@pytest.fixture
def forget(command):
    """Run `smspartner forget` with a phone key."""
    return lambda *arguments, key=PHONE_KEY, **changes: command(
        None, "forget", *arguments, SMSPARTNER_PHONE_KEY=key, **changes
    )


def load(command, sandbox, *more, **changes):
    """Run both tags into `data`, whatever is loaded already."""
    return command(sandbox, "run", "promo", "others", "--to", "data", "--refresh", "all", *more, **changes)


REMOVED = "data: 2 rows and 2 rows in quarantine removed from 1 tag; the number will not be loaded there again\n"


def tags_of(command, place="data"):
    """Give what is loaded of each tag."""
    return {tag["tag"]: tag for tag in json.loads(command(None, "tags", place, "--json").stdout)}


def test_forget(serve, command, forget, rows, here):
    """Rows and quarantine entries of the person are gone, no file names them, those of others stay, counts add up."""
    load(command, serve())
    before = rows("data"), rows("data", "quarantine")
    ended = forget("0033.6.39.98.00.01", "--to", "data")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, REMOVED, "")
    assert [row for row in before[0] if row["phone_number"] != GONE] == rows("data")
    assert [row for row in before[1] if "639980001" not in row["raw"].replace(" ", "")] == rows("data", "quarantine")
    paths = [path for path in (here / "data").rglob("*") if path.is_file()]
    for path in paths:
        packed = path.suffix == ".parquet"
        text = repr(pq.read_table(path, partitioning=None).to_pylist()) if packed else path.read_text()
        assert GONE not in numbers_in(text.encode()), path
    assert {"erasures", "quarantine", "tag_runs", "runs"} <= {path.parent.name for path in paths}
    shown = tags_of(command)
    counts = {"rows_received": 7, "rows_loaded": 2, "rows_quarantined": 1, "rows_erased": 4, "first_page": ""}
    assert {name: shown["promo"][name] for name in counts} == counts
    assert (shown["promo"]["state"], shown["others"]["rows_erased"]) == ("quarantine", 0)


def test_in_quarantine_alone(start_sandbox, api_row, command, forget, rows):
    """A person who is named only by rows that are not valid is removed, too."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(2), api_row(1, status="?")])])
    command(sandbox, "run", "promo", "--to", "data")
    assert (forget(GONE, "--to", "data").returncode, len(rows("data")), rows("data", "quarantine")) == (0, 1, [])


def test_several_people_places_and_times(serve, command, forget, rows):
    """Each destination named is cleaned; what is left out adds up over people; doing it twice is harmless."""
    sandbox = serve()
    for place in ("one", "two"):
        command(sandbox, "run", "promo", "others", "--to", place)
    first = forget(GONE, "--to", "one", "--to", "two").stdout.splitlines()
    second = forget(GONE, "--to", "one").stdout
    assert [line.split(" removed")[0] for line in first] == [
        f"{place}: 2 rows and 2 rows in quarantine" for place in ("one", "two")
    ]
    assert second == "one: no row of the number was found; the number will not be loaded there again\n"
    assert GONE not in {row["phone_number"] for place in ("one", "two") for row in rows(place)}
    forget(STAYS, "--to", "one")
    assert {tag: one["rows_erased"] for tag, one in tags_of(command, "one").items()} == {"promo": 5, "others": 1}


def test_an_erasure_that_fails_halfway(start_sandbox, api_row, command, smspartner, rows):
    """The record comes first: where the rest fails, the next run leaves the person out all the same."""
    others = [api_row(2, phoneNumber=f"+336{n * 7919 % 10**8:08}") for n in range(5000)]
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1), *others])])
    command(sandbox, "run", "promo", "--to", "data")
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))}
    ended = smspartner(None, "forget", GONE, "--to", "data", options=limited, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert (ended.returncode, GONE in {row["phone_number"] for row in rows("data")}) == (1, True)
    command(sandbox, "run", "promo", "--to", "data", "--refresh", "all", SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert GONE not in {row["phone_number"] for row in rows("data")}


@pytest.mark.parametrize("place", ["two", "duckdb:two/x.duckdb", "delta:two/lake"])
def test_nothing_is_begun_where_a_destination_can_not_be_written(serve, command, here, rows, place):
    """A destination that can't be written is a setting to correct, before a row of any other is removed."""
    (here / "two").mkdir()
    for uri in ("data", place):
        command(serve(), "run", "promo", "others", "--to", uri)
    before = rows("data")
    for path in here.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for folder in (here / "two", *(here / "two").rglob("*/")):
        folder.chmod(0o555)
    with an_ordinary_user(here), pytest.raises(SettingsError, match=r"two.*; allow this user to write there"):
        list(forget_person(GONE, ["data", place], PhonePrivacy(key=Secret(PHONE_KEY))))
    assert (rows("data"), list((here / "data" / "erasures").iterdir())) == (before, [])


@pytest.mark.parametrize("place", ["delta:lake", "duckdb:lake/x.duckdb"])
def test_nothing_stays_on_the_disk(serve, command, forget, here, place):
    """Where old versions are kept beside new ones, they go: no file holds the number any more."""
    (here / "lake").mkdir()
    command(serve(), "run", "promo", "others", "--to", place)

    def bytes_on_disk() -> str:
        paths = [path for path in (here / "lake").rglob("*") if path.is_file()]
        tables = [pq.read_table(path, partitioning=None) for path in paths if path.suffix == ".parquet"]
        return repr([table.to_pylist() for table in tables]) + repr([path.read_bytes() for path in paths])

    assert GONE in bytes_on_disk()
    ended = forget(GONE, "--to", place)
    assert (ended.returncode, GONE in bytes_on_disk()) == (0, False)


@pytest.mark.parametrize("form", ["plain", "masked", "hashed"])
def test_no_later_run_brings_them_back(serve, command, forget, rows, form):
    """Later runs leave the person out, in every form of numbers and every other destination too, and say so."""
    sandbox = serve()
    load(command, sandbox)
    forget(GONE, "--to", "data")
    left = len(rows("data")), len(rows("data", "quarantine"))
    given = ("--to", "rows.csv", "--phone-numbers", form, "--json")
    ended = load(command, sandbox, *given, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    report = json.loads(ended.stdout)
    assert (4, left, [4, 0]) == (
        ended.returncode,
        (len(rows("data")), len(rows("data", "quarantine"))),
        [tag["rows_erased"] for tag in report["tags"]],
    )
    assert ", 4 of erased people left out, " in ended.stderr
    counts = report["totals"]
    assert counts["rows_received"] == counts["rows_loaded"] + counts["rows_quarantined"] + counts["rows_erased"]
    assert len(Path("rows.csv").read_text(encoding="utf-8").splitlines()) == 1 + left[0]


def test_without_key_or_record_nothing_is_loaded(serve, command, forget, rows, here):
    """Where people were erased, a run without the phone key, or with a damaged record, requests nothing."""
    sandbox = serve()
    load(command, sandbox)
    forget(GONE, "--to", "data")
    sandbox.forget_requests()
    before = rows("data")
    for changes in ({}, {"SMSPARTNER_PHONE_KEY": OTHER_KEY}):
        ended = load(command, sandbox, **changes)
        assert (2, [], before) == (ended.returncode, sandbox.requests, rows("data"))
        assert ended.stderr.startswith("error: numbers were erased there under phone key ")
    (record,) = (here / "data" / "erasures").iterdir()
    record.write_text("{")
    ended = load(command, sandbox, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert (ended.returncode, sandbox.requests) == (1, [])
    assert f"error: data/erasures/{record.name} is damaged" in ended.stderr


def test_key_rotation(serve, command, forget, rows):
    """With the old key among the retired, a new key rewrites all hashes, settled or not; the erased stay out."""
    sandbox = serve()
    hashed = ("--phone-numbers", "hashed", "--allow-quarantined", "9")
    load(command, sandbox, *hashed, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    forget(GONE, "--to", "data")
    before = rows("data")
    rotated = {"SMSPARTNER_PHONE_KEY": OTHER_KEY, "SMSPARTNER_RETIRED_PHONE_KEYS": f"{PHONE_KEY}\n"}
    ended = command(sandbox, "run", "promo", "others", "--to", "data", *hashed, **rotated)
    after = rows("data")
    assert (0, len(before)) == (ended.returncode, len(after))
    assert {row["phone_number"] for row in before} & {row["phone_number"] for row in after} == set()
    assert [len({row["phone_number"].split(":")[0] for row in found}) for found in (before, after)] == [1, 1]
    assert "skipped" in command(sandbox, "run", "others", "--to", "data", *hashed, **rotated).stderr


@pytest.mark.parametrize("form", ["hashed", "masked"])
def test_numbers_that_name_nobody_for_certain(serve, command, forget, rows, form):
    """Masked rows, and hashes under another key, are named with exit code 1; a new reading leaves the person out."""
    sandbox = serve()
    load(command, sandbox, "--phone-numbers", form, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    before = rows("data")
    key_id = before[0]["phone_number"].split(":")[0]
    ended = forget(GONE, "--to", "data", key=OTHER_KEY)
    named = {
        "hashed": f"data: numbers are hashed under phone key {key_id}, which is not given (others, promo); ",
        "masked": "data: masked numbers name nobody for certain (others, promo); run these tags again with",
    }
    assert (ended.returncode, ended.stderr.count(named[form]), rows("data")) == (1, 1, before)
    keys = {"SMSPARTNER_PHONE_KEY": OTHER_KEY, "SMSPARTNER_RETIRED_PHONE_KEYS": PHONE_KEY}
    if form == "hashed":
        # The text "lost at …" of a row without a number was masked when it was kept, and names nobody any more.
        again = forget(GONE, "--to", "data", key=OTHER_KEY, SMSPARTNER_RETIRED_PHONE_KEYS=PHONE_KEY)
        assert (again.returncode, len(rows("data", "quarantine"))) == (0, 2)
    else:
        load(command, sandbox, "--phone-numbers", form, **keys)
    assert (len(before), len(rows("data"))) == (6, 4)


@pytest.mark.parametrize("table", ["statuses", "quarantine"])
def test_tags_that_can_not_be_searched_are_named(serve, command, forget, rows, here, table):
    """A tag with a damaged or missing file is named; the run that reads it again leaves the person out."""
    sandbox = serve()
    load(command, sandbox)
    (file,) = (here / "data" / table).glob("promo*")
    if table == "quarantine":
        file.unlink()
    else:  # its footer is whole, and its rows are not
        whole = file.read_bytes()
        footer = int.from_bytes(whole[-8:-4], "little") + 8
        file.write_bytes(b"PAR1" + bytes(len(whole) - footer - 4) + whole[-footer:])
    ended = forget(GONE, "--to", "data")
    assert (ended.returncode, "error: " in ended.stderr) == (1, False)
    assert "may still hold the person" in ended.stderr
    assert "promo" in ended.stderr
    load(command, sandbox, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert GONE not in {row["phone_number"] for row in rows("data")}


def test_number_from_standard_input(serve, smspartner, rows):
    """`-` takes the number from standard input, so that it stands in no list of processes and no shell history."""
    smspartner(serve(), "run", "promo", "--to", "data")
    given = {"input": f"{GONE}\n"}
    ended = smspartner(None, "forget", "-", "--to", "data", options=given, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert (ended.returncode, ended.stdout, len(rows("data"))) == (0, REMOVED, 2)


BAD = {
    "no number": (
        ("n/a", "--to", "data"),
        PHONE_KEY,
        "that is not a phone number, or could be more than one; write it",
    ),
    "no key": ((GONE, "--to", "data"), None, "an erasure is recorded under a secret key; set SMSPARTNER_PHONE_KEY"),
    "no dataset": ((GONE, "--to", "elsewhere"), PHONE_KEY, "nothing was ever loaded into elsewhere"),
    "one place twice": (
        (GONE, "--to", "data", "--to", "./data/"),
        PHONE_KEY,
        "one destination is named twice: data and ./",
    ),
    "an export": ((GONE, "--to", "rows.csv"), PHONE_KEY, "rows.csv is an export, which keeps no tags; name a dataset"),
}


@pytest.mark.parametrize(("arguments", "key", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input(forget, here, arguments, key, said):
    """What can't be done is said in one sentence without the number, with exit code 2, and nothing is written."""
    ended = forget(*arguments, key=key)
    assert (ended.returncode, ended.stdout, list(here.iterdir())) == (2, "", [])
    assert ended.stderr.startswith(f"error: {said}")
    assert "9980001" not in ended.stderr


@pytest.mark.parametrize("rows_of_the_person", [1, 40])
def test_no_tag_shrinks_by_an_erasure(start_sandbox, api_row, command, forget, rows_of_the_person):
    """Once a person is erased, no run says that the tag shrank: be they erased here, at the vendor, or at both."""
    sent = [api_row(2), api_row(3), *[api_row(1)] * rows_of_the_person]
    sandbox = start_sandbox([Campaign.of_rows("promo", sent)])
    run = ("run", "promo", "--to", "data", "--refresh", "all", "--json")
    command(sandbox, *run, "--phone-numbers", "masked")
    forget(GONE, "--to", "data")
    for changes in (("--phone-numbers", "masked"), ("--phone-numbers", "plain")):
        ended = command(sandbox, *run, *changes, SMSPARTNER_PHONE_KEY=PHONE_KEY)
        tag = json.loads(ended.stdout)["tags"][0]
        assert (ended.returncode, tag["rows_loaded"], tag["rows_erased"]) == (0, 2, rows_of_the_person)
    fewer = start_sandbox([Campaign.of_rows("promo", [api_row(2), *[api_row(1)] * rows_of_the_person])])
    assert command(fewer, *run, SMSPARTNER_PHONE_KEY=PHONE_KEY).returncode == 3
    erased_at_the_vendor_too = start_sandbox([Campaign.of_rows("promo", sent[:2])])
    ended = command(erased_at_the_vendor_too, *run, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert (ended.returncode, json.loads(ended.stdout)["tags"][0]["rows_loaded"]) == (0, 2)
