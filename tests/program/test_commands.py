"""The other commands, as users meet them."""

import http.client
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest
from smspartner_pipelines.cli import smspartner as group
from smspartner_pipelines.sandbox import FAULT_KINDS, Campaign, Fault
from smspartner_schemas.contract import STATUSES, TABLES

COMMANDS = sorted(group.commands)
COMMAND = str(Path(sys.executable).with_name("smspartner"))


@pytest.fixture
def sandbox(start_sandbox, campaign):
    """Serve two tags, two rows on a page."""
    return start_sandbox([campaign("promo", 5), campaign("relance", 1)], page_size=2)


# check


def test_check(sandbox, command, here):
    """`check` says that the key is accepted and that destinations can be written, by one request for the account."""
    ended = command(sandbox, "check", "--to", "data", "--to", "all.csv")
    expected = [
        "ok    API key: accepted by the API",
        "ok    clock: agrees with the API's",
        "ok    data: can be written; 0 tags are loaded",
        "ok    all.csv: can be written",
    ]
    assert (0, expected, "", ["/v1/me"]) == (
        ended.returncode,
        ended.stdout.splitlines()[:-1],
        ended.stderr,
        [record.path for record in sandbox.requests],
    )
    assert not (here / "all.csv").exists()


def test_check_counts_what_is_loaded(sandbox, command, files):
    """`check` says how many tags a dataset holds, and changes none of its files."""
    command(sandbox, "run", "promo", "relance", "--to", "data")
    before = files("data")
    ended = command(sandbox, "check", "--to", "data")
    assert (0, "ok    data: can be written; 2 tags are loaded", before) == (
        ended.returncode,
        ended.stdout.splitlines()[2],
        files("data"),
    )


def test_check_wrong_key(sandbox, smspartner):
    """With a wrong key `check` ends with 5 and says what to look at."""
    ended = smspartner(sandbox, "check", SMSPARTNER_API_KEY="wrong-key-of-mine")
    told = (
        'FAIL  API key: the API answered code 10 (wrong API key), "Clé API incorrecte"; '
        "check the key in your SMS Partner account\n"
    )
    assert (5, told, "") == (ended.returncode, ended.stdout.partition("ok")[0], ended.stderr)


def test_check_for_programs(sandbox, command):
    """`check --json` gives the same as an array; a variable that no option reads is warned of, without its value."""
    ended = command(sandbox, "check", "--to", "all.csv", "--json", SMSPARTNER_CONCURENCY="+33612345678")
    found = json.loads(ended.stdout)
    assert [(one["level"], one["what"]) for one in found] == [
        ("warn", "SMSPARTNER_CONCURENCY"),
        ("ok", "API key"),
        ("ok", "clock"),
        ("ok", "all.csv"),
        ("ok", "versions"),
    ]
    assert (ended.returncode, "write SMSPARTNER_CONCURRENCY" in found[0]["told"]) == (0, True)
    assert "3361234" not in ended.stdout


def test_check_under_a_wrong_clock(sandbox, here):
    """A clock that is hours off is warned of, since it decides what is settled; the check succeeds."""
    faketime = shutil.which("faketime") or pytest.skip("needs faketime")
    ended = subprocess.run(
        [faketime, "-f", "+3h", COMMAND, "check"],
        env={**os.environ, "SMSPARTNER_API_KEY": "sandbox-key", "SMSPARTNER_BASE_URL": sandbox.url},
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
    )
    (told,) = [line for line in ended.stdout.splitlines() if "clock" in line]
    pattern = r"warn  clock: (3:00:0|2:59:5)\d ahead of the API's; set it, since it decides which tags are settled.*"
    assert re.fullmatch(pattern, told)


TROUBLE = {
    "unreachable": (
        [Fault("reset")],
        {},
        1,
        "no answer: the connection was reset; check network, proxy and --base-url",
    ),
    "HTML": (
        [Fault("html")],
        {},
        1,
        (
            "the body is a web page (HTML or XML), not JSON; run again later; "
            "if it lasts, check network, proxy and --base-url"
        ),
    ),
    "no key": (
        [],
        {"SMSPARTNER_API_KEY": None},
        2,
        "no API key: set SMSPARTNER_API_KEY, or SMSPARTNER_API_KEY_FILE to a file that holds it",
    ),
}


