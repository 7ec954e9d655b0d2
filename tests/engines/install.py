"""Makes an environment for every engine, `build/engines/NAME`, with the built wheel of this product and its extra.

    python tests/engines/install.py [NAME]...

makes the environments of the engines named, or of all, side by side: by uv where it is installed, else by pip. Engines
do not go together with one another, nor with tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = PROJECT / "build" / "engines"
EXTRAS = {"spark": "spark", "dlt": "dlt,duckdb", "airflow": "airflow,duckdb", "dagster": "dagster,postgres"}
"""The extras of this product that an engine's environment has."""
BESIDES = {"dlt": ["dlt[duckdb,postgres]"]}
"""What an engine needs for the destinations that its cases load into; pytest, which runs them, comes with each."""


def uv() -> list[str]:
    """Give how to start uv; nothing where it is not installed."""
    as_module = [sys.executable, "-m", "uv"]
    found = subprocess.run([*as_module, "--version"], capture_output=True, check=False).returncode == 0
    return ["uv"] if shutil.which("uv") else as_module * found


def build(folder: str) -> Path:
    """Build the product's wheel."""
    command = [*uv(), "build", "--quiet", "--wheel", "--out-dir", folder, PROJECT]
    by_pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT]
    subprocess.run(command if uv() else by_pip, check=True)
    return next(Path(folder).glob("*.whl"))


def install(name: str, wheel: Path) -> bool:
    """Make one engine's environment anew; returns whether everything it needs could be had."""
    environment = ENVIRONMENTS / name
    wanted = [f"{wheel}[{EXTRAS[name]}]", "pytest>=9,<10", *BESIDES.get(name, ())]
    venv.create(environment, clear=True, with_pip=not uv())
    python = environment / "bin" / "python"
    pip = [*uv(), "pip", "install", "--python", python] if uv() else [python, "-m", "pip", "install"]
    return subprocess.run([*pip, "--quiet", *wanted], check=False).returncode == 0


def main() -> None:
    """Install the engines named, or all."""
    names = sys.argv[1:] or list(EXTRAS)
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
        wheel = build(folder)
        installed = list(threads.map(lambda name: install(name, wheel), names))
    failed = [name for name, made in zip(names, installed, strict=True) if not made]
    if failed:
        raise SystemExit(f"could not be installed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
