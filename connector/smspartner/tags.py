"""Which tags are asked for: each is checked before the first request, and asked once."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Set

from smspartner.errors import TagError
from smspartner.redaction import REDACT
from smspartner.small_files import read_bounded, read_small_file

_LONGEST = 20
"""Vendor page "Envoi par lots": at most 20 characters, no spaces."""

_MOST = 16 * 1024 * 1024
"""Bytes of a tags file: some 800,000 tags, and less than `/dev/zero` has."""

_INVISIBLE_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Characters that show nothing, though Unicode counts them as letters, marks or symbols."""


def check_tags(tags: Iterable[str]) -> list[str]:
    """Return the tags in order, each once; those of a set, which has no order, sorted.

    Raises:
        TagError: there is none, one could not have been given to a message, or they are not a list: a text is letters,
            and a frame is the names of its columns.
    """
    if isinstance(tags, str | bytes) or hasattr(tags, "columns") or not isinstance(tags, Iterable):
        kind = type(tags).__name__
        remedy = "give a list of tags, such as ['promo-nov', 'relance'], or the column of a frame that holds them"
        raise TagError(f"tags is {kind}", remedy=remedy)
    listed = sorted(tags, key=str) if isinstance(tags, Set) else tags
    checked = list(dict.fromkeys(_checked(tag, f"tag {position}") for position, tag in enumerate(listed, start=1)))
    if not checked:
        raise TagError("no tag was given", remedy="name at least one, or a file of tags (--tags-file)")
    return checked


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
    tags = ((number, _without_comment(line).strip(" \t")) for number, line in enumerate(lines, start=1))
    return [_checked(tag, f"{shown}, line {number}") for number, tag in tags if tag]


def _read_text(path: str, shown: str) -> str:
    try:
        data = read_bounded(sys.stdin.buffer, _MOST) if path == "-" else read_small_file(path, _MOST)
        return data.decode("utf-8")
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    except (OSError, ValueError, AttributeError) as exc:  # a path with a NUL; no standard input, as behind `<&-`
        problem = getattr(exc, "strerror", None) or "it can't be read"
    raise TagError(f"tags file {shown}: {problem}", remedy="give a text file with one tag a line")


def _without_comment(line: str) -> str:
    for position, character in enumerate(line):
        if character == "#" and (position == 0 or line[position - 1].isspace()):
            return line[:position]
    return line


def _checked(tag: object, where: str) -> str:
    if not isinstance(tag, str):
        remedy = "give tags as text, and leave out what is missing, as dropna() does in pandas"
        raise TagError(f"{where} is {type(tag).__name__}, not text", remedy=remedy)
    tag = str(tag)  # NumPy's text is a subclass, which prints otherwise
    unseen = next(filter(_is_unseen, tag), None)
    if unseen is None and 1 <= len(tag) <= _LONGEST:
        return tag
    hidden = REDACT(tag)  # before it is cut: the first half of a key could not be found any more
    shown = hidden if len(hidden) <= 2 * _LONGEST else f"{hidden[: 2 * _LONGEST]}…"
    what = f"{where}, {shown!r}, "
    if unseen is None:
        raise TagError(f"{what}has {len(tag)} characters", remedy=f"give 1 to {_LONGEST}")
    name = unicodedata.name(unseen, "").lower()
    what += f"holds U+{ord(unseen):04X}{f' ({name})' if name else ''}"
    raise TagError(what, remedy="write the tag as it was given when sending: none has spaces or unseen characters")


def _is_unseen(character: str) -> bool:
    """Whether a character is white space, control, format or direction, half a surrogate pair, or shows nothing."""
    unseen = {"Cc", "Cf", "Cs"}
    return character.isspace() or character in _INVISIBLE_LETTERS or unicodedata.category(character) in unseen
