"""The vendor's words, as its documentation gives them."""

from __future__ import annotations

from smspartner import vendor
from smspartner_schemas.contract import STATUS_WORDS


def test_codes() -> None:
    """The documented codes are known, and which of them refuse access."""
    assert {1, 3, 4, 10, 20, 30, 40, 90, 96} == vendor.ERROR_CODES.keys()
    assert {1, 10, 20, 30, 40, 96} == vendor.ACCESS_CODES
    assert (vendor.SUCCESS_CODE, vendor.UNKNOWN_TAG_CODE) == (200, 4)


def test_words() -> None:
    """The vendor's status words are the contract's, one to one."""
    assert list(STATUS_WORDS) == list(vendor.STATUS_WORDS.values())
    assert all(word == word.lower() for word in vendor.STATUS_WORDS)


def test_addresses() -> None:
    """Requests go to the documented addresses, over HTTPS."""
    assert (*(vendor.DEFAULT_BASE_URL, vendor.STATUS_BY_TAG, vendor.ACCOUNT),) == (
        "https://api.smspartner.fr/v1",
        "bulk-status-by-tag",
        "me",
    )
