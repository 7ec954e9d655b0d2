"""`smspartner check` as a user meets it: what it prints, its exit codes, and a probe that can be sent on."""

import json

import pytest
from faults import Campaign, Fault
from faults.populations import row


@pytest.fixture
def sandbox(start_sandbox):
    """Serve a tag of 45 rows, 20 on a page."""
    return start_sandbox([Campaign.of_rows("promo", [row(n, 1_517_989_111 + n) for n in range(45)])], page_size=20)


def test_ready(sandbox, smspartner):
    """Where everything is ready, each line begins with `ok`; a variable that nobody reads is warned of."""
    ended = smspartner(sandbox, "check", "--to", "data", "--to", "all.csv", SMSPARTNER_CONCURENCY="3")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split(":")[0] for line in ended.stdout.splitlines()] == [
        "warn  SMSPARTNER_CONCURENCY",
        *("ok    API key", "ok    proxy", "ok    data", "ok    all.csv", "ok    versions"),
    ]
    assert "write SMSPARTNER_CONCURRENCY if that was meant" in ended.stdout


@pytest.mark.parametrize(
    ("faults", "changes", "code"),
    [
        ([Fault("vendor_error_10")], {}, 5),
        ([Fault("server_error")], {}, 3),
        ([], {"SMSPARTNER_API_KEY": None}, 2),
        ([], {"SMSPARTNER_TO": "postgresql://127.0.0.1:1/x"}, 1),
    ],
)
def test_code_of_a_run(sandbox, command, faults, changes, code):
    """The exit code is the one a run would end with, and the JSON names what fails."""
    sandbox.faults.add(*faults)
    ended = command(sandbox, "check", "--json", **changes)
    run = command(sandbox, "run", "promo", *(() if "SMSPARTNER_TO" in changes else ("--to", "data")), **changes)
    assert (ended.returncode, run.returncode) == (code, code)
    assert sum(one["level"] == "FAIL" for one in json.loads(ended.stdout)) == 1


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
