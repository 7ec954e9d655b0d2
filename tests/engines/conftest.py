"""Engines run in environments of their own (`install.py`), where pytest runs the cases of `cases/`."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ENGINES = Path(os.environ.get("SMSPARTNER_TEST_ENGINES", HERE.parents[1] / "build" / "engines"))
EXTRAS = runpy.run_path(str(HERE / "install.py"))["EXTRAS"]
LONGEST = 280
"""Seconds after which the cases of an engine are ended, and have failed."""


@pytest.fixture(scope="session")
def programs() -> Callable[[str], Path]:
    """Give the folder of an environment's programs; skip where it is not installed."""

    def find(name: str) -> Path:
        assert name in EXTRAS
        if not (ENGINES / name / "bin").exists():
            pytest.skip(f"needs the environment that `python tests/engines/install.py {name}` makes")
        return ENGINES / name / "bin"

    return find


@pytest.fixture
def run_cases(programs: Callable[[str], Path], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `cases/NAME_cases.py` in the engine's environment, below `tmp_path`; skip where the engine is not installed.

    Settings are environment variables; no other one reaches the cases that names a secret.
    """

    def run(name: str, **settings: str) -> subprocess.CompletedProcess[str]:
        found = programs(name)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SMSPARTNER_", "AIRFLOW_"))}
        # Nothing of this suite's own: its settings and fixtures need what no engine's environment has.
        plain = ["-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-p", "no:logging"]
        ours = ["-o", f"pythonpath={HERE.parent}", f"--basetemp={tmp_path / 'made'}"]
        ended = subprocess.run(
            [found / "python", "-m", "pytest", "-s", *plain, *ours, HERE / "cases" / f"{name}_cases.py"],
            check=False,
            cwd=tmp_path,
            env={**clean, "HOME": str(tmp_path), "PATH": f"{found}:{os.environ['PATH']}", **settings},
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        sys.stdout.write(ended.stdout[-20_000:] + ended.stderr[-5_000:])
        return ended

    return run
