"""Which tags are asked for: each is checked before the first request, and asked once."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Iterable, Set
from pathlib import Path
from typing import BinaryIO

from smspartner.errors import TagError
from smspartner.redaction import REDACT

LONGEST_TAG = 20
"""Vendor page "Envoi par lots": at most 20 characters, no spaces."""

LONGEST_FILE = 16 * 1024 * 1024
"""Bytes of a tags file: some 800,000 tags, and less than `/dev/zero` has."""

_MISSING = {"NAType", "NaTType", "NoneType"}
"""What stands in an empty cell of a frame, besides NaN; pandas is not imported to know its own."""

_INVISIBLE_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Characters that show nothing, though Unicode counts them as letters, marks or symbols."""


def check_tags(tags: Iterable[str]) -> list[str]:
    """Return the tags in order, each once; those of a set, which has no order, sorted.

    Raises:
        TagError: there is none, one could not have been given to a message, or they are not a list.
    """
    _check_listed(tags)
    listed = sorted(tags, key=str) if isinstance(tags, Set) else tags
    checked = list(dict.fromkeys(_checked(tag, f"tag {position}") for position, tag in enumerate(listed, start=1)))
    if not checked:
        raise TagError("no tag was given", remedy="name at least one, or a file of tags (--tags-file)")
    return checked


def _check_listed(tags: object) -> None:
    """Refuse what is not a list of tags, or one of other things: letters, bytes, names of columns.

    Raises:
        TagError: it says what to give.
    """
    if isinstance(tags, str):
        shown = _shown(tags)
        raise TagError(f"tags is the text {shown}", remedy=f"give a list of tags, such as [{shown}]")
    kind = type(tags).__name__
    if hasattr(tags, "columns"):  # a frame gives the names of its columns, one after the other
        raise TagError(f"tags is a {kind}", remedy="give the column that holds them, such as frame['tag']")
    if isinstance(tags, bytes) or not isinstance(tags, Iterable):
        raise TagError(f"tags is {kind}", remedy="give a list of tags, such as ['promo-nov', 'relance']")


def check_no_secret(tags: Iterable[str]) -> None:
    """Refuse the API key among the tags: tags are written into names, tables and reports.

    Raises:
        TagError: a tag holds it.
    """
    for position, tag in enumerate(tags, start=1):
        if REDACT.finds(tag):
            raise TagError(f"tag {position} holds the API key or another secret", remedy="give tags only")


def read_tags_file(path: str) -> list[str]:
    """Read one tag a line from a UTF-8 file, or standard input for `-`; `#` starts a comment, blank lines are skipped.

    A `#` within a tag belongs to the tag; a comment stands on a line of its own or after white space.

    Raises:
        TagError: the file can't be read, is too large, or a line holds no tag.
    """
    shown = "standard input" if path == "-" else path.encode("utf-8", "backslashreplace").decode()
    lines = _read_text(path, shown).removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    tags = []
    for number, line in enumerate(lines, start=1):
        tag = _without_comment(line).strip(" \t")
        if tag:
            tags.append(_checked(tag, f"{shown}, line {number}"))
    return tags


def _read_text(path: str, shown: str) -> str:
    problem = f"it is larger than {LONGEST_FILE // 1024 // 1024} MB"
    try:
        data = _read_bounded(path)
        if len(data) <= LONGEST_FILE:
            return data.decode("utf-8")
    except OSError as exc:
        problem = exc.strerror or "it can't be read"
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    except ValueError:  # a path with a NUL, or standard input that was closed
        problem = "it can't be read"
    raise TagError(f"tags file {shown}: {problem}", remedy="give a text file with one tag a line")


def _read_bounded(path: str) -> bytes:
    if path != "-":
        with Path(path).open("rb") as file:
            return file.read(LONGEST_FILE + 1)
    stream: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    if stream is None:  # Python starts so where the shell says `<&-`
        raise ValueError
    return stream.read(LONGEST_FILE + 1)


def _without_comment(line: str) -> str:
    for position, character in enumerate(line):
        if character == "#" and (position == 0 or line[position - 1].isspace()):
            return line[:position]
    return line


def _checked(tag: object, where: str) -> str:
    if not isinstance(tag, str):
        if type(tag).__name__ in _MISSING or (isinstance(tag, float) and math.isnan(tag)):
            raise TagError(f"{where} is missing ({tag})", remedy="leave it out, as dropna() does in pandas")
        raise TagError(f"{where} is {type(tag).__name__}, not text", remedy="give tags as text")
    tag = str(tag)  # NumPy's text is a subclass, which prints otherwise
    if not tag:
        raise TagError(f"{where} is empty", remedy=f"give 1 to {LONGEST_TAG} characters")
    shown = _shown(tag)
    if any(character.isspace() for character in tag):
        raise TagError(
            f"{where}, {shown}, holds white space, which no tag can", remedy="write it as it was given when sending"
        )
    unseen = next(filter(_is_unseen, tag), None)
    if unseen is not None:
        raise TagError(
            f"{where}, {shown}, holds the invisible character {_named(unseen)}, which no tag can",
            remedy="write it without",
        )
    if len(tag) > LONGEST_TAG:
        raise TagError(f"{where}, {shown}, has {len(tag)} characters", remedy=f"give at most {LONGEST_TAG}")
    return tag


def _is_unseen(character: str) -> bool:
    """Whether a character is a control, format or direction character, half a surrogate pair, or shows nothing."""
    return character in _INVISIBLE_LETTERS or unicodedata.category(character) in {"Cc", "Cf", "Cs"}


def _named(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}{f' ({name})' if name else ''}"


def _shown(tag: str) -> str:
    hidden = REDACT(tag)  # before it is cut: the first half of a key could not be found any more
    return repr(hidden if len(hidden) <= 2 * LONGEST_TAG else f"{hidden[: 2 * LONGEST_TAG]}…")
