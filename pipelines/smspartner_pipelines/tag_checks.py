"""What must be true of a loaded tag as a whole: it can be read, its books balance, its state is what its rows say."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc
from smspartner.errors import CountMismatch
from smspartner_pipelines.load.destination import LoadedTag, StoredTag
from smspartner.stored_rows import places_of
from smspartner_schemas.contract import WAITING
from smspartner_schemas.rules import schema_problems

READABLE = "tag_readable"
SCHEMA = "arrow_schema"
CONSISTENT = "written_together"
BOOKS = "books_balance"
OWN_ROWS = "rows_of_their_tag"
STATE = "state_as_rows"

TAG_RULES = {
    READABLE: "rows and quarantine can be read, with the columns of the contract",
    SCHEMA: "the Arrow schema is the contract's",
    CONSISTENT: "rows and quarantine were written by the same run",
    BOOKS: "rows loaded + rows in quarantine + rows erased = rows received",
    OWN_ROWS: "every row names the tag, and the run that loaded it",
    STATE: "what the destination says of the tag (how many wait, the newest status) is what its rows say",
}
"""The rules of whole tags, which no expectation can state, with their meanings."""


def troubles_of(stored: StoredTag) -> dict[str, str]:
    """Return the rules of `TAG_RULES` that a tag breaks, each with what was found; no value of a row is part of it."""
    problems = schema_problems(stored.rows)
    if problems:
        return {SCHEMA: "; ".join(problems)}
    return dict(_troubles(stored))


def _troubles(stored: StoredTag) -> Iterator[tuple[str, str]]:
    state = stored.state
    if not state.consistent:
        yield CONSISTENT, "a run died between the two, or somebody changed a file; run the tag again"
    books = _books(stored)
    if books:
        yield BOOKS, books
    strangers = _strangers(stored)
    if strangers:
        yield OWN_ROWS, f"{strangers:,} rows name another tag or run"
    wrong = _wrong_in(state, stored)
    if wrong:
        yield STATE, f"{wrong}; run the tag again"


def _books(stored: StoredTag) -> str:
    state, held = stored.state, (stored.rows.num_rows, stored.quarantine.num_rows)
    if held != (state.rows_loaded, state.rows_quarantined):
        return (
            f"{held[0]:,} rows and {held[1]:,} in quarantine are there, where {state.rows_loaded:,} and "
            f"{state.rows_quarantined:,} were loaded; run the tag again"
        )
    try:
        places_of(stored)
    except CountMismatch as mismatch:
        return str(mismatch).removeprefix(f"tag {state.tag}: ")
    return ""


def _strangers(stored: StoredTag) -> int:
    named = {"tag": stored.state.tag, "run_id": stored.state.run_id}
    strange = [pc.not_equal(stored.rows[name], value) for name, value in named.items()]
    return pc.sum(pc.or_(*strange)).as_py() or 0


def _wrong_in(state: LoadedTag, stored: StoredTag) -> str:
    waiting = pc.sum(pc.equal(stored.rows["status"], WAITING)).as_py() or 0
    if waiting != state.waiting:
        return f"{waiting:,} rows wait, not {state.waiting:,}"
    newest = pc.max(stored.rows["status_at"]).as_py()
    return "" if newest == state.newest_status_at else "the newest status is of another time"
