"""`smspartner quarantine`: which rows are not valid and why, without showing them."""

import json
import re

import pytest
from faults import Campaign

NOT_ONES = {
    "type": "expect_column_values_to_not_match_regex",
    "kwargs": {"column": "phone_number", "regex": "1$"},
    "meta": {"rule": "no_ones"},
}
TAGS = ("promo", "[b]other[/b]", "sound")


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve two tags with rows that are not valid and one without, two rows on a page."""
    promo = [api_row(1), api_row(2), api_row(1), api_row(3, status="?"), api_row(4, phoneNumber="n/a", status="?")]
    return start_sandbox(
        [
            Campaign.of_rows("promo", promo),
            Campaign.of_rows("[b]other[/b]", [api_row(1, date="soon"), api_row(2)]),
            Campaign.of_rows("sound", [api_row(2)]),
        ],
        page_size=2,
    )


def test_list(sandbox, command, here):
    """Reasons are counted by tag, for people and programs, with the first row's place and a meaning, and no number."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [NOT_ONES]}))
    command(sandbox, "run", *TAGS, "--to", "data", "--validate", "gx", "--expectations", "mine.json")
    ended = command(None, "quarantine", "data")
    assert (ended.returncode, ended.stderr) == (0, "")
    cells = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    assert cells[0] == ["tag", "reason", "rows", "first at", "meaning"]
    assert [line[:4] for line in cells[1:]] == [
        ["[b]other[/b]", "date_unreadable", "1", "page 1, row 1"],
        ["promo", "no_ones", "2", "page 1, row 1"],
        ["promo", "phone_number_unreadable", "1", "page 3, row 1"],
        ["promo", "status_unknown", "2", "page 2, row 2"],
    ]
    assert cells[2][4] == "fails an expectation of your suite"
    found = json.loads(command(None, "quarantine", "data", "--json").stdout)
    assert [[one["tag"], one["reason"], one["rows"], one["page"], one["position"]] for one in found] == [
        ["[b]other[/b]", "date_unreadable", 1, 1, 1],
        ["promo", "no_ones", 2, 1, 1],
        ["promo", "phone_number_unreadable", 1, 3, 1],
        ["promo", "status_unknown", 2, 2, 2],
    ]
    assert "63998" not in ended.stdout + str(found)
    command(sandbox, "run", "sound", "--to", "empty")
    assert command(None, "quarantine", "empty").stdout == "nothing is in quarantine\n"


def test_damage_is_named(sandbox, command, here):
    """A damaged file hides nothing but itself, and is named."""
    command(sandbox, "run", *TAGS, "--to", "data")
    (file,) = (here / "data" / "quarantine").glob("promo*")
    file.write_bytes(b"PAR1")
    ended = command(None, "quarantine", "data")
    assert (ended.returncode, "[b]other[/b]" in ended.stdout, "promo" in ended.stderr) == (0, True, True)
