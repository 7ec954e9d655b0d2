"""The vendor's words, as its documentation gives them."""

from __future__ import annotations

from smspartner import vendor
from smspartner_schemas.contract import STATUS_WORDS


def test_codes() -> None:
    """The documented codes and addresses are known, each code with what to do; some refuse access, some may pass."""
    assert {1, 2, 3, 4, 5, 6, 9, 10, 20, 30, 40, 50, 90, 96, 429, 500} == vendor.ERROR_CODES.keys()
    assert all(meaning and remedy for meaning, remedy in vendor.ERROR_CODES.values())
    assert ({1, 10, 20, 30, 40, 96}, {50, 429, 500}) == (vendor.ACCESS_CODES, vendor.RETRYABLE_CODES)
    assert (vendor.SUCCESS_CODE, vendor.UNKNOWN_TAG_CODE) == (200, 4)
    assert (vendor.STATUS_BY_TAG, vendor.ACCOUNT) == ("bulk-status-by-tag", "me")


def test_words() -> None:
    """The vendor's status words, SMPP words included, mean one of the contract's; UNKNOWN says nothing."""
    meanings: dict[str, set[str]] = {}
    for word, status in vendor.STATUS_WORDS.items():
        meanings.setdefault(status, set()).add(word)
    assert meanings == {
        "delivered": {"delivered", "delivrd"},
        "not_delivered": {"not delivered", "undeliv", "rejectd", "expired", "deleted"},
        "waiting": {"waiting", "acceptd", "enroute", "pending", "scheduled"},
        "ko": {"ko"},
    }
    assert list(meanings) == list(STATUS_WORDS)
