"""What can't be done is refused before anything is requested: exit code 2 and one sentence that says what to do."""

import io
import json
import sys

import pytest
from faults import Campaign, HostileServer

RUN = ("run", "promo", "--to", "data")
PLACES = (
    "name a directory, a .parquet, .csv or .csv.gz file, duckdb:FILE, postgresql://…, delta:DIR, s3://BUCKET/PREFIX, "
    "or - for standard output"
)
NO_KEY = "no API key: set SMSPARTNER_API_KEY, or SMSPARTNER_API_KEY_FILE to a file that holds it"
SPACE = "holds white space, which no tag can: write it as it was given when sending"
SHORT_PHONE_KEY = (
    "hashed phone numbers need a secret key: set SMSPARTNER_PHONE_KEY to at least 16 random characters, "
    "and keep it for as long as the hashes shall match"
)


def suite(kind, **kwargs):
    """Write a suite of one expectation."""
    return json.dumps({"name": "mine", "expectations": [{"type": kind, "kwargs": kwargs}]})


ARGUMENTS = {
    "no tag": (("run", "--to", "data"), "no tag was given: name at least one, or a file of tags (--tags-file)"),
    "empty tag": (("run", "", "--to", "data"), "tag 1 is empty: give 1 to 20 characters"),
    "21 characters": (
        ("run", "ok", "a" * 21, "--to", "data"),
        f"tag 2, '{'a' * 21}', has 21 characters; give at most 20, as any tag has",
    ),
    "white space": (("run", "a b", "--to", "data"), f"tag 1, 'a b', {SPACE}"),
    "no-break space": (("run", "a\u00a0b", "--to", "data"), rf"tag 1, 'a\xa0b', {SPACE}"),
    "control character": (
        ("run", "a\x07", "--to", "data"),
        r"tag 1, 'a\x07', holds a control character, which no tag can: write it without",
    ),
    "no destination": (
        ("run", "promo"),
        "no destination: name at least one with --to, such as --to data/ or --to statuses.csv",
    ),
    "empty destination": (("run", "promo", "--to", ""), f"the destination names no place; {PLACES}"),
    "destination twice": ((*RUN, "--to", "data"), "a destination is named twice: name each once with --to"),
    "plain HTTP": (
        (*RUN, "--base-url", "http://api.smspartner.fr/v1"),
        "base URL http://api.smspartner.fr: plain HTTP would show the API key to the network; use https://",
    ),
    "plain HTTP, loopback in the name only": (
        (*RUN, "--base-url", "http://127.0.0.1.example.com/v1"),
        "base URL http://127.0.0.1.example.com: plain HTTP would show the API key to the network; use https://",
    ),
    "no URL": (
        (*RUN, "--base-url", "api.smspartner.fr"),
        "base URL 'api.smspartner.fr': give https://HOST/PATH, such as https://api.smspartner.fr/v1",
    ),
    "no rate": ((*RUN, "--rate", "fast"), "rate 'fast': give a number above 0 and a unit, such as 10/s or 300/min"),
    "rate 0": ((*RUN, "--rate", "0/s"), "rate '0/s': give a number above 0 and a unit, such as 10/s or 300/min"),
    "duration without unit": (
        (*RUN, "--fresh-for", "6"),
        "duration '6': give a number and a unit, such as 90s, 30m, 6h or 2d",
    ),
    "duration without end": (
        (*RUN, "--fresh-for", "9999999999d"),
        "duration '9999999999d' is longer than any data: give a shorter one",
    ),
    "no concurrency": ((*RUN, "--concurrency", "0"), "concurrency is 0: give a number from 1 to 256"),
    "concurrency is text": (
        (*RUN, "--concurrency", "many"),
        "Invalid value for '--concurrency': 'many' is not a valid integer.",
    ),
    "no timeout": ((*RUN, "--timeout", "0"), "timeout is 0.0: give a number from 0.001 to 3600"),
    "negative retries": ((*RUN, "--retries", "-1"), "retries is -1: give a number from 0 to 100"),
    "negative quarantine": ((*RUN, "--allow-quarantined", "-1"), "allow_quarantined is -1: give 0 or more"),
    "unknown choice": (
        (*RUN, "--refresh", "some"),
        "Invalid value for '--refresh': 'some' is not one of 'auto', 'all'.",
    ),
    "unknown command": (("extract", "promo"), "No such command 'extract'."),
    "two claims on stdout": (
        ("run", "promo", "--to", "-", "--json"),
        "--json and --to - both want standard output: choose one",
    ),
    "hashed without a key": ((*RUN, "--phone-numbers", "hashed"), SHORT_PHONE_KEY),
    "expectations without Great Expectations": (
        (*RUN, "--expectations", "mine.json"),
        "--expectations needs Great Expectations: leave --validate contract away",
    ),
    "sqlite, not yet": (
        ("run", "promo", "--to", "sqlite:x.db"),
        f"this version does not load into sqlite:x.db yet; {PLACES}; a path with a colon begins with ./",
    ),
    "sftp, not yet": (
        ("run", "promo", "--to", "sftp://host/prefix"),
        f"this version does not load into sftp://host/prefix yet; {PLACES}",
    ),
    "mysql, not yet; its password is not shown": (
        ("run", "promo", "--to", "mysql://me:hunter2@db/sms"),
        f"this version does not load into mysql://me:***@db/sms yet; {PLACES}",
    ),
    "a file of another kind": (
        ("run", "promo", "--to", "rows.json"),
        f"this version writes no such file as rows.json; {PLACES} (parquet:DIR if it is a directory)",
    ),
    "no tags file": (
        ("run", "--tags-file", "no.txt", "--to", "data"),
        "tags file no.txt: No such file or directory; give a text file with one tag a line",
    ),
    "tags file is a directory": (
        ("run", "--tags-file", ".", "--to", "data"),
        "tags file .: Is a directory; give a text file with one tag a line",
    ),
    "no key file": (
        (*RUN, "--api-key-file", "no.key"),
        "API key file no.key: No such file or directory; name a file that holds the key and nothing else",
    ),
    "no configuration file": (
        (*RUN, "--config", "no.toml"),
        "configuration file no.toml: No such file or directory; name a TOML file",
    ),
    "no expectations file": (
        (*RUN, "--validate", "gx", "--expectations", "no.json"),
        "can't read the suite no.json: No such file or directory; check the path",
    ),
    "tags of an export": (
        ("tags", "rows.csv"),
        "rows.csv is an export, which keeps no tags: name a dataset or a warehouse",
    ),
    "unknown fault": (
        ("sandbox", "--port", "0", "--fault", "html:rows=1"),
        (
            "'rows=1' in the fault 'html:rows=1' is none of tag=, page=, times=, after=, seconds=; "
            "`smspartner sandbox --list-faults` lists them"
        ),
    ),
}


