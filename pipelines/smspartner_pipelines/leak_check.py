"""The self-test: does anything that is written under the user's own settings hold the key, the phone key or a number?

A process of its own loads from the built-in sandbox on loopback, which echoes the key, fails and cuts, with logging at
debug level. All that it writes is caught below Python, and searched. The user's own base URL is not asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from smspartner.connection import Connection, read_api_key
from smspartner.errors import SmsPartnerError
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import SHORTEST_HIDDEN_ANYWHERE, Secret
from smspartner.variables import KEY_VARIABLE, PHONE_KEY_VARIABLE

from smspartner_pipelines.environment import PREFIX
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.gx import start_import
from smspartner_pipelines.leak_search import file_as_text, find
from smspartner_pipelines.sandbox import FAULT_KINDS, Campaign, Fault, Sandbox
from smspartner_pipelines.user_suite import load_user_suite

Say = Callable[[str], object]
Outputs = dict[str, dict[str, str]]
"""By kind of output, texts by their names."""
Wanted = dict[str, tuple[str, ...]]
"""By name, what must not be found."""

_TAGS = ("leaks-1", "leaks-2")
_NUMBERS = tuple(f"63998{number:04}" for number in range(6))
"""Of the range kept for fiction, without the calling code."""
_ROWS = [
    {"phoneNumber": f"+33{number}", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
    for number in _NUMBERS
]
_ALSO = (
    "vendor_error_10 vendor_error_999 server_error rate_limit_seconds redirect html not_json cut_json gzip_cut "
    "utf8_broken reset close cut_body cut_chunked list_null bad_status bad_number row_text extra_field bom"
)
_KINDS = (*(kind for kind in FAULT_KINDS if kind.startswith("echo_")), *_ALSO.split())
_TOLD = {
    "standard output": "stdout",
    "log at debug level and standard error": "stderr",
    "exceptions, with the variables of their frames": "exceptions",
}
_FILES = {"run reports": "*/data/runs/*", "tag_runs": "*/data/tag_runs/*"}
_TABLES = {"tables": "*/data/[sq]*/*", "exports": "*/all.*"}
_BEGINS = "\n=== run "
_LONGEST = 120
"""Seconds for all runs together."""


def check_leaks(connection: Connection, privacy: PhonePrivacy, expectations: str | None, say: Say) -> ExitCode:
    """Run the self-test; say of each kind of output whether a secret stands there, and where, but never what.

    Raises:
        SettingsError: the user's suite can't be read, or holds a secret.
    """
    if expectations:
        load_user_suite(expectations)
    if len(connection.api_key.reveal()) < SHORTEST_HIDDEN_ANYWHERE:
        say("FAIL  leaks: so short a key can't be told from ordinary text, and guards nothing")
        return ExitCode.NOT_DONE
    with TemporaryDirectory(prefix="smspartner-leaks-") as folder:
        trouble = _run_apart(Path(folder), connection.api_key, privacy, expectations)
        outputs = _collect(Path(folder)) if not trouble else {}
    if trouble:
        say(f"FAIL  leaks: {trouble}")
    secrets = {"the API key": connection.api_key, "the phone key": privacy.key or Secret("")}
    wanted: Wanted = {name: (secret.reveal(),) for name, secret in secrets.items()}
    failed = [kind for kind, texts in outputs.items() if not _clean(kind, texts, wanted, say)]
    return ExitCode.NOT_DONE if trouble or failed else ExitCode.OK


def _clean(kind: str, texts: dict[str, str], wanted: Wanted, say: Say) -> bool:
    if kind not in _TABLES:
        wanted = wanted | {"a phone number": _NUMBERS}
    found = find(texts, wanted)
    told = [f"{name} stands in {', '.join(where)}" for name, where in found.items() if where]
    told += [] if texts else ["nothing was written that could be searched"]
    size = sum(map(len, texts.values())) / 1e6
    fine = f"{len(texts)} searched, {size:.1f} MB, in every encoding: nothing found"
    say(f"FAIL  leaks, {kind}: {'; '.join(told)}" if told else f"ok    leaks, {kind}: {fine}")
    return not told


def _run_apart(folder: Path, key: Secret, privacy: PhonePrivacy, expectations: str | None) -> str:
    """Let a process of its own write into the folder; give what went wrong, in words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {KEY_VARIABLE: key.reveal(), PHONE_KEY_VARIABLE: privacy.key.reveal() if privacy.key else ""}
    suite = str(Path(expectations).absolute()) if expectations else ""
    command = [sys.executable, "-m", "smspartner_pipelines.leak_check", privacy.form, suite]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        try:
            ended = subprocess.run(  # noqa: S603  # ourselves
                command,
                env=environment,
                cwd=folder,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                timeout=_LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the runs took over {_LONGEST} s"
    if ended.returncode == 0:
        return ""
    said = (folder / "stderr").read_text("utf-8", "replace").splitlines()
    return next((line for line in reversed(said) if line.startswith("error: ")), "the runs did not come to their end")


def _collect(folder: Path) -> Outputs:
    outputs = {kind: _by_run((folder / name).read_text("utf-8", "replace")) for kind, name in _TOLD.items()}
    for kind, pattern in (_FILES | _TABLES).items():
        files = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
        outputs[kind] = {str(path.relative_to(folder)): file_as_text(path) for path in files}
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    return {**outputs, "names of files": {"the names": names}}


def _by_run(text: str) -> dict[str, str]:
    runs = (part.partition("\n") for part in text.split(_BEGINS))
    return {f"run {name}" if name else "the beginning": rest for name, _, rest in runs}


def write_everything(form: str, expectations: str) -> ExitCode:
    """Load from the sandbox under every fault of the list, as the command does; this is the process of its own."""
    from smspartner_pipelines.cli import run_command
    from smspartner_pipelines.output import redact_output_for_good

    redact_output_for_good()
    start_import()  # Great Expectations, for the last run
    campaigns = [Campaign.of_rows(tag, _ROWS) for tag in _TAGS]
    with (
        Sandbox(campaigns, api_key=None, page_size=4) as sandbox,
        Path("exceptions").open("w", encoding="utf-8") as told,
    ):
        for number, kind in enumerate([*_KINDS, ""]):
            name = kind or "without a fault"
            sandbox.faults.clear()
            sandbox.faults.add(*[Fault(kind, seconds=0)] if kind else [])
            for stream in (sys.stdout, sys.stderr, told):
                print(f"{_BEGINS}{name}", file=stream, flush=True)
            validated = ["--validate", "contract"] if kind else ["--validate", "gx", "--expectations", expectations]
            code = run_command([*_arguments(number, name, sandbox.url, form), *validated])
            if code in {ExitCode.NOT_DONE, ExitCode.WRONG_SETTINGS}:
                return code
            told.writelines(_exceptions(sandbox.url))
    return ExitCode.OK


def _arguments(number: int, name: str, url: str, form: str) -> list[str]:
    to = [argument for file in ("data", "all.csv", "all.parquet") for argument in ("--to", f"{name}/{file}")]
    variety = ["--log-format", ("text", "json")[number % 2], "--csv-dialect", ("rfc4180", "excel")[number // 2 % 2]]
    settings = ["--base-url", url, "--retries", "1", "--backoff", "0", "--phone-numbers", form, *variety]
    return ["run", *_TAGS, *to, "--json", "-vv", *settings]


def _exceptions(url: str) -> Iterator[str]:
    """Give what a notebook or an error tracker would show of the failure, with the variables of all frames."""
    from smspartner.api import read_statuses

    connection = Connection(read_api_key(), base_url=url, retries=0)
    try:
        read_statuses(_TAGS, connection)
    except SmsPartnerError as exc:
        yield from traceback.TracebackException.from_exception(exc, capture_locals=True).format()
        yield f"{exc!r} {vars(exc)!r}\n"


if __name__ == "__main__":
    sys.exit(int(write_everything(*sys.argv[1:])))
