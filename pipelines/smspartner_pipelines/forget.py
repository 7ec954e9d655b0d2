"""A person is forgotten: their rows leave the destinations, and no later run brings them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from smspartner.erasure import Erasure, Person
from smspartner.phone_numbers import PhonePrivacy

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.load import open_store
from smspartner_pipelines.load.destination import LoadedTag, TagStore

Say = Callable[[str], object]


def forget_person(number: str, uris: Sequence[str], privacy: PhonePrivacy, say: Say) -> ExitCode:
    """Erase a person from destinations, and say what was removed and what could not be judged; never the number.

    The exit code is 1 where rows may be left that could not be told from those of others.

    Raises:
        SettingsError: the number is none, there is no phone key, or a destination is none that keeps tags.
        DestinationError: a destination can't be read or written; what was removed stays removed.
    """
    person = Person(number, privacy)
    now = datetime.now(UTC)
    left = False
    with ExitStack() as held:
        for store in [held.enter_context(open_store(uri)) for uri in uris]:
            say(f"{store.uri}: {_removed(store.erase(person, now))}")
            for remark in _left(store, privacy):
                left = True
                say(f"{store.uri}: {remark}")
    return ExitCode.NOT_DONE if left else ExitCode.OK


def _removed(erasure: Erasure) -> str:
    counts = erasure.removed
    return (
        f"{counts['rows']:,} rows and {counts['quarantined']:,} rows in quarantine removed (tags: {counts['tags']:,}); "
        "the number will not be loaded there again"
    )


def _left(store: TagStore, privacy: PhonePrivacy) -> list[str]:
    """Say of which tags it can't be told whether they still hold the person, and what to do about them."""
    reasons = Counter(_why_left(state, privacy) for state in store.loaded_tags().values())
    return [f"tags that were left: {count:,}; {reason}" for reason, count in sorted(reasons.items()) if reason]


def _why_left(state: LoadedTag, privacy: PhonePrivacy) -> str:
    form, _, key_id = state.phone_numbers.partition(":")
    if not state.consistent:
        return "a run died while it loaded them; run them again, which leaves the person out"
    if form == "masked":
        return "masked numbers can't be told apart; run them again with --refresh all, which leaves the person out"
    if form == "hashed" and key_id not in privacy.hashes:
        return f"their numbers are hashed under phone key {key_id}, which was not given"
    return ""
