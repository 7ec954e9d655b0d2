"""Makes an environment for every peer, `build/peers/NAME`, outside of version control.

    python tests/benchmarks/peers/install.py [NAME]...

makes the environments of the peers named, or of all.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

ENVIRONMENTS = Path(__file__).resolve().parents[3] / "build" / "peers"
REQUIREMENTS = {
    "limit": ("pyarrow>=26,<27", "urllib3>=2.8,<3"),
    "limit_requests": ("pyarrow>=26,<27", "requests>=2.34,<3"),
    "pandas_script": ("great-expectations>=1.24,<2", "pandas>=3.1,<4", "pyarrow>=26,<27", "requests>=2.34,<3"),
    "dlt_tuned": ("dlt[parquet]>=1.15,<2", "requests>=2.34,<3"),
    "dlt_rest": ("dlt[parquet]>=1.15,<2",),
    "singer": ("singer-sdk>=0.47,<1", "pyarrow>=26,<27"),
}


def python_of(name: str) -> Path:
    """Where a peer's Python is, or would be."""
    folder = ENVIRONMENTS / name
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install(name: str) -> bool:
    """Make one peer's environment anew; returns whether everything it needs could be had."""
    venv.create(ENVIRONMENTS / name, clear=True, with_pip=True)
    command = [str(python_of(name)), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]]
    return subprocess.run(command, check=False).returncode == 0


def versions(name: str) -> str:
    """Say which versions of what it asks for a peer has."""
    asked = [re.split(r"[\[<>=]", requirement)[0] for requirement in REQUIREMENTS[name]]
    code = "import importlib.metadata as m, json, sys; print(json.dumps([m.version(name) for name in sys.argv[1:]]))"
    found = subprocess.run([str(python_of(name)), "-c", code, *asked], check=True, stdout=subprocess.PIPE).stdout
    return ", ".join(f"{package} {version}" for package, version in zip(asked, json.loads(found), strict=True))


def main() -> None:
    """Install the peers named, or all."""
    for name in sys.argv[1:] or REQUIREMENTS:
        sys.stdout.write(f"{name}: {'installed' if install(name) else 'could not be installed'}\n")


if __name__ == "__main__":
    main()
