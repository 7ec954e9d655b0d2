"""Makes an environment for every engine, `build/engines/NAME`, with this product and its extra of that name.

    python tests/engines/install.py [NAME]...

makes the environments of the engines named, or of all. Engines do not go together with one another, nor with tests.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = PROJECT / "build" / "engines"
EXTRAS = {
    "spark": "spark,delta",
    "dlt": "dlt,duckdb,postgres",
    "airflow": "airflow,duckdb",
    "dagster": "dagster,postgres",
}
"""The extras of this product that an engine's environment has."""
BESIDES = {"dlt": ["dlt[duckdb,postgres]"]}
"""What an engine needs for the destinations that tests load into."""


def install(name: str) -> bool:
    """Make one engine's environment anew; returns whether everything it needs could be had."""
    environment = ENVIRONMENTS / name
    venv.create(environment, clear=True, with_pip=True)
    wanted = [f"{PROJECT}[{EXTRAS[name]}]", *BESIDES.get(name, ())]
    return subprocess.run([environment / "bin" / "pip", "install", "--quiet", *wanted], check=False).returncode == 0


def main() -> None:
    """Install the engines named, or all."""
    failed = [name for name in sys.argv[1:] or EXTRAS if not install(name)]
    if failed:
        raise SystemExit(f"could not be installed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
