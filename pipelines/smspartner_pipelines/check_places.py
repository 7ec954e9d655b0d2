"""Can a destination be written, and will it stay so: rights, space, who holds it, what does not belong there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from smspartner.errors import DestinationError, SettingsError

from smspartner_pipelines.findings import Finding, failure, fine, warning
from smspartner_pipelines.interrupt import Interrupt

_LEAST_FREE = 1_000_000_000
"""Bytes."""
_MOST_NAMES = 3


def check_place(uri: str, *, least_free: int = _LEAST_FREE) -> Iterator[Finding]:
    """Check a destination: the first line says whether it can be written, further ones warn."""
    from smspartner_pipelines.load import local_directory, mask_secrets

    place = _written(uri)
    yield place
    if place.level == "FAIL":
        return
    name = mask_secrets(uri)
    folder = local_directory(uri)
    if folder is not None:
        yield from _directory(name, Path(folder))
    on_disk = _on_disk(uri, folder)
    if on_disk is not None:
        yield from _space(name, on_disk, least_free)


def _written(uri: str) -> Finding:
    from smspartner_pipelines.load import mask_secrets, open_destination

    name = mask_secrets(uri)
    try:
        destination = open_destination(uri)
        name = destination.uri
        with Interrupt() as interrupt:  # checking writes a file, and removes it
            destination.check()
        interrupt.check()
        if not destination.keeps_tags:
            return fine(name, "can be written")
        return fine(name, f"can be written; {len(destination.loaded_tags())} tags are loaded")
    except (SettingsError, DestinationError) as exc:
        return failure(name, str(exc))


def _directory(name: str, folder: Path) -> Iterator[Finding]:
    """Warn of another run, of the leftovers of dead ones, and of files that are not ours."""
    from smspartner_pipelines.load.foreign import files_that_are_not_ours, leftovers
    from smspartner_pipelines.load.lock import holder, is_held

    lock_file = folder / ".lock"
    held = is_held(lock_file)
    if held:
        process = holder(lock_file)
        who = f"process {process}" if process else "another process or machine"
        yield warning(name, f"a run holds it ({who}); wait until it has ended")
    found = leftovers(folder)
    if found and not held:
        yield warning(name, f"{found} leftovers of a run that was killed; nothing to do, the next run removes them")
    foreign = files_that_are_not_ours(folder)
    if foreign:
        more = f" and {len(foreign) - _MOST_NAMES} more" if len(foreign) > _MOST_NAMES else ""
        names = ", ".join(foreign[:_MOST_NAMES])
        yield warning(name, f"{names}{more} were not loaded by this product, but readers read them; move them away")


def _on_disk(uri: str, folder: str | None) -> Path | None:
    """Give the directory that a destination of this machine needs space in."""
    if folder is not None:
        return Path(folder)
    path = Path(uri.removeprefix("duckdb:").removeprefix("file://"))
    return path.absolute().parent if uri != "-" and path.absolute().parent.is_dir() else None


def _space(name: str, folder: Path, least: int) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return
    if free < least:
        yield warning(name, f"only {free / 1e6:,.0f} MB are free on its disk; make room, or load elsewhere")
