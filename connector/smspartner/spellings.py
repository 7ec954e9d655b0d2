r"""Every way in which a secret may be spelled, as one pattern: character by character, in any mix of encodings.

A character may stand as itself, percent-encoded (`%2F`, `%252f`), behind backslashes (`\/`, `\\\/`, `\u002f`, `\x2f`),
or as an HTML entity (`&#47;`, `&sol;`), and the marks of these encodings (`%`, `\`, `&`, `#`, `;`) may be encoded
themselves. Base64 and hexadecimal regroup the bytes, so those have a pattern of their own.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from functools import cache
from html.entities import html5
from urllib.parse import quote, quote_plus

_DEPTH = 2
"""Characters encoded, and the marks of their encodings encoded once more; runs of `25`, `amp;`, `\\` may be longer."""

_MOST_BACKSLASHES = 64
"""In a row before one character: JSON within JSON, six times. Unbounded, hostile text would take for ever."""

_BASE64_GROUP = 3
_BITS = 6
_ALSO_IN_BASE64 = {"+": "-", "/": "_"}
_SHORT_ESCAPES = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}

_NAMES = defaultdict(list)
for _name, _value in html5.items():
    if _name.endswith(";"):
        _NAMES[_value].append(_name[:-1])


def spelled(text: str) -> str:
    """Give the pattern of a text in any mix of encodings; it begins with a literal in every case, so it is quick."""
    parts: list[str] = []
    backslashes = 0
    for character in text:
        if character == "\\":
            backslashes += 1
            continue
        parts.append(_any_of(_ways(character, _DEPTH, backslashes, first=not parts)))
        backslashes = 0
    if backslashes:
        parts.append(_any_of(_backslashes(_DEPTH + 1, backslashes, first=not parts)))
    return "".join(parts)


def coded(text: str) -> str:
    """Give the pattern of a text in hexadecimal, and within base64 of something longer, at any alignment."""
    encoded = (text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1])
    wholes = {whole.encode() for whole in (*encoded, *map(lower_escapes, encoded[1:3]))}
    patterns = {"".join(_hex(f"{byte:02x}") for byte in whole) for whole in wholes}
    patterns |= {_base64(whole, before) for whole in wholes for before in range(_BASE64_GROUP)}
    return "|".join(sorted(patterns, key=len, reverse=True))


def lower_escapes(encoded: str) -> str:
    """Write percent escapes with lower-case digits (`%2b`), as some proxies and servers do."""
    return re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), encoded)


def _base64(data: bytes, before: int) -> str:
    """Give the characters that are certain where so many unknown bytes stand before, and any after."""
    certain = slice(-(-before * 8 // _BITS), (before + len(data)) * 8 // _BITS)
    characters = base64.b64encode(b"\0" * before + data).decode()[certain]
    return "".join(
        _any_of([*_ways(character, 1), re.escape(_ALSO_IN_BASE64[character])])
        if character in _ALSO_IN_BASE64
        else character
        for character in characters
    )


@cache
def _ways(character: str, depth: int, backslashes: int = 0, *, first: bool = False) -> tuple[str, ...]:
    r"""List the patterns of a character after so many backslashes; with `first`, each begins with a literal."""
    if character in " +":  # in a form, `+` is a space
        return (*_one(" ", depth, backslashes, first=first), *_one("+", depth, backslashes, first=first))
    return _one(character, depth, backslashes, first=first)


def _one(character: str, depth: int, backslashes: int, *, first: bool) -> tuple[str, ...]:
    literal = re.escape(character)
    if depth == 0:
        return (literal,)
    leads = first and not backslashes
    behind = _any_of([literal, *_escapes(character, depth)])
    entities = _entities(character, depth, _marks("&", depth, first=leads))
    bare = (*_percent(character, depth, first=leads), *entities)
    if backslashes:
        runs = _backslashes(depth + 1, backslashes, first=first)  # characters of the secret, not marks before one
        return tuple(f"{run}{_any_of([behind, *bare])}" for run in runs)
    mojibake = [re.escape(character.encode().decode("latin-1"))] if not character.isascii() else []
    return (literal, *mojibake, *(f"{run}{behind}" for run in _backslashes(depth, 1, first=first)), *bare)


def _percent(character: str, depth: int, *, first: bool) -> list[str]:
    r"""`%2F`, `%252F`, `%c3%a9`, and `%u002f`, as old browsers wrote it."""
    octets = [_hex(f"{byte:02x}") for byte in character.encode()]
    units = [f"u{_hex(unit)}" for unit in _utf16(character)]
    found = []
    for parts in (octets, units):
        rest = "".join(f"{_any_of(_marks('%', depth))}(?:25)*{part}" for part in parts[1:])
        found += [f"{mark}(?:25)*{parts[0]}{rest}" for mark in _marks("%", depth, first=first)]
    return found


def _escapes(character: str, depth: int) -> list[str]:
    r"""What follows the backslash in JSON and in Python: `u002f`, `x2f`, `xc3\xa9`, `U0000002f`, `057`."""
    again = _any_of(_backslashes(depth, 1))
    octets, code = character.encode(), ord(character)
    found = [
        again.join(f"u{_hex(unit)}" for unit in _utf16(character)),
        again.join(f"x{_hex(f'{byte:02x}')}" for byte in octets),
        again.join(f"{byte:03o}" for byte in octets),
        f"U{_hex(f'{code:08x}')}",
    ]
    if 0x80 <= code <= 0xFF:  # noqa: PLR2004  # Latin-1
        found.append(f"x{_hex(f'{code:02x}')}")
    return [*found, _SHORT_ESCAPES[character]] if character in _SHORT_ESCAPES else found


def _entities(character: str, depth: int, ampersands: tuple[str, ...]) -> list[str]:
    """`&#47;`, `&#x2f;`, `&sol;`, with the ampersand escaped any number of times, and the semicolon perhaps missing."""
    end, sign, code = _any_of(_marks(";", depth)), _any_of(_marks("#", depth)), ord(character)
    which = _any_of([f"{sign}(?:0*{code}|[xX]0*{_hex(f'{code:x}')})", *map(re.escape, _NAMES.get(character, ()))])
    return [f"{ampersand}(?:amp{end})*{which}{end}?" for ampersand in ampersands]


def _backslashes(depth: int, least: int, *, first: bool = False) -> tuple[str, ...]:
    """A run of backslashes, each of which may be encoded."""
    one = _any_of(_marks("\\", depth))
    most = _MOST_BACKSLASHES * least
    if first:
        marks = _marks("\\", depth, first=True)
        starts = (mark.replace(r"\\", r"\\(?<!\\\\)", 1) if mark[0] == "\\" else mark for mark in marks)
        return tuple(f"{start}{one}{{{least - 1},{most - 1}}}" for start in starts)  # at the first of a row only
    return (f"{one}{{{least},{most}}}",)


def _marks(mark: str, depth: int, *, first: bool = False) -> tuple[str, ...]:
    """A mark of an encoding, itself encoded one time less; as one pattern unless each must begin with a literal."""
    ways = _one_backslash(depth, first=first) if mark == "\\" else _ways(mark, depth - 1, first=first)
    return ways if first else (_any_of(ways),)


def _one_backslash(depth: int, *, first: bool) -> tuple[str, ...]:
    """One backslash; not by the rule of other characters, whose run of backslashes within such a run has no end."""
    if depth < _DEPTH:
        return (r"\\",)
    ampersands = _marks("&", depth - 1, first=first)
    encoded = (*_percent("\\", depth - 1, first=first), *_entities("\\", depth - 1, ampersands))
    return tuple(f"{way}(?:(?:u00|x)5[cC])?" for way in (r"\\", *encoded))


def _any_of(ways: tuple[str, ...] | list[str]) -> str:
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _utf16(character: str) -> list[str]:
    units = character.encode("utf-16-be").hex()
    return [units[at : at + 4] for at in range(0, len(units), 4)]


def _hex(digits: str) -> str:
    """Hexadecimal digits in either case."""
    return re.sub("[a-f]", lambda digit: f"[{digit[0]}{digit[0].upper()}]", digits)
