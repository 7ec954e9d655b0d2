"""Lists the public names of a module: signature and first sentence, by griffe, which imports nothing."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parent.parent
MODULES = re.findall("^::: (.+)$", (ROOT / "docs/reference/python.md").read_text(encoding="utf-8"), re.MULTILINE)
"""Those that the page describes."""


def names(module: str) -> str:
    """Give a line for each name that a module lists in `__all__`, or else for each of its classes."""
    folders = [ROOT / name for name in ("connector", "pipelines", "schemas")]
    found = griffe.load(module, search_paths=folders)
    own = [name for name, one in found.members.items() if isinstance(one, griffe.Class) and one.is_public]
    public = found.exports or own
    return "\n".join(f"- {_described(found[str(name)])}" for name in public)


def _described(one: griffe.Object | griffe.Alias) -> str:
    """Give signature and first paragraph; a default that is made anew each time is left out."""
    target = one.final_target if isinstance(one, griffe.Alias) else one
    signature = isinstance(target, griffe.Class | griffe.Function) and target.signature()
    said = target.docstring.value.partition("\n\n")[0] if target.docstring else ""
    shown = re.sub(r"\(lambda: .+?\)\(\)", "…", signature or target.name)
    return f"`{shown}`: {' '.join(said.split())}"


PARTS = {name: partial(names, name) for name in MODULES}
"""The generated parts of the page, by module."""
