"""The other commands, as users meet them."""

import http.client
import importlib.metadata
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest
from faults import Campaign, Fault
from smspartner_pipelines.cli import smspartner as group
from smspartner_pipelines.sandbox import FAULT_KINDS, shop_campaigns
from smspartner_schemas.contract import STATUSES, TABLES

COMMANDS = sorted(group.commands)
COMMAND = str(Path(sys.executable).with_name("smspartner"))


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
    """`tags` shows a line for each tag ever asked for, loaded or not, at 80 columns; damage is named, and a total."""
    ended = command(None, "tags", "data")
    lines = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr, max(map(len, lines[:7])) <= 80) == (0, "", True)
    assert [" ".join(line.split()[: -2 if line.endswith(":", 0, -2) else None]) for line in lines[:1]] == [
        "tag rows delivered waiting state last read (UTC)"
    ]
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


def test_tags_as_json(loaded, command):
    """`tags --json` is a JSON array of the same facts, with nulls where nothing is loaded."""
    found = {tag["tag"]: tag for tag in json.loads(command(None, "tags", "data", "--json").stdout)}
    assert [(tag["rows_loaded"], tag["state"], tag["verdict"]) for tag in found.values()] == [
        (2, "open", "complete"),
        (1, "quarantine", "complete"),
        (None, "unknown", "unknown"),
        (3, "settled", "complete"),
        (None, "failed", "failed"),
        (None, "damaged", "complete"),
    ]
    assert "web page" in found["struck"]["reason"]


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
    """`schema` prints every table and column of the contract, as Markdown or as JSON."""
    table, text = command(None, "schema").stdout, command(None, "schema", "--format", "json").stdout
    assert [f"## {one.name}" for one in TABLES] == [line for line in table.splitlines() if line.startswith("#")]
    json.loads(text)
    for one in TABLES:
        assert [name for name in one.column_names if f"`{name}`" not in table or f'"{name}"' not in text] == []


def test_schema_as_sql(sandbox, command):
    """`schema --format sql` is for PostgreSQL, or runs in DuckDB, whose tables then take what is loaded."""
    command(sandbox, "run", "promo", "relance", "--to", "data")
    postgresql, duck = (
        command(None, "schema", "--format", "sql", *more).stdout for more in ((), ("--dialect", "duckdb"))
    )
    assert [word for word in ('CREATE TABLE IF NOT EXISTS "statuses"', "timestamptz") if word not in postgresql] == []
    with duckdb.connect() as connection:
        connection.execute(duck)
        for table in TABLES[:2]:
            connection.execute(f"INSERT INTO {table.name} BY NAME FROM 'data/{table.name}/*.parquet'")
        counts = [connection.table(table.name).count("*").fetchall()[0][0] for table in TABLES]
    assert counts == [6, 2, 0]


@pytest.mark.parametrize("form", ["plain", "masked", "hashed"])
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


def test_list_of_faults(command):
    """`sandbox --list-faults` says of every kind of fault what it does."""
    ended = command(None, "sandbox", "--list-faults")
    assert [(name, kind.meaning) for name, kind in FAULT_KINDS.items()] == [
        tuple(re.split(r"\s{2,}", line, maxsplit=1)) for line in ended.stdout.splitlines()
    ]


def test_port_taken(start_sandbox, command):
    """A port that is taken is told, with what to do."""
    port = str(urlsplit(start_sandbox([]).url).port)
    ended = command(None, "sandbox", "--port", port)
    told = f"error: port {port} can't be used (Address already in use); choose another with --port\n"
    assert (2, told) == (ended.returncode, ended.stderr)


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


def test_version(smspartner):
    """`--version` names product and version."""
    ended = smspartner(None, "--version")
    version = importlib.metadata.version("smspartner-connector")
    assert (0, f"smspartner, version {version}\n", "") == (ended.returncode, ended.stdout, ended.stderr)


