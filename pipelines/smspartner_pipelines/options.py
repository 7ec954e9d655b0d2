"""The options that commands share: each with its environment variable, and its key in the configuration file.

Command line beats environment beats file. A key of the file is the option's long name with `_` for `-`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce, wraps
from typing import Any

import click
from click.core import ParameterSource
from smspartner.api_key import learn_key_file
from smspartner.connection import LIMITS
from smspartner.vendor import DEFAULT_BASE_URL

from smspartner_pipelines.config_file import CONFIG, load_config
from smspartner_pipelines.output import start_logging

PREFIX = "SMSPARTNER_"
_GROUPS = ("Tags", "Destinations", "Incremental loading", "Validation", "API connection", "Output")
"""Headings of the help, in their order."""


class GroupedCommand(click.Command):
    """A command whose help lists its options under the headings of their groups, then what exit codes mean."""

    def __init__(self, *args: Any, exit_codes: dict[int, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exit_codes = exit_codes or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in _GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                groups[getattr(parameter, "group", "Output")].append(record)
        groups["Exit codes"] = [(str(int(code)), meaning) for code, meaning in self._exit_codes.items()]
        for title in filter(groups.get, groups):
            with formatter.section(title):
                formatter.write_dl(groups[title])


class _GroupedOption(click.Option):
    def __init__(self, names: list[str], *, group: str, **attributes: Any) -> None:
        """Give the option its heading in the help, and its variable (`--fresh-for`: SMSPARTNER_FRESH_FOR)."""
        long_name = next(name.removeprefix("--") for name in names if name.startswith("--"))
        super().__init__(names, envvar=PREFIX + long_name.upper().replace("-", "_"), **attributes)
        self.group = group


_option = partial(click.option, cls=_GroupedOption)
tags_option = partial(_option, group="Tags")
destination_option = partial(_option, group="Destinations")
incremental_option = partial(_option, group="Incremental loading")
validation_option = partial(_option, group="Validation")
connection_option = partial(_option, group="API connection")
output_option = partial(_option, group="Output")


def limited_option(name: str, *, default: float, **attributes: Any) -> Callable[[Any], Any]:
    """Declare an option of the connection that is a number within limits."""
    least, most = LIMITS[name.removeprefix("--")]
    whole = isinstance(default, int)
    limits = click.IntRange(int(least), int(most)) if whole else click.FloatRange(least, most)
    return connection_option(name, type=limits, default=default, **attributes)


def _together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        return reduce(lambda declared, declare: declare(declared), reversed(options), command)

    return decorate


def origin(context: click.Context, parameter: click.Parameter) -> str:
    """Name a parameter by where its value comes from: `--retries`, SMSPARTNER_RETRIES, or the key of a file."""
    if not isinstance(parameter, click.Option):
        return parameter.make_metavar(context)
    name, source = max(parameter.opts, key=len), context.get_parameter_source(parameter.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(parameter.envvar)
    if source is ParameterSource.DEFAULT_MAP:
        return f"configuration file {context.meta[CONFIG]}: {name.removeprefix('--').replace('-', '_')}"
    return name


def origin_of(name: str) -> str:
    """Give the origin of a parameter of the command that runs."""
    context = click.get_current_context()
    return origin(context, next(one for one in context.command.params if one.name == name))


def _learn_key_file(_context: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
    """Know the key before any other value is refused, and shown."""
    learn_key_file(path or "")
    return path


json_option = output_option("--json", "as_json", is_flag=True, help="Put the result on stdout, as JSON.")
quiet_option = output_option("--quiet", is_flag=True, help="No progress and no summary, only what needs a person.")

_log_options = _together(
    output_option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=load_config,
        help="TOML file with settings: the long names of options, with _ for -.",
    ),
    output_option(
        "-v", "--verbose", count=True, show_default=False, help="Log what happens (-vv: every page and request)."
    ),
    output_option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="Log from this level on.  [default: warning]",
    ),
    output_option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Log lines for people, or one JSON object a line.",
    ),
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of its log, which begins before the command does, and --config."""

    @wraps(command)
    def logged(*args: Any, verbose: int, log_level: str | None, log_format: str, **given: Any) -> Any:
        start_logging(verbose, log_level, log_format)
        return command(*args, **given)

    decorated: Callable[..., Any] = _log_options(logged)
    return decorated


connection_options = _together(
    connection_option(
        "--api-key-file",
        metavar="FILE",
        callback=_learn_key_file,
        help="File that holds the API key; given here, it goes before SMSPARTNER_API_KEY. There is no option for the "
        "key itself: command lines can be seen by others.",
    ),
    connection_option("--base-url", default=DEFAULT_BASE_URL, metavar="URL", help="Where the API is."),
    limited_option("--concurrency", default=8, metavar="N", help="Requests sent at once, at most."),
    connection_option(
        "--rate",
        metavar="N/s|N/min",
        help="Requests allowed by the second or minute, for all workers together.  "
        "[default: 1800/min; none for an API on this machine]",
    ),
    limited_option("--timeout", default=30.0, metavar="SECONDS", help="Limit for a whole response."),
    limited_option("--retries", default=5, metavar="N", help="Tries after the first."),
    limited_option(
        "--backoff",
        default=0.5,
        metavar="SECONDS",
        help="Wait before the first retry; it doubles from one to the next.",
    ),
)

tag_options = _together(
    tags_option(
        "--tags-file", metavar="FILE", help="Text file with one tag a line; # begins a comment; - is standard input."
    ),
    tags_option("--verify", is_flag=True, help="Read each tag until two passes hold the same numbers."),
)

phone_numbers_option = destination_option(
    "--phone-numbers",
    type=click.Choice(["plain", "masked", "hashed"]),
    default="plain",
    help="masked keeps calling code and last two digits; hashed is HMAC-SHA256 under SMSPARTNER_PHONE_KEY.",
)

load_options = _together(
    destination_option(
        "--to",
        multiple=True,
        metavar="DEST",
        help="Where to load: a directory, s3://, gs:// or az:// prefix (Parquet dataset), duckdb:FILE, postgresql://…, "
        "delta:DIR, a .parquet, .csv, .csv.gz or .xlsx file, or - (CSV on stdout). May be repeated.",
    ),
    phone_numbers_option,
)

incremental_options = _together(
    incremental_option(
        "--refresh",
        type=click.Choice(["auto", "all", "unsettled"]),
        default="auto",
        help="auto asks settled tags for their first page and skips them if nothing changed; unsettled asks nothing "
        "of them; all reads every tag.",
    ),
    incremental_option(
        "--fresh-for",
        default="0",
        metavar="DURATION",
        help="Also skip tags read less than this ago: 90s, 30m, 6h, 2d.",
    ),
    incremental_option(
        "--fresh-since",
        metavar="TIME",
        help="Also skip tags read since then, such as 2026-11-23T18:00:00Z: a job that is tried again resumes.",
    ),
    incremental_option("--allow-shrink", is_flag=True, help="Replace what is loaded by a smaller population."),
    incremental_option(
        "--keep-shrunk", is_flag=True, help="Keep what is loaded of tags that shrank, and count them as skipped."
    ),
)

expectations_option = validation_option(
    "--expectations",
    metavar="FILE",
    help="Your own suite, in Great Expectations' JSON format, beside the contract's.",
)

validation_options = _together(
    validation_option(
        "--validate",
        type=click.Choice(["gx", "contract"]),
        default="gx",
        help="contract leaves Great Expectations out; the contract's row rules are always checked.",
    ),
    expectations_option,
    validation_option(
        "--allow-quarantined",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Rows in quarantine that still count as success.",
    ),
)
