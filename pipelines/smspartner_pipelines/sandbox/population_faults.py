"""Faults in what is read for a page: which page, how many rows, and what the page says about both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from smspartner_pipelines.sandbox.fault_table import FaultTable, Strike


@dataclass(frozen=True)
class Reading:
    """What a page will hold, before its rows are fetched.

    `fetch` gives the rows between two indices of a population of `rows`; `page` is the page whose rows are sent, while
    `declared_page` and `declared_total` are what the envelope says.
    """

    fetch: Callable[[int, int], list[object]]
    rows: int
    page: int
    declared_page: int
    declared_total: int

    def rows_of_page(self, page_size: int) -> list[object]:
        """Fetch the rows of the page; none beyond the end."""
        start = (self.page - 1) * page_size
        stop = min(start + page_size, self.rows)
        return self.fetch(start, stop) if start < stop else []


POPULATION_FAULTS: FaultTable[Callable[[Reading, Strike], Reading]] = FaultTable()
_NEWCOMER = {"phoneNumber": "+33699000001", "status": "Waiting", "stopSMS": False, "date": ""}


@POPULATION_FAULTS.register("ignored_page", "answers page 1 whatever page is asked for, and says so")
def _ignored_page(reading: Reading, _strike: Strike) -> Reading:
    return replace(reading, page=1, declared_page=1)


@POPULATION_FAULTS.register("repeated_page", "answers the rows of page 1 under the number of the page asked for")
def _repeated_page(reading: Reading, _strike: Strike) -> Reading:
    return replace(reading, page=1)


@POPULATION_FAULTS.register("wrong_page_number", "answers the right rows with `currentPage` one too high")
def _wrong_page_number(reading: Reading, _strike: Strike) -> Reading:
    return replace(reading, declared_page=reading.declared_page + 1)


@POPULATION_FAULTS.register("total_grows", "declares one row more at every request it strikes; the rows stay")
def _total_grows(reading: Reading, strike: Strike) -> Reading:
    return replace(reading, declared_total=reading.declared_total + strike.nth)


@POPULATION_FAULTS.register("total_shrinks", "declares one row fewer at every request it strikes; the rows stay")
def _total_shrinks(reading: Reading, strike: Strike) -> Reading:
    return replace(reading, declared_total=max(0, reading.declared_total - strike.nth))


@POPULATION_FAULTS.register("shrunk", "the population lacks its last row, and the total says so")
def _shrunk(reading: Reading, _strike: Strike) -> Reading:
    rows = max(0, reading.rows - 1)
    return replace(reading, rows=rows, declared_total=rows)


@POPULATION_FAULTS.register("one_in_one_out", "a new row in front and the last row gone: drift that no total shows")
def _one_in_one_out(reading: Reading, _strike: Strike) -> Reading:
    def fetch(start: int, stop: int) -> list[object]:
        if start == 0:
            return [dict(_NEWCOMER), *reading.fetch(0, stop - 1)]
        return reading.fetch(start - 1, stop - 1)

    return replace(reading, fetch=fetch)
