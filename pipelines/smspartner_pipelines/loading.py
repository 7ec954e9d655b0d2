"""One run's loading: into every destination that lacks a tag; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from smspartner.errors import DestinationError
from smspartner.load.destinations import Destination, WrittenFile
from smspartner.snapshot import Snapshot

from smspartner_pipelines.incremental import Selection
from smspartner_pipelines.outcomes import DestinationOutcome, RunOutcome
from smspartner_pipelines.report import report_json
from smspartner_pipelines.settings import PublicSettings

Content = TypeVar("Content")


class Loading:
    """Loads snapshots as they come, and records what was loaded where."""

    def __init__(self, destinations: Sequence[Destination], selection: Selection, outcome: RunOutcome) -> None:
        self._outcome = outcome
        outcome.destinations = [DestinationOutcome(destination.uri) for destination in destinations]
        self._targets = list(zip(destinations, outcome.destinations, selection.wanted, strict=True))

    def load(self, snapshot: Snapshot) -> None:
        """Load a complete snapshot, and note what became of its tag.

        Raises:
            DestinationError: no destination is left.
        """
        if snapshot.complete:
            for destination, outcome, wanted in self._targets:
                if snapshot.tag in wanted and _written(
                    outcome, destination.replace_tag, snapshot, self._outcome.run_id
                ):
                    outcome.tags_loaded += 1
            failures = [outcome.failure for outcome in self._outcome.destinations if outcome.failure]
            if len(failures) == len(self._targets):
                raise DestinationError("; ".join(failures))
        self._outcome.note(snapshot)

    def finish(self, settings: PublicSettings) -> None:
        """Close the books: publish exports of a run that came to its end, keep `tag_runs` and the run report."""
        ended_early = self._outcome.ended_by is not None
        for destination, outcome, _ in self._targets:
            if destination.keeps_tags or not ended_early:
                _written(outcome, destination.finish, self._outcome.tag_runs_table(), self._outcome.run_id)
        self._outcome.close()
        for destination, outcome, _ in self._targets:
            try:  # where loading failed, too: the report says so, and is small enough for a disk that is all but full
                destination.save_report(report_json(self._outcome, settings), self._outcome.run_id)
            except DestinationError as exc:
                outcome.failure = outcome.failure or str(exc)


def _written(
    outcome: DestinationOutcome,
    write: Callable[[Content, str], list[WrittenFile]],
    content: Content,
    run_id: str,
) -> bool:
    """Write into a destination unless it failed before; a failure is recorded, and concerns this destination only."""
    if outcome.failure is not None:
        return False
    try:
        outcome.files.extend(write(content, run_id))
    except DestinationError as exc:
        outcome.failure = str(exc)
    return outcome.failure is None
