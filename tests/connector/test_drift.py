"""Drift is named so that a report can count it, without a phone number and in bounded room."""

from __future__ import annotations

from collections import Counter

import pytest
from smspartner import drift


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_json_types(value: object, kind: str) -> None:
    """Values are named by JSON's own types."""
    assert kind == drift.json_type(value)


def test_names_hold_no_phone_number() -> None:
    """Anything that may be a phone number in a field's name or a status word is masked, and long names are cut."""
    named = (
        drift.unknown_field("+33 6 39 98 00 01"),
        drift.envelope_field("33639980001"),
        drift.envelope_field("total", "string"),
        drift.unknown_word("lost\n at 06.39.98.00.01 " + "x" * 99),
    )
    assert named == (
        "row field ***",
        "envelope field ***",
        "envelope field total as string",
        f"status word 'lost at *** {'x' * 27}…'",
    )


def test_free_text_as_status_words_stays_bounded() -> None:
    """Of very many kinds of drift the most frequent are kept by name, the others are counted together."""
    seen = Counter({f"status word '{number}'": 100 - number for number in range(50)})
    kept = drift.bounded(seen)
    assert kept[:2] == (("status word '0'", 100), ("status word '1'", 99))
    assert kept[-1] == ("other drift", sum(100 - number for number in range(20, 50)))
    assert (21, seen.total()) == (len(kept), sum(count for _, count in kept))
    assert drift.bounded(Counter()) == ()
