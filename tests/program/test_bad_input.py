"""What can't be done is refused before anything is requested: exit code 2 and one sentence that says what to do."""

import io
import json
import sys

import pytest
from faults import Campaign, HostileServer

RUN = ("run", "promo", "--to", "data")
KEY_FILE = "the API key file named by SMSPARTNER_API_KEY_FILE or --api-key-file "
NO_KEY = "there is no API key; set SMSPARTNER_API_KEY, or SMSPARTNER_API_KEY_FILE to a file that holds it"
NO_RATE = "the rate is not a number of requests per s, min or h; give a number above 0 and a unit, such as 10/s"
SPACE = "holds U+0020 (space); write the tag as it was given when sending"
SHORT_PHONE_KEY = "hashed phone numbers need a secret key; set SMSPARTNER_PHONE_KEY to at least 16 random characters"
SUITE = {"name": "mine", "expectations": [{"type": "expect_wonders", "kwargs": {}}]}

ARGUMENTS = {
    "no tag": (("run", "--to", "data"), "no tag was given; name at least one, or a file of tags (--tags-file)"),
    "empty tag": (("run", "", "--to", "data"), "tag 1, '', has 0 characters; give 1 to 20"),
    "white space": (("run", "a b", "--to", "data"), f"tag 1, 'a b', {SPACE}"),
    "no destination": (("run", "promo"), "no destination; name at least one, such as --to data/ or --to statuses.csv"),
    "empty destination": (("run", "promo", "--to", ""), "the destination names no path; name a directory, "),
    "plain HTTP": (
        (*RUN, "--base-url", "http://127.0.0.1.example.com/v1"),
        "base URL http://127.0.0.1.example.com: plain HTTP shows the API key to the network; use https://",
    ),
    "no URL": ((*RUN, "--base-url", "api.smspartner.fr"), "the base URL is not the URL of an API; give https://HOST/"),
    "no rate": ((*RUN, "--rate", "fast"), NO_RATE),
    "duration without unit": ((*RUN, "--fresh-for", "6"), "--fresh-for is no duration; give a number and a unit"),
    "no concurrency": ((*RUN, "--concurrency", "0"), "concurrency is 0; give a number from 1 to 256"),
    "concurrency is text": (
        (*RUN, "--concurrency", "many"),
        "--concurrency has a value that is not valid; give a value of type integer",
    ),
    "negative quarantine": ((*RUN, "--allow-quarantined", "-1"), "allow_quarantined is -1; give 0 or more"),
    "unknown choice": (
        (*RUN, "--refresh", "some"),
        "--refresh has a value that is not valid; give one of auto, all, unsettled",
    ),
    "unknown option": ((*RUN, "--retry", "1"), "the option --retry does not exist; did you mean --retries"),
    "option for the key": (
        (*RUN, "--api-key", "x"),
        "the option --api-key does not exist; did you mean --api-key-file",
    ),
    "option without its value": ((*RUN, "--rate"), "the option --rate lacks its value, or takes none; see `smspartner"),
    "unknown command": (("extract", "promo"), "there is no such command; see `smspartner --help`"),
    "an argument too many": (("tags", "a", "b"), "an argument too many; see `smspartner tags --help`"),
    "an argument too few": (("tags",), "DEST is missing; see `smspartner tags --help`"),
    "out of range": (
        ("sandbox", "--port", "70000"),
        "--port has a value that is not valid; give a value of type integer range",
    ),
    "two claims on stdout": (
        ("run", "promo", "--to", "-", "--json"),
        "--json and --to - both want standard output; give one of them",
    ),
    "hashed without a key": ((*RUN, "--phone-numbers", "hashed"), SHORT_PHONE_KEY),
    "expectations without Great Expectations": (
        (*RUN, "--expectations", "mine.json"),
        "--expectations needs Great Expectations; remove --validate contract",
    ),
    "undecodable bytes in a path": (("run", "promo", "--to", "d\udcff"), ""),
    "undecodable bytes in a URL": ((*RUN, "--base-url", "https://h/\udcff"), "the base URL is not the URL of an API"),
    "undecodable bytes in a tag": (("run", "d\udcff", "--to", "data"), "tag 1, "),
    "unknown destination": (
        ("run", "promo", "--to", "sqlite:x.db"),
        "this version does not load into sqlite:***; name",
    ),
    "its password is not shown": (
        ("run", "promo", "--to", "mysql://me:hunter2@db/sms"),
        "this version does not load into mysql://***; name",
    ),
    "no tags file": (
        ("run", "--tags-file", "no.txt", "--to", "data"),
        "tags file no.txt: No such file or directory; give a text file with one tag a line",
    ),
    "no key file": ((*RUN, "--api-key-file", "no.key"), f"{KEY_FILE}can't be read: No such file or directory; name"),
    "no configuration file": (
        (*RUN, "--config", "no.toml"),
        "configuration file no.toml: No such file or directory; name a TOML file",
    ),
    "no expectations file": (
        (*RUN, "--validate", "gx", "--expectations", "no.json"),
        "the suite no.json can't be read: No such file or directory; check the path and the file",
    ),
    "tags of an export": (("tags", "rows.csv"), "rows.csv is an export, which keeps no tags; name a dataset or a"),
    "tags of nothing": (("tags", "elsewhere"), "nothing was ever loaded into elsewhere; name the destination of a run"),
    "unknown fault": (
        ("sandbox", "--port", "0", "--fault", "html:rows=1"),
        "'rows=1' in the fault 'html:rows=1' is none of tag=TAG, page=N",
    ),
}


