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
from hypothesis import given
from hypothesis import strategies as st
from smspartner.errors import TagError
from smspartner.redaction import REDACT, Secret
from smspartner.tags import check_no_secret, check_tags, read_tags_file


@pytest.mark.parametrize(
    "tag",
    [
        "a",
        "promo-nov",
        "a" * 20,
        "été",
        "\U0001f600" * 20,
        "#1",
        "a#b",
        "../x",
        "a/b",
        "%00",
        "&tag=x",
        '"',
        "\\",
        "-",
        "0",
    ],
)
def test_tags(tag: str) -> None:
    """Any 1 to 20 characters that can be seen are a tag."""
    assert [tag] == check_tags([tag])


def test_each_once() -> None:
    """Duplicates are asked once, in the order they first came; tags that differ in case or accents are others."""
    given_tags = ["b", "a", "b", "A", "a", "e\u0301", "\u00e9"]
    assert check_tags(iter(given_tags)) == ["b", "a", "A", "e\u0301", "\u00e9"]


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("", "tag 2 is empty; give 1 to 20 characters"),
        *(
            (tag, f"tag 2, {str(tag)!r}, holds white space, which no tag can; write it as it was given when sending")
            for tag in ("a b", "a\u00a0b", " a", "a\n", np.str_("a b"))
        ),
        *(
            (f"a{character}b", f"tag 2, {f'a{character}b'!r}, holds the invisible character {named}, which no tag can")
            for character, named in (
                *(("\x00", "U+0000"), ("\x7f", "U+007F"), ("\ud800", "U+D800")),
                *(("\ufeff", "U+FEFF (zero width no-break space)"), ("\u200b", "U+200B (zero width space)")),
                *(("\u200d", "U+200D (zero width joiner)"), ("\u2060", "U+2060 (word joiner)")),
                *(("\u00ad", "U+00AD (soft hyphen)"), ("\u202e", "U+202E (right-to-left override)")),
                *(("\u200f", "U+200F (right-to-left mark)"), ("\u2066", "U+2066 (left-to-right isolate)")),
                *(("\u3164", "U+3164 (hangul filler)"), ("\U000e0041", "U+E0041 (tag latin capital letter a)")),
            )
        ),
        ("a" * 21, f"tag 2, '{'a' * 21}', has 21 characters; give at most 20"),
        ("a" * 999, f"tag 2, '{'a' * 40}…', has 999 characters; give at most 20"),
        (7, "tag 2 is int, not text; give tags as text"),
        (None, "tag 2 is missing (None); leave it out, as dropna() does in pandas"),
        (math.nan, "tag 2 is missing (nan); leave it out, as dropna() does in pandas"),
        (pd.NA, "tag 2 is missing (<NA>); leave it out, as dropna() does in pandas"),
        (pd.NaT, "tag 2 is missing (NaT); leave it out, as dropna() does in pandas"),
        (b"a", "tag 2 is bytes, not text; give tags as text"),
    ],
)
def test_no_tags(tag: object, message: str) -> None:
    """What no message can have been given is refused, with its position and what is wrong."""
    with pytest.raises(TagError) as caught:
        check_tags(["ok", tag])  # type: ignore[list-item]
    assert message in {str(caught.value), caught.value.what}
    assert caught.value.remedy


def test_a_single_text_is_no_list() -> None:
    """A text in the place of a list is refused: each letter would be a tag."""
    with pytest.raises(TagError, match=r"^tags is the text 'promo'; give a list of tags, such as \['promo'\]$"):
        check_tags("promo")


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


