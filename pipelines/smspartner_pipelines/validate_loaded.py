"""What is loaded in a destination, judged: each tag as a whole, and batches of tags by all expectations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import cast

import pyarrow as pa
from smspartner.grouping import gathered
from smspartner_pipelines.load.destination import TagStore
from smspartner_schemas.contract import STATUSES, PhoneForm
from smspartner_schemas.rules import broken_rules, row_rules

from smspartner_pipelines.batches import BATCH_ROWS
from smspartner_pipelines.judgement import Judgement
from smspartner_pipelines.loaded_rows import ReadTag, read_tags, read_together
from smspartner_pipelines.validation import UserSuite, Validator, start_import
from smspartner_pipelines.validation_outcome import Finding, ValidationOutcome


def validate_loaded(store: TagStore, user_suite: UserSuite | None = None) -> ValidationOutcome:
    """Judge all that a destination holds; nothing is changed or locked there.

    Raises:
        SettingsError: the user's suite can't be evaluated.
        DestinationError: the destination can't be read.
    """
    start_import()
    outcome = ValidationOutcome(store.uri, user_suite.name if user_suite else None)
    with read_together(store):
        states = store.loaded_tags()
        forms = {_form(state.phone_numbers) for state in states.values()} or {"plain"}
        judges = {form: _Judge(cast("PhoneForm", form), user_suite) for form in sorted(forms)}
        for batch in gathered(_noted(read_tags(store, states), outcome), lambda read: read.rows.num_rows, BATCH_ROWS):
            for form, judge in judges.items():
                judge.judge([read for read in batch if _form(read.state.phone_numbers) == form], outcome)
    for judge in judges.values():
        outcome.add(judge.validator.tallies(), judge.native)
    outcome.close()
    return outcome


def _form(label: str) -> str:
    return label.partition(":")[0]


def _noted(tags: Iterable[ReadTag], outcome: ValidationOutcome) -> Iterator[ReadTag]:
    """Note what each tag is and what is wrong with it as a whole; give those with rows to judge, or none by right."""
    for read in tags:
        outcome.note_tag(read)
        if read.rows.num_rows or not read.troubles:
            yield read


class _Judge:
    """Judges tags whose numbers are in one form: natively by the contract's rules, and by Great Expectations."""

    def __init__(self, form: PhoneForm, user_suite: UserSuite | None) -> None:
        self.validator = Validator(form, user_suite, keep_going=True)
        self.validator.check_user_suite()
        self.native: Counter[str] = Counter()
        self._rules = row_rules(STATUSES, form)

    def judge(self, batch: list[ReadTag], outcome: ValidationOutcome) -> None:
        """Judge one batch, and note which tags fail what."""
        if not batch:
            return
        tables = [read.rows for read in batch]
        rows = pa.concat_tables(tables).unify_dictionaries().combine_chunks()  # rules look at chunk by chunk
        self.native.update({name: len(found) for name, found in broken_rules(rows, self._rules).items()})
        for read, judgement in zip(batch, self.validator.judge(tables), strict=True):
            outcome.note_rows(len(judgement.rows))
            outcome.findings += _findings(read.state.tag, judgement)


def _findings(tag: str, judgement: Judgement) -> Iterator[Finding]:
    for rule, count in Counter(chain.from_iterable(judgement.rows.values())).items():
        yield Finding(tag, rule, count)
    for rule in judgement.failed:
        yield Finding(tag, rule)
