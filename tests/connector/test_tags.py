"""Which tags are asked for."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from smspartner.errors import TagError
from smspartner.redaction import REDACT, Secret
from smspartner.tags import check_no_secret, check_tags, read_tags_file


def test_tags() -> None:
    """Any 1 to 20 characters that can be seen are a tag, asked once, in the order they first came."""
    tags = [*("a", "promo-nov", "a" * 20, "été", "\U0001f600" * 20, "#1", "a#b", "../x", "a/b", "%00", "&tag=x", '"')]
    tags += ["\\", "-", "0", "A", "e\u0301", "\u00e9"]  # tags that differ in case or accents are others
    assert check_tags(iter([*tags, *tags])) == tags


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("", "tag 2, '', has 0 characters"),
        *(
            (tag, f"tag 2, {str(tag)!r}, holds {named}")
            for tag, named in (
                *(("a b", "U+0020 (space)"), ("a\u00a0b", "U+00A0 (no-break space)"), (" a", "U+0020 (space)")),
                *(("a\n", "U+000A"), (np.str_("a b"), "U+0020 (space)")),
                *(("a\x00b", "U+0000"), ("a\x7fb", "U+007F"), ("a\ud800b", "U+D800")),
                *(("a\ufeffb", "U+FEFF (zero width no-break space)"), ("a\u200bb", "U+200B (zero width space)")),
                *(("a\u200db", "U+200D (zero width joiner)"), ("a\u2060b", "U+2060 (word joiner)")),
                *(("a\u00adb", "U+00AD (soft hyphen)"), ("a\u202eb", "U+202E (right-to-left override)")),
                *(("a\u200fb", "U+200F (right-to-left mark)"), ("a\u2066b", "U+2066 (left-to-right isolate)")),
                *(("a\u3164b", "U+3164 (hangul filler)"), ("\U000e0041", "U+E0041 (tag latin capital letter a)")),
            )
        ),
        ("a" * 21, f"tag 2, '{'a' * 21}', has 21 characters"),
        ("a" * 999, f"tag 2, '{'a' * 40}…', has 999 characters"),
        *((tag, f"tag 2 is {kind}, not text") for tag, kind in ((7, "int"), (b"a", "bytes"), (None, "NoneType"))),
        *((tag, f"tag 2 is {kind}, not text") for tag, kind in ((math.nan, "float"), (pd.NA, "NAType"))),
    ],
)
def test_no_tags(tag: object, message: str) -> None:
    """What no message can have been given is refused, with its position, what is wrong and what to do."""
    with pytest.raises(TagError) as caught:
        check_tags(["ok", tag])  # type: ignore[list-item]
    assert caught.value.what == message
    assert caught.value.remedy


@pytest.mark.parametrize(
    "tags",
    [
        ("b", "a", "b"),
        (tag for tag in ["b", "a", "b"]),
        pd.Series(["b", "a", "b"], index=[7, 8, 9]),
        pd.Series(["b", "a", "b"], dtype="category"),
        np.array(["b", "a", "b"]),
        pd.Index(["b", "a"]),
    ],
    ids=["tuple", "generator", "series", "categorical", "array", "index"],
)
def test_lists_of_any_kind(tags: Iterable[str]) -> None:
    """Tags may come as anything that lists them, columns of a frame included; each is plain text then."""
    checked = check_tags(tags)
    assert checked == ["b", "a"]
    assert {type(tag) for tag in checked} == {str}
    assert check_tags({"c", "a", "d", "b"}) == ["a", "b", "c", "d"]  # a set has no order of its own


@pytest.mark.parametrize("tags", ["promo", None, 7, b"promo", pd.DataFrame({"tag": ["promo"]})], ids=type)
def test_what_lists_no_tags(tags: object) -> None:
    """A text, whose letters would be tags, all that is no list, and an empty one, are refused with what to give."""
    with pytest.raises(TagError) as caught:
        check_tags(tags)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"tags is {type(tags).__name__}; give a list of tags, such as ['promo-nov', 'relance'], or the column of a "
        "frame that holds them"
    )
    with pytest.raises(TagError, match=r"^no tag was given; name at least one, or a file of tags \(--tags-file\)$"):
        check_tags([])


def test_tags_files(tmp_path: Path) -> None:
    """A tags file has one tag a line; comments, blank lines, spaces around and line ends are no part of it."""
    file = tmp_path / "tags.txt"
    file.write_bytes(
        "\ufeff# all campaigns\r\n\r\npromo-nov\r\n  relance\t# the second one\n\t\na#b\n#1\nété #\nlast".encode()
    )
    assert read_tags_file(str(file)) == ["promo-nov", "relance", "a#b", "été", "last"]
    for content in (b"", b"\n\n", b"# nothing\n", b"\xef\xbb\xbf"):
        file.write_bytes(content)
        assert read_tags_file(str(file)) == []


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that can't be read, or a line that holds no tag, is named with what is wrong; also a joined one."""
    latin = tmp_path / "latin.txt"
    latin.write_bytes("été".encode("latin-1"))
    for content, line in (("ok\n\ntwo words\n", "3, 'two words', holds U+0020"), ("a\n\ufeffb\n", "2, '\\ufeffb', h")):
        (tmp_path / "tags.txt").write_text(content, encoding="utf-8")
        with pytest.raises(TagError) as caught:
            read_tags_file(str(tmp_path / "tags.txt"))
        assert caught.value.what.startswith(f"{tmp_path / 'tags.txt'}, line {line}")
    for path, problem in (
        (tmp_path / "missing", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (latin, "it is not UTF-8 text"),
        (Path("/dev/zero"), "it is larger than 16,384 KB"),
        (Path("a\0b"), "it can't be read"),
    ):
        with pytest.raises(TagError) as caught:
            read_tags_file(str(path))
        message = f"tags file {path}: {problem}; give a text file with one tag a line"
        assert (message, None) == (str(caught.value), caught.value.__context__)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input, as UTF-8 whatever the terminal's encoding, and is named so in errors."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("été\n".encode()), encoding="latin-1"))
    assert read_tags_file("-") == ["été"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a b\n"), encoding="latin-1"))
    with pytest.raises(TagError, match=r"^standard input, line 1, 'a b', holds U\+0020"):
        read_tags_file("-")
    monkeypatch.setattr(sys, "stdin", None)  # as Python starts behind `<&-`
    with pytest.raises(TagError, match=r"^tags file standard input: it can't be read; give a text file with one tag a"):
        read_tags_file("-")


def test_the_key_is_no_tag() -> None:
    """The API key among the tags is refused without being shown; other tags pass."""
    check_no_secret(["promo"])
    REDACT.add(Secret("a-key-of-the-api"))
    with pytest.raises(TagError, match=r"^tag 2 holds the API key or another secret; give tags only$"):
        check_no_secret(["promo", "A-key-of-the-API"])
    with pytest.raises(TagError) as caught:
        check_tags(["x" * 30 + "a-key-of-the-api"])  # of which no half is shown either
    assert "a-key" not in str(caught.value)
