"""The contract itself."""

import re

import pytest
from smspartner_schemas.contract import PHONE_PATTERNS, STATE_TABLES, STATUSES, TABLES, Table


@pytest.mark.parametrize("table", [*TABLES, *STATE_TABLES], ids=lambda table: table.name)
def test_tables_are_sound(table: Table):
    """Names are unique, the primary key is made of columns that are never null, and patterns compile."""
    assert len(set(table.column_names)) == len(table.columns)
    assert [table[name].nullable for name in table.primary_key] == [False] * len(table.primary_key)
    for column in table.columns:
        re.compile(column.pattern or "")


def test_primary_key_holds_the_tag():
    """Rows of different tags never share a key, so that batches of tags can be judged at once."""
    assert "tag" in STATUSES.primary_key


@pytest.mark.parametrize(
    ("form", "number"), [("plain", "+33639980001"), ("masked", "+33*******01"), ("hashed", "0123abcd:" + "ab" * 32)]
)
def test_phone_patterns(form, number):
    """Each form of phone numbers has a pattern of its own."""
    assert [other for other, pattern in PHONE_PATTERNS.items() if re.fullmatch(pattern, number)] == [form]
