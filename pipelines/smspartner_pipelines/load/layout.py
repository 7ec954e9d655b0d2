"""Where things stand in a dataset, and how the file of a tag is called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Protocol

from smspartner.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from smspartner_pipelines.load.destination import WrittenFile

STAGING = ".staging"
"""The folder for what a dead process must not leave among what readers see."""

FOLDERS = ("statuses", "quarantine", "tag_runs", "runs", "erasures", STAGING)
"""The folders of a dataset: a directory that has the first is one."""

ENDING = ".parquet"

NOT_FOREIGN = {".lock", STAGING, ".gitignore", ".gitkeep", ".DS_Store", "lost+found"}
"""What a directory may hold and still count as empty: our own first traces, and what systems put into new folders."""


def file_name(tag: str) -> str:
    """Return the name of the files that hold `tag`: a readable slug, then a hash of the tag.

    It is lower-case ASCII letters, digits and `-`, whatever the tag, so that no tag leaves the folder and none is
    another one on a file system that is blind to case.
    """
    ascii_tag = unicodedata.normalize("NFKD", tag).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_tag).strip("-")[:40]
    digest = hashlib.sha256(tag.encode()).hexdigest()[:16]
    return f"{slug}-{digest}{ENDING}" if slug else f"{digest}{ENDING}"


def refuse_inside_dataset(path: Path, *, is_lake: bool = False) -> None:
    """Make sure that `path` is not one of the folders of a dataset, and does not lie in one.

    A Delta lake has the same folders; `path` may be one only where that is meant.

    Raises:
        SettingsError: it does, and a reader of that dataset would find rows twice.
    """
    found = path.resolve()
    if not is_lake and (found / FOLDERS[0] / "_delta_log").is_dir():
        raise SettingsError(f"{path} is a Delta lake", remedy=f"write delta:{path}")
    for folder in (found, *found.parents):
        if folder.name in FOLDERS and (folder.parent / STAGING).is_dir():
            raise SettingsError(f"{path} lies inside the dataset {folder.parent}", remedy="load into another directory")


class Files(Protocol):
    """The files of one dataset, each named by its path below it: `statuses/promo-nov-1234.parquet`.

    A reader finds a file old or new, whole. All methods raise DestinationError; those that begin a run, SettingsError
    for what is wrong with rights and names.
    """

    batch_rows: int
    """See `Destination.batch_rows`."""

    at_once: int
    """How many files are best read side by side."""

    def place(self, name: str = "") -> str:
        """Give the path or URI of a file, or of the whole."""

    def check(self) -> None:
        """Make sure that files can be written, changing nothing a reader sees."""

    def exists(self) -> bool:
        """Return whether a dataset is there."""

    def locked(self) -> AbstractContextManager[None]:
        """Exclude other runs while the block lasts, in which the folders of the dataset are there.

        Raises:
            DestinationBusy: another run is at work.
        """

    def check_lock(self) -> None:
        """Make sure that other runs are still excluded."""

    def names(self, folder: str) -> list[str]:
        """List the files of a folder, sorted; nothing where it is missing."""

    def read(self, name: str) -> bytes | None:
        """Read a whole file; None where it is gone.

        Raises:
            OSError: this one can't be read.
        """

    def tail(self, name: str) -> bytes | None:
        """Read the end of a file with its whole Parquet footer; None where it is gone.

        Raises:
            OSError: this one can't be read.
        """

    def write(self, contents: Mapping[str, bytes]) -> list[WrittenFile]:
        """Put files in place, each in one step for readers; durable when this returns."""

    def move(self, moves: Mapping[str, str]) -> None:
        """Put files in the place of others, each in one step for readers; durable when this returns."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; that one is not there is no error."""
