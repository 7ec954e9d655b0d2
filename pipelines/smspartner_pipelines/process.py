"""The process `smspartner`: ready for signals before anything heavy is imported, gone at once when it is done."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from smspartner_pipelines.interrupt import end_at_once_on_signals


def main() -> NoReturn:
    """Be the command, from the first moment of the process to its last."""
    end_at_once_on_signals()
    from smspartner_pipelines.output import prepare_standard_streams

    prepare_standard_streams()
    # Arrow's own pool keeps freed memory for itself: 140 MB more at the peak of 5,000,000 rows, and no faster.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads for matrices, which look for work at first
    from smspartner_pipelines.cli import run_command

    _leave(run_command(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End the process.

    Python's own end would first wait for some threads and trip over others, and leave signals without an answer.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
