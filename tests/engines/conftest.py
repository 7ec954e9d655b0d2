"""Engines run in environments of their own (`install.py`); scripts there do what a test says, all in one process."""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"
ENGINES = Path(os.environ.get("SMSPARTNER_TEST_ENGINES", HERE.parents[1] / "build" / "engines"))
EXTRAS = runpy.run_path(str(HERE / "install.py"))["EXTRAS"]
LONGEST = 400
"""Seconds after which a script is ended, and its test has failed."""


@pytest.fixture(scope="session")
def engine() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script of `scripts/` in an engine's environment: `engine("spark", home, "rows.py", *arguments)`.

    Settings are environment variables; no other one reaches the script that names a secret. The test is skipped where
    the engine is not installed.
    """

    def run(
        name: str, home: Path, script: str, *arguments: object, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        assert name in EXTRAS
        programs = ENGINES / name / "bin"
        if not programs.exists():
            pytest.skip(f"needs the environment that `python tests/engines/install.py {name}` makes")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SMSPARTNER_", "AIRFLOW_"))}
        return subprocess.run(
            [str(programs / "python"), str(HERE / "scripts" / script), *map(str, arguments)],
            check=False,
            cwd=home,
            env={**clean, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", **settings},
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )

    return run


@pytest.fixture(scope="session")
def blocks() -> Callable[[str, str], list[str]]:
    """Give the code blocks of a page in one language: `blocks("dlt.md", "python")`."""

    def find(page: str, language: str) -> list[str]:
        return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)

    return find


def spellings(secret: str) -> set[str]:
    """Give the ways in which programs write a text down."""
    coded = [base64.b64encode(b" " * shift + secret.encode()).decode()[4:-4] for shift in range(3)]
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], *coded}


@pytest.fixture(scope="session")
def leaks() -> Callable[..., list[str]]:
    """Name the texts, and files below a folder but for those of these names, that hold a secret or a phone number.

    All numbers of these tests begin with +336399800, which is kept for fiction.
    """

    def find(folder: Path, texts: dict[str, str], *secrets: str, without: str) -> list[str]:
        files = [path for path in folder.rglob("*") if path.is_file() and not re.search(without, str(path))]
        texts = texts | {str(path): path.read_bytes().decode("latin-1") for path in files}
        assert len(files) > 1
        wanted = [spelled for secret in secrets for spelled in spellings(secret)]
        number = re.compile(r"6\W{0,3}3\W{0,3}9\W{0,3}9\W{0,3}8\W{0,3}0\W{0,3}0")
        return [name for name, text in texts.items() if number.search(text) or any(one in text for one in wanted)]

    return find
