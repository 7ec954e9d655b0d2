"""The exception tree: drawn as it is, with facts as fields."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest
from smspartner import errors
from smspartner.errors import (
    AccessRefused,
    NotComplete,
    QuarantinedRows,
    RequestError,
    SmsPartnerError,
    TagError,
    UnexpectedStatus,
    raise_alone,
)
from smspartner.redaction import REDACT, Secret


def classes() -> dict[str, type[Exception]]:
    """The exceptions of the module by name."""
    return {
        name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }


def test_the_tree_is_drawn_as_it_is() -> None:
    """The docstring draws every class under the class it derives from."""
    parents: list[str] = []
    drawn = {}
    for indent, name in re.findall(r"^    ([│ ├└─]*)(\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        parents[depth:] = [name]
        drawn[name] = parents[depth - 1] if depth else "Exception"
    assert drawn == {name: kind.__bases__[0].__name__ for name, kind in classes().items()}


def test_retryable_by_class() -> None:
    """Failures on the way may pass; answers that say no, and bodies too large, will not."""
    assert {"ConnectionFailed", "ResponseTimeout", "RateLimited", "UnreadableBody", "CutBody"} == {
        name for name, kind in classes().items() if issubclass(kind, RequestError) and kind.retryable
    }


def test_facts_are_fields() -> None:
    """What is wrong and what to do, codes, HTTP statuses, waits and verdicts are fields, not text to be parsed."""
    refused = AccessRefused("no", code=10, http_status=401)
    assert (refused.what, refused.code, refused.http_status, refused.retry_after) == ("no", 10, 401, None)
    assert str(refused) == f"no; {refused.remedy}" == "no; check the key in your SMS Partner account"
    late = UnexpectedStatus("later", http_status=503, retryable=True, retry_after=2.0, remedy="wait")
    assert (late.what, late.http_status, late.retry_after, late.retryable) == ("later", 503, 2.0, True)
    assert (late.remedy, str(late), str(SmsPartnerError("bare"))) == ("wait", "later; wait", "bare")
    lacking = NotComplete(dict.fromkeys("abcde", ("failed", "why")))
    assert lacking.what == "not every tag is complete: a: failed (why), b: failed (why), c: failed (why), and 2 more"
    assert (lacking.remedy, len(lacking.verdicts)) == ("run again, or take the complete ones from iter_snapshots", 5)
    quarantined = QuarantinedRows({"t": 2, "u": 1})
    assert (quarantined.what, quarantined.rows) == ("3 rows are not valid (t: 2, u: 1)", {"t": 2, "u": 1})


def test_no_error_holds_a_secret() -> None:
    """What is wrong and what to do are redacted, whoever wrote them."""
    REDACT.add(Secret("k3y-of-errors"))
    error = SmsPartnerError("GET ?apiKey=k3y-of-errors", remedy="try k3y-of-errors")
    assert (error.what, error.remedy, str(error)) == ("GET ?apiKey=***", "try ***", "GET ?apiKey=***; try ***")


@pytest.mark.parametrize("error", [NotComplete({"t": ("failed", "why")}), AccessRefused("no", code=1), TagError("x")])
def test_errors_travel_between_processes(error: SmsPartnerError) -> None:
    """An error arrives in another process with its text and its facts."""
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(arrived), str(arrived), vars(arrived)) == (type(error), str(error), vars(error))


def test_an_error_raised_alone_carries_no_foreign_one() -> None:
    """What a library said, which may be a URL with the key, is neither cause nor context of our error."""
    try:
        int("https://h/?apiKey=k3y")
    except ValueError:
        with pytest.raises(TagError) as caught:
            raise_alone(TagError("x"))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
