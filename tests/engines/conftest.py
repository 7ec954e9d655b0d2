"""Engines run in environments of their own (`install.py`), and are told what to do by scripts."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ENGINES = Path(os.environ.get("SMSPARTNER_TEST_ENGINES", HERE.parents[1] / "build" / "engines"))
EXTRAS = runpy.run_path(str(HERE / "install.py"))["EXTRAS"]
LONGEST = 300
"""Seconds after which a script is ended, and its test has failed."""


@pytest.fixture(scope="session")
def python_of() -> Callable[[str], Path]:
    """Give the Python of an engine's environment; the test is skipped where the engine is not installed."""

    def find(name: str) -> Path:
        python = ENGINES / name / "bin" / "python" if name in EXTRAS else Path(sys.executable)
        if not python.exists():
            pytest.skip(f"needs the environment that `python tests/engines/install.py {name}` makes")
        return python

    return find


@pytest.fixture(scope="session")
def engine_in(python_of: Callable[[str], Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """As `engine`, in a directory of the test's own: `engine_in(directory, "spark", "rows.py", *arguments)`."""

    def run(
        directory: Path, name: str, script: str, *arguments: object, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        python = python_of(name)
        command = [python, HERE / "scripts" / script, *arguments]
        environment = {
            **os.environ,
            "HOME": str(directory),
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            **settings,
        }
        return subprocess.run(
            list(map(str, command)),
            check=False,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )

    return run


@pytest.fixture
def engine(
    engine_in: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script of `scripts/` in an engine's environment: `engine("spark", "rows.py", *arguments, **settings)`.

    Settings are environment variables of its own; none of the test's that name secrets reach it. The test is skipped
    where the engine is not installed.
    """
    return partial(engine_in, tmp_path)


@pytest.fixture
def settings() -> Callable[[Any], dict[str, str]]:
    """The environment variables that lead to a sandbox."""

    def of(sandbox: Any) -> dict[str, str]:
        return {"SMSPARTNER_API_KEY": "sandbox-key", "SMSPARTNER_BASE_URL": sandbox.url}

    return of
