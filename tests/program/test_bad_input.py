"""What can't be done is refused before anything is requested: exit code 2 and one sentence that says what to do."""

import io
import sys

import pytest
from faults import Campaign, HostileServer

RUN = ("run", "promo", "--to", "data")
SPACE = "holds U+0020 (space); write the tag as it was given when sending"
NO_RATE = "is not a number of requests per s, min or h; give a number above 0 and a unit, such as 10/s"
SHORT_PHONE_KEY = "hashed phone numbers need a secret key; set SMSPARTNER_PHONE_KEY to at least 16 random characters"
NOT_VALID = "has a value that is not valid; give"
EXPORT = "rows.csv is an export, which keeps no tags; name a dataset or a database"
NOTHING = "nothing was ever loaded into elsewhere; name the destination of a run"

ARGUMENTS = {
    "empty tag": (("run", "", "--to", "data"), "tag 1, '', has 0 characters; give 1 to 20"),
    "no destination": (("run", "promo"), "no destination; name at least one, such as --to data/ or --to statuses.csv"),
    "no rate": ((*RUN, "--rate", "fast"), f"--rate {NO_RATE}"),
    "no duration": ((*RUN, "--fresh-for", "6"), "--fresh-for is no duration; give a number and a unit"),
    "no time": ((*RUN, "--fresh-since", "now"), "--fresh-since is no time; give date, time and offset"),
    "no concurrency": ((*RUN, "--concurrency", "0"), f"--concurrency {NOT_VALID} a number from 1 to 256"),
    "text for a number": ((*RUN, "--timeout", "long"), f"--timeout {NOT_VALID} a number from 0.001 to 3600"),
    "negative": ((*RUN, "--allow-quarantined", "-1"), f"--allow-quarantined {NOT_VALID} 0 or more"),
    "no choice": ((*RUN, "--refresh", "some"), f"--refresh {NOT_VALID} one of auto, all, unsettled"),
    "unknown option": ((*RUN, "--retry", "1"), "the option --retry does not exist; did you mean --retries"),
    "the key": ((*RUN, "--api-key", "x"), "the option --api-key does not exist; did you mean --api-key-file"),
    "no value": ((*RUN, "--rate"), "the option --rate lacks its value, or takes none; see `smspartner --help`"),
    "unknown command": (("extract", "promo"), "there is no such command; see `smspartner --help`"),
    "an argument too many": (("tags", "a", "b"), "an argument too many; see `smspartner tags --help`"),
    "an argument too few": (("tags",), "DEST is missing; see `smspartner tags --help`"),
    "an option too few": (("forget", "+33612345678"), "--to is missing; see `smspartner forget --help`"),
    "out of range": (("sandbox", "--port", "70000"), f"--port {NOT_VALID} a number from 0 to 65535"),
    "two claims on stdout": (
        ("run", "promo", "--to", "-", "--json"),
        "--json and --to - both want standard output; give one of them",
    ),
    "hashed without a key": ((*RUN, "--phone-numbers", "hashed"), SHORT_PHONE_KEY),
    "undecodable bytes": (("run", "promo", "--to", "d\udcff"), ""),
    "its password is not shown": (
        ("run", "promo", "--to", "mysql://me:hunter2@db/sms"),
        "this version does not load into mysql://***; name",
    ),
    **{
        f"{command} of {place}": ((command, place), said)
        for command in ("tags", "validate", "quarantine", "report")
        for place, said in (("rows.csv", EXPORT), ("elsewhere", NOTHING))
    },
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
    "no key": ({"SMSPARTNER_API_KEY": None}, "there is no API key; set SMSPARTNER_API_KEY, SMSPARTNER_API_KEY_FILE to"),
    "no rate": ({"SMSPARTNER_RATE": "fast"}, f"SMSPARTNER_RATE {NO_RATE}"),
    "no number": ({"SMSPARTNER_RETRIES": "many"}, f"SMSPARTNER_RETRIES {NOT_VALID} a number from 0 to 100"),
    "no flag": ({"SMSPARTNER_VERIFY": "maybe"}, f"SMSPARTNER_VERIFY {NOT_VALID} a value of type boolean"),
    "no file": ({"SMSPARTNER_CONFIG": "no.toml"}, "configuration file no.toml: No such file or directory; name a TOML"),
    "short phone key": ({"SMSPARTNER_PHONE_NUMBERS": "hashed", "SMSPARTNER_PHONE_KEY": "short"}, SHORT_PHONE_KEY),
}


@pytest.mark.parametrize(("environment", "said"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_environments(sandbox, command, environment, said):
    """Environment variables that can't be meant are refused like arguments."""
    refused(command(sandbox, *RUN, **environment), said)


FILES = {
    "tag with white space": (b"promo\n\n# next\na b\n", ("run", "--tags-file"), f"given, line 4, 'a b', {SPACE}"),
    "no tags": (b"# none yet\n\n", ("run", "--tags-file"), "no tag was given; name at least one, or a file of tags"),
    "no suite": (b"[]", (*RUN, "--validate", "gx", "--expectations"), "given is not a suite of Great Expectations 1.x"),
    "unknown expectation": (
        b'{"name": "mine", "expectations": [{"type": "expect_wonders", "kwargs": {}}]}',
        (*RUN, "--validate", "gx", "--expectations"),
        "expectation 1 of your suite (expect_wonders, rule expectation_1_expect_wonders) can't be used",
    ),
}


@pytest.mark.parametrize(("content", "arguments", "said"), FILES.values(), ids=FILES.keys())
def test_files(sandbox, command, here, content, arguments, said):
    """Files that can't be used are refused with their names, and nothing is written."""
    (here / "given").write_bytes(content)
    refused(command(sandbox, *arguments, "given", SMSPARTNER_TO="data"), said)
    assert [content] == [path.read_bytes() for path in here.iterdir()]


def test_directories_in_the_way(sandbox, command, here, files):
    """A directory of other files is no place for a dataset, and a missing one is not made for an export."""
    (here / "photos").mkdir()
    (here / "photos" / "cat.jpg").write_bytes(b"cat")
    for place, said in (
        ("photos", "photos holds other files and is no dataset of this product; name a new or an empty directory"),
        ("exports/x.csv", "writing into exports failed: a directory of the path does not exist; create it, or name"),
    ):
        refused(command(sandbox, "run", "promo", "--to", place), said)
    assert files(".") == {"photos/cat.jpg": b"cat"}


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


def test_variables(tags, report):
    """Options of every kind are set by environment variables: lists, numbers, choices and flags."""
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
    expected = {"rate": "600/min", "verify": True, "to": ["data", "rows.csv"], "refresh": "all"}
    expected |= {"fresh_for_seconds": 21600.0, "allow_quarantined": 3, "allow_shrink": True, "keep_shrunk": True}
    expected |= {"phone_numbers": "masked", "retries": 2}
    assert (0, expected) == (code, {name: found["settings"][name] for name in expected})


NONE = {"SMSPARTNER_API_KEY": None}
COMMANDS = {"right": "echo the-right-key", "wrong": "echo the-wrong-key"}
KEYS = {
    "file by configuration": (("--config", "right.toml"), NONE),
    "option beats variable": (("--api-key-file", "right.key"), {"SMSPARTNER_API_KEY": "the-wrong-key"}),
    "option beats command": (
        ("--api-key-file", "right.key"),
        {**NONE, "SMSPARTNER_API_KEY_COMMAND": COMMANDS["wrong"]},
    ),
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
