"""Which tags a run asks for, decided from what is loaded: there is no other state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from smspartner.privacy import ErasedNumbers
from smspartner.reading import FirstPage
from smspartner.transform import first_page_digest
from smspartner.vendor import LONGEST_DELIVERY_HOURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from smspartner.page import Page
    from smspartner.privacy import Erasure

    from smspartner_pipelines.load.destination import Destination, LoadedTag
    from smspartner_pipelines.outcome import DestinationOutcome
    from smspartner_pipelines.settings import RunSettings

_LONGEST_DELIVERY = timedelta(hours=LONGEST_DELIVERY_HOURS)


@dataclass
class Target:
    """A destination of this run: what it held when the run began, and its outcome."""

    destination: Destination
    outcome: DestinationOutcome
    loaded: Mapping[str, LoadedTag] = field(default_factory=dict)
    erasures: Sequence[Erasure] = ()

    @property
    def usable(self) -> bool:
        """Whether it has not failed."""
        return self.outcome.failure is None


@dataclass(frozen=True)
class Selection:
    """What a run asks for.

    `to_ask` are the tags asked for, in order; those in `settled` for their first page alone, unless that has changed.
    `skipped` gives the reason for each tag that is not asked for, and what is loaded of it. `wanted` are, for each
    destination, the tags it takes when they are read; `loaded` is what each holds. `digest` and `erased` belong to how
    rows are loaded.
    """

    to_ask: tuple[str, ...]
    settled: Mapping[str, FirstPage]
    skipped: Mapping[str, tuple[str, LoadedTag]]
    wanted: tuple[frozenset[str], ...]
    loaded: tuple[Mapping[str, LoadedTag], ...]
    erased: ErasedNumbers
    digest: Callable[[Page], str]

    def loaded_before(self, tag: str) -> LoadedTag | None:
        """Give what is loaded of a tag: where several destinations hold it, the one with most rows."""
        return _largest([tags[tag] for tags in self.loaded if tag in tags])


def select_tags(settings: RunSettings, targets: Sequence[Target]) -> Selection:
    """Decide what to ask for; a destination that can't be used has no say.

    Raises:
        SettingsError: people were erased from a destination under a phone key that is not given.
    """
    erased = ErasedNumbers([one for target in targets for one in target.erasures], settings.privacy)
    needs = [_needs(settings, target, datetime.now(UTC)) for target in targets]
    wanted = [frozenset(tag for tag, need in by_tag.items() if not isinstance(need, str)) for by_tag in needs]
    to_ask = tuple(tag for tag in settings.tags if any(tag in tags for tags in wanted))
    asked = frozenset(to_ask)
    settled = {}
    for tag in to_ask:
        needed = {by_tag[tag] for by_tag in needs if tag in by_tag and not isinstance(by_tag[tag], str)}
        first_page = needed.pop()
        if not needed and isinstance(first_page, FirstPage):  # all destinations hold the same, and only have it checked
            settled[tag] = first_page
    skipped: dict[str, tuple[str, LoadedTag]] = {}
    for target, by_tag in zip(targets, needs, strict=True):
        skipped |= {tag: (why, target.loaded[tag]) for tag, why in by_tag.items() if isinstance(why, str)}
    return Selection(
        to_ask=to_ask,
        settled=settled,
        skipped={tag: why for tag, why in skipped.items() if tag not in asked},
        wanted=tuple(wanted),
        loaded=tuple(target.loaded for target in targets),
        erased=erased,
        digest=partial(first_page_digest, privacy=settings.privacy, erased=erased),
    )


def _needs(settings: RunSettings, target: Target, now: datetime) -> dict[str, str | FirstPage | None]:
    if not target.usable:
        return {}
    if not target.destination.keeps_tags:
        return dict.fromkeys(settings.tags)
    return {tag: _need(settings, target.loaded.get(tag), now) for tag in settings.tags}


def _need(settings: RunSettings, loaded: LoadedTag | None, now: datetime) -> str | FirstPage | None:
    """Say what a destination needs of a tag: nothing, for the reason given; its first page checked; or None, all of it.

    A tag whose numbers are in another form, or under another key, than asked for must be rewritten.
    """
    if loaded is None or settings.refresh == "all" or loaded.phone_numbers != settings.privacy.label:
        return None
    if _is_fresh(loaded.extracted_at, settings, now):
        return f"fresh: read at {loaded.extracted_at:%Y-%m-%dT%H:%M:%SZ}"
    if not is_settled(loaded, now):
        return None
    if settings.refresh == "unsettled":
        return "settled: nothing waits, and it was read more than 48 h after its newest status"
    return FirstPage(loaded.rows_received, loaded.first_page) if loaded.first_page else None


def _is_fresh(extracted_at: datetime, settings: RunSettings, now: datetime) -> bool:
    if extracted_at > now:
        return False  # a clock was wrong
    since = settings.fresh_since
    return now - extracted_at < settings.fresh_for or (since is not None and extracted_at >= since)


def is_settled(loaded: LoadedTag, now: datetime) -> bool:
    """Whether no delivery report of the tag's messages is to come any more.

    A row in quarantine has no valid status, so its tag is not settled. Nor is one that was read in the future: the
    clock was wrong then, and how long after its newest status it was read is not known.
    """
    if loaded.extracted_at > now or loaded.waiting or loaded.rows_quarantined or loaded.newest_status_at is None:
        return False
    return loaded.extracted_at - loaded.newest_status_at > _LONGEST_DELIVERY


def _largest(held: Sequence[LoadedTag]) -> LoadedTag | None:
    return max(held, key=lambda one: (one.rows_loaded + one.rows_quarantined, one.extracted_at), default=None)
