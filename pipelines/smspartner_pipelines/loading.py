"""Loading into all destinations of a run: one that fails keeps nothing from the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from smspartner.errors import DestinationError, SettingsError

from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import erasures, loaded_tags
from smspartner_pipelines.outcome import DestinationOutcome, RunOutcome
from smspartner_pipelines.report import report_json
from smspartner_pipelines.selection import Selection, Target

if TYPE_CHECKING:
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.validation import Validator

_IN_VAIN = "read, but loaded nowhere: every destination that needs it has failed"


def open_destinations(uris: Sequence[str], stack: ExitStack, outcome: RunOutcome) -> list[Target]:
    """Open every destination and read its state; `stack` closes them.

    One that can't be used is noted as failed, and the run goes on with the others.

    Raises:
        SettingsError: a URI names no destination; or there is one destination only, and rights, schema or foreign files
            are in the way.
        DestinationError: no destination can be used.
    """
    targets = [Target(one, DestinationOutcome(one.uri)) for one in map(open_destination, uris)]
    outcome.destinations = [target.outcome for target in targets]
    failures: list[SettingsError | DestinationError] = []
    for target in targets:
        try:
            target.destination.check()
            stack.enter_context(target.destination.open(for_loading=True))
            target.loaded, damages = loaded_tags(target.destination)
            target.erasures = erasures(target.destination)
        except (SettingsError, DestinationError) as exc:
            failures.append(exc)
            target.outcome.failure = str(exc)
        else:
            outcome.notes += [f"{damage.place} {damage.what}; its tag is read again" for damage in damages]
    if len(failures) == len(targets) == 1:
        raise failures[0]
    if len(failures) == len(targets):
        raise DestinationError(
            "no destination can be used: " + "; ".join(str(failure) for failure in failures),
            remedy="`smspartner check --to DEST` looks at each",
        )
    return targets


def load(batch: Sequence[Snapshot], targets: Sequence[Target], selection: Selection, outcome: RunOutcome) -> None:
    """Load the complete ones of these snapshots where they are wanted, and note the result of each tag.

    Raises:
        DestinationError: no destination is left.
    """
    loaded: set[str] = set()
    complete = [snapshot for snapshot in batch if snapshot.complete]
    try:
        for target, wanted in zip(targets, selection.wanted, strict=True):
            for snapshot in _replaced(target, [one for one in complete if one.tag in wanted]):
                loaded.add(snapshot.tag)
    finally:  # what was loaded until an interrupt is noted, too
        for snapshot in batch:
            if not snapshot.complete or snapshot.tag in loaded:
                outcome.note(snapshot, selection.loaded_before(snapshot.tag))
    for snapshot in complete:
        if snapshot.tag not in loaded:
            outcome.note(snapshot.refused("failed", _IN_VAIN), None)
    if not any(target.usable for target in targets):
        raise DestinationError("every destination has failed", remedy="correct what each says, and run again")


def _replaced(target: Target, snapshots: Sequence[Snapshot]) -> Iterator[Snapshot]:
    """Give each snapshot that the destination has loaded for good."""
    if target.usable and snapshots:
        with target.outcome.notes_failure():
            for snapshot, files in zip(snapshots, target.destination.replace(snapshots), strict=True):
                target.outcome.files += files
                target.outcome.tags_loaded += 1
                yield snapshot


def finish(targets: Sequence[Target], outcome: RunOutcome, validator: Validator) -> None:
    """Let exports appear if the run came to its end, and keep its rows of `tag_runs` and its report."""
    outcome.validation = validator.results()
    outcome.close()
    complete, tag_runs = outcome.ended_by is None, outcome.tag_runs_table()
    for target in filter(_usable, targets):
        with target.outcome.notes_failure():
            target.outcome.files += target.destination.finish(tag_runs, outcome.run_id, complete=complete)
    for target in targets:
        if not target.destination.keeps_tags and not (complete and target.usable):
            target.outcome.dropped, target.outcome.tags_loaded = True, 0
    for target in filter(_usable, targets):
        with target.outcome.notes_failure():
            target.destination.save_report(report_json(outcome), outcome.run_id)


def _usable(target: Target) -> bool:
    return target.usable
