"""What became of each tag of a batch: its failing rows, and what it fails as a whole."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from smspartner_pipelines.gx import Verdict


@dataclass(frozen=True)
class Judgement:
    """What became of one tag.

    `rows` gives each failing row, by its index in the tag's table, the names of what it breaks; `failed` names the
    expectations that the tag fails as a whole.
    """

    rows: dict[int, tuple[str, ...]] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


class Found:
    """What failed in one batch, whose tags have `sizes` rows."""

    def __init__(self, sizes: list[int]) -> None:
        self.starts = list(accumulate(sizes, initial=0))
        self._rows: list[defaultdict[int, list[str]]] = [defaultdict(list) for _ in sizes]
        self._failed: list[list[str]] = [[] for _ in sizes]

    def note(self, verdict: Verdict, place: int | None) -> dict[str, int]:
        """Note a verdict on the tag at `place`, or on the batch; return how many rows and tags it fails."""
        if not verdict.rows:
            failed = self._failed if place is None else [self._failed[place]]
            for names in failed:
                names.append(verdict.rule)
            return {"tags_failed": len(failed)}
        rows = np.array(verdict.rows) + (0 if place is None else self.starts[place])
        places = np.searchsorted(self.starts, rows, side="right") - 1
        for row, where in zip(rows.tolist(), places.tolist(), strict=True):
            self._rows[where][row - self.starts[where]].append(verdict.rule)
        return {"rows_failed": len(rows)}

    def judgements(self) -> list[Judgement]:
        """Give one judgement for each tag."""
        return [
            Judgement({row: tuple(names) for row, names in sorted(rows.items())}, tuple(failed))
            for rows, failed in zip(self._rows, self._failed, strict=True)
        ]
