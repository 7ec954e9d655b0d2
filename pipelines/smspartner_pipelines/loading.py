"""One run's loading: into every destination that lacks a tag; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smspartner.errors import DestinationError
from smspartner_pipelines.load.destination import Destination
from smspartner.snapshot import Snapshot

from smspartner_pipelines.incremental import Selection
from smspartner_pipelines.outcomes import DestinationOutcome, RunOutcome
from smspartner_pipelines.report import report_json
from smspartner_pipelines.settings import PublicSettings

_IN_VAIN = "read, but loaded nowhere: every destination that lacks it has failed"


class Loading:
    """Loads snapshots as they come, and records what was loaded where."""

    def __init__(self, destinations: Sequence[Destination], selection: Selection, outcome: RunOutcome) -> None:
        self._outcome = outcome
        outcome.destinations = [DestinationOutcome(destination.uri) for destination in destinations]
        self._targets = list(zip(destinations, outcome.destinations, selection.wanted, strict=True))
        self._unread = set(selection.to_read)

    def load(self, snapshots: Sequence[Snapshot]) -> None:
        """Load the complete ones of these snapshots, and note what became of their tags.

        Raises:
            DestinationError: no destination is left, or none that lacks a tag which is still to be read.
        """
        self._unread.difference_update(snapshot.tag for snapshot in snapshots)
        loaded: set[str] = set()
        noted = [snapshot for snapshot in snapshots if not snapshot.complete]
        try:
            for destination, outcome, wanted in self._targets:
                wanting = [snapshot for snapshot in snapshots if snapshot.complete and snapshot.tag in wanted]
                for snapshot in self._replaced(destination, outcome, wanting):
                    loaded.add(snapshot.tag)
            self._check_that_it_goes_on()
            in_vain = [snapshot for snapshot in snapshots if snapshot.complete and snapshot.tag not in loaded]
            noted += [snapshot.refused("failed", _IN_VAIN) for snapshot in in_vain]
        finally:
            noted += [snapshot for snapshot in snapshots if snapshot.tag in loaded]
            for snapshot in noted:
                self._outcome.note(snapshot)

    def _check_that_it_goes_on(self) -> None:
        failures = [outcome.failure for outcome in self._outcome.destinations if outcome.failure]
        left = [wanted for _, outcome, wanted in self._targets if outcome.failure is None]
        if failures and (not left or (self._unread and all(self._unread.isdisjoint(wanted) for wanted in left))):
            raise DestinationError("; ".join(failures))

    def _replaced(
        self, destination: Destination, outcome: DestinationOutcome, snapshots: Sequence[Snapshot]
    ) -> Iterator[Snapshot]:
        """Load into one destination, unless it failed before, and give each snapshot as it is loaded."""
        if outcome.failure is not None or not snapshots:
            return
        try:
            written = destination.replace_tags(snapshots, self._outcome.run_id)
            for snapshot, files in zip(snapshots, written, strict=True):
                outcome.files.extend(files)
                outcome.tags_loaded += 1
                yield snapshot
        except DestinationError as exc:
            outcome.failure = str(exc)

    def finish(self, settings: PublicSettings) -> None:
        """Close the books: publish exports of a run that came to its end, keep `tag_runs` and the run report."""
        ended_early = self._outcome.ended_by is not None
        for destination, outcome, _ in self._targets:
            published = (destination.keeps_tags or not ended_early) and self._published(destination, outcome)
            if not published and not destination.keeps_tags:
                outcome.dropped, outcome.tags_loaded = True, 0
        self._outcome.close()
        for destination, outcome, _ in self._targets:
            try:  # where loading failed, too: the report says so, and is small enough for a disk that is all but full
                destination.save_report(report_json(self._outcome, settings), self._outcome.run_id)
            except DestinationError as exc:
                outcome.failure = outcome.failure or str(exc)

    def _published(self, destination: Destination, outcome: DestinationOutcome) -> bool:
        if outcome.failure is not None:
            return False
        try:
            outcome.files.extend(destination.finish(self._outcome.tag_runs_table(), self._outcome.run_id))
        except DestinationError as exc:
            outcome.failure = str(exc)
        return outcome.failure is None
