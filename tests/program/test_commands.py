"""The other commands, as users meet them."""

import http.client
import json
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import duckdb
import pytest
from faults import Campaign, Fault
from jsonschema import Draft202012Validator
from smspartner import __version__
from smspartner_pipelines.cli import smspartner as group
from smspartner_pipelines.sandbox import FAULT_KINDS, shop_campaigns
from smspartner_schemas.contract import STATUSES, TABLES

COMMANDS = sorted(group.commands)


@pytest.fixture
def sandbox(start_sandbox, campaign):
    """Serve two tags, two rows on a page."""
    return start_sandbox([campaign("promo", 5), campaign("relance", 1)], page_size=2)


# tags


@pytest.fixture
def loaded(start_sandbox, campaign, command, api_row, here):
    """Load tags of every state, and damage one."""
    young = Campaign.of_rows(
        "[b]young[/b]", [api_row(1, status="Waiting", date=""), api_row(2, status="Not delivered")]
    )
    bad = Campaign.of_rows("bad", [api_row(1), api_row(2, status="?")])
    served = [campaign("promo", 3), campaign("x" * 20, 5), campaign("struck"), young, bad]
    sandbox = start_sandbox(served, faults=[Fault("html", tag="struck")])
    command(sandbox, "run", *(one.tag for one in served), "gone", "--to", "data")
    (here / "data" / "statuses" / next((here / "data" / "statuses").glob("x*")).name).write_bytes(b"PAR1")


def test_tags(loaded, command):
    """`tags` shows a line for each tag ever asked for, loaded or not, at 80 columns; damage and a total; or as JSON."""
    ended = command(None, "tags", "data")
    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr, max(map(len, lines[:7])) <= 80) == (0, "", True)
    assert lines[0].split() == ["tag", "rows", "delivered", "waiting", "state", "last", "read", "(UTC)"]
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[1:7]]
    assert [cell[:5] if len(cell) > 3 else cell for cell in cells] == [
        ["[b]young[/b]", "2", "0.0 %", "1", "open"],
        ["bad", "1", "100.0 %", "0", "quarantine"],
        ["gone", "unknown"],
        ["promo", "3", "100.0 %", "0", "settled"],
        ["struck", "failed"],
        ["x" * 20, "damaged"],
    ]
    assert [line.split(": ")[0] for line in lines[7:-1]] == ["struck", "x" * 20]
    assert lines[-1] == (
        "6 tags, 3 loaded: 6 rows, 1 waiting, 1 in quarantine (`smspartner quarantine data` counts them by reason)"
    )
    found = json.loads(command(None, "tags", "data", "--json").stdout)
    assert [(tag["rows_loaded"], tag["state"], tag["verdict"]) for tag in found] == [
        (2, "open", "complete"),
        (1, "quarantine", "complete"),
        (None, "unknown", "unknown"),
        (3, "settled", "complete"),
        (None, "failed", "failed"),
        (None, "damaged", "complete"),
    ]
    assert "web page" in found[4]["reason"]


def test_tags_say_how_the_last_run_ended(start_sandbox, campaign, command):
    """A tag's state is what its last run found, whatever ran before; what is loaded is shown beside it."""
    good = start_sandbox([campaign("promo")])
    bad = start_sandbox([campaign("promo")], faults=[Fault("html")])
    states = []
    for sandbox in (bad, good, bad):
        command(sandbox, "run", "promo", "--to", "data", "--refresh", "all")
        (tag,) = json.loads(command(None, "tags", "data", "--json").stdout)
        states.append((tag["state"], tag["rows_loaded"]))
    assert states == [("failed", None), ("settled", 3), ("failed", 3)]


# schema


def test_schema(command):
    """`schema` prints every table and column of the contract, as Markdown, JSON or SQL of either database."""
    for given, quoted in (((), "`{}`"), (("--format", "json"), '"{}"'), (("--format", "sql"), '"{}"')):
        text = command(None, "schema", *given).stdout
        for table in TABLES:
            assert [
                name
                for name in (table.name, *table.column_names)
                if quoted.format(name) not in text and f"## {name}\n" not in text
            ] == []
    with duckdb.connect() as connection:
        connection.execute(command(None, "schema", "--format", "sql", "--dialect", "duckdb").stdout)
        assert {table.name for table in TABLES} <= {row[0] for row in connection.sql("SHOW TABLES").fetchall()}


@pytest.mark.parametrize("form", ["plain", "hashed"])
def test_schema_as_suite(sandbox, command, form):
    """`schema --format gx` is a suite that Great Expectations loads, and that what is loaded passes."""
    import great_expectations as gx
    import pandas as pd

    text = command(None, "schema", "--format", "gx", "--phone-numbers", form).stdout
    given = {"SMSPARTNER_PHONE_KEY": "a phone key of 26 letters!"}
    command(sandbox, "run", "promo", "--to", "data", "--phone-numbers", form, **given)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("statuses")
    batch = asset.add_batch_definition_whole_dataframe("all")
    frame = pd.read_parquet("data/statuses")[list(STATUSES.column_names)]
    result = batch.get_batch(batch_parameters={"dataframe": frame}).validate(gx.ExpectationSuite(**json.loads(text)))
    assert (True, len(json.loads(text)["expectations"])) == (result.success, len(result.results))


