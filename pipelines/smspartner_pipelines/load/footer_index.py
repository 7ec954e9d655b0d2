"""What footers say, noted in one object: thousands of files need not be opened one by one to know what is loaded.

It is a cache that can't lie: a note counts only while the store lists the file with the stamp (size and ETag) that it
had when its footer was known. Without it, or with any doubt, the footers are read.
"""

from __future__ import annotations

import json
import threading
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from smspartner_schemas.contract import CONTRACT_VERSION

from smspartner.errors import DestinationError
from smspartner_pipelines.load.footers import facts_of, state_from

if TYPE_CHECKING:
    from smspartner_pipelines.load.destination import LoadedTag
    from smspartner_pipelines.load.files import FileStore

NAME = ".index/footers.json.z"
MANY = 2_000
"""So many new notes are not left to be lost with a process that is killed."""


class FooterIndex:
    """The notes of one dataset; a store that opens files quickly has none."""

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._notes: dict[str, tuple[str, LoadedTag]] = {}
        self._changed = 0
        self._loaded = not files.keeps_index
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read what former runs noted; what can't be read was never noted."""
        if self._loaded:
            return
        self._loaded = True
        with suppress(DestinationError, zlib.error, ValueError, LookupError, TypeError, AttributeError):
            if self._files.has(NAME):
                noted = json.loads(zlib.decompress(self._files.read(NAME)))
                if noted["contract_version"] == CONTRACT_VERSION:
                    known = {name: (stamp, state_from(facts)) for name, (stamp, facts) in noted["files"].items()}
                    self._notes = known | self._notes

    def footer(self, name: str, stamp: str) -> LoadedTag | None:
        """Return what the footer of a file says that has this stamp, if it is known."""
        noted, state = self._notes.get(name, ("", None))
        return state if stamp and noted == stamp else None

    def note(self, name: str, stamp: str, state: LoadedTag) -> None:
        """Note what the footer of a file says."""
        if not stamp:
            return
        with self._lock:
            self._notes[name] = stamp, state
            self._changed += 1

    def save(self, *, if_more_than: int = 0) -> None:
        """Keep the notes, if so many of them are new.

        Raises:
            DestinationError: they can't be written; nothing depends on them.
        """
        if self._changed <= if_more_than:
            return
        self.load()
        noted = {name: (stamp, facts_of(state)) for name, (stamp, state) in self._notes.items()}
        text = json.dumps({"contract_version": CONTRACT_VERSION, "files": noted}, separators=(",", ":"))
        self._files.replace(NAME, zlib.compress(text.encode(), 1))
        self._changed = 0
