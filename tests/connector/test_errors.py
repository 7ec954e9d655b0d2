"""The exception tree: drawn as it is, with facts as fields."""

from __future__ import annotations

import inspect
import re

from smspartner import errors
from smspartner.errors import (
    AccessRefused,
    NotComplete,
    QuarantinedRows,
    RequestError,
    SmsPartnerError,
    UnexpectedStatus,
)


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


def test_one_base() -> None:
    """Whoever catches the base class catches everything."""
    assert all(issubclass(kind, SmsPartnerError) for kind in classes().values())


def test_retryable_by_class() -> None:
    """Trouble on the way may pass; answers that say no, and bodies too large, will not."""
    assert {"ConnectionFailed", "ResponseTimeout", "RateLimited", "UnreadableBody"} == {
        name for name, kind in classes().items() if issubclass(kind, RequestError) and kind.retryable
    }


def test_facts_are_fields() -> None:
    """Codes, HTTP statuses, waits and verdicts are fields, not text to be parsed."""
    refused = AccessRefused("no", code=10, http_status=401)
    assert (*(refused.what, refused.code, refused.http_status, refused.retry_after, refused.retryable),) == (
        "no",
        10,
        401,
        None,
        False,
    )
    late = UnexpectedStatus("later", http_status=503, retryable=True, retry_after=2.0)
    assert (late.what, late.http_status, late.retry_after, late.retryable) == ("later", 503, 2.0, True)
    lacking = NotComplete({"t": ("failed", "why"), "u": ("unknown", "what")})
    told = "not every tag is complete: t: failed (why), u: unknown (what); run again, or take the complete ones from "
    assert str(lacking) == f"{told}iter_snapshots"
    assert str(QuarantinedRows({"t": 2, "u": 1})).startswith("3 rows can't be believed (t: 2, u: 1); ")