def test_schema_of_the_run_report(command, report_problems):
    """`schema --format run-report` is a JSON Schema with a valid example; it allows for fields of later releases."""
    schema = json.loads(command(None, "schema", "--format", "run-report").stdout)
    Draft202012Validator.check_schema(schema)
    (example,) = schema["examples"]
    later, wrong = {**example, "later": 1}, {**example, "tags": [{**example["tags"][0], "verdict": "fine"}]}
    assert [Draft202012Validator(schema).is_valid(one) for one in (example, later, wrong)] == [True, True, False]
    assert [bool(report_problems(one)) for one in (example, later)] == [False, True]
    assert schema["$id"] == f"urn:smspartner-connector:run-report:{example['report_version']}"


# sandbox and demo


def test_sandbox(start, smspartner):
    """`sandbox` says its URL and the settings for it, serves campaigns with faults, and ends on Ctrl-C."""
    options = ("--port", "0", "--latency", "0", "--page-size", "2000", "--fault", "html:tag=otp")
    serving = start(None, "sandbox", *options, SMSPARTNER_API_KEY=None)
    told = [serving.stdout.readline() for _ in range(4)]
    url = re.search(r"http://\S+/v1", told[0])[0]
    assert f"  export SMSPARTNER_API_KEY=sandbox-key SMSPARTNER_BASE_URL={url}\n" == told[2]
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/v1/bulk-status-by-tag?apiKey=sandbox-key&tag=documented")
    assert json.loads(connection.getresponse().read())["total"] == 2
    connection.close()
    ended = smspartner(None, "run", "documented", "otp", "--to", "data", SMSPARTNER_BASE_URL=url)
    assert ended.returncode == 3
    serving.send_signal(signal.SIGINT)
    _, stderr = serving.communicate(timeout=30)
    assert (serving.returncode, stderr) == (0, "")


def test_sandbox_options(start_sandbox, command):
    """`--list-faults` says of every kind what it does; a port that is taken is named, with what to do."""
    ended = command(None, "sandbox", "--list-faults")
    assert [(name, kind.meaning) for name, kind in FAULT_KINDS.items()] == [
        tuple(re.split(r"\s{2,}", line, maxsplit=1)) for line in ended.stdout.splitlines()
    ]
    port = str(urlsplit(start_sandbox([]).url).port)
    ended = command(None, "sandbox", "--port", port)
    said = f"error: port {port} can't be used (Address already in use); choose another with --port\n"
    assert (2, said) == (ended.returncode, ended.stderr)


def test_demo(smspartner, here, rows):
    """`demo` needs no key and no setting, runs twice on a shop's campaigns, skips what is settled, and ends well.

    One campaign can't be loaded and one has rows that are not valid, as it says; the last line names the report.
    """
    ended = smspartner(
        None, "demo", **dict.fromkeys(("SMSPARTNER_API_KEY", "SMSPARTNER_BACKOFF", "SMSPARTNER_RETRIES"), None)
    )
    assert (ended.returncode, [path.name for path in here.iterdir()]) == (0, ["smspartner-demo"])
    first, second = ended.stderr.split("\nSecond run")
    shop = {one.tag: one.rows for one in shop_campaigns(0)}
    assert [line.split()[0] for line in first.splitlines()[2 : 2 + len(shop)]] == list(shop)
    assert "\nskipped, since what is loaded is unchanged or fresh: 12 tags\n" in second
    assert re.search("^noel-coffrets: unstable: .+ [(]read 3 times[)]$", second, re.MULTILINE)
    assert "Exit code 3 is meant here" in second
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines[3 : len(shop) + 4]] == sorted([*shop, "noel-coffrets"])
    assert len(rows("smspartner-demo")) == sum(shop.values()) - 3
    page = lines[-1].removeprefix("Open the campaign report: ")
    assert "Four campaigns need a look" in (here / page).read_text("utf-8")


# help and version


