"""Housekeeping of a destination: what piles up there is merged and removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from smspartner_pipelines.load import open_store
from smspartner_pipelines.load.destination import Compactable

from smspartner_pipelines.exit_codes import ExitCode


def compact_store(uri: str, retain: timedelta, say: Callable[[str], object]) -> ExitCode:
    """Compact a destination, and say what was done.

    Raises:
        SettingsError: it keeps no tags, or there is nothing.
        DestinationError: it can't be read or written, or another run holds it.
    """
    store = open_store(uri)
    if not isinstance(store, Compactable):
        say(f"{store.uri}: nothing to compact; nothing piles up there")
        return ExitCode.OK
    with store:
        for line in store.compact(retain):
            say(f"{store.uri}: {line}")
    return ExitCode.OK
