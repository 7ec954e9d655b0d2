"""Which tags a run asks for, and which it may load: decided from what is loaded, the only state there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from smspartner.privacy import ErasedNumbers
from smspartner.transform import first_page_digest
from smspartner.vendor import LONGEST_DELIVERY_HOURS

if TYPE_CHECKING:
    from smspartner.page import Page
    from smspartner.privacy import PhonePrivacy
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.load.destination import LoadedTag
    from smspartner_pipelines.outcome import RunOutcome, Target
    from smspartner_pipelines.settings import RunSettings

_LONGEST_DELIVERY = timedelta(hours=LONGEST_DELIVERY_HOURS)

_MOST_ROWS_TAKEN, _MOST_SHARE_TAKEN = 2, 0.01
"""Of the loaded rows: more than both must not give way to rows in quarantine."""

_LAWFUL = "messages sent as a test, and cancelled ones, leave the vendor's lists"


@dataclass(frozen=True)
class FirstPage:
    """What is loaded of a settled tag's first page: the total it declared, and a digest of its rows as loaded."""

    total: int
    digest: str


@dataclass(frozen=True)
class Selection:
    """What a run asks for.

    `to_ask` are the tags asked for, in order; those in `settled` for their first page alone, unless that has changed.
    `skipped` gives the reason for each tag that is not asked for, and what is loaded of it. `erased` and `privacy` say
    how rows are loaded.
    """

    to_ask: tuple[str, ...]
    settled: Mapping[str, FirstPage]
    skipped: Mapping[str, tuple[str, LoadedTag]]
    erased: ErasedNumbers
    privacy: PhonePrivacy

    def is_unchanged(self, tag: str, page: Page) -> bool:
        """Whether a tag is settled, and its first page as it was loaded."""
        loaded = self.settled.get(tag)
        if loaded is None or loaded.total != page.total:
            return False
        return loaded.digest == first_page_digest(page, self.privacy, self.erased)


def select_tags(settings: RunSettings, targets: Sequence[Target]) -> Selection:
    """Decide what to ask for, and note in each destination what it `wants`; one that can't be used has no say.

    Raises:
        SettingsError: people were erased from a destination under a phone key that is not given.
    """
    usable, now = [target for target in targets if target.usable], datetime.now(UTC)
    erased = ErasedNumbers([one for target in targets for one in target.erasures], settings.privacy)
    to_ask: list[str] = []
    settled: dict[str, FirstPage] = {}
    skipped: dict[str, tuple[str, LoadedTag]] = {}
    for tag in settings.tags:
        needs = [_need(settings, target, tag, now) for target in usable]
        to_read = {need for need in needs if not isinstance(need, str)}
        if not to_read:
            skipped[tag] = str(needs[-1]), usable[-1].loaded[tag]
            continue
        to_ask.append(tag)
        for target, need in zip(usable, needs, strict=True):
            if not isinstance(need, str):
                target.wants.add(tag)
        first_page = to_read.pop()
        if first_page is not None and not to_read:  # all destinations hold the same, and only have it checked
            settled[tag] = first_page
    return Selection(tuple(to_ask), settled, skipped, erased, settings.privacy)


def _need(settings: RunSettings, target: Target, tag: str, now: datetime) -> str | FirstPage | None:
    """Say what a destination needs of a tag: nothing, for the reason given; its first page checked; or None, all of it.

    A tag whose numbers are in another form, or under another key, than asked for must be rewritten.
    """
    loaded = target.loaded.get(tag)
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


def refuse_shrunk(snapshots: Iterable[Snapshot], outcome: RunOutcome) -> list[Snapshot]:
    """Refuse, as `shrunk`, what holds fewer rows than are loaded, or far fewer valid ones.

    Rows of erased people do not count: they may be erased here, at the vendor, or both, before the tag was loaded or
    only since. A tag that became unknown counts as one of 0 rows; with `allow_shrink` it is given as a complete tag of
    0 rows, so that what is loaded is replaced. With `keep_shrunk` such a tag is `skipped`.
    """
    return [_checked(snapshot, outcome.loaded_before(snapshot.tag), outcome.settings) for snapshot in snapshots]


def _checked(snapshot: Snapshot, before: LoadedTag | None, settings: RunSettings) -> Snapshot:
    if before is None or snapshot.verdict not in {"complete", "unknown"}:
        return snapshot
    reason = _shrunk(snapshot, before)
    if reason is None or (settings.allow_shrink and snapshot.complete):
        return snapshot
    if settings.allow_shrink:
        gone = f"{snapshot.reason}; the {before.rows_loaded} rows loaded are replaced by none, as allowed"
        return replace(snapshot, verdict="complete", reason=gone, rows_declared=0)
    if settings.keep_shrunk:
        return snapshot.refused("skipped", f"{reason}; what is loaded stays (--keep-shrunk)")
    return snapshot.refused("shrunk", f"{reason}; what is loaded stays, --allow-shrink loads what there is now")


def _shrunk(snapshot: Snapshot, before: LoadedTag) -> str | None:
    """Say in words what got smaller; None if nothing did."""
    held = before.rows_loaded + before.rows_quarantined
    valid, invalid = snapshot.table.num_rows, snapshot.quarantine.num_rows
    if valid + invalid < held and valid + invalid + snapshot.rows_erased < held + before.rows_erased:
        now = "knows nothing under the tag any more" if snapshot.verdict == "unknown" else f"has {valid + invalid} now"
        return f"{held} rows are loaded or in quarantine, the API {now} ({_LAWFUL})"
    taken = before.rows_loaded - valid - max(0, snapshot.rows_erased - before.rows_erased)
    many = taken > max(_MOST_ROWS_TAKEN, _MOST_SHARE_TAKEN * before.rows_loaded)
    if many or (taken > 0 and not valid):
        return f"{before.rows_loaded} rows are loaded, of {valid + invalid} rows now only {valid} are valid"
    return None