def test_help(command, smspartner):
    """`--help` lists every command with what it does, and `--version` names product and version."""
    ended = command(None, "--help")
    section = ended.stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^  (\w+)  +\S", section, re.MULTILINE)
    assert (0, COMMANDS, command(None, "-h").stdout) == (ended.returncode, sorted(listed), ended.stdout)
    assert [line for line in ended.stdout.splitlines() if len(line) > 80 or re.match(r" .*\.\.\.$", line)] == []
    assert smspartner(None, "--version").stdout == f"smspartner, version {__version__}\n"
    completion = smspartner(None, _SMSPARTNER_COMPLETE="bash_source")  # click's own way
    assert (completion.returncode, "_SMSPARTNER_COMPLETE" in completion.stdout) == (0, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(command, name):
    """Each command's `--help` fits 80 columns and shows its usage with an example of itself; it needs no settings."""
    ended = command(None, name, "--help", SMSPARTNER_API_KEY=None)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: smspartner {name} ")
    assert f"\n  smspartner {name}" in ended.stdout
    assert [line for line in ended.stdout.splitlines() if len(line) > 80] == []


def test_options_of_run_stand_under_what_they_are_about(command):
    """The long page of `run` has plain headings with each option of the design, and states every exit code."""
    page = command(None, "run", "--help").stdout
    headings = "Tags, Destinations, Incremental loading, Validation, API connection, Output, Exit codes"
    assert re.findall(r"^(\w.+):$", page, re.MULTILINE) == headings.split(", ")
    codes = re.findall(r"^  (\d+) +\S", page.partition("Exit codes:")[2], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "130"]
    options = (
        "to tags-file base-url concurrency rate timeout retries backoff refresh fresh-for fresh-since verify "
        "keep-shrunk validate expectations allow-quarantined allow-shrink phone-numbers api-key-file config plan json "
        "quiet verbose log-level log-format"
    )
    assert sorted(re.findall(r"^  (?:-v, )?--([a-z-]+)", page, re.MULTILINE)) == sorted(options.split())


def test_a_log_in_json_has_every_line(sandbox, smspartner):
    """Standard error holds one object a line, the summary too, at any level: what needs a person is an error."""
    sandbox.faults.add(Fault("html", tag="relance"))
    ended = smspartner(
        sandbox,
        "run",
        "promo",
        "relance",
        "--to",
        "data",
        "--retries",
        "0",
        "--log-format",
        "json",
        "--log-level",
        "error",
    )
    records = list(map(json.loads, ended.stderr.splitlines()))
    level = {record["message"].partition(":")[0].split()[0]: record["level"] for record in records}
    assert [level[word] for word in ("promo", "run", "relance", "exit")] == ["info", "error", "error", "error"]
    wrong = smspartner(sandbox, "run", "promo", "--to", "data", "--rate", "often", "--log-format", "json")
    assert json.loads(wrong.stderr)["level"] == "error"


def test_help_imports_nothing_heavy():
    """`--help` comes at once: none of the heavy libraries is imported for it."""
    code = "import sys; from smspartner_pipelines.cli import run_command; run_command(['run', '--help']); "
    heavy = (
        "great_expectations pandas pyarrow numpy duckdb deltalake obstore jinja2 rich requests phonenumbers tenacity"
    )
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}print([name for name in {heavy.split()} if name in sys.modules])"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.splitlines()[-1] == "[]"


# what `run` can do beside loading


def test_plan(sandbox, command, files):
    """`--plan` asks for first pages only, loads nothing, and says what a run would take, and skip; as JSON, too."""
    ended = command(sandbox, "run", "promo", "never-sent", "--plan", "--rate", "10/s")
    lines = [line.split() for line in (ended.stdout + ended.stderr).splitlines()]
    asked = sorted((record.tag, record.page) for record in sandbox.requests)
    assert (ended.returncode, files("."), asked) == (0, {}, [("never-sent", None), ("promo", None)])
    assert lines[:2] == [["tag", "rows", "requests", "note"], ["promo", "5", "3"]]
    assert lines[2][:8] == ["never-sent", "0", "1", "the", "API", "answered", "code", "4"]
    assert " ".join(lines[3]) == "2 tags, 5 rows, 4 requests, at least 0.4 s"
    command(sandbox, "run", "promo", "--to", "data")
    before = files("data")
    both = ("run", "promo", "relance", "--to", "data", "--json", "--verify")
    plan = json.loads(command(sandbox, *both, "--plan").stdout)
    skipped = [(tag["tag"], tag["requests"], tag["note"]) for tag in plan["tags"]]
    assert skipped == [("promo", 1, "skipped: unchanged"), ("relance", 2, "")]
    assert (plan["exit_code"], plan["requests"], plan["rows"], files("data")) == (0, 3, 1, before)
    assert json.loads(command(sandbox, *both).stdout)["totals"]["requests"] == 3
    fresh = json.loads(command(sandbox, "run", "promo", "--to", "data", "--plan", "--json", "--fresh-for", "1h").stdout)
    assert (fresh["requests"], fresh["tags"][0]["note"].startswith("skipped: fresh: read at ")) == (0, True)


def test_no_time_zone_files(start_sandbox, api_row, smspartner, rows):
    """Where the system has no time zones (slim images), dates in French local time are read all the same."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1, date="2026-07-01 12:00:00")])])
    ended = smspartner(sandbox, "run", "promo", "--to", "data", PYTHONTZPATH="")
    assert (ended.returncode, [f"{row['status_at']:%H:%M}" for row in rows("data")]) == (0, ["10:00"])
