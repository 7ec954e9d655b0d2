"""The options the commands share: each with its environment variable, and its key in the configuration file.

Command line beats environment beats file. A key of the file is the option's long name with `_` for `-`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from smspartner.vendor import DEFAULT_BASE_URL

from smspartner_pipelines.config_file import read_config
from smspartner_pipelines.environment import PREFIX
from smspartner_pipelines.manual import SectionOption

Command = TypeVar("Command", bound=Callable[..., Any])

LOG_LEVELS = ("debug", "info", "warning", "error")


def option(*names: str, **attributes: Any) -> Callable[[Command], Command]:
    """Declare an option, with the environment variable its long name gives (`--fresh-for`: SMSPARTNER_FRESH_FOR).

    `section` is the heading on the command's page.
    """
    long_name = next(name for name in names if name.startswith("--")).split("/")[0].removeprefix("--")
    attributes.setdefault("envvar", PREFIX + long_name.upper().replace("-", "_"))
    return click.option(*names, cls=SectionOption, **attributes)


_to_load = partial(option, section="Where to load")
_to_write = partial(option, section="How it is written")
_to_choose = partial(option, section="Which tags to read")
_to_judge = partial(option, section="Which rows to believe")
_to_reach = partial(option, section="How to reach the API")
_to_set = partial(option, section="Settings and logs")
told_option = partial(option, section="What is told")


expectations_option = partial(
    option,
    "--expectations",
    metavar="FILE",
    help="Your own suite, in Great Expectations' JSON format, judged together with the contract's.",
)


def _together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for declare in reversed(options):
            command = declare(command)
        return command

    return decorate


def _load_config(context: click.Context, _parameter: click.Parameter, path: str | None) -> None:
    if path:
        context.default_map = read_config(path, context)


config_options = _together(
    _to_set(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_load_config,
        help="TOML file with settings: the long names of options, with _ for -.",
    ),
)

log_options = _together(
    _to_set("-v", "--verbose", count=True, help="Log what happens (-vv: every page and request)."),
    _to_set("--log-level", type=click.Choice(LOG_LEVELS), help="Log from this level on.  [default: warning]"),
    _to_set(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Log lines for people, or one JSON object a line for schedulers.",
    ),
)

connection_options = _together(
    _to_reach(
        "--api-key-file",
        metavar="FILE",
        help="File that holds the API key, unless SMSPARTNER_API_KEY has it. There is no option for the key itself: "
        "command lines can be seen by others.",
    ),
    _to_reach("--base-url", default=DEFAULT_BASE_URL, show_default=True, metavar="URL", help="Where the API is."),
    _to_reach(
        "--concurrency",
        type=int,
        default=8,
        show_default=True,
        metavar="N",
        help="Requests under way at once, at most.",
    ),
    _to_reach(
        "--rate", metavar="N/s|N/min", help="Requests allowed by the second or minute, for all workers together."
    ),
    _to_reach(
        "--timeout",
        type=float,
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="Limit for one whole response.",
    ),
    _to_reach("--retries", type=int, default=5, show_default=True, metavar="N", help="Tries after the first."),
    _to_reach(
        "--backoff",
        type=float,
        default=0.5,
        show_default=True,
        metavar="SECONDS",
        help="Wait before the first retry; it doubles from one to the next.",
    ),
)

tag_options = _together(
    _to_choose(
        "--tags-file", metavar="FILE", help="Text file with one tag a line; # begins a comment; - is standard input."
    ),
    _to_choose("--verify", is_flag=True, help="Read each tag until two passes hold the same numbers."),
)

phone_options = _together(
    _to_write(
        "--phone-numbers",
        type=click.Choice(["plain", "masked", "hashed"]),
        default="plain",
        show_default=True,
        help="masked keeps calling code and last two digits; hashed is HMAC-SHA256 under SMSPARTNER_PHONE_KEY.",
    ),
)

judging_options = _together(
    _to_judge(
        "--validate",
        type=click.Choice(["gx", "contract"]),
        default="gx",
        show_default=True,
        help="contract leaves Great Expectations out; the contract's row rules are always checked.",
    ),
    expectations_option(section="Which rows to believe"),
    _to_judge(
        "--allow-quarantined",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Rows in quarantine that still count as success.",
    ),
)

load_options = _together(
    _to_load(
        "--to",
        multiple=True,
        metavar="DEST",
        help="Where to load: a directory or s3://BUCKET/PREFIX (Parquet dataset), duckdb:FILE, postgresql://…, "
        "delta:DIR (Delta Lake), a .parquet, .csv or .csv.gz file, or - (CSV on stdout). May be repeated.",
    ),
    _to_write(
        "--csv-dialect",
        type=click.Choice(["rfc4180", "excel"]),
        default="rfc4180",
        show_default=True,
        help="excel: semicolons, byte order mark, numbers kept as text, formulas defused.",
    ),
)

refresh_options = _together(
    _to_choose(
        "--refresh",
        type=click.Choice(["auto", "all"]),
        default="auto",
        show_default=True,
        help="auto skips tags that are settled: nothing waiting, read over 48 h after the last delivery.",
    ),
    _to_choose(
        "--fresh-for",
        default="0",
        show_default=True,
        metavar="DURATION",
        help="Also skip tags read less than this ago: 90s, 30m, 6h, 2d.",
    ),
    _to_choose(
        "--fresh-since",
        metavar="TIME",
        help="Also skip tags read since then, such as 2026-11-23T18:00:00Z: a job that is tried again resumes.",
    ),
    _to_choose("--allow-shrink", is_flag=True, help="Replace what is loaded by a smaller population."),
)
