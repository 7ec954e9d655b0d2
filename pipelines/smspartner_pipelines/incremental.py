"""Which tags need not be read again, judged from what is loaded: there is no other state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smspartner_pipelines.load.destination import LoadedTag
from smspartner.vendor import LONGEST_DELIVERY_HOURS

from smspartner_pipelines.settings import Choosing

_LONGEST_DELIVERY = timedelta(hours=LONGEST_DELIVERY_HOURS)


@dataclass(frozen=True)
class Selection:
    """What a run reads: per destination the tags it lacks, all of them together, and why the others are skipped."""

    wanted: tuple[frozenset[str], ...]
    to_read: tuple[str, ...]
    skipped: dict[str, str]


def select_tags(settings: Choosing, loaded: Sequence[Mapping[str, LoadedTag] | None]) -> Selection:
    """Choose the tags to read; `loaded` holds what each destination has, None for one that keeps no tags."""
    now = datetime.now(UTC)
    wanted, reasons = [], {}
    for tags in loaded:
        lacking = set()
        for tag in settings.tags:
            reason = None if tags is None else _skip_reason(tags.get(tag), settings, now)
            if reason is None:
                lacking.add(tag)
            else:
                reasons[tag] = reason
        wanted.append(frozenset(lacking))
    everything: frozenset[str] = frozenset().union(*wanted)
    return Selection(
        wanted=tuple(wanted),
        to_read=tuple(tag for tag in settings.tags if tag in everything),
        skipped={tag: reasons[tag] for tag in settings.tags if tag not in everything},
    )


def _skip_reason(loaded: LoadedTag | None, settings: Choosing, now: datetime) -> str | None:
    if loaded is None or settings.refresh == "all" or not loaded.consistent:
        return None
    if loaded.phone_numbers != settings.privacy.label:
        return None  # in another form or under another key than asked for: what is settled must still be rewritten
    if is_settled(loaded):
        return "settled: nothing waiting, and read more than 48 h after its last delivery"
    if _is_fresh(loaded.extracted_at, settings, now):
        return f"fresh: read at {loaded.extracted_at:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _is_fresh(extracted_at: datetime, settings: Choosing, now: datetime) -> bool:
    if extracted_at > now:
        return False  # a clock was wrong
    since = settings.fresh_since
    return now - extracted_at < settings.fresh_for or (since is not None and extracted_at >= since)


def is_settled(loaded: LoadedTag) -> bool:
    """Whether no status of the tag can change any more.

    A row in quarantine has no believed status, so its tag is not settled. Nor is one that was read in the future: the
    clock was wrong then, and how long after its last delivery it was read is not known.
    """
    if loaded.extracted_at > datetime.now(UTC):
        return False
    if not loaded.consistent or loaded.waiting or loaded.rows_quarantined or loaded.newest_status_at is None:
        return False
    return loaded.extracted_at - loaded.newest_status_at > _LONGEST_DELIVERY
