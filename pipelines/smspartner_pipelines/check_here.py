"""Are the libraries those that were tried, and does an option read each of our variables?"""

from __future__ import annotations

import difflib
import importlib.metadata
import platform
from collections.abc import Collection, Iterator, Mapping

from smspartner_pipelines.environment import PREFIX
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.findings import Finding, failure, fine, warning

_PRODUCT = "smspartner-connector"
_TOLD = ("great-expectations", "pandas", "pyarrow", "requests")


def check_variables(environment: Mapping[str, str], known: Collection[str]) -> Iterator[Finding]:
    """Warn of variables that look like ours and that no option reads; their values are not told."""
    endings = [name.removeprefix(PREFIX) for name in known]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1)
            meant = f"write {PREFIX}{near[0]} if that was meant" if near else ""
            remedy = meant or "remove it, or see the options of `--help`"
            yield warning(name, f"no option reads this variable; {remedy}")


def check_versions() -> Iterator[Finding]:
    """Compare what is installed with what the product declares to need; what is not installed is told where needed."""
    from packaging.requirements import Requirement  # which Great Expectations brings

    wrong = False
    for declared in importlib.metadata.requires(_PRODUCT) or ():
        needed = Requirement(declared)
        found = _version(needed.name)
        if found and not needed.specifier.contains(found, prereleases=True):
            wrong = True
            bounds = f"{needed.name}{needed.specifier}"
            told = f"{found} is installed, {needed.specifier} is needed; pip install '{bounds}'"
            yield failure(needed.name, told, ExitCode.NOT_DONE)
    if not wrong:
        versions = ", ".join(f"{name} {_version(name)}" for name in (_PRODUCT, *_TOLD))
        yield fine("versions", f"{versions}, Python {platform.python_version()}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
