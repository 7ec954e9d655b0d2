"""The library's front door, against the real sandbox."""

from __future__ import annotations

import importlib.metadata
import threading
from typing import Any

import pandas as pd
import pytest
import smspartner
from pandas.testing import assert_frame_equal
from smspartner import PhonePrivacy, iter_snapshots, read_statuses
from smspartner.errors import AccessRefused, NotComplete, QuarantinedRows, SettingsError, TagError
from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, Fault
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUSES

OTHER = Campaign.of_rows("other", [{"phoneNumber": "0612345678", "status": "waiting", "stopSMS": "1", "date": ""}])
EMPTY = Campaign.of_rows("empty", [])
BAD = Campaign.of_rows("bad", [{"phoneNumber": "n/a", "status": "?"}, *(DOCUMENTED.given or ())])

TIME, TEXT = "datetime64[us, UTC]", str(pd.Series(dtype="str").dtype)
DTYPES = ["category", TEXT, "int32", "category", "category", "bool", TIME, TIME, "category"]


def test_values_and_dtypes(start_sandbox: Any, connect: Any) -> None:
    """The frame has the contract's columns and dtypes, its rows in the order of tags and API; no rows are alike."""
    frame = read_statuses(["other", "empty", "documented"], connect(start_sandbox([DOCUMENTED, OTHER, EMPTY])))
    assert frame.dtypes.astype(str).tolist() == DTYPES
    expected = [
        ("other", "+33612345678", 1, "FR", "waiting", True, pd.NaT),
        ("documented", "+33600000001", 1, "FR", "delivered", False, pd.Timestamp("2018-02-07T07:38:31Z")),
        ("documented", "+33600000002", 1, "FR", "delivered", False, pd.Timestamp("2018-02-07T07:38:21Z")),
    ]
    columns = list(frame.columns[:7])
    wanted = pd.DataFrame(expected, columns=columns)
    assert_frame_equal(wanted.astype(object), frame[columns].astype(object))
    assert frame["run_id"].nunique() == 1
    assert frame.groupby("tag", observed=True)["extracted_at"].nunique().tolist() == [1, 1]
    masked = read_statuses(["other"], connect(start_sandbox([OTHER])), privacy=PhonePrivacy("masked"))
    assert list(zip(masked["phone_number"], masked["country"], strict=True)) == [("+33*******78", "FR")]
    empty = read_statuses(["empty"], connect(start_sandbox([EMPTY])))
    assert (len(empty), empty.dtypes.astype(str).tolist()) == (0, DTYPES)


def test_not_complete(start_sandbox: Any, connect: Any) -> None:
    """A frame is whole or not at all: tags that are not complete are named in the order asked for, with reasons."""
    faults = [Fault("not_found", tag="other"), Fault("slow", tag="gone", seconds=0.3)]
    with pytest.raises(NotComplete) as caught:
        read_statuses(["documented", "gone", "other"], connect(start_sandbox([DOCUMENTED, OTHER], faults=faults)))
    assert list(caught.value.verdicts.items()) == [
        ("gone", ("unknown", 'the API answered code 4 (message not found), "Message introuvable"')),
        ("other", ("failed", "page 1: HTTP 404 without an answer that can be read (1 request)")),
    ]
    assert str(caught.value).startswith("not every tag is complete: gone: unknown (the API answered code 4")
    assert "leave out the tags that are unknown" in caught.value.remedy


def test_quarantined_rows(start_sandbox: Any, connect: Any) -> None:
    """Rows that are not valid are refused, by tag as asked for; where so many are allowed, the others are given."""
    worse = Campaign.of_rows("worse", [{}, {}])
    sandbox = start_sandbox([DOCUMENTED, worse, BAD], faults=[Fault("slow", tag="worse", seconds=0.3)])
    tags = ["documented", "worse", "bad"]
    with pytest.raises(QuarantinedRows) as caught:
        read_statuses(tags, connect(sandbox), allow_quarantined=2)
    assert list(caught.value.rows.items()) == [("worse", 2), ("bad", 1)]
    frame = read_statuses(tags, connect(sandbox), allow_quarantined=3)
    assert frame["tag"].tolist() == ["documented"] * 2 + ["bad"] * 2


