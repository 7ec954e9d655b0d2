"""Where the files of a dataset lie: the little that its logic needs of a disk, or of an object store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from _typeshed import ReadableBuffer

    from smspartner_pipelines.load.destination import WrittenFile


class Sink(Protocol):
    """Takes the bytes of a file that is being written; nothing is seen of it until it is whole."""

    @property
    def closed(self) -> bool:
        """Whether it takes no more; PyArrow asks every file."""

    def write(self, data: ReadableBuffer) -> int:
        """Append `data`; return its number of bytes."""

    def flush(self) -> None:
        """Hand on what is buffered."""


STAGING = ".staging"
"""The folder for what a dead process must not leave among what readers see."""


Content = bytes | Callable[[Sink], object]
"""What a file will hold, or what writes it."""


@dataclass(frozen=True)
class TagFiles:
    """The files of one tag: called `name` in each of the folders of `contents`; None where there is to be none."""

    name: str
    contents: Mapping[str, Content | None]


class FileStore(Protocol):
    """The files of one dataset, each called by its path below it, with `/`: `statuses/promo-nov-1234.parquet`.

    A reader finds a file old or new, whole. All methods raise DestinationError, outside the `except` block.
    """

    batch_rows: int
    """About how many rows are best loaded at once."""

    keeps_index: bool
    """Whether opening thousands of files is so slow that their footers are better noted in one place."""

    def place(self, name: str = "") -> str:
        """Give the place of a file, or of the whole, as messages and reports name it."""

    def check(self) -> None:
        """Make sure that files can be written, changing nothing a reader sees."""

    def exists(self) -> bool:
        """Whether a dataset is there."""

    def prepare(self) -> None:
        """Make the place, where there is none.

        Raises:
            DestinationError: it holds something else than a dataset, or lies inside of one.
        """

    def locked(self, where: str) -> AbstractContextManager[None]:
        """Exclude other runs while the block lasts, in which the folders of the dataset are there.

        `where` names the dataset in messages, as the user named it.

        Raises:
            DestinationBusy: another run is at work.
        """

    def check_lock(self) -> None:
        """Make sure that other runs are still excluded, if they ever were."""

    def stamps(self, folder: str) -> Mapping[str, str]:
        """List the files of a folder, with what changes whenever their content does; empty where nothing tells."""

    def stamp(self, name: str) -> str:
        """Give the stamp of a file that was written since the lock was taken; empty where it is not known."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def read(self, name: str) -> bytes:
        """Read a whole file."""

    def source(self, name: str) -> Any:
        """Give a file as PyArrow reads it."""

    def ends(self, folder: str, names: Sequence[str], size: int) -> Iterator[bytes | None]:
        """Read at least the last `size` bytes of files, and their whole Parquet footers; None for one that is gone."""

    def make_folder(self, folder: str) -> None:
        """Make a folder that only some datasets have."""

    def replace(self, name: str, content: Content) -> WrittenFile:
        """Put a file in place, in one step for readers; if anything goes wrong, the old one stays."""

    def replace_tags(self, tags: Iterable[TagFiles]) -> Iterator[list[WrittenFile]]:
        """Replace the files of many tags, those of one tag together; yields for each, in order, when it is durable."""

    def move(self, name: str, target: str) -> None:
        """Put a file in the place of another, in one step for readers; that it is gone means it was moved before."""

    def remove(self, name: str) -> None:
        """Remove a file; that it is not there is no error."""
