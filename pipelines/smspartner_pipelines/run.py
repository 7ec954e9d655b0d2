"""The pipeline on one screen: select, extract, transform, validate, load, report; its steps with destinations below.

What is loaded goes into all destinations, in batches: one that fails keeps nothing from the others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from smspartner.errors import AccessRefused, DestinationError, Interrupted, SettingsError
from smspartner.extract import extract
from smspartner.reading import SILENT, Progress
from smspartner.snapshot import new_run_id
from smspartner.transform import transform

from smspartner_pipelines.interrupt import stop_on_signals
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import erasures, loaded_tags
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.report import report_json
from smspartner_pipelines.selection import refuse_shrunk, select_tags
from smspartner_pipelines.validation import Validator

if TYPE_CHECKING:
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.settings import RunSettings

BATCH_SECONDS = 15.0
"""A batch is not held longer: with validating and loading, a tag is loaded within 30 s of its last page."""

_IN_VAIN = "read, but loaded nowhere: every destination that needs it has failed"


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


def open_destinations(outcome: RunOutcome, stack: ExitStack) -> Sequence[Target]:
    """Open every destination of a run and read its state; `stack` closes them.

    One that can't be used is noted as failed, and the run goes on with the others.

    Raises:
        SettingsError: a URI names no destination; or there is one destination only, and rights, schema or foreign files
            are in the way.
        DestinationError: no destination can be used.
    """
    targets = [Target(open_destination(uri)) for uri in outcome.settings.to]
    failures: list[SettingsError | DestinationError] = []
    for target in targets:
        try:
            target.destination.check()
            stack.enter_context(target.destination.open(for_loading=True))
            target.loaded, damages = loaded_tags(target.destination)
            target.erasures = erasures(target.destination)
        except (SettingsError, DestinationError) as exc:
            failures.append(exc)
            target.failure = str(exc)
        else:
            outcome.notes += [f"{damage.place} {damage.what}; its tag is read again" for damage in damages]
    if len(failures) == len(targets) == 1:
        raise failures[0]
    if len(failures) == len(targets):
        raise DestinationError(
            "no destination can be used: " + "; ".join(str(failure) for failure in failures),
            remedy="`smspartner check --to DEST` looks at each",
        )
    outcome.destinations = targets
    return targets


def in_batches(
    snapshots: Iterable[Snapshot | None], rows: int, seconds: float = BATCH_SECONDS
) -> Iterator[list[Snapshot]]:
    """Give snapshots in lists of about as many rows as validation or a destination wants at once; none is empty.

    A None among the snapshots is a tick: nothing came, but time went by. Where the key is refused or the run is
    interrupted, what was gathered is given first: those tags are read, and only wait to be loaded.
    """
    batch: list[Snapshot] = []
    held, began = 0, 0.0
    try:
        for snapshot in snapshots:
            if snapshot is not None:
                began = began if batch else time.monotonic()
                batch.append(snapshot)
                held += snapshot.table.num_rows
            if batch and (held >= rows or time.monotonic() - began >= seconds):
                yield batch
                batch, held = [], 0
    except (AccessRefused, Interrupted):
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def load(batch: Sequence[Snapshot], outcome: RunOutcome) -> None:
    """Load the complete ones of these snapshots where they are wanted, and note the result of each tag.

    Raises:
        DestinationError: no destination is left.
    """
    loaded: set[str] = set()
    complete = [snapshot for snapshot in batch if snapshot.complete]
    try:
        for target in outcome.destinations:
            for snapshot in _replaced(target, [one for one in complete if one.tag in target.wants]):
                loaded.add(snapshot.tag)
    finally:  # what was loaded until counts did not add up is noted, too
        for snapshot in batch:
            if not snapshot.complete or snapshot.tag in loaded:
                outcome.note(snapshot)
    for snapshot in complete:
        if snapshot.tag not in loaded:
            outcome.note(snapshot.refused("failed", _IN_VAIN))
    if not any(target.usable for target in outcome.destinations):
        raise DestinationError("every destination has failed", remedy="correct what each says, and run again")


def _replaced(target: Target, snapshots: Sequence[Snapshot]) -> Iterator[Snapshot]:
    """Give each snapshot that the destination has loaded for good."""
    if target.usable and snapshots:
        with target.notes_failure():
            for snapshot, files in zip(snapshots, target.destination.replace(snapshots), strict=True):
                target.files += files
                target.tags_loaded += 1
                yield snapshot


def finish(outcome: RunOutcome, validator: Validator) -> None:
    """Let exports appear if the run came to its end, and keep its rows of `tag_runs` and its report."""
    outcome.validation = validator.results()
    outcome.close()
    complete, tag_runs = outcome.ended_by is None, outcome.tag_runs_table()
    for target in outcome.destinations:
        with target.notes_failure():
            if target.usable:
                target.files += target.destination.finish(tag_runs, outcome.run_id, complete=complete)
        if not target.destination.keeps_tags and not (complete and target.usable):
            target.dropped, target.tags_loaded = True, 0
    for target in outcome.destinations:
        with target.notes_failure():
            if target.usable:
                target.destination.save_report(report_json(outcome), outcome.run_id)
