"""Every error that the product raises reads alike: what is wrong and where, then what to do about it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import smspartner
import smspartner_pipelines
import smspartner_schemas
from smspartner import errors
from smspartner.errors import SmsPartnerError
from smspartner_pipelines.load.destination import NothingLoaded

PACKAGES = (smspartner, smspartner_pipelines, smspartner_schemas)
CLASSES = {
    name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SmsPartnerError)
}
CLASSES["NothingLoaded"] = NothingLoaded

VERBS = set(
    re.findall(
        r"\w+",
        "accept add allow ask check choose close correct create delete drop free give grant install iter_snapshots "
        "leave let load look make move name pip put raise read remove rename repair report restore run set smspartner "
        "start take try upgrade update use wait wrap write",
    )
)


def raised() -> Iterator[tuple[str, ast.Call, str]]:
    """Give every call of a class of error in the product: where it stands, the call, the name of the class."""
    for package in PACKAGES:
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if name in CLASSES:
                    yield f"{path.relative_to(root.parent)}:{node.lineno}", node, name


def text_of(node: ast.expr | None) -> str | None:
    """Give what a text says, with X for each value in it; None where it is made elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return None


WRONG_IN_WHAT = {
    "begins with a capital": r"(?![a-z0-9'\"/(-]|[A-Z]{2,}|X|(Great Expectations|PostgreSQL|Delta|DuckDB)\b)",
    "is longer than 200 characters": r"[^\n]{201}",
    "has more than one line": r".*\n",
    "speaks French": r".*([éèêàçùû]|\b(le|la|les|une|est|pas|clé|numéro|introuvable)\b)",
    "has its remedy in the same text": rf".*[:;] ({'|'.join(VERBS)}) ",
}
WRONG_IN_BOTH = {
    "ends with a full stop": r".*\.$",
    "is no plain English": r".*\b(told|doubt\w*|believ\w*|books|whatever|trouble|cure|mend\w*|as itself)\b",
}


def faults_of_what(what: str) -> list[str]:
    """List what is wrong with how a message says what is wrong."""
    return [name for name, pattern in (WRONG_IN_WHAT | WRONG_IN_BOTH).items() if re.match(pattern, what)]


def faults_of_remedy(remedy: str) -> list[str]:
    """List what is wrong with how a message says what to do."""
    nothing = [] if VERBS & set(re.findall(r"[a-z_]+", remedy)) else ["says nothing to do"]
    return nothing + [name for name, pattern in WRONG_IN_BOTH.items() if re.match(pattern, remedy)]


def test_what_every_error_says() -> None:
    """What is wrong is said in plain English, in one line, without what to do about it, which is a field of its own."""
    found = {where: faults_of_what(what) for where, call, _ in raised() if (what := text_of((*call.args, None)[0]))}
    assert len(found) > 50
    assert {where: faults for where, faults in found.items() if faults} == {}


def test_every_error_says_what_to_do() -> None:
    """Each error has a remedy: its own, or the one of its class."""
    without, remedies = [], {name: kind.remedy for name, kind in CLASSES.items()}
    for where, call, name in raised():
        given = next((keyword.value for keyword in call.keywords if keyword.arg == "remedy"), None)
        remedies[where] = text_of(given) or ""
        if given is None and not CLASSES[name].remedy and name not in {"Interrupted", "VendorError"}:
            without.append(where)
    assert without == []
    assert {where: faults for where, text in remedies.items() if text and (faults := faults_of_remedy(text))} == {}
