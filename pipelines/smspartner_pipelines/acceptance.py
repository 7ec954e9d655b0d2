"""Validation applied to snapshots: failing rows go to quarantine, a tag that fails as a whole is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Protocol

from smspartner.errors import RawRowMissing
from smspartner.snapshot import Snapshot

from smspartner_pipelines.batches import BATCH_ROWS
from smspartner_pipelines.settings import Judging
from smspartner_pipelines.validation import Validator, load_user_suite, start_import


class Acceptance(Protocol):
    """Decides what of a batch of snapshots may be loaded."""

    batch_rows: int
    """How many rows a batch should have."""

    def expect_rows(self) -> None:
        """Get ready: there will be rows to judge."""

    def judge(self, batch: list[Snapshot]) -> Iterator[Snapshot]:
        """Give each snapshot as it may be loaded."""

    def results(self) -> dict[str, Any]:
        """Say what was judged, for the run report."""


def make_acceptance(settings: Judging) -> Acceptance:
    """Choose the validation that the settings ask for.

    Raises:
        SettingsError: the user's suite can't be read or evaluated.
    """
    return ContractOnly() if settings.validate == "contract" else GreatExpectations(settings)


class ContractOnly:
    """The contract's row rules alone, which every snapshot has been through already."""

    batch_rows = 0

    def expect_rows(self) -> None:
        """Need nothing."""

    def judge(self, batch: list[Snapshot]) -> Iterator[Snapshot]:
        """Give each snapshot as it is."""
        yield from batch

    def results(self) -> dict[str, Any]:
        """Say that Great Expectations was left out."""
        return {"validate": "contract", "success": True, "note": "Great Expectations was skipped, as asked for"}


class GreatExpectations:
    """The contract's suite and the user's, evaluated by Great Expectations."""

    batch_rows = BATCH_ROWS

    def __init__(self, settings: Judging) -> None:
        user_suite = load_user_suite(settings.expectations) if settings.expectations else None
        self._validator = Validator(settings.privacy.form, user_suite)
        self._validator.check_user_suite()

    def expect_rows(self) -> None:
        """Import the library beside the fetching."""
        start_import()

    def judge(self, batch: list[Snapshot]) -> Iterator[Snapshot]:
        """Give each snapshot with failing rows in quarantine, or refused as `failed`; its books are checked again."""
        complete = [snapshot for snapshot in batch if snapshot.complete]
        judgements = iter(self._validator.judge([snapshot.table for snapshot in complete]) if complete else [])
        for snapshot in batch:
            if not snapshot.complete:
                yield snapshot
                continue
            judgement = next(judgements)
            if judgement.failed:
                yield snapshot.refused("failed", f"the tag fails {', '.join(judgement.failed)}")
                continue
            yield _without_doubtful(snapshot, judgement.rows)

    def results(self) -> dict[str, Any]:
        """Give the statistics of all batches."""
        return {"validate": "gx", **self._validator.results()}


def _without_doubtful(snapshot: Snapshot, rows: Mapping[int, tuple[str, ...]]) -> Snapshot:
    """Give the snapshot with these rows in quarantine; refused, where it can't be since they were loaded before."""
    try:
        return snapshot.doubting(rows)
    except RawRowMissing as exc:
        trouble = exc.what
    return snapshot.refused("failed", f"{trouble} ({', '.join(sorted({*chain(*rows.values())}))}); read the tag again")
