"""Is everything ready for a run? Says what is wrong and what to do; changes nothing that is loaded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from smspartner.connection import Connection

from smspartner_pipelines.check_api import check_api, check_key_file
from smspartner_pipelines.check_here import check_variables, check_versions
from smspartner_pipelines.check_places import check_place
from smspartner_pipelines.findings import Finding

Check = Callable[[], Iterator[Finding]]


def check_all(
    connect: Callable[[], Connection],
    destinations: Sequence[str],
    *,
    environment: Mapping[str, str],
    key_file: str | None = None,
    known_variables: Collection[str] | None = None,
) -> Iterator[Finding]:
    """Check settings, key, way to the API, clock, destinations and libraries, one after the other.

    `connect` gives the connection, or raises what is wrong with the settings; `key_file` is the file that the key is
    read from, `known_variables` names the variables that options read.
    """
    if known_variables is not None:
        yield from check_variables(environment, known_variables)
    if key_file is not None:
        yield from check_key_file(key_file)
    yield from check_api(connect, environment)
    for uri in destinations:
        yield from check_place(uri)
    yield from check_versions()
