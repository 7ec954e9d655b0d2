"""`smspartner check`: would a run work, and what is to be done? And a probe that can be sent on."""

import json
import re

import pytest
from faults import Campaign, Fault
from faults.populations import row


@pytest.fixture
def sandbox(start_sandbox):
    """Serve a tag of 45 rows, 20 on a page."""
    return start_sandbox([Campaign.of_rows("promo", [row(n, 1_517_989_111 + n) for n in range(45)])], page_size=20)


def test_ready(sandbox, command, files, here):
    """Where all is ready, each line begins with `ok`, after one request, and nothing is changed."""
    command(sandbox, "run", "promo", "--to", "data")
    before, asked = files("."), len(sandbox.requests)
    ended = command(sandbox, "check", "--to", "data", "--to", "x", "--to", "a.csv")
    *lines, versions = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr, files(".")) == (0, "", before)
    assert lines == [
        "ok    API key (from SMSPARTNER_API_KEY): accepted by the API",
        "ok    data: can be written; 1 tag loaded",
        "ok    x: can be written; nothing is loaded yet",
        "ok    a.csv: can be written",
    ]
    assert re.match(r"ok    versions: python 3\S+, smspartner-connector \S+, great-expectations ", versions)
    assert [one.path for one in sandbox.requests[asked:]] == ["/v1/me"]


KEY = "API key (from SMSPARTNER_API_KEY)"
NO_KEY = {"SMSPARTNER_API_KEY": None}
DOWN = "postgresql://127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("faults", "changes", "to", "failing", "code"),
    [
        (["vendor_error_10"], {}, ["data"], [KEY], 5),
        (["server_error"], {}, ["data"], [KEY], 3),
        (["html"], {}, ["data"], [KEY], 3),
        ([], NO_KEY, ["data"], ["API key"], 2),
        ([], NO_KEY, [DOWN], ["API key", DOWN], 2),
        ([], {}, [DOWN], [DOWN], 1),
        ([], {}, ["file"], ["file"], 2),
        ([], {}, ["file", "data"], ["file"], 1),
        (["vendor_error_10"], {}, ["file"], [KEY, "file"], 2),
        (["vendor_error_10"], {}, ["file", "file/x"], [KEY, "file", "file/x"], 1),
        (["vendor_error_10"], {}, ["file", "data"], [KEY, "file"], 5),
    ],
)
def test_code_of_a_run(sandbox, command, here, faults, changes, to, failing, code):
    """One failure does not hide the next, each says what to do, and the exit code is the one a run then ends with."""
    (here / "file").write_text("")
    sandbox.faults.add(*map(Fault, faults))
    given = [part for place in to for part in ("--to", place)]
    ended = command(sandbox, "check", "--json", *given, **changes)
    failed = {one["what"]: one["text"] for one in json.loads(ended.stdout) if one["level"] == "FAIL"}
    assert (ended.returncode, list(failed)) == (code, failing)
    assert [text for text in failed.values() if "; " not in text] == []
    assert command(sandbox, "run", "promo", *given, **changes).returncode == code


@pytest.mark.parametrize(
    ("variables", "options", "source"),
    [
        (["KEY", "KEY_FILE", "KEY_COMMAND"], ["--api-key-file", "key"], "--api-key-file"),
        (["KEY", "KEY_FILE", "KEY_COMMAND"], [], "SMSPARTNER_API_KEY"),
        (["KEY_FILE", "KEY_COMMAND"], [], "SMSPARTNER_API_KEY_FILE"),
        (["KEY_COMMAND"], [], "SMSPARTNER_API_KEY_COMMAND"),
        ([], [], "api_key_file"),
    ],
)
def test_where_the_key_comes_from(sandbox, command, here, variables, options, source):
    """Of all that can give the key, the one that does is named, whether the API accepts it or not."""
    values = {"KEY": "wrong-key-1", "KEY_FILE": "key", "KEY_COMMAND": "cat key"}
    (here / "key").write_text("wrong-key-2")
    (here / "config.toml").write_text('api_key_file = "key"')
    changes = {f"SMSPARTNER_API_{name}": values[name] if name in variables else None for name in values}
    ended = command(sandbox, "check", "--config", "config.toml", *options, **changes)
    assert ended.returncode == 5
    assert ended.stdout.startswith(f"FAIL  API key (from {source}): the API answered code 10 (wrong API key)")


def test_versions(sandbox, command, tmp_path, monkeypatch):
    """A library outside the bounds that were tried fails the check, with the command that installs the right one."""
    metadata = tmp_path / "pandas-1.0.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: pandas\nVersion: 1.0.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    ended = command(sandbox, "check")
    said = r"^FAIL  pandas: 1.0.0 is installed, \S+ is needed; pip install 'pandas\S+'$"
    assert (ended.returncode, len(re.findall(said, ended.stdout, re.MULTILINE))) == (1, 1)


def test_probe(sandbox, command):
    """A probe prints what it found, as text or as JSON, without key, number or tag; a refused key ends it with 5."""
    text, found = (command(sandbox, "check", "--probe", "promo", *options) for options in ((), ("--json",)))
    assert (text.returncode, found.returncode) == (0, 0)
    report = json.loads(found.stdout)
    assert (report["page_size"], report["total"], report["order"]) == (20, 45, "oldest first")
    assert "page_size: 20" in text.stdout.splitlines()
    for ended in (text, found):
        assert not [word for word in ("promo", "sandbox-key", "+33639") if word in ended.stdout + ended.stderr]
    sandbox.faults.add(Fault("vendor_error_10"))
    assert command(sandbox, "check", "--probe", "promo").returncode == 5