def test_help(command):
    """`--help` lists every command with what it does."""
    ended = command(None, "--help")
    section = ended.stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^  (\w+)  +\S", section, re.MULTILINE)
    assert (0, sorted(COMMANDS)) == (ended.returncode, sorted(listed))
    assert ended.stdout == command(None, "-h").stdout
    assert [line for line in ended.stdout.splitlines() if len(line) > 80 or re.match(r" .*\.\.\.$", line)] == []


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
    assert re.findall(r"^(\w.+):$", page, re.MULTILINE) == [
        *("Tags", "Destinations", "Incremental loading", "Validation", "API connection", "Output", "Exit codes")
    ]
    codes = re.findall(r"^  (\d+) +\S", page.partition("Exit codes:")[2], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "130"]
    options = set(re.findall(r"^  (?:-v, )?(--[a-z-]+)", page, re.MULTILINE))
    assert options == {
        *("--to", "--tags-file", "--base-url", "--concurrency", "--rate", "--timeout", "--retries", "--backoff"),
        *("--refresh", "--fresh-for", "--fresh-since", "--verify", "--keep-shrunk", "--validate", "--expectations"),
        *("--allow-quarantined", "--allow-shrink", "--phone-numbers", "--api-key-file", "--config", "--plan", "--json"),
        *("--quiet", "--verbose", "--log-level", "--log-format"),
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(smspartner, shell):
    """Shells complete commands by click's own way: a variable asks for the script."""
    ended = smspartner(None, _SMSPARTNER_COMPLETE=f"{shell}_source")
    assert (ended.returncode, "_SMSPARTNER_COMPLETE" in ended.stdout) == (0, True)


def test_help_imports_nothing_heavy(smspartner):
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


def test_plan(sandbox, command, here):
    """`--plan` asks for each tag's first page only, says what a run would take, and loads nothing."""
    ended = command(sandbox, "run", "promo", "relance", "never-sent", "--plan", "--rate", "10/s")
    lines = [line.split() for line in (ended.stdout + ended.stderr).splitlines()]
    assert (
        ended.returncode,
        list(here.iterdir()),
        sorted((record.tag, record.page) for record in sandbox.requests),
    ) == (0, [], [("never-sent", None), ("promo", None), ("relance", None)])
    assert lines[:3] == [["tag", "rows", "requests", "note"], ["promo", "5", "3"], ["relance", "1", "1"]]
    assert lines[3][:8] == ["never-sent", "0", "1", "the", "API", "answered", "code", "4"]
    assert " ".join(lines[4]) == "3 tags, 6 rows, 5 requests, at least 0.5 s"


def test_plan_skips_what_a_run_skips(sandbox, command, files):
    """With `--to`, a plan skips the tags that the run would skip, looks only, and counts both passes of `--verify`."""
    command(sandbox, "run", "promo", "--to", "data")
    before = files("data")
    ended = command(sandbox, "run", "promo", "relance", "--to", "data", "--plan", "--json", "--verify")
    plan = json.loads(ended.stdout)
    assert [(tag["tag"], tag["requests"], tag["note"]) for tag in plan["tags"]] == [
        ("promo", 1, "skipped: unchanged"),
        ("relance", 2, ""),
    ]
    assert (ended.returncode, plan["exit_code"], plan["requests"], plan["rows"]) == (0, 0, 3, 1)
    assert files("data") == before
    run = json.loads(command(sandbox, "run", "promo", "relance", "--to", "data", "--json", "--verify").stdout)
    assert run["totals"]["requests"] == plan["requests"]
    fresh = json.loads(command(sandbox, "run", "promo", "--to", "data", "--plan", "--json", "--fresh-for", "1h").stdout)
    assert (fresh["requests"], fresh["tags"][0]["note"].startswith("skipped: fresh: read at ")) == (0, True)


def test_verify_sees_what_totals_hide(sandbox, report, rows):
    """With `--verify`, a population in which one row went and another came is `unstable`, and is not loaded."""
    sandbox.faults.add(*(Fault("one_in_one_out", page=page, after=1, times=1) for page in (1, 2, 3)))
    code, found = report(sandbox, "promo", "--to", "data", "--verify")
    reason = "the phone numbers changed between two passes, though the totals did not (read 3 times)"
    assert (3, [("unstable", reason, 9)], []) == (
        code,
        [(tag["verdict"], tag["reason"], tag["requests"]) for tag in found["tags"]],
        rows("data"),
    )


def test_requests_are_as_documented(sandbox, command):
    """The first page is asked for exactly as documented, further ones with `page=N`; the product names itself."""
    command(sandbox, "run", "promo", "--to", "data")
    asked = sorted((record.page or "1", record.path, record.parameters) for record in sandbox.requests)
    path = "/v1/bulk-status-by-tag"
    expected = [("1", path, ("apiKey", "tag")), *((page, path, ("apiKey", "tag", "page")) for page in ("2", "3"))]
    agent = f"smspartner-connector/{importlib.metadata.version('smspartner-connector')}"
    assert (expected, {agent}) == (asked, {record.headers["User-Agent"] for record in sandbox.requests})


def test_no_time_zone_files(start_sandbox, api_row, smspartner, rows):
    """Where the system has no time zones (slim images), dates in French local time are read all the same."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1, date="2026-07-01 12:00:00")])])
    ended = smspartner(sandbox, "run", "promo", "--to", "data", PYTHONTZPATH="")
    assert (ended.returncode, [f"{row['status_at']:%H:%M}" for row in rows("data")]) == (0, ["10:00"])


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_bounds_requests(start_sandbox, campaign, command, concurrency):
    """Never more requests than `--concurrency` are under way, for tags and pages together."""
    tags = [f"tag-{number}" for number in range(5)]
    sandbox = start_sandbox([campaign(tag, 6) for tag in tags], page_size=2, latency=0.005)
    ended = command(sandbox, "run", *tags, "--to", "data", "--concurrency", str(concurrency))
    assert (ended.returncode, len(sandbox.requests) >= 15, sandbox.peak_in_flight <= concurrency) == (0, True, True)


def test_logs_for_schedulers(sandbox, command):
    """`--log-format json` writes one JSON object a line, each with time, level, logger and message."""
    ended = command(sandbox, "run", "promo", "--to", "data", "--log-format", "json", "-v", "--quiet")
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "reading 1 tag"),
        ("info", "tag promo: complete"),
    ]
    assert [{"time", "level", "logger", "message"}] * 2 == [set(line) for line in lines]
