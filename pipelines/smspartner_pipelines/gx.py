"""Great Expectations itself: imported late, kept silent, asked about one frame at a time.

Nothing of the library leaves here but verdicts, which hold no value of the data. Only `gx_result` touches it besides.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from smspartner.errors import ValidationBroken

from smspartner_pipelines.late_imports import loaded_late

if TYPE_CHECKING:
    import pandas as pd

# Any other format that gives rows copies their values, and so phone numbers, into the results.
_WITH_ROWS = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}

# Counts alone. It must not name rows: a Spark frame has no index to name them by, and would give their values.
_WITH_COUNTS = {"result_format": "BASIC", "partial_unexpected_count": 0}

_background: list[Thread] = []


@dataclass(frozen=True)
class Verdict:
    """What one expectation says of one frame.

    `rows` are the positions of the rows that break it; None where it judges the frame as a whole. `error` names the
    class of the exception that kept it from being evaluated; `message` is that exception's text, which may hold values.
    `count` is how many rows break it, where that was asked for.
    """

    rule: str
    success: bool
    rows: tuple[int, ...] | None = None
    error: str = ""
    message: str = ""
    count: int | None = None


def start_import() -> None:
    """Begin importing the library on a daemon thread; whoever needs it first waits. Calling it twice is fine."""
    if not _background and "great_expectations" not in sys.modules:
        thread = Thread(target=_import_in_background, name="import-great-expectations", daemon=True)
        _background.append(thread)
        thread.start()


class Engine:
    """The library, ready to judge frames of pandas, or of Spark. Building it imports the library."""

    def __init__(self, frames: Literal["pandas", "spark"] = "pandas") -> None:
        library = load_library()
        self.version: str = library.__version__
        pandas_engine: Any = import_module("great_expectations.execution_engine.pandas_execution_engine")
        if hasattr(pandas_engine, "HASH_THRESHOLD"):
            # Else the whole frame is hashed twice, for a marker that nobody reads: 20 times the time.
            pandas_engine.HASH_THRESHOLD = 0
        types: Any = import_module("great_expectations.data_context.types.base")
        config = types.DataContextConfig(
            store_backend_defaults=types.InMemoryStoreBackendDefaults(),  # its own default makes a temporary folder
            progress_bars=types.ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        )
        context = library.get_context(mode="ephemeral", project_config=config)
        source: Any = getattr(context.data_sources, f"add_{frames}")("frames")
        asset = source.add_dataframe_asset("statuses")
        self._frames = asset.add_batch_definition_whole_dataframe("batch")
        self._suite: Any = import_module("great_expectations.core.expectation_suite").ExpectationSuite
        configuration = import_module("great_expectations.expectations.expectation_configuration")
        self._configuration: Any = configuration.ExpectationConfiguration

    def build(self, kind: str, kwargs: dict[str, Any], rule: str) -> Any:
        """Return the library's own object for an expectation of type `kind`.

        Raises:
            Exception: the library's own, where it knows no such expectation or refuses its arguments. A whole suite
                would leave such an expectation out instead, and only log it.
        """
        with silenced():
            return self._configuration(type=kind, kwargs=kwargs, meta={"rule": rule}).to_domain_obj()

    def broken(self, frame: pd.DataFrame, built: Sequence[Any]) -> list[Verdict]:
        """Return the verdicts of those expectations in `built` that `frame` (indexed from 0) does not meet.

        Raises:
            ValidationBroken: an expectation could not be evaluated; the text holds no value of the data.
        """
        failing = {verdict.rule for verdict in self._judge(frame, built, "BOOLEAN_ONLY") if not _met(verdict)}
        again = [expectation for expectation in built if expectation.meta["rule"] in failing]
        verdicts = self._judge(frame, again, _WITH_ROWS) if again else []
        return [verdict for verdict in verdicts if not _met(verdict)]

    def counted(self, frame: Any, built: Sequence[Any]) -> list[Verdict]:
        """Return the verdicts of those expectations that `frame` does not meet, with how many rows break each.

        Raises:
            ValidationBroken: as `broken`.
        """
        return [verdict for verdict in self._judge(frame, built, _WITH_COUNTS) if not _met(verdict)]

    def try_out(self, frame: pd.DataFrame, built: Any) -> Verdict:
        """Return the verdict of one expectation, with `error` and `message` if it can't be evaluated on `frame`.

        Only for frames of made-up values: `message` may repeat them.
        """
        try:
            return self._evaluate(frame, [built], _WITH_ROWS)[0]
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is the answer
            return Verdict(built.meta["rule"], success=False, error=type(problem).__name__, message=str(problem))

    def _judge(self, frame: Any, built: Sequence[Any], result_format: Any) -> list[Verdict]:
        error = ""
        try:
            verdicts = self._evaluate(frame, built, result_format)
        except Exception as problem:  # noqa: BLE001 - its text and its chain may hold values: neither goes on
            verdicts, error = [], type(problem).__name__
        if len(verdicts) != len(built):
            raise ValidationBroken(
                f"Great Expectations gave no verdict ({error or 'it left some out'}); report this bug"
            )
        return verdicts

    def _evaluate(self, frame: Any, built: Sequence[Any], result_format: Any) -> list[Verdict]:
        suite = self._suite(name="statuses", expectations=list(built))
        with silenced():
            batch = self._frames.get_batch(batch_parameters={"dataframe": frame})
            validated = batch.validate(suite, result_format=result_format)
        return [_verdict(result) for result in validated.results]


def _met(verdict: Verdict) -> bool:
    """Whether the frame meets the expectation.

    Raises:
        ValidationBroken: it could not be evaluated.
    """
    if verdict.error:
        raise ValidationBroken(
            f"expectation {verdict.rule} could not be evaluated ({verdict.error}); check its arguments, or leave it out"
        )
    return verdict.success


def _verdict(result: Any) -> Verdict:
    rule = result.expectation_config.meta["rule"]
    error, message = _exception(result.exception_info or {})
    rows = result.result.get("unexpected_index_list")
    count = result.result.get("unexpected_count")
    return Verdict(rule, bool(result.success), None if rows is None else tuple(map(int, rows)), error, message, count)


def _exception(info: dict[str, Any]) -> tuple[str, str]:
    """Return class and text of the exception in `info`, which is flat or keyed by metric; empty if there is none."""
    for entry in [info] if "raised_exception" in info else info.values():
        if entry.get("raised_exception"):
            # Of a chain, the traceback begins with the cause: "package.Class: text". The text may hold values.
            lines = [line.partition(":")[0] for line in str(entry.get("exception_traceback")).splitlines()]
            classes = [line for line in lines if line.replace(".", "").isidentifier()]
            name = classes[0].rpartition(".")[2] if classes else "Exception"
            return name, str(entry.get("exception_message"))
    return "", ""


def _import_in_background() -> None:
    with suppress(Exception):  # it is imported again where it is needed, and fails there
        _import()


@contextmanager
def silenced() -> Iterator[None]:
    """Let no warning out: they are about the inside of the library, or the style of a user's arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_library() -> Any:
    """Import the library, which takes about three seconds, or wait for whoever does."""
    for thread in _background:
        thread.join()
    return _import()


def _import() -> Any:
    """Import the library without its side effects on this process."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # 1.24 sends nothing; other versions ask this
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # what it logs is in the verdicts
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"great_expectations\.")
    show = warnings.showwarning
    with loaded_late("scipy.stats", "altair"):
        library = import_module("great_expectations")
    if warnings.showwarning is not show:
        logging.captureWarnings(capture=False)  # it sent every warning of the process to the logs
    return library
