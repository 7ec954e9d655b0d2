"""Modules that a library imports for the few who need them are loaded when they are needed, if ever.

Great Expectations imports SciPy's statistics and Altair for three expectations that compare distributions: half of the
time that its import takes, and 75 MB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader
from types import ModuleType


class _Late(MetaPathFinder):
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as usual, but load it at the first look at what is in it."""
        if name not in self._names:
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((found for found in others if found is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def loaded_late(*names: str) -> Iterator[None]:
    """Within the block, modules of these names that are imported for the first time are loaded at their first use."""
    late = _Late(frozenset(names))
    sys.meta_path.insert(0, late)
    try:
        yield
    finally:
        sys.meta_path.remove(late)
