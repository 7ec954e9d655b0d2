"""A run that leaves Great Expectations out has no use for pandas, which takes 0.4 s and 30 MB to import.

PyArrow imports it all the same, for the first value it converts. It looks for pandas once: where none can be found at
that moment, it goes on without. Only for a process of our own: PyArrow would not know pandas' missing values later.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say that there is no pandas."""
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None


def use_arrow_without_pandas() -> None:
    """Let PyArrow look for pandas now, and find none; does nothing where it is imported already."""
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa

        pa.scalar(0)
    finally:
        sys.meta_path.remove(finder)