@pytest.mark.parametrize("case", TROUBLE.values(), ids=TROUBLE.keys())
def test_check_without_an_answer(start_sandbox, command, case):
    """`check` says why there is no answer, and still checks the destinations."""
    faults, environment, code, told = case
    ended = command(start_sandbox([], faults=faults), "check", "--to", "all.csv", **environment)
    lines = [line for line in ended.stdout.splitlines() if " clock: " not in line and " versions: " not in line]
    assert (code, [f"FAIL  API key: {told}", "ok    all.csv: can be written"]) == (ended.returncode, lines)


def test_check_bad_destination(sandbox, command, here):
    """`check` says of each destination why it can't be written; the code is 2."""
    (here / "file").write_text("")
    ended = command(sandbox, "check", "--to", "file/data", "--to", "sqlite:x")
    told = [line for line in ended.stdout.splitlines() if " clock: " not in line]
    assert (ended.returncode, told[0]) == (2, "ok    API key: accepted by the API")
    assert told[1] == (
        "FAIL  file/data: creating file/data failed: a part of the path is a file, not a directory; correct the path"
    )
    assert told[2].startswith("FAIL  sqlite:x: this version does not load into sqlite:x yet; ")


# tags


def test_tags(start_sandbox, campaign, command, api_row):
    """`tags` shows a line for each tag loaded: rows, how many wait, when read, whether it is settled."""
    waiting = Campaign.of_rows("[b]young[/b]", [api_row(1, status="Waiting", date=""), api_row(2, status="?")])
    command(start_sandbox([campaign("promo"), waiting]), "run", "promo", "[b]young[/b]", "--to", "data")
    ended = command(None, "tags", "data", COLUMNS="160")
    lines = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert lines[0] == ["tag", "rows", "waiting", "quarantined", "settled", "newest status", "extracted", "numbers"]
    assert [[*line[:-2], line[-1]] for line in lines[1:]] == [
        ["[b]young[/b]", "1", "1", "1", "no", "plain"],
        ["promo", "3", "0", "0", "yes", "2018-02-07 07:38Z", "plain"],
    ]


def test_tags_as_json(sandbox, command):
    """`tags --json` is a JSON array of the same facts; a place without a dataset is a mistake in its name."""
    command(sandbox, "run", "promo", "relance", "--to", "data")
    found = json.loads(command(None, "tags", "data", "--json").stdout)
    assert [(tag["tag"], tag["rows_loaded"], tag["settled"]) for tag in found] == [
        ("promo", 5, True),
        ("relance", 1, True),
    ]
    mistaken = command(None, "tags", "elsewhere", "--json")
    told = "error: nothing was ever loaded into elsewhere: name the destination of a run\n"
    assert (mistaken.returncode, mistaken.stdout, mistaken.stderr) == (2, "", told)


# schema


def test_schema_as_table(command):
    """`schema` prints every table and column of the contract as Markdown."""
    ended = command(None, "schema")
    assert (0, [f"## {table.name}" for table in TABLES]) == (
        ended.returncode,
        [line for line in ended.stdout.splitlines() if line.startswith("#")],
    )
    for table in TABLES:
        assert [name for name in table.column_names if f"`{name}`" not in ended.stdout] == []


def test_schema_as_json(command):
    """`schema --format json` is JSON that names every table and column."""
    text = command(None, "schema", "--format", "json").stdout
    json.loads(text)
    assert [name for table in TABLES for name in (table.name, *table.column_names) if f'"{name}"' not in text] == []


