"""Things gathered into groups of about a size: dealing with many at once costs little more than with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def gathered(items: Iterable[Item], size_of: Callable[[Item], int], size: int) -> Iterator[list[Item]]:
    """Give the items, in order, in lists that end with the item by which they reach `size`; none is empty."""
    group: list[Item] = []
    held = 0
    for item in items:
        group.append(item)
        held += size_of(item)
        if held >= size:
            yield group
            group, held = [], 0
    if group:
        yield group
