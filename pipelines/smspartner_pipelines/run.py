"""The pipeline on one screen: select, extract, transform, validate, load, report."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from smspartner.extract import extract
from smspartner.reading import SILENT, Progress
from smspartner.snapshot import new_run_id
from smspartner.transform import transform

from smspartner_pipelines.interrupt import stop_on_signals
from smspartner_pipelines.loading import finish, in_batches, load, open_destinations
from smspartner_pipelines.outcome import RunOutcome
from smspartner_pipelines.selection import refuse_shrunk, select_tags
from smspartner_pipelines.validation import Validator

if TYPE_CHECKING:
    from smspartner_pipelines.settings import RunSettings


def run(settings: RunSettings, progress: Progress = SILENT) -> RunOutcome:
    """Read the tags that need it, and load each complete one into every destination.

    The result of every tag is in the outcome, which is also kept beside what was loaded.

    Raises:
        SettingsError: no destination can be used, the user's expectations are wrong, or people were erased from a
            destination under a phone key that is not given.
        DestinationError: no destination can be used: each is down, full, or held by another run (DestinationBusy).
            After any of these, nothing was requested.
    """
    outcome = RunOutcome(new_run_id(), settings)
    validator = Validator(settings.privacy.form, settings.expectations, settings.validate)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        destinations = open_destinations(outcome, stack)
        batch_rows = max([validator.batch_rows, *(one.destination.batch_rows for one in destinations)])
        selection = select_tags(settings, destinations)
        outcome.note_skipped(selection.skipped)
        if len(selection.settled) < len(selection.to_ask):
            validator.prepare()  # imports Great Expectations beside the fetching
        populations = extract(
            selection.to_ask,
            settings.connection,
            stop,
            progress,
            is_unchanged=selection.is_unchanged,
            paging=outcome.paging,
        )
        snapshots = transform(populations, outcome.run_id, settings.privacy, selection.erased)
        with outcome.keeps_what_ends_it(), closing(snapshots):
            for batch in in_batches(snapshots, batch_rows):
                load(refuse_shrunk(validator.judge(batch), outcome), outcome)
        finish(outcome, validator)
    return outcome
