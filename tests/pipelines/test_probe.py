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
EMPTY, FIRST, NEW = "none of them seen before", "those of the first page", "none of them seen before"
LAST = "those of the last page"


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
    assert report["total_counts"] == "all rows, as far as can be seen"
    assert answers(report) == {
        "the first page": (size, NEW),
        "the first page again": (size, FIRST),
        "page=1": (size, FIRST),
        "the last page": (7, NEW),
        "the page behind the end": (0, EMPTY),
        "page=2": (size, NEW),
        "page=0": (size, FIRST),
        "a page far behind the end": (0, EMPTY),
    }
    assert [one.page for one in sandbox.requests] == [None, None, "1", "3", "4", "2", "0", "1000003"]


MORE = "not all rows: there are more behind the end"
KINDS = {
    "clamped": ([Fault("behind_clamped")], "all rows, as far as can be seen", (7, LAST)),
    "clamped under its number": ([Fault("behind_repeated")], "all rows, as far as can be seen", (7, LAST)),
    "statuses changed": ([Fault("behind_flipped")], "all rows, as far as can be seen", (7, LAST)),
    "404": ([Fault("not_found", page=4)], "all rows, as far as can be seen", ("UnexpectedStatus", None)),
    "code": ([Fault("vendor_error_3", page=4)], "all rows, as far as can be seen", ("VendorError", 3)),
    "other rows": ([Fault("behind_other_rows")], MORE, (1, NEW)),
    "page ignored": (
        [Fault("ignored_page")],
        "unknown: the last page holds 20 rows where 7 are left",
        (20, FIRST),
    ),
    "last page erring": ([Fault("server_error", page=3)], "unknown: the last page can't be read", (0, EMPTY)),
}


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS.keys())
def test_behind_the_end(start_sandbox: Any, connect: Any, case: Any) -> None:
    """What a vendor answers behind the end is said, whether it is empty, clamped, an error, or more rows."""
    faults, counts, behind = case
    report = probe_api(TAG, connect(start_sandbox([campaign(47)], faults=faults, page_size=20)))
    assert (counts, behind) == (report["total_counts"], answers(report)["the page behind the end"])


@pytest.mark.parametrize(("kind", "rows"), [("total_of_page", 25), ("total_capped", 45)])
def test_a_total_that_counts_less(start_sandbox: Any, connect: Any, kind: str, rows: int) -> None:
    """A total that counts the rows of a page, or stops at a page's end, is found out."""
    report = probe_api(TAG, connect(start_sandbox([campaign(rows)], faults=[Fault(kind)], page_size=20)))
    assert report["total_counts"] == MORE


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
    # The first page is seen three times: as documented, again, and as `page=1`; and once more as `page=0`.
    assert report["row_fields"] == {
        "phoneNumber": {"text: 0 and digits": 20},
        "status": {"text: other": 20},
        "stopSms": {"text: digits": 20},
        "date": {"text: digits": 20},
    }
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
