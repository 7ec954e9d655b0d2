"""Which texts a spreadsheet takes for something else when it opens a CSV: a formula, a number, a date, a boolean.

What counts was tried in LibreOffice 7.4 with thousands of texts under the settings of 21 languages, with formulas and
"special numbers" detected; what Excel and Google Sheets are known to take besides is added. Rather one word too many.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_BLANK = r"^[\s\p{Z}\p{Cf}\x00]*"
_FORMULA = _BLANK + r"[=+\-@\x{2212}\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|^[\t\r\n\x00]"
_NUMBER_OR_TIME = _BLANK + r"[\p{N}\p{Sc}.,(%]"

# Month and weekday names, by how they begin in French, English, German, Spanish, Italian, Portuguese, Dutch and others.
_MONTHS = (
    *("j[aä]n", "ene", "gen", "feb", "f[eé]v", "mar", "mär", "maa", "mrt", "apr", "avr", "abr", "ma[iyjg]", "mei"),
    *("jun", "jui", "giu", "jul", "lug", "aug", "ao[uû]", "ago", "sep", "set", "o[ck]t", "out", "ott", "nov"),
    *("de[czs]", "déc", "dic", "sty", "lut"),
)
_DAYS = (
    *("mon", "tue", "wed", "thu", "fri", "sat", "sun", "lun", "mer", "jeu", "ven", "sam", "dim", "mi[eé]", "jue"),
    *("vie", "s[aá]b", "dom", "gio", "seg", "ter", "qua", "qui", "die", "mit", "don", "fre", "son", "din", "woe"),
    *("vri", "zat", "zon"),
)
_SHORT_DAYS = "mo|di|mi|do|fr|sa|so|ma|wo|vr|za|zo"
_NAME = rf"(?:(?:{'|'.join((*_MONTHS, *_DAYS))})\p{{L}}*|{_SHORT_DAYS})"
_NAMED_DATE = rf"^(?i:{_NAME}[\p{{P}}\p{{Z}}]*){{1,2}}\p{{N}}[\p{{N}}\p{{P}}\p{{Z}}]*$"
_OTHER_SCRIPT = r"^[^\P{L}\p{Latin}].*\p{N}"

_PRICE = r"^(?i:[a-z]{1,3}\p{Sc}|(?:chf|fr|kr|zł)\.?)-?[\p{N}.,]"
_TRUE_OR_FALSE = (
    *("true", "false", "vrai", "faux", "wahr", "falsch", "verdadero", "falso", "vero", "verdadeiro", "waar", "onwaar"),
    *("prawda", "fałsz", "sann", "falskt", "sand", "falsk", "истина", "ложь"),
)
_ERROR = r"^(?i:#(?:n/[a-z]|nv|[\p{L}/0]+[!?]))$"

_AT_ONCE = "|".join((_FORMULA, _NUMBER_OR_TIME, "^'"))
"""A second leading apostrophe keeps the first one removable."""

_WITH_NUMBER = "|".join((_NAMED_DATE, _OTHER_SCRIPT, _PRICE))


def kept_as_text(values: pa.Array) -> pa.Array:
    """Return the texts with an apostrophe before each that a spreadsheet would take for something else."""
    misread = pc.match_substring_regex(values, _AT_ONCE)
    if not pc.all(misread).as_py():  # phone numbers always are, which spares them the rest
        misread = pc.or_(misread, _misread_word(values))
    return pc.if_else(misread, pc.binary_join_element_wise("'", values, ""), values)


def _misread_word(values: pa.Array) -> pa.Array:
    """Tell which texts are misread as a whole. The slow patterns take 2 ms to compile: only where they may match."""
    misread = pc.is_in(pc.utf8_lower(values), value_set=pa.array(_TRUE_OR_FALSE))
    for sign, pattern in ((r"\p{N}", _WITH_NUMBER), ("^#", _ERROR)):
        if pc.any(pc.match_substring_regex(values, sign)).as_py():
            misread = pc.or_(misread, pc.match_substring_regex(values, pattern))
    return misread
