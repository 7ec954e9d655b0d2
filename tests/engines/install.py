"""Makes environments of their own, `build/engines/NAME`, with the built wheel of this product, by uv.

    python tests/engines/install.py [NAME]...

makes those named, or all, side by side: each engine with its extra, and the product beside what people already have.
They do not go together with one another, nor with what the tests run in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = PROJECT / "build" / "engines"
UV = ["uv"] if shutil.which("uv") else [sys.executable, "-m", "uv"]
PROGRAM = f"--group={PROJECT / 'pyproject.toml'}:program"
"""What the tests of the program need."""

EXTRAS = {
    "spark": "spark",
    "dlt": "dlt,duckdb",
    "airflow": "airflow,duckdb",
    "dagster": "dagster,postgres",
    "dbt": "duckdb,postgres",
    "prefect": "duckdb",
    "boto3": "s3",
    "pandas2": "all",
    "lowest": "all",
    "newest": "all",
}
"""The extras of this product that an environment has."""
BESIDES = {
    "dlt": ["dlt[duckdb,postgres]"],  # the destinations that its cases load into
    "dagster": ["dagster-dg-cli"],  # the command `dg` of the page
    "dbt": ["dbt-core>=1.11,<1.12", "dbt-duckdb", "dbt-postgres"],  # 1.12 fetches a part of itself from GitHub
    "prefect": ["prefect>=3.4"],
    "boto3": ["boto3"],
    "pandas2": ["pandas<3", PROGRAM],
    "lowest": [PROGRAM],
    "newest": [PROGRAM],
}
"""What stands beside the product; pytest comes with each."""
PYTHONS = {"lowest": ["3.11"], "newest": ["3.14", "3.13"]}
"""The versions of Python to look for, where it is not the one that runs this."""


def make(environment: Path, version: str) -> bool:
    """Make an empty environment; returns whether this Python could be had: of `python.sh`, pyenv, the system, or uv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin")
    path = os.pathsep.join([str(PROJECT / "build/python/usr/bin"), *map(str, pyenv), os.environ["PATH"]])
    command = [*UV, "venv", "--quiet", "--clear", "--python", version, environment]
    return subprocess.run(command, env={**os.environ, "PATH": path}, check=False).returncode == 0


def lowest(folder: Path) -> str:
    """Give the option that holds this product's own requirements at the lowest versions that it allows."""
    pins = folder / "lowest.txt"
    compile_pins = [*UV, "pip", "compile", "--quiet", "--no-deps", "--resolution=lowest-direct", "--extra=all"]
    python = f"--python-version={PYTHONS['lowest'][0]}"
    subprocess.run([*compile_pins, python, f"--output-file={pins}", PROJECT / "pyproject.toml"], check=True)
    return f"--constraint={pins}"


def install(name: str, wheel: Path) -> bool:
    """Make one environment anew; returns whether everything it needs could be had."""
    environment = ENVIRONMENTS / name
    if not any(make(environment, version) for version in PYTHONS.get(name, [sys.executable])):
        return False
    wanted = [f"{wheel}[{EXTRAS[name]}]", "pytest>=9,<10", *BESIDES.get(name, ())]
    if name == "lowest":
        wanted.append(lowest(wheel.parent))
    pip = [*UV, "pip", "install", "--quiet", f"--python={environment}"]
    return subprocess.run([*pip, *wanted], check=False).returncode == 0


def main() -> None:
    """Make the environments named, or all."""
    names = sys.argv[1:] or list(EXTRAS)
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
        subprocess.run([*UV, "build", "--quiet", "--wheel", "--out-dir", folder, PROJECT], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        installed = list(threads.map(lambda name: install(name, wheel), names))
    failed = [name for name, made in zip(names, installed, strict=True) if not made]
    if failed:
        raise SystemExit(f"could not be installed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
