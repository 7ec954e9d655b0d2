"""The contract itself."""

import re

from smspartner_schemas.contract import STATE_TABLES, STATUSES, TABLES


def test_tables_are_sound():
    """Names are unique, the primary key is made of columns that are never null, and patterns compile."""
    for table in (*TABLES, *STATE_TABLES):
        assert len(set(table.column_names)) == len(table.columns)
        assert not any(table[name].nullable for name in table.primary_key)
        for column in table.columns:
            re.compile(column.pattern or "")
    assert "tag" in STATUSES.primary_key  # so that batches of tags can be judged at once
