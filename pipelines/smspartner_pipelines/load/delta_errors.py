"""What the library `deltalake` raises, said in one sentence without the data that its own words may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from deltalake.exceptions import DeltaError

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import destination_error

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust ends the words of an error of the operating system."""


def lake_guarded(doing: str, act: Callable[[], T]) -> T:
    """Return what `act` returns.

    Raises:
        DestinationError: the library, or the operating system, refused; raised outside the `except` block.
    """
    try:
        return act()
    except (DeltaError, OSError, ValueError) as error:
        failure = _told(error, doing)
    raise failure


def _told(error: Exception, doing: str) -> DestinationError:
    if isinstance(error, OSError) and error.errno:
        return destination_error(error, doing)
    numbers = _OS_ERROR.findall(str(error))
    if numbers:
        return destination_error(OSError(int(numbers[-1]), "the system refused"), doing)
    kind = type(error).__name__
    return DestinationError(
        f"{doing} failed ({kind}): its log or a file is damaged, or another program changed it; restore what is "
        "missing, or load into a new directory"
    )