def test_schema_as_sql(sandbox, command):
    """`schema --format sql --dialect duckdb` runs in DuckDB, and its tables take what is loaded."""
    command(sandbox, "run", "promo", "relance", "--to", "data")
    statements = command(None, "schema", "--format", "sql", "--dialect", "duckdb").stdout
    with duckdb.connect() as connection:
        connection.execute(statements)
        for table in TABLES[:2]:
            connection.execute(f"INSERT INTO {table.name} BY NAME FROM 'data/{table.name}/*.parquet'")
        counts = [connection.table(table.name).count("*").fetchall()[0][0] for table in TABLES]
    assert counts == [6, 2, 0]


def test_schema_for_postgresql(command):
    """SQL is for PostgreSQL unless asked otherwise."""
    statements = command(None, "schema", "--format", "sql").stdout
    assert 'CREATE TABLE IF NOT EXISTS "statuses"' in statements
    assert "timestamptz" in statements
    assert statements == command(None, "schema", "--format", "sql", "--dialect", "postgresql").stdout


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
    serving = start(None, "sandbox", "--port", "0", "--latency", "0", "--page-size", "2000", "--fault", "html:tag=otp")
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
    """`demo` needs no key and no setting: it runs twice on the sandbox, skips what is settled, and leaves a dataset."""
    ended = smspartner(
        None, "demo", **dict.fromkeys(("SMSPARTNER_API_KEY", "SMSPARTNER_BACKOFF", "SMSPARTNER_RETRIES"), None)
    )
    assert (ended.returncode, ended.stderr, [path.name for path in here.iterdir()]) == (0, "", ["smspartner-demo"])
    verdicts = re.findall(r"^(\S+) +(complete|unknown|skipped)(?: |$)", ended.stdout, re.MULTILINE)
    first = [(tag, "complete") for tag in ("promo-nov", "soldes-été", "relance", "rdv-rappel", "otp", "empty")]
    second = [(tag, "skipped" if tag in {"promo-nov", "soldes-été"} else verdict) for tag, verdict in first]
    unknown = ("never-sent", "unknown")
    assert [*first, unknown, *second, unknown] == verdicts
    assert len(rows("smspartner-demo")) == 4812 + 2000 + 1237 + 350 + 64


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


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(command, name):
    """Each command's `--help` shows its usage with an example of itself; it needs no settings."""
    ended = command(None, name, "--help", SMSPARTNER_API_KEY=None)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: smspartner {name} ")
    assert f"\n  smspartner {name}" in ended.stdout


def test_help_of_run_states_the_exit_codes(command):
    """`run --help` states every exit code."""
    listed = re.findall(
        r"^ +(\d+)  \S", command(None, "run", "--help").stdout.partition("Exit codes:")[2], re.MULTILINE
    )
    assert listed == ["0", "1", "2", "3", "4", "5", "130"]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_pages_of_the_manual_fit_a_terminal(command, name):
    """No line of a page is wider than 80 columns, and no description is cut."""
    page = command(None, *filter(None, [name]), "--help").stdout
    assert [line for line in page.splitlines() if len(line) > 80] == []
    assert not re.search(r"^ .*\.\.\.$", page, re.MULTILINE)


def test_options_of_run_stand_under_what_they_are_about(command):
    """The long page of `run` has headings, with no option under none, and the main page tells environment and files."""
    page = command(None, "run", "--help").stdout
    headings = re.findall(r"^(\w.+):$", page, re.MULTILINE)
    assert headings == [
        *("Examples", "Where to load", "How it is written", "Which tags to read", "Which rows to believe"),
        *("How to reach the API", "What is told", "Settings and logs", "Exit codes"),
    ]
    assert "Environment variables and files: smspartner --help" in page
    main = command(None, "--help").stdout
    assert {"Environment", "Files", "Exit codes"} <= set(re.findall(r"^(\w.+):$", main, re.MULTILINE))
    assert all(name in main for name in ("SMSPARTNER_API_KEY ", "NO_PROXY", "REQUESTS_CA_BUNDLE", "NO_COLOR"))


# what `run` can do beside loading


