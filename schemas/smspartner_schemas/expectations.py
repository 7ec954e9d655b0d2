"""The Great Expectations suite of `statuses`, as the JSON that library reads.

It imports nothing of Great Expectations: `ExpectationSuite(**suite())` loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smspartner_schemas.contract import CONTRACT_VERSION, STATUSES
from smspartner_schemas.rules import row_rules

if TYPE_CHECKING:
    from smspartner_schemas.contract import PhoneForm

COLUMNS_RULE = "columns_in_order"
"""The rule of the table as a whole: the contract's columns, in the contract's order."""


def suite(phone_form: PhoneForm = "plain") -> dict[str, Any]:
    """Return the suite: `name`, `expectations` (each `type`, `kwargs`, `meta` with its `rule`) and `meta`.

    Every value is what JSON knows; dates are ISO 8601 with their offset (the library refuses dates without one).
    `phone_form` is the form that `phone_number` is kept in. Column types are not part of it, since the library has no
    word for categoricals: `smspartner_schemas.rules.schema_problems` judges them.
    """
    columns = {
        "type": "expect_table_columns_to_match_ordered_list",
        "kwargs": {"column_list": list(STATUSES.column_names)},
        "meta": {"rule": COLUMNS_RULE},
    }
    return {
        "name": STATUSES.name,
        "expectations": [columns, *(rule.expectation() for rule in row_rules(STATUSES, phone_form))],
        "meta": {"contract_version": CONTRACT_VERSION, "phone_numbers": phone_form},
    }
