"""The Great Expectations suite as JSON."""

import json

import pytest
from smspartner_schemas.contract import PHONE_PATTERNS, STATUSES
from smspartner_schemas.expectations import suite
from smspartner_schemas.rules import row_rules


def test_suite_is_the_rules():
    """The suite says what the rules say, after stating the columns."""
    columns = {
        "type": "expect_table_columns_to_match_ordered_list",
        "kwargs": {"column_list": list(STATUSES.column_names)},
        "meta": {"rule": "columns_in_order"},
    }
    assert suite() == {
        "name": "statuses",
        "expectations": [columns, *(rule.expectation() for rule in row_rules())],
        "meta": {"contract_version": 1, "phone_numbers": "plain"},
    }


def test_rule_names_are_unique():
    """Results can be keyed by the rule in `meta`."""
    names = [expectation["meta"]["rule"] for expectation in suite()["expectations"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("form", PHONE_PATTERNS)
def test_json(form):
    """The suite survives JSON unchanged, for every form of phone numbers."""
    assert json.loads(json.dumps(suite(form))) == suite(form)


def test_phone_form():
    """Only the pattern of phone numbers depends on their form."""
    differing = [
        plain["meta"]["rule"]
        for plain, hashed in zip(suite()["expectations"], suite("hashed")["expectations"], strict=True)
        if plain != hashed
    ]
    assert differing == ["phone_number_matches"]