def test_plan(sandbox, command, here):
    """`--plan` asks for each tag's first page only, says what a run would take, and loads nothing."""
    ended = command(sandbox, "run", "promo", "relance", "never-sent", "--plan", "--rate", "10/s", COLUMNS="120")
    told = [line.split() for line in (ended.stdout + ended.stderr).splitlines()]
    assert (
        ended.returncode,
        list(here.iterdir()),
        sorted((record.tag, record.page) for record in sandbox.requests),
    ) == (0, [], [("never-sent", None), ("promo", None), ("relance", None)])
    assert told[0] == ["tag", "rows", "pages", "requests", "note"]
    assert told[1:3] == [["promo", "5", "3", "3"], ["relance", "1", "1", "1"]]
    assert told[3][:9] == ["never-sent", "0", "1", "1", "the", "API", "answered", "code", "4"]
    assert [" ".join(line) for line in told[4:]] == [
        "3 tags (0 skipped), 6 rows, 5 requests",
        "at least 0.5 s for the requests at the allowed 10 a second",
    ]


def test_plan_skips_what_a_run_skips(sandbox, command, files):
    """With `--to`, a plan skips the tags that the run would skip, looks only, and counts both passes of `--verify`."""
    command(sandbox, "run", "promo", "--to", "data")
    before, asked = files("data"), len(sandbox.requests)
    ended = command(sandbox, "run", "promo", "relance", "--to", "data", "--plan", "--json", "--verify")
    plan = json.loads(ended.stdout)
    assert [(tag["tag"], tag["skipped"], tag["requests"], tag["note"]) for tag in plan["tags"]] == [
        ("promo", True, 0, "settled: nothing waiting, and read more than 48 h after its last delivery"),
        ("relance", False, 2, None),
    ]
    assert (ended.returncode, plan["exit_code"], plan["requests"], plan["passes"], plan["rows"]) == (0, 0, 2, 2, 1)
    assert ([record.tag for record in sandbox.requests[asked:]], files("data")) == (["relance"], before)
    run = json.loads(command(sandbox, "run", "promo", "relance", "--to", "data", "--json", "--verify").stdout)
    assert run["totals"]["requests"] == plan["requests"]


def test_plan_with_a_wrong_key(sandbox, command):
    """`--plan` with a wrong key ends with 5."""
    ended = command(sandbox, "run", "promo", "--plan", SMSPARTNER_API_KEY="wrong-key-of-mine")
    told = (
        'error: the API answered code 10 (wrong API key), "Clé API incorrecte"; '
        "check the key in your SMS Partner account\n"
    )
    assert (5, told) == (ended.returncode, ended.stderr)


def test_verify_reads_twice(sandbox, report):
    """`--verify` reads a population twice, and is content when both passes hold the same numbers."""
    code, found = report(sandbox, "promo", "--to", "data", "--verify")
    assert (
        code,
        *(found["tags"][0][name] for name in ("verdict", "requests", "pages")),
    ) == (0, "complete", 6, 3)
    assert sorted(record.page or "1" for record in sandbox.requests) == ["1", "1", "2", "2", "3", "3"]


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


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_bounds_requests(start_sandbox, campaign, command, concurrency):
    """Never more requests than `--concurrency` are under way, for tags and pages together."""
    tags = [f"tag-{number}" for number in range(5)]
    sandbox = start_sandbox([campaign(tag, 6) for tag in tags], page_size=2, latency=0.005)
    ended = command(sandbox, "run", *tags, "--to", "data", "--concurrency", str(concurrency))
    assert (ended.returncode, len(sandbox.requests), sandbox.peak_in_flight <= concurrency) == (0, 15, True)


def test_logs_for_schedulers(sandbox, command):
    """`--log-format json` writes one JSON object a line, each with time, level, logger and message."""
    ended = command(sandbox, "run", "promo", "--to", "data", "--log-format", "json", "-v", "--quiet")
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "reading 1 tags"),
        ("info", "tag promo: complete"),
    ]
    assert [{"time", "level", "logger", "message"}] * 2 == [set(line) for line in lines]