@pytest.fixture
def sandbox(start_sandbox):
    """Serve one tag; at the end, nothing was requested."""
    serving = start_sandbox([Campaign.of_rows("promo", [])])
    yield serving
    assert serving.requests == []


def refused(ended, said):
    """Check that a command was refused in one line that begins like this, says what to do, and did nothing else."""
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr[: len(said) + 7] == f"error: {said}"
    assert (ended.stderr.count("\n"), "; " in ended.stderr, "hunter2" in ended.stderr) == (1, True, False)


@pytest.mark.parametrize(("arguments", "said"), ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_arguments(sandbox, command, here, arguments, said):
    """Arguments that can't be meant are refused with what is wrong, where, and what to do; nothing is written."""
    refused(command(sandbox, *arguments), said)
    assert list(here.iterdir()) == []


ENVIRONMENTS = {
    "no key": ({"SMSPARTNER_API_KEY": None}, NO_KEY),
    "empty key": ({"SMSPARTNER_API_KEY": ""}, NO_KEY),
    "key with a line break": (
        {"SMSPARTNER_API_KEY": "sandbox\nkey"},
        "the API key holds a line break, a control character or an undecodable byte; check SMSPARTNER_API_KEY",
    ),
    "key of undecodable bytes": (
        {"SMSPARTNER_API_KEY": "sandbox\udce9key"},
        "the API key holds a line break, a control character or an undecodable byte; check SMSPARTNER_API_KEY",
    ),
    "no rate": ({"SMSPARTNER_RATE": "fast"}, NO_RATE),
    "short phone key": ({"SMSPARTNER_PHONE_NUMBERS": "hashed", "SMSPARTNER_PHONE_KEY": "short"}, SHORT_PHONE_KEY),
}


@pytest.mark.parametrize(("environment", "said"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_environments(sandbox, command, environment, said):
    """Environment variables that can't be meant are refused like arguments."""
    refused(command(sandbox, *RUN, **environment), said)


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
        "no tag was given; name at least one, or a file of tags (--tags-file)",
    ),
    "binary key file": ((b"\xff\xfe", (*RUN, "--api-key-file", "given")), "the API key holds a line break, a control"),
    "empty key file": ((b"\n", (*RUN, "--api-key-file", "given")), f"{KEY_FILE}is empty; name a file"),
    "destination below a file": (
        (b"", ("run", "promo", "--to", "given/data")),
        "reading given/data failed: a part of the path is a file, not a directory; correct the path",
    ),
    "export below a file": (
        (b"", ("run", "promo", "--to", "given/rows.csv")),
        "writing into given failed: a part of the path is a file, not a directory; correct the path",
    ),
    "expectations that are no suite": (
        (b"[]", (*RUN, "--validate", "gx", "--expectations", "given")),
        "given is not a suite of Great Expectations 1.x; write ",
    ),
    "unknown expectation": (
        (json.dumps(SUITE).encode(), (*RUN, "--validate", "gx", "--expectations", "given")),
        "expectation 1 of your suite (expect_wonders, rule expectation_1_expect_wonders) can't be used",
    ),
}


@pytest.mark.parametrize(("given", "said"), FILES.values(), ids=FILES.keys())
def test_files(sandbox, command, here, given, said):
    """Files that can't be used are refused with their names."""
    content, arguments = given
    (here / "given").write_bytes(content)
    refused(command(sandbox, *arguments), said)
    assert [content] == [path.read_bytes() for path in here.iterdir()]


def test_directories_in_the_way(sandbox, command, here, files):
    """A directory of other files is no place for a dataset, one called like an export is not replaced, none is made."""
    (here / "photos").mkdir()
    (here / "photos" / "cat.jpg").write_bytes(b"cat")
    (here / "rows.csv").mkdir()
    refused(
        command(sandbox, "run", "promo", "--to", "photos"),
        "photos holds other files and is no dataset of this product; name a new or an empty directory",
    )
    refused(
        command(sandbox, "run", "promo", "--to", "rows.csv"),
        "rows.csv is a directory; write parquet:rows.csv to load a dataset there",
    )
    refused(
        command(sandbox, "run", "promo", "--to", "exports/rows.csv"),
        "writing into exports failed: a directory of the path does not exist; create it, or name another",
    )
    assert files("photos") == {"cat.jpg": b"cat"}


# What is understood.


@pytest.fixture
def tags(start_sandbox):
    """Serve some tags of zero rows."""
    return start_sandbox([Campaign.of_rows(tag, []) for tag in ("promo", "relance", "soldes-été", "a#b")])


def test_tags_of_a_file(tags, report, here):
    """A file may hold comments, a byte order mark and Windows line ends; a tag named twice is asked for once."""
    text = "\ufeff# campaigns\r\npromo\r\n\r\n  relance  # in winter\r\n\tsoldes-été\r\npromo\r\na#b"
    (here / "tags.txt").write_bytes(text.encode())
    code, found = report(tags, "relance", "relance", "--tags-file", "tags.txt", "--to", "data")
    named = ["relance", "promo", "soldes-été", "a#b"]
    assert (code, [tag["tag"] for tag in found["tags"]]) == (0, named)
    assert sorted(record.tag for record in tags.requests) == sorted(named)


def test_tags_from_standard_input(tags, report, monkeypatch):
    """`--tags-file -` reads the tags from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("promo\nsoldes-été\n".encode())))
    code, found = report(tags, "--tags-file", "-", "--to", "data")
    assert (code, [tag["tag"] for tag in found["tags"]]) == (0, ["promo", "soldes-été"])


def test_every_option_has_its_variable(tags, report):
    """Each option of `run` can be set by an environment variable."""
    variables = {
        "TO": "data rows.csv",
        "RATE": "600/min",
        "REFRESH": "all",
        "FRESH_FOR": "6h",
        "ALLOW_QUARANTINED": "3",
        "PHONE_NUMBERS": "masked",
        "VERIFY": "1",
        "ALLOW_SHRINK": "true",
        "KEEP_SHRUNK": "yes",
    }
    code, found = report(tags, "promo", **{f"SMSPARTNER_{name}": value for name, value in variables.items()})
    expected = {
        "base_url": tags.url,
        "concurrency": 8,
        "rate": "600/min",
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
        "keep_shrunk": True,
        "phone_numbers": "masked",
    }
    assert (0, expected) == (code, found["settings"])


def test_flags_in_the_configuration_file(tags, command, here):
    """Flags are settings too: `json = true` puts the report on stdout."""
    (here / "settings.toml").write_text("json = true\nquiet = true\n")
    ended = command(tags, *RUN, "--config", "settings.toml")
    shown = [tag["tag"] for tag in json.loads(ended.stdout)["tags"]]
    assert (ended.returncode, ended.stderr, shown) == (0, "", ["promo"])


NONE = {"SMSPARTNER_API_KEY": None}
COMMANDS = {"right": "echo the-right-key", "wrong": "echo the-wrong-key"}
KEYS = {
    "file by option": (("--api-key-file", "right.key"), NONE),
    "file by variable": ((), {**NONE, "SMSPARTNER_API_KEY_FILE": "right.key"}),
    "file by configuration": (("--config", "right.toml"), NONE),
    "command": ((), {**NONE, "SMSPARTNER_API_KEY_COMMAND": COMMANDS["right"]}),
    "option beats variable": (("--api-key-file", "right.key"), {"SMSPARTNER_API_KEY": "the-wrong-key"}),
    "option beats command": (
        ("--api-key-file", "right.key"),
        {**NONE, "SMSPARTNER_API_KEY_COMMAND": COMMANDS["wrong"]},
    ),
    "variable beats its file": ((), {"SMSPARTNER_API_KEY": "the-right-key", "SMSPARTNER_API_KEY_FILE": "wrong.key"}),
    "variable beats configuration": (("--config", "wrong.toml"), {"SMSPARTNER_API_KEY": "the-right-key"}),
    "command beats configuration": (
        ("--config", "wrong.toml"),
        {**NONE, "SMSPARTNER_API_KEY_COMMAND": COMMANDS["right"]},
    ),
}


@pytest.mark.parametrize(("arguments", "environment"), KEYS.values(), ids=KEYS.keys())
def test_key(command, here, arguments, environment):
    """The key comes from the environment, a file or a command: command line beats environment beats file."""
    for name in ("right", "wrong"):
        (here / f"{name}.key").write_text(f"the-{name}-key\n")
        (here / f"{name}.toml").write_text(f"api_key_file = '{name}.key'")
    with HostileServer([Campaign.of_rows("promo", [])], api_key="the-right-key") as sandbox:
        ended = command(sandbox, *RUN, *arguments, **environment)
        assert (ended.returncode, [record.key_ok for record in sandbox.requests]) == (0, [True])
