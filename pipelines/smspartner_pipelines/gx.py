"""Great Expectations, which judges frames: imported late (about two seconds), kept silent, asked about one at a time.

Nothing of the library leaves this module but the names of broken rules and the positions of rows: no value of the data.
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
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any

from smspartner.errors import ValidationBroken

from smspartner_pipelines.late_imports import loaded_late
from smspartner_pipelines.suite import Expectation

if TYPE_CHECKING:
    import pandas as pd

# Any other format that names rows copies their values, and so phone numbers, into the results.
_WITH_ROWS = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}

_background: list[Thread] = []


@dataclass(frozen=True)
class Failure:
    """An expectation that a frame does not meet: positions of the rows that break it, empty where no row is named."""

    rule: str
    rows: tuple[int, ...]


class Engine:
    """The library, ready to judge pandas frames. Building it imports the library, or waits for who does already."""

    def __init__(self) -> None:
        for thread in _background:
            thread.join()
        library = _import()
        self.version: str = library.__version__
        # Else the whole frame is hashed twice, for a marker that nobody reads: 20 times the time.
        import_module("great_expectations.execution_engine.pandas_execution_engine").HASH_THRESHOLD = 0  # type: ignore[attr-defined]
        types: Any = import_module("great_expectations.data_context.types.base")
        config = types.DataContextConfig(
            store_backend_defaults=types.InMemoryStoreBackendDefaults(),  # its own default makes a temporary folder
            progress_bars=types.ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        )
        context = library.get_context(mode="ephemeral", project_config=config)
        asset = context.data_sources.add_pandas("frames").add_dataframe_asset("statuses")
        self._frames = asset.add_batch_definition_whole_dataframe("batch")
        self._built: dict[str, Any] = {}

    def learn(self, expectation: Expectation) -> None:
        """Build the library's own object. A whole suite would leave one that it refuses out, and only log it.

        Raises:
            Exception: the library's own, where it knows no such expectation or refuses its arguments.
        """
        kind: Any = import_module("great_expectations.expectations.expectation_configuration")
        with _silenced():
            meta = {"rule": expectation.rule}
            config = kind.ExpectationConfiguration(type=expectation.type, kwargs=expectation.kwargs, meta=meta)
            self._built[expectation.rule] = config.to_domain_obj()

    def failures(self, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> list[Failure]:
        """Return what `frame` (indexed from 0, at least one row) does not meet. Rows are looked for only then.

        Raises:
            ValidationBroken: an expectation could not be evaluated; the text holds no value of the data.
        """
        rules = [one.rule for one in expectations]
        broken = self._failing(frame, rules, "BOOLEAN_ONLY")
        found = self._failing(frame, [rule for rule in rules if rule in broken], _WITH_ROWS)
        in_order = [rule for rule in rules if rule in found]  # the library groups its results by column
        return [Failure(rule, tuple(found[rule].get("unexpected_index_list") or ())) for rule in in_order]

    def try_out(self, frame: pd.DataFrame, expectation: Expectation) -> str:
        """Build an expectation and judge made-up rows; say why it can't be done, or nothing."""
        try:
            self.learn(expectation)
            (result,) = self._results(frame, [expectation.rule], _WITH_ROWS)
        except Exception as error:  # noqa: BLE001  # of any kind, it is the answer
            return str(error)
        found = _exception(result)
        return str(found["exception_message"]) if found else ""

    def _failing(self, frame: pd.DataFrame, rules: Sequence[str], result_format: Any) -> dict[str, dict[str, Any]]:
        """Give the rules that are broken, each with what the library says of it."""
        problem = ""
        results: list[Any] = []
        try:
            results = self._results(frame, rules, result_format)
        except Exception as error:  # noqa: BLE001  # its text and its chain may hold values: neither goes on
            problem = type(error).__name__
        if len(results) != len(rules):
            what = f"Great Expectations gave no result ({problem or 'it left some out'})"
            raise ValidationBroken(what, remedy="report this bug")
        for result in results:
            if found := _exception(result):
                what = f"expectation {_rule_of(result)} could not be evaluated ({_class_of(found)})"
                raise ValidationBroken(what, remedy="check its arguments, or leave it out")
        return {_rule_of(result): result.result for result in results if not result.success}

    def _results(self, frame: pd.DataFrame, rules: Sequence[str], result_format: Any) -> list[Any]:
        if not rules:
            return []
        module: Any = import_module("great_expectations.core.expectation_suite")
        built = module.ExpectationSuite(name="statuses", expectations=[self._built[rule] for rule in rules])
        with _silenced():
            batch = self._frames.get_batch(batch_parameters={"dataframe": frame})
            return list(batch.validate(built, result_format=result_format).results)


def start_import() -> None:
    """Begin importing the library on a daemon thread; the first use waits for it. Calling it twice is fine."""
    if not _background and "great_expectations" not in sys.modules:
        thread = Thread(target=_import_in_background, name="import-great-expectations", daemon=True)
        _background.append(thread)
        thread.start()


def _import_in_background() -> None:
    with suppress(Exception):  # it is imported again where it is needed, and fails there
        _import()


def _rule_of(result: Any) -> str:
    return str(result.expectation_config.meta["rule"])


def _exception(result: Any) -> dict[str, Any]:
    """Return the exception inside an expectation, empty if there was none: the facts are flat, or keyed by metric."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else info.values()
    return next((entry for entry in entries if entry.get("raised_exception")), {})


def _class_of(found: dict[str, Any]) -> str:
    # Of a chain, the traceback begins with the cause: "package.Class: text". The text may hold values.
    lines = [line.partition(":")[0] for line in str(found.get("exception_traceback")).splitlines()]
    return next((line.rpartition(".")[2] for line in lines if line.replace(".", "").isidentifier()), "Exception")


@contextmanager
def _silenced() -> Iterator[None]:
    """Let no warning out: they are about the inside of the library, or the style of a user's arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _import() -> Any:
    """Import the library without its side effects on this process."""
    if "great_expectations" in sys.modules:
        return import_module("great_expectations")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # 1.24 sends nothing; other versions ask this
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # what it logs is in the results
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"great_expectations\.")
    show = warnings.showwarning
    with _some_home(), loaded_late("scipy.stats", "altair"):
        library = import_module("great_expectations")
    if warnings.showwarning is not show:
        logging.captureWarnings(capture=False)  # it sent every warning of the process to the logs
    return library


@contextmanager
def _some_home() -> Iterator[None]:
    """Give the library a home directory, which it asks for when it is imported, where the user has none."""
    if _has_home():
        yield
        return
    before = os.environ.pop("HOME", None)
    with TemporaryDirectory(prefix="smspartner-") as home:
        os.environ["HOME"] = home
        try:
            yield
        finally:
            del os.environ["HOME"]
            os.environ |= {} if before is None else {"HOME": before}


def _has_home() -> bool:
    with suppress(RuntimeError):
        return bool(Path.home())
    return False
