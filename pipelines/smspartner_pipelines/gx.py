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
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Lock, RLock, Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

from smspartner.errors import ValidationBroken

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
_LATE = ("scipy.stats", "altair")
"""For three expectations that compare distributions: half of the time that the library's import takes, and 75 MB."""

_importing = Lock()


@dataclass(frozen=True)
class Failure:
    """What breaks a rule: positions of rows, none where no row is named; of the frame as a whole what was found.

    That is a count, a mean or a share, never a text, which could be a phone number.
    """

    rows: list[int]
    number: float | None = None

    @classmethod
    def of(cls, result: dict[str, Any]) -> Failure:
        """Take from the library's result what may be shown."""
        observed = result.get("observed_value")
        return cls(list(result.get("unexpected_index_list") or ()), observed if _is_number(observed) else None)


class Engine:
    """The library, ready to judge pandas frames. Building it imports the library, or waits for who does already."""

    def __init__(self) -> None:
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
        self._kept = asset.datasource.get_execution_engine().batch_manager
        self._built: dict[str, Any] = {}

    def failures(self, frame: pd.DataFrame, expectations: Sequence[Expectation]) -> dict[str, Failure]:
        """Give the rules that `frame` (indexed from 0, at least one row) does not meet, in their order.

        Raises:
            ValidationBroken: an expectation could not be evaluated; the text holds no value of the data.
        """
        broken = self._failing(frame, expectations, "BOOLEAN_ONLY")
        found = self._failing(frame, [one for one in expectations if one.rule in broken], _WITH_ROWS)
        return {one.rule: Failure.of(found[one.rule]) for one in expectations if one.rule in found}

    def try_out(self, frame: pd.DataFrame, expectation: Expectation) -> str:
        """Judge made-up rows by an expectation; say why that can't be done, or nothing."""
        try:
            (result,) = self._results(frame, [expectation], _WITH_ROWS)
        except Exception as error:  # noqa: BLE001  # of any kind, it is the answer
            return str(error) or type(error).__name__
        return _exception(result)

    def _failing(
        self, frame: pd.DataFrame, expectations: Sequence[Expectation], result_format: Any
    ) -> dict[str, dict[str, Any]]:
        """Give the rules that are broken, each with what the library says of it."""
        results: list[Any] = []
        with suppress(Exception):  # its text and its chain may hold values: neither goes on
            results = self._results(frame, expectations, result_format)
        if len(results) != len(expectations):
            raise ValidationBroken("Great Expectations did not evaluate every expectation", remedy="report this bug")
        for result in results:
            if _exception(result):
                what = f"expectation {_rule_of(result)} could not be evaluated"
                raise ValidationBroken(what, remedy="check its arguments, or leave it out")
        return {_rule_of(result): result.result for result in results if not result.success}

    def _results(self, frame: pd.DataFrame, expectations: Sequence[Expectation], result_format: Any) -> list[Any]:
        if not expectations:
            return []
        module: Any = import_module("great_expectations.core.expectation_suite")
        with warnings.catch_warnings(action="ignore"):  # about its inside, or the style of a user's arguments
            suite = module.ExpectationSuite(name="statuses", expectations=[self._build(one) for one in expectations])
            batch = self._frames.get_batch(batch_parameters={"dataframe": frame})
            results = list(batch.validate(suite, result_format=result_format).results)
        self._kept.batch_data_cache.clear()  # else the library keeps the frame until it is given the next one
        self._kept.reset_batch_cache()
        return results

    def _build(self, one: Expectation) -> Any:
        """Build the library's own object. A whole suite would leave one that it refuses out, and only log it."""
        if one.rule not in self._built:
            kind: Any = import_module("great_expectations.expectations.expectation_configuration")
            config = kind.ExpectationConfiguration(type=one.type, kwargs=one.kwargs, meta={"rule": one.rule})
            self._built[one.rule] = config.to_domain_obj()
        return self._built[one.rule]


def start_import() -> None:
    """Begin importing the library on a daemon thread; the first use waits for it. Calling it twice is fine."""

    def begin() -> None:
        with suppress(Exception):  # it is imported again where it is needed, and fails there
            _import()

    Thread(target=begin, name="import-great-expectations", daemon=True).start()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rule_of(result: Any) -> str:
    return str(result.expectation_config.meta["rule"])


def _exception(result: Any) -> str:
    """Return the text of an exception inside an expectation, if there was one: facts are flat, or keyed by metric."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else info.values()
    raised = (entry.get("exception_message") for entry in entries if entry.get("raised_exception"))
    return next((str(message) or "an exception" for message in raised), "")


def _import() -> Any:
    """Import the library without its side effects on this process."""
    with _importing:
        if "great_expectations" in sys.modules:
            return import_module("great_expectations")
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # 1.24 sends nothing; other versions ask this
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # what it logs is in the results
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"great_expectations\.")
        show = warnings.showwarning
        with _some_home(), _loaded_late():
            library = import_module("great_expectations")
        if warnings.showwarning is not show:
            logging.captureWarnings(capture=False)  # it sent every warning of the process to the logs
        # Its progress bars would have a lock across processes, of which Python 3.14 complains when this one ends.
        import_module("tqdm").tqdm.set_lock(RLock())
        return library


@contextmanager
def _loaded_late() -> Iterator[None]:
    """Within the block, who imports these modules gets a stand-in, which loads the module at its first use."""
    stand_ins = {name: ModuleType(name) for name in _LATE if name not in sys.modules}

    def step_back(name: str) -> None:
        if sys.modules.get(name) is stand_ins[name]:
            del sys.modules[name]

    def look_up(name: str, attribute: str) -> Any:
        step_back(name)
        return getattr(import_module(name), attribute)

    for name, stand_in in stand_ins.items():
        vars(stand_in)["__getattr__"] = partial(look_up, name)
    sys.modules |= stand_ins
    try:
        yield
    finally:
        for name in stand_ins:
            step_back(name)


@contextmanager
def _some_home() -> Iterator[None]:
    """Name a home directory, which the library asks for when it is imported, where the user has none."""
    before = os.environ.get("HOME")
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = os.devnull  # in which nothing can be found
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("HOME", None)
        else:
            os.environ["HOME"] = before
