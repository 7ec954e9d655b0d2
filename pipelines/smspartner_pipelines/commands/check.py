"""The command `smspartner check`: what would keep a run from working, and what to do. Nothing loaded is changed."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import click
from smspartner.errors import AccessRefused, DestinationError, RequestError, SettingsError
from smspartner_schemas.contract import EXIT_MEANINGS, ExitCode

from smspartner_pipelines import options
from smspartner_pipelines.commands.run import connection_from, source_of_key
from smspartner_pipelines.output import counted, say

_MOST_SERIOUS_FIRST = (ExitCode.WRONG_SETTINGS, ExitCode.REFUSED, ExitCode.NOT_DONE, ExitCode.TAGS_NOT_COMPLETE)

_Finding: TypeAlias = tuple[ExitCode, dict[str, str]]
"""The code of a run that meets it, and `level`, `what` and `text`."""


@click.command(cls=options.GroupedCommand, exit_codes=EXIT_MEANINGS)
@options.destination_option("--to", multiple=True, metavar="DEST", help="A destination to check; may be repeated.")
@click.option(
    "--probe",
    metavar="TAG",
    help="Instead: find out how the API answers for this tag where its documentation is silent.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@options.connection_options
@options.output_options
def check(to: tuple[str, ...], *, probe: str | None, as_json: bool, **given: Any) -> ExitCode:
    """Find what would keep a run from working.

    Nothing that is loaded is changed. One line each for the API key, each destination, and the versions of libraries:
    `ok`, or `FAIL` with what to do. Ends with the exit code a run would end with.

    With --probe, ask for about eight pages of a tag, best one of several hundred messages, and print a report: page
    size, what the total counts, pages beyond the end, types, order, headers. It holds no key, number or tag: please
    send it to the authors of this program.

    \b
    smspartner check --to data/
    smspartner check --probe promo-nov
    """  # noqa: D301  # \b is click's mark
    if probe is not None:
        return _probe(probe, given, as_json=as_json)
    findings = []
    codes: dict[bool, set[ExitCode]] = {True: set(), False: set()}
    for of_destination, (code, facts) in _findings(given, to):
        findings.append(facts)
        codes[of_destination].add(code)
        if not as_json:
            say(
                f"{facts['level']:<4}  {facts['what']}: {facts['text']}",
                to_stdout=True,
                style="red" if code else "green",
            )
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False, indent=2))
    return _exit_code(codes[True], codes[False])


def _probe(tag: str, given: dict[str, Any], *, as_json: bool) -> ExitCode:
    from smspartner.tags import check_tags

    from smspartner_pipelines.probe import as_lines, probe_api

    (checked,) = check_tags([tag])
    report = probe_api(checked, connection_from(given))
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else "\n".join(as_lines(report)))
    return ExitCode.OK


def _finding(what: str, text: str, code: ExitCode = ExitCode.OK) -> _Finding:
    """Give the state of one thing; `text` says what to do about a failure."""
    return code, {"level": "FAIL" if code else "ok", "what": what, "text": text}


def _exit_code(of_destinations: set[ExitCode], of_others: set[ExitCode]) -> ExitCode:
    """Give the code a run would end with: where no destination can be used, it would request nothing."""
    nowhere = bool(of_destinations) and ExitCode.OK not in of_destinations
    heeded = of_destinations | (of_others & {ExitCode.WRONG_SETTINGS} if nowhere else of_others)
    return next((code for code in _MOST_SERIOUS_FIRST if code in heeded), ExitCode.OK)


def _findings(given: dict[str, Any], destinations: Sequence[str]) -> Iterator[tuple[bool, _Finding]]:
    """Check key and API, destinations and libraries, one after the other; say which are destinations."""
    yield False, _api(given)
    for uri in destinations:
        yield True, _destination(uri, alone=len(destinations) == 1)
    for finding in _versions():
        yield False, finding


def _api(given: dict[str, Any]) -> _Finding:
    """Ask for the account of the key, which changes nothing."""
    from smspartner.client import Client

    source = source_of_key(given["api_key_file"])
    what = f"API key (from {source})" if source else "API key"
    try:
        client = Client(connection_from(given))
    except SettingsError as exc:
        return _finding(what, str(exc), ExitCode.WRONG_SETTINGS)
    try:
        client.fetch_account()
    except RequestError as exc:
        code = ExitCode.REFUSED if isinstance(exc, AccessRefused) else ExitCode.TAGS_NOT_COMPLETE
        return _finding(what, str(exc), code)
    finally:
        client.close()
    return _finding(what, "accepted by the API")


def _destination(uri: str, *, alone: bool) -> _Finding:
    from smspartner_pipelines.load import mask_secrets

    try:
        return _finding(mask_secrets(uri), f"can be written{_loaded(uri)}")
    except (SettingsError, DestinationError) as exc:
        code = ExitCode.WRONG_SETTINGS if alone and isinstance(exc, SettingsError) else ExitCode.NOT_DONE
        return _finding(mask_secrets(uri), str(exc).removeprefix(f"{mask_secrets(uri)}: "), code)


def _loaded(uri: str) -> str:
    """Check that a destination can be written, and say how many tags are loaded there."""
    from smspartner_pipelines.load import open_destination
    from smspartner_pipelines.load.destination import NothingLoaded, loaded_tags

    destination = open_destination(uri)
    destination.check()
    if not destination.keeps_tags:
        return ""
    try:
        with destination.open(for_loading=False):
            tags, damages = loaded_tags(destination)
    except NothingLoaded:
        return "; nothing is loaded yet"
    damaged = f", {len(damages)} can't be read: see `smspartner validate`" if damages else ""
    return f"; {counted(len(tags), 'tag')} loaded{damaged}"


def _versions() -> Iterator[_Finding]:
    """Compare what is installed with what the product declares to need."""
    from packaging.requirements import Requirement  # which Great Expectations brings

    from smspartner_pipelines.report import version_of, versions

    for needed in map(Requirement, importlib.metadata.requires("smspartner-connector") or ()):
        found = version_of(needed.name)
        if found and not needed.specifier.contains(found, prereleases=True):
            text = f"{found} is installed, {needed.specifier} is needed; pip install '{needed.name}{needed.specifier}'"
            yield _finding(needed.name, text, ExitCode.NOT_DONE)
    yield _finding("versions", ", ".join(f"{name} {version}" for name, version in versions().items()))