def test_a_set_is_sorted() -> None:
    """A set has no order of its own: the same set is read in the same order in every process."""
    assert check_tags({"c", "a", "d", "b"}) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (None, "tags is NoneType; give a list of tags, such as ['promo-nov', 'relance']"),
        (7, "tags is int; give a list of tags, such as ['promo-nov', 'relance']"),
        (b"promo", "tags is bytes; give a list of tags, such as ['promo-nov', 'relance']"),
        (
            pd.DataFrame({"tag": ["promo"]}),
            "tags is a DataFrame; give the column that holds them, such as frame['tag']",
        ),
    ],
    ids=["none", "number", "bytes", "frame"],
)
def test_what_lists_no_tags(tags: object, message: str) -> None:
    """What is no list of tags is refused before anything is requested, with what to give."""
    with pytest.raises(TagError) as caught:
        check_tags(tags)  # type: ignore[arg-type]
    assert message == str(caught.value)


def test_no_tag_at_all() -> None:
    """A run without tags is refused."""
    with pytest.raises(TagError, match=r"^no tag was given; name at least one, or a file of tags \(--tags-file\)$"):
        check_tags([])


def test_tags_files(tmp_path: Path) -> None:
    """A tags file has one tag a line; comments, blank lines, spaces around and line ends are no part of it."""
    file = tmp_path / "tags.txt"
    file.write_bytes(
        "\ufeff# all campaigns\r\n\r\npromo-nov\r\n  relance\t# the second one\n\t\na#b\n#1\nété #\nlast".encode()
    )
    assert read_tags_file(str(file)) == ["promo-nov", "relance", "a#b", "été", "last"]


def test_duplicates_in_files_are_kept_for_the_check(tmp_path: Path) -> None:
    """A file may name a tag twice; it is asked once."""
    file = tmp_path / "tags.txt"
    file.write_text("a\nb\na\n", encoding="utf-8")
    assert check_tags(read_tags_file(str(file))) == ["a", "b"]


def test_joined_files(tmp_path: Path) -> None:
    """A byte order mark in the middle, where files were joined, is named and not taken for a part of the tag."""
    file = tmp_path / "tags.txt"
    file.write_bytes("a\n\ufeffb\n".encode())
    with pytest.raises(TagError, match=rf"^{file}, line 2, '\\ufeffb', holds the invisible character U\+FEFF "):
        read_tags_file(str(file))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", b"\xef\xbb\xbf"])
def test_empty_files(tmp_path: Path, content: bytes) -> None:
    """A file without tags gives none."""
    file = tmp_path / "tags.txt"
    file.write_bytes(content)
    assert read_tags_file(str(file)) == []


def test_wrong_lines(tmp_path: Path) -> None:
    """A line that holds no tag is named by file and number."""
    file = tmp_path / "tags.txt"
    file.write_text("ok\n\ntwo words\n", encoding="utf-8")
    with pytest.raises(TagError, match=f"^{file}, line 3, 'two words', holds white space"):
        read_tags_file(str(file))


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is missing, a directory, or no UTF-8 is named with what is wrong."""
    latin = tmp_path / "latin.txt"
    latin.write_bytes("été".encode("latin-1"))
    for path, trouble in (
        (tmp_path / "missing", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (latin, "it is not UTF-8 text"),
        (Path("/dev/zero"), "it is larger than 16 MB"),
        (Path("a\0b"), "it can't be read"),
    ):
        with pytest.raises(TagError) as caught:
            read_tags_file(str(path))
        message = f"tags file {path}: {trouble}; give a text file with one tag a line"
        assert (message, None) == (str(caught.value), caught.value.__context__)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input, as UTF-8 whatever the terminal's encoding, and is named so in errors."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("été\n".encode()), encoding="latin-1"))
    assert read_tags_file("-") == ["été"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a b\n"), encoding="latin-1"))
    with pytest.raises(TagError, match=r"^standard input, line 1, 'a b', holds white space"):
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


@given(st.lists(st.text(max_size=25), max_size=5))
def test_any_texts(tags: list[str]) -> None:
    """Whatever texts are given, what passes is tags, each once; all else is a TagError."""
    try:
        checked = check_tags(tags)
    except TagError:
        return
    assert list(dict.fromkeys(tags)) == checked
    assert all(1 <= len(tag) <= 20 and not any(map(str.isspace, tag)) for tag in checked)
