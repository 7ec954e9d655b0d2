"""What was read of one tag: the verdict with its facts, the typed rows, and the rows in quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from smspartner.errors import CountMismatch

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Snapshot:
    """One tag's population, read at `extracted_at` (aware, UTC), with its proof.

    `table` has the schema of `statuses` and `quarantine` that of `quarantine` (`smspartner_schemas.contract`); both are
    empty unless the verdict is `complete`. `rows_declared` is the API's `total` (None where no page was read);
    `seconds` runs from the tag's first request to its last answer. `drift` counts, by name, what the API sent that
    the documentation does not show. `pages`, `requests` and `retries` count the last pass, all passes, and all passes.
    """

    tag: str
    verdict: str
    reason: str
    table: pa.Table
    quarantine: pa.Table
    extracted_at: datetime
    rows_declared: int | None = None
    rows_received: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    drift: tuple[tuple[str, int], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the population is proved complete."""
        return self.verdict == "complete"

    def check_books(self) -> None:
        """Check that rows loaded + rows quarantined = rows received = declared total.

        Raises:
            CountMismatch: they do not add up.
        """
        believed, doubted = self.table.num_rows, self.quarantine.num_rows
        if not believed + doubted == self.rows_received == self.rows_declared:
            raise CountMismatch(
                f"tag {self.tag}: {believed} rows believed and {doubted} in quarantine do not add up to "
                f"{self.rows_received} received and {self.rows_declared} declared; please report this bug"
            )
