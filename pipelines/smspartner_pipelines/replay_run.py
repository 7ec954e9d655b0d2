"""A run whose rows come from the quarantine instead of the API: the same validation, loading and report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from smspartner_pipelines.load import mask_secrets, open_store
from smspartner_pipelines.load.destination import LoadedTag, TagStore
from smspartner.phone_numbers import PhonePrivacy
from smspartner.replay import replay
from smspartner.snapshot import Snapshot, new_run_id

from smspartner_pipelines.acceptance import Acceptance, make_acceptance
from smspartner_pipelines.batches import gather
from smspartner_pipelines.incremental import Selection
from smspartner_pipelines.interrupt import Interrupt
from smspartner_pipelines.loading import Loading
from smspartner_pipelines.outcomes import RunOutcome
from smspartner_pipelines.quarantine import doubted_tags
from smspartner_pipelines.settings import Validate, check_judging


@dataclass(frozen=True)
class ReplaySettings:
    """What one replay does; see `RunSettings`."""

    destination: str
    validate: Validate = "gx"
    expectations: str | None = None
    allow_quarantined: int = 0

    privacy = PhonePrivacy()
    """Only plain rows can be read once more."""

    def __post_init__(self) -> None:
        check_judging(self)

    def public(self) -> dict[str, Any]:
        """Give the settings for the run report."""
        return {
            "replay": mask_secrets(self.destination),
            "validate": self.validate,
            "expectations": self.expectations,
            "allow_quarantined": self.allow_quarantined,
        }


def replay_quarantine(settings: ReplaySettings) -> RunOutcome:
    """Read the quarantined rows of a destination once more, and load those that can now be believed.

    Every tag with rows in quarantine is in the outcome: `complete` if some left it, `skipped` if none could, `failed`
    if the tag would no longer pass validation; what is not loaded anew stays as it is.

    Raises:
        SettingsError: there is no such destination, or the user's expectations can't be evaluated.
        DestinationError: what is stored can't be read, or another run holds it.
    """
    acceptance = make_acceptance(settings)
    with Interrupt() as interrupt, open_store(settings.destination) as store:
        doubted = doubted_tags(store)
        tags = tuple(doubted)
        outcome = RunOutcome(new_run_id(), tags, settings.allow_quarantined)
        loading = Loading([store], Selection((frozenset(tags),), tags, {}), outcome)
        with outcome.ending_early(), interrupt.work():
            replayed = _replayed(store, doubted, outcome.run_id, acceptance)
            for batch in gather(interrupt.between(replayed), max(acceptance.batch_rows, store.batch_rows)):
                judged = acceptance.judge(batch)
                loading.load([_with_reason(snapshot, doubted[snapshot.tag]) for snapshot in judged])
        outcome.validation = acceptance.results()
        loading.finish(settings)
    return outcome


def _replayed(
    store: TagStore, doubted: dict[str, LoadedTag], run_id: str, acceptance: Acceptance
) -> Iterator[list[Snapshot]]:
    for state in doubted.values():
        snapshot = replay(store.stored_tag(state), run_id)
        if snapshot.complete:
            acceptance.expect_rows()
        yield [snapshot]


def _with_reason(snapshot: Snapshot, state: LoadedTag) -> Snapshot:
    """Say how many rows left the quarantine, once validation has had its say."""
    if not snapshot.complete:
        return snapshot
    left = snapshot.table.num_rows - state.rows_loaded
    return replace(snapshot, reason=f"{left} of {state.rows_quarantined} rows left the quarantine")
