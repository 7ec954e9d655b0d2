"""Where things stand in a dataset: its folders, the name of a tag's files, and what their footers say."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Any

from smspartner.errors import SettingsError
from smspartner_schemas.contract import CONTRACT_VERSION, LOADED_TAGS

from smspartner_pipelines.load.destination import LoadedTag
from smspartner_pipelines.load.files import os_errors
from smspartner_pipelines.load.parquet import UNREADABLE, read_facts

if TYPE_CHECKING:
    from pathlib import Path

DAMAGED = "is damaged, or is no file of this product"
_NEWER = "was written by a newer version of this product"
_RENAMED = "was renamed or copied after it was loaded, and must be moved away"

STAGING = ".staging"
"""The folder for what a dead process must not leave among what readers see."""

FOLDERS = ("statuses", "quarantine", "tag_runs", "runs", "erasures", STAGING)
"""The folders of a dataset: a directory that has the first is one."""

ENDING = ".parquet"

NOT_FOREIGN = {".lock", STAGING, ".gitignore", ".gitkeep", ".DS_Store", "lost+found"}
"""What a directory may hold and still count as empty: our own first traces, and what systems put into new folders."""


def file_name(tag: str) -> str:
    """Return the name of the files that hold `tag`: a readable slug, then a hash of the tag.

    It is lower-case ASCII letters, digits and `-`, for any tag, so that no tag leaves the folder and none is
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
    with os_errors(f"reading {path}", starting=True):
        found = path.resolve()
        if not is_lake and (found / FOLDERS[0] / "_delta_log").is_dir():
            raise SettingsError(f"{path} is a Delta lake", remedy=f"write delta:{path}")
        for folder in (found, *found.parents):
            if folder.name in FOLDERS and (folder.parent / STAGING).is_dir():
                raise SettingsError(
                    f"{path} lies inside the dataset {folder.parent}", remedy="load into another directory"
                )


def facts_of(state: LoadedTag) -> dict[str, Any]:
    """Return what the footers of a tag's files say, as JSON takes it."""
    newest = state.newest_status_at and state.newest_status_at.isoformat()
    times = {"newest_status_at": newest, "extracted_at": state.extracted_at.isoformat()}
    return {"contract_version": CONTRACT_VERSION, **vars(state), **times}


def state_in(end: bytes, name: str) -> LoadedTag | str:
    """Read what is loaded of a tag from the end of a file called `name`, or say what is wrong with the file.

    A fact that this version does not know is passed over.
    """
    try:
        facts = read_facts(end)
        if facts["contract_version"] > CONTRACT_VERSION:
            return _NEWER
        newest = facts["newest_status_at"] and datetime.fromisoformat(facts["newest_status_at"])
        times = {"newest_status_at": newest, "extracted_at": datetime.fromisoformat(facts["extracted_at"])}
        state = LoadedTag(**{fact: facts[fact] for fact in LOADED_TAGS.column_names} | times)
        return state if name == file_name(state.tag) else _RENAMED
    except UNREADABLE:
        return DAMAGED