def test_no_key_says_what_to_do_in_a_notebook() -> None:
    """Without a connection the key is the environment's; without that either, it is said how to ask for it."""
    for read in (read_statuses, iter_snapshots):
        with pytest.raises(SettingsError) as caught:
            read(["documented"])
        assert str(caught.value) == (
            "there is no API key; set SMSPARTNER_API_KEY, SMSPARTNER_API_KEY_FILE to a file, "
            "or SMSPARTNER_API_KEY_COMMAND to a command, before Python (or the notebook's kernel) starts; "
            "or ask for it: connection=smspartner.Connection(smspartner.Secret(getpass.getpass()))"
        )
    with pytest.raises(TagError):
        iter_snapshots(["two words"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connection": "key-in-clear"}, "connection is str; give smspartner.Connection(smspartner.Secret("),
        ({"privacy": "masked"}, "privacy is str; give smspartner.PhonePrivacy('masked'), 'plain' or 'hashed'"),
    ],
    ids=["connection", "privacy"],
)
def test_arguments_of_another_kind(start_sandbox: Any, connect: Any, options: dict[str, Any], message: str) -> None:
    """A key as the connection, or a word as the privacy, is refused before anything is requested, and not shown."""
    sandbox = start_sandbox([DOCUMENTED])
    for read in (read_statuses, iter_snapshots):
        with pytest.raises(SettingsError) as caught:
            read(["documented"], **{"connection": connect(sandbox), **options})
        assert str(caught.value).startswith(message)
        assert "key-in-clear" not in str(caught.value)
    assert sandbox.requests == []


def test_the_last_read_first(start_sandbox: Any, connect: Any) -> None:
    """A frame is in the order of the tags, each once, whichever came first; a refused key gives what came before."""
    sandbox = start_sandbox([DOCUMENTED, OTHER], faults=[Fault("slow", tag="other", seconds=0.2)])
    column = pd.Series(["other", "documented", "other"])
    assert read_statuses(column, connect(sandbox))["tag"].tolist() == ["other", *["documented"] * 2]
    assert len(sandbox.requests) == 2
    sandbox = start_sandbox([DOCUMENTED, OTHER], faults=[Fault("vendor_error_10", tag="other")])
    found = []
    with pytest.raises(AccessRefused):
        found.extend(one.tag for one in iter_snapshots(["documented", "other"], connect(sandbox, concurrency=1)))
    assert (found, len(sandbox.requests)) == (["documented"], 2)


def test_snapshots(start_sandbox: Any, connect: Any) -> None:
    """Snapshots come as they finish, each tag once, with verdict, typed rows and quarantine."""
    sandbox = start_sandbox([DOCUMENTED, BAD])
    found = list(iter_snapshots(["bad", "gone", "documented", "bad"], connect(sandbox)))
    snapshots = sorted(found, key=lambda one: ["bad", "gone", "documented"].index(one.tag))
    assert [(one.tag, one.verdict, one.table.num_rows, one.quarantine.num_rows) for one in snapshots] == [
        ("bad", "complete", 2, 1),
        ("gone", "unknown", 0, 0),
        ("documented", "complete", 2, 0),
    ]
    assert all(one.table.schema == arrow_schema(STATUSES) for one in snapshots)
    assert all(one.quarantine.schema == arrow_schema(QUARANTINE) for one in snapshots)
    assert snapshots[0].quarantine["reasons"].to_pylist() == [["phone_number_unreadable", "status_unknown"]]


def test_leaving_early(start_sandbox: Any, connect: Any) -> None:
    """Whoever leaves the snapshots early has ended all requests."""
    sandbox = start_sandbox([Campaign(f"t{n}", 1, sent_at=0) for n in range(3000)], latency=0.002)
    snapshots = iter_snapshots([f"t{n}" for n in range(3000)], connect(sandbox, concurrency=2))
    next(snapshots)
    snapshots.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("smspartner-"):
            thread.join(30)
    assert len(sandbox.requests) < 3000


def test_public_names() -> None:
    """Every public name is there, and no other is made up."""
    assert sorted(smspartner.__all__) == dir(smspartner)
    assert all(getattr(smspartner, name) is not None for name in smspartner.__all__)
    assert smspartner.__version__ == importlib.metadata.version("smspartner-connector")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = smspartner.nothing
