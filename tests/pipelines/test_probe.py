"""`smspartner check --probe TAG` finds out what the documentation leaves open, and tells no key, number or tag."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from faults import Campaign, Fault
from faults.populations import row
from smspartner.errors import AccessRefused, RequestError
from smspartner_pipelines.probe import as_lines, probe_api

TAG = "Promo-Nov"
NEW, FIRST, LAST = "none of them seen before", "those of the first page", "those of the last page"
ALL, MORE = "all rows, as far as can be seen", "not all rows: there are more behind the end"


def campaign(rows: int) -> Campaign:
    """Make a settled campaign of so many rows under the tag; each number has many, at other times."""
    return Campaign.of_rows(TAG, [row(number % 7, 1_517_989_111 + number) for number in range(rows)])


def answers(report: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Give what came for each request: rows and which, or what failed."""
    return {
        one["asked"]: (one["rows"], one["which_rows"]) if "rows" in one else (one["failure"], one["code"])
        for one in report["answers"]
    }


@pytest.mark.parametrize("size", [20, 100, 500])
def test_page_sizes(start_sandbox: Any, connect: Any, size: int) -> None:
    """Page size, order of requests and what the total counts are found out for vendors of several page sizes."""
    sandbox = start_sandbox([campaign(2 * size + 7)], page_size=size)
    report = probe_api(TAG, connect(sandbox))
    assert (report["page_size"], report["total"], report["asked_twice"]) == (size, 2 * size + 7, "the same")
    assert report["total_counts"] == ALL
    assert answers(report) == {
        "the first page": (size, NEW),
        "the first page again": (size, FIRST),
        "page=1": (size, FIRST),
        "the last page": (7, NEW),
        "the page behind the end": (0, NEW),
        "page=2": (size, NEW),
        "page=0": (size, FIRST),
        "a page far behind the end": (0, NEW),
    }
    assert [one.page for one in sandbox.requests] == [None, None, "1", "3", "4", "2", "0", "1000003"]


KINDS = {
    "clamped": (Fault("behind_clamped"), 47, ALL, (7, LAST)),
    "clamped under its number": (Fault("behind_repeated"), 47, ALL, (7, LAST)),
    "statuses changed": (Fault("behind_flipped"), 47, ALL, (7, LAST)),
    "404": (Fault("not_found", page=4), 47, ALL, ("UnexpectedStatus", None)),
    "code": (Fault("vendor_error_3", page=4), 47, ALL, ("VendorError", 3)),
    "other rows": (Fault("behind_other_rows"), 47, MORE, (1, NEW)),
    "page ignored": (Fault("ignored_page"), 47, "unknown: the last page holds 20 rows where 7 are left", (20, FIRST)),
    "last page erring": (Fault("server_error", page=3), 47, "unknown: the last page can't be read", (0, NEW)),
    "a total of the page": (Fault("total_of_page"), 25, MORE, (5, NEW)),
    "a total that ends with a page": (Fault("total_capped"), 45, MORE, (5, NEW)),
}


@pytest.mark.parametrize(("fault", "rows", "counts", "behind"), KINDS.values(), ids=KINDS.keys())
def test_behind_the_end(start_sandbox: Any, connect: Any, fault: Fault, rows: int, counts: str, behind: Any) -> None:
    """What a vendor answers behind the end is said, whether it is empty, clamped, an error, or more rows."""
    report = probe_api(TAG, connect(start_sandbox([campaign(rows)], faults=[fault], page_size=20)))
    assert (counts, behind) == (report["total_counts"], answers(report)["the page behind the end"])


@pytest.mark.parametrize(
    ("step", "order"), [(1, "oldest first"), (-1, "newest first"), (0, "unknown: too few dates that differ")]
)
def test_types_words_and_order(start_sandbox: Any, connect: Any, step: int, order: str) -> None:
    """The types and forms of all fields are counted, the vendor's words told, and the order of dates found out."""
    rows: list[Any] = [
        {"phoneNumber": f"06399800{n}", "status": "Distribué", "stopSms": "0", "date": str(1517989111 + step * n)}
        for n in range(10, 15)
    ]
    report = probe_api(TAG, connect(start_sandbox([Campaign.of_rows(TAG, [*rows, None])])))
    assert report["order"] == order
    # The first page is seen four times: as documented, again, as `page=1`, and as `page=0`.
    fields = {"phoneNumber": "0 and digits", "status": "other", "stopSms": "digits", "date": "digits"}
    assert report["row_fields"] == {name: {f"text: {form}": 20} for name, form in fields.items()}
    assert (report["status_words"], report["rows_that_are_no_objects"]) == ({"Distribué": 20}, 4)
    assert report["envelope_fields"]["total"] == {"number": 1}


def test_nothing_private(start_sandbox: Any, connect: Any) -> None:
    """Whatever the vendor sends, key, numbers and the tag are not in the report, as JSON or as text."""
    sound = {"phoneNumber": "+33639980001", "status": f"{TAG.lower()} 06 39 98 00 01", "date": "1517989111"}
    odd = sound | {"sandbox-key": "sandbox-key", TAG: TAG, "+33639980001": "\x1b[31m", "note": "\ufeff"}
    faults = [Fault(kind) for kind in ("echo_header", "echo_envelope", "echo_field", "extra_field")]
    sandbox = start_sandbox([Campaign.of_rows(TAG, [sound, odd])], faults=faults)
    report = probe_api(TAG, connect(sandbox))
    for text in (json.dumps(report, ensure_ascii=False), "\n".join(as_lines(report))):
        assert not re.search(r"promo.?nov|sandbox.key|639980001|6 39 98|\x1b", text, re.IGNORECASE)
    assert {"(tag)", "***"} <= report["row_fields"].keys()


def test_no_first_page(start_sandbox: Any, connect: Any) -> None:
    """A refused key and a tag that can't be read are errors, after one request."""
    for kind, error in (("vendor_error_10", AccessRefused), ("vendor_error_4", RequestError), ("html", RequestError)):
        sandbox = start_sandbox([campaign(5)], faults=[Fault(kind)])
        with pytest.raises(error):
            probe_api(TAG, connect(sandbox))
        assert len(sandbox.requests) == 1