@pytest.fixture
def sandbox(start_sandbox):
    """Serve one tag; at the end, nothing was requested."""
    serving = start_sandbox([Campaign.of_rows("promo", [])])
    yield serving
    assert serving.requests == []


def refused(ended, told):
    """Check that a command was refused with this sentence and did nothing else."""
    assert (2, "", f"error: {told}\n") == (ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize(("arguments", "told"), ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_arguments(sandbox, command, arguments, told):
    """Arguments that can't be meant are refused with what is wrong, where, and what to do."""
    refused(command(sandbox, *arguments), told)


@pytest.mark.parametrize("option", ["--frobnicate", "--api-key"])
def test_unknown_options(sandbox, command, option):
    """An option that does not exist is refused; there is none for the key itself, which command lines would show."""
    ended = command(sandbox, *RUN, option, "x")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith(f"error: No such option '{option}'.")


ENVIRONMENTS = {
    "no key": ({"SMSPARTNER_API_KEY": None}, NO_KEY),
    "empty key": ({"SMSPARTNER_API_KEY": ""}, NO_KEY),
    "key with a line break": (
        {"SMSPARTNER_API_KEY": "sandbox\nkey"},
        "the API key holds a line break or control character: check SMSPARTNER_API_KEY or its file",
    ),
    "no rate": (
        {"SMSPARTNER_RATE": "fast"},
        "rate 'fast': give a number above 0 and a unit, such as 10/s or 300/min",
    ),
    "short phone key": ({"SMSPARTNER_PHONE_NUMBERS": "hashed", "SMSPARTNER_PHONE_KEY": "short"}, SHORT_PHONE_KEY),
}


@pytest.mark.parametrize(("environment", "told"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_environments(sandbox, command, environment, told):
    """Environment variables that can't be meant are refused like arguments."""
    refused(command(sandbox, *RUN, **environment), told)


UNKNOWN_KEY = "the keys are the options of `smspartner run --help`, with _ for -"
CONFIGURATIONS = {
    "unknown key": ("nosuch = 1", f": there is no setting 'nosuch'; {UNKNOWN_KEY}"),
    "table": ("[connection]\nconcurrency = 1", f": there is no setting 'connection'; {UNKNOWN_KEY}"),
    "tags, which are no option": ("tags = ['promo']", f": there is no setting 'tags'; {UNKNOWN_KEY}"),
    "inner name of an option": ("as_json = true", f": there is no setting 'as_json'; {UNKNOWN_KEY}"),
    "the key itself": (
        "api_key = 'in-the-file'",
        (
            ": the API key does not belong into it; "
            "set SMSPARTNER_API_KEY, or api_key_file to a file that only you can read"
        ),
    ),
    "wrong type": (
        "concurrency = 'many'",
        ", concurrency: Invalid value for '--concurrency': 'many' is not a valid integer.",
    ),
    "one destination, not in a list": ("to = 'data'", ", to: Invalid value for '--to': Value must be an iterable."),
    "unknown choice": (
        "validate = 'no'",
        ", validate: Invalid value for '--validate': 'no' is not one of 'gx', 'contract'.",
    ),
    "no TOML": ("concurrency =", ": Invalid value (at end of document); write TOML, such as concurrency = 8"),
}


@pytest.mark.parametrize(("text", "told"), CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_configuration_files(sandbox, command, here, text, told):
    """A configuration file that can't be meant is refused, with its name and the setting."""
    (here / "settings.toml").write_text(text)
    refused(command(sandbox, *RUN, "--config", "settings.toml"), f"configuration file settings.toml{told}")


FILES = {
    "tags file in Latin-1": (
        (b"soldes-\xe9t\xe9\n", ("run", "--to", "data", "--tags-file", "given")),
        "tags file given: it is not UTF-8 text; give a text file with one tag a line",
    ),
    "tag with white space": (
        (b"promo\n\n# next\na b\n", ("run", "--to", "data", "--tags-file", "given")),
        f"given, line 4, 'a b', {SPACE}",
    ),
    "tags file of comments": (
        (b"# none yet\n\n", ("run", "--to", "data", "--tags-file", "given")),
        "no tag was given: name at least one, or a file of tags (--tags-file)",
    ),
    "binary key file": (
        (b"\xff\xfe", (*RUN, "--api-key-file", "given")),
        "API key file given: it is not UTF-8 text; name a file that holds the key and nothing else",
    ),
    "destination below a file": (
        (b"", ("run", "promo", "--to", "given/data")),
        "creating given/data failed: a part of the path is a file, not a directory; correct the path",
    ),
    "export below a file": (
        (b"", ("run", "promo", "--to", "given/rows.csv")),
        "writing into given failed: a part of the path is a file, not a directory; correct the path",
    ),
    "expectations that are no JSON": (
        (b"{", (*RUN, "--validate", "gx", "--expectations", "given")),
        (
            "given is no suite: it is no JSON (Expecting property name enclosed in double quotes: line 1 column 2 "
            "(char 1)); check the file"
        ),
    ),
    "expectations that are no suite": (
        (b"[]", (*RUN, "--validate", "gx", "--expectations", "given")),
        (
            'given is no suite as Great Expectations 1.x writes it: it must be {"name": "…", "expectations": '
            '[{"type": "expect_…", "kwargs": {…}}]}'
        ),
    ),
    "unknown expectation": (
        (suite("expect_wonders").encode(), (*RUN, "--validate", "gx", "--expectations", "given")),
        (
            "expectation 1 of your suite (expect_wonders, rule expectation_1_expect_wonders) can't be used: "
            "expect_wonders not found; mend it"
        ),
    ),
    "expectation of an unknown column": (
        (
            suite("expect_column_values_to_not_be_null", column="operator").encode(),
            (*RUN, "--validate", "gx", "--expectations", "given"),
        ),
        (
            "expectation 1 of your suite (expect_column_values_to_not_be_null, rule "
            "expectation_1_expect_column_values_to_not_be_null) can't be used: "
            'Error: The column "operator" in BatchData does not exist.; mend it'
        ),
    ),
}


@pytest.mark.parametrize(("given", "told"), FILES.values(), ids=FILES.keys())
def test_files(sandbox, command, here, given, told):
    """Files that can't be used are refused with their names."""
    content, arguments = given
    (here / "given").write_bytes(content)
    refused(command(sandbox, *arguments), told)
    assert [content] == [path.read_bytes() for path in here.iterdir()]


@pytest.mark.parametrize("where", ["option", "environment"])
def test_empty_key_file(sandbox, command, here, where):
    """An empty key file is refused, with its name."""
    (here / "empty.key").write_text("\n")
    if where == "option":
        ended = command(sandbox, *RUN, "--api-key-file", "empty.key")
    else:
        ended = command(sandbox, *RUN, SMSPARTNER_API_KEY=None, SMSPARTNER_API_KEY_FILE="empty.key")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "empty.key" in ended.stderr


def test_foreign_directory(sandbox, command, here, files):
    """A directory that holds other files is no place for a dataset, and is left as it is."""
    (here / "photos").mkdir()
    (here / "photos" / "cat.jpg").write_bytes(b"cat")
    told = "photos holds other files and is no dataset of this product; name a new or an empty directory"
    refused(command(sandbox, "run", "promo", "--to", "photos"), told)
    assert files("photos") == {"cat.jpg": b"cat"}


def test_export_onto_a_directory(sandbox, command, here):
    """A directory that is called like an export is not replaced."""
    (here / "rows.csv").mkdir()
    told = "rows.csv is a directory; write parquet:rows.csv to load a dataset there"
    refused(command(sandbox, "run", "promo", "--to", "rows.csv"), told)


def test_export_into_a_missing_directory(sandbox, command):
    """An export is not written into a directory that does not exist."""
    told = "writing into exports failed: a directory of the path does not exist; create it, or name another place"
    refused(command(sandbox, "run", "promo", "--to", "exports/rows.csv"), told)


def test_one_bad_destination_of_two(sandbox, command, here):
    """Where one of several destinations can't be written, none is loaded."""
    (here / "file").write_text("")
    told = "creating file/data failed: a part of the path is a file, not a directory; correct the path"
    refused(command(sandbox, "run", "promo", "--to", "rows.csv", "--to", "file/data"), told)
    assert [path.name for path in here.iterdir()] == ["file"]


# What is understood.


@pytest.fixture
def tags(start_sandbox):
    """Serve some tags of zero rows."""
    return start_sandbox([Campaign.of_rows(tag, []) for tag in ("promo", "relance", "soldes-été", "a#b")])


def asked(sandbox):
    """List the tags asked for, in order of the alphabet."""
    return sorted(record.tag for record in sandbox.requests)


def test_duplicates_are_asked_once(tags, report, here):
    """A tag named twice, wherever, is asked for once and reported once, in the order of its first mention."""
    (here / "tags.txt").write_text("promo\nrelance\npromo\n")
    code, found = report(tags, "relance", "relance", "--tags-file", "tags.txt", "--to", "data")
    assert (code, [tag["tag"] for tag in found["tags"]]) == (0, ["relance", "promo"])
    assert asked(tags) == ["promo", "relance"]


def test_tags_file(tags, report, here):
    """A tags file may hold comments, blank lines, white space around tags, a byte order mark and Windows line ends."""
    text = "\ufeff# campaigns\r\npromo\r\n\r\n  relance  # in winter\r\n\tsoldes-été\r\na#b"
    (here / "tags.txt").write_bytes(text.encode())
    code, found = report(tags, "--tags-file", "tags.txt", "--to", "data")
    assert (code, [tag["tag"] for tag in found["tags"]]) == (0, ["promo", "relance", "soldes-été", "a#b"])


def test_tags_from_standard_input(tags, report, monkeypatch):
    """`--tags-file -` reads the tags from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("promo\nsoldes-été\n".encode())))
    code, found = report(tags, "--tags-file", "-", "--to", "data")
    assert (code, [tag["tag"] for tag in found["tags"]]) == (0, ["promo", "soldes-été"])


def test_precedence(tags, report, here):
    """Command line beats environment beats configuration file beats default."""
    lines = ["concurrency = 1", "timeout = 11", "retries = 1", "to = ['data']", "allow_shrink = true"]
    (here / "settings.toml").write_text("\n".join(lines))
    config = ("--config", "settings.toml")
    code, found = report(
        tags, "promo", *config, "--concurrency", "3", SMSPARTNER_CONCURRENCY="2", SMSPARTNER_TIMEOUT="12"
    )
    expected = {"concurrency": 3, "timeout_seconds": 12.0, "retries": 2, "to": ["data"], "allow_shrink": True}
    assert (0, expected) == (code, {name: found["settings"][name] for name in expected})
    code, found = report(tags, "promo", "--to", "other", SMSPARTNER_RETRIES=None, SMSPARTNER_CONFIG="settings.toml")
    expected = {"concurrency": 1, "timeout_seconds": 11.0, "retries": 1, "to": ["other"], "refresh": "auto"}
    assert (0, expected) == (code, {name: found["settings"][name] for name in expected})


def test_every_option_has_its_variable(tags, report):
    """Each option of `run` can be set by an environment variable."""
    variables = {
        "TO": "data rows.csv",
        "RATE": "600/min",
        "REFRESH": "all",
        "FRESH_FOR": "6h",
        "ALLOW_QUARANTINED": "3",
    }
    variables |= {"PHONE_NUMBERS": "masked", "CSV_DIALECT": "excel", "VERIFY": "1", "ALLOW_SHRINK": "true"}
    code, found = report(tags, "promo", **{f"SMSPARTNER_{name}": value for name, value in variables.items()})
    expected = {
        "base_url": tags.url,
        "concurrency": 8,
        "rate_per_second": 10.0,
        "timeout_seconds": 30.0,
        "retries": 2,
        "verify": True,
        "to": ["data", "rows.csv"],
        "refresh": "all",
        "fresh_for_seconds": 21600.0,
        "fresh_since": None,
        "validate": "contract",
        "expectations": None,
        "allow_quarantined": 3,
        "allow_shrink": True,
        "phone_numbers": "masked",
        "csv_dialect": "excel",
    }
    assert (0, expected) == (code, found["settings"])


def test_flags_in_the_configuration_file(tags, command, here):
    """Flags are settings too: `json = true` puts the report on stdout."""
    (here / "settings.toml").write_text("json = true\nquiet = true\n")
    ended = command(tags, *RUN, "--config", "settings.toml")
    assert (
        ended.returncode,
        ended.stderr,
        [tag["tag"] for tag in json.loads(ended.stdout)["tags"]],
    ) == (0, "", ["promo"])


KEYS = {
    "file by option": (("--api-key-file", "right.key"), {"SMSPARTNER_API_KEY": None}),
    "file by variable": ((), {"SMSPARTNER_API_KEY": None, "SMSPARTNER_API_KEY_FILE": "right.key"}),
    "file by configuration": (("--config", "settings.toml"), {"SMSPARTNER_API_KEY": None}),
    "option beats variable": (("--api-key-file", "right.key"), {"SMSPARTNER_API_KEY": "wrong"}),
    "variable beats its file": ((), {"SMSPARTNER_API_KEY": "right", "SMSPARTNER_API_KEY_FILE": "wrong.key"}),
    "variable beats configuration": (("--config", "wrong.toml"), {"SMSPARTNER_API_KEY": "right"}),
}


@pytest.mark.parametrize(("arguments", "environment"), KEYS.values(), ids=KEYS.keys())
def test_key(command, here, arguments, environment):
    """The key comes from the environment or from a file; the command line's file beats the environment."""
    for name in ("right", "wrong"):
        (here / f"{name}.key").write_text(f"{name}\n")
    (here / "settings.toml").write_text("api_key_file = 'right.key'")
    (here / "wrong.toml").write_text("api_key_file = 'wrong.key'")
    with HostileServer([Campaign.of_rows("promo", [])], api_key="right") as sandbox:
        ended = command(sandbox, *RUN, *arguments, **environment)
        assert (ended.returncode, [record.key_ok for record in sandbox.requests]) == (0, [True])
