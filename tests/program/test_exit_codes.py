"""Every exit code, from a real process, with the reason on stderr; schedulers decide by it."""

import json
import os
import resource
import signal

import pytest
from smspartner_pipelines.load.dataset import ParquetDataset
from smspartner_pipelines.sandbox import Campaign, Fault

INTERRUPTED = "exit code 130: interrupted; tags that were loaded stay loaded"


def last_line(ended):
    """Give the last line of stderr, and check that nothing looks like a crash."""
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stderr.splitlines()[-1]


@pytest.fixture
def serve(start_sandbox, campaign):
    """Serve the tags `promo`, `struck` and `relance`, three rows each."""
    return lambda *faults: start_sandbox([campaign(tag) for tag in ("promo", "struck", "relance")], faults=faults)


def test_0(serve, smspartner):
    """0: every tag is complete, unknown or skipped, and nothing is in quarantine."""
    sandbox = serve()
    first = smspartner(sandbox, "run", "promo", "never-sent", "--to", "data")
    second = smspartner(sandbox, "run", "promo", "--to", "data")
    assert (first.returncode, second.returncode) == (0, 0)
    assert last_line(first).endswith(": 3 rows loaded into data, 0 in quarantine")
    assert last_line(second).endswith(": 0 rows loaded into data, 0 in quarantine")


def test_1_destination_busy(serve, smspartner, here):
    """1: another process holds the destination; nothing is requested."""
    sandbox = serve()
    with ParquetDataset(str(here / "data")):
        ended = smspartner(sandbox, "run", "promo", "--to", "data")
    told = "error: data is in use by another run; wait until it has ended, or load elsewhere"
    assert (1, told, []) == (ended.returncode, last_line(ended), sandbox.requests)


def test_1_file_too_large(serve, smspartner, rows, here):
    """1: the system refuses to write; what was loaded before stays, and no half of a file does."""
    sandbox = serve()
    smspartner(sandbox, "run", "promo", "--to", "data")
    before = rows("data")
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))}
    ended = smspartner(sandbox, "run", "promo", "--to", "data", "--refresh", "all", options=limited)
    assert (1, before) == (ended.returncode, rows("data"))
    assert last_line(ended).startswith("exit code 1: writing data/statuses/promo-")
    assert last_line(ended).endswith(
        " failed: the file is larger than this system allows; raise the limit or load elsewhere"
    )
    assert list((here / "data" / ".staging").iterdir()) == []


def test_1_one_destination_fails(start_sandbox, smspartner, here, rows):
    """1: where one destination of several fails, the others are loaded, and the summary says which failed."""
    (here / "rows.csv").write_text("old")
    # 2,000 rows are 200 KB of CSV, and a tenth of that in Parquet.
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))}
    sandbox = start_sandbox([Campaign("promo", 2000, sent_at=1_700_000_000)])
    ended = smspartner(sandbox, "run", "promo", "--to", "rows.csv", "--to", "data", options=limited)
    assert (ended.returncode, len(rows("data")), (here / "rows.csv").read_text()) == (1, 2000, "old")
    told = "writing rows.csv failed: the file is larger than this system allows; raise the limit or load elsewhere"
    assert f"error: rows.csv: {told}" in ended.stderr.splitlines()
    assert last_line(ended) == "exit code 1: the run could not be done (destination failed, disk full, bug)"
    assert {"rows.csv", "data"} == {path.name for path in here.iterdir()}


def test_1_nobody_reads(serve, smspartner):
    """1: whoever was reading standard output has stopped."""
    read, write = os.pipe()
    os.close(read)
    given = {"capture_output": False, "stdout": write, "stderr": -1}
    ended = smspartner(serve(), "run", "promo", "--to", "-", options=given)
    report = smspartner(serve(), "run", "promo", "--to", "data", "--json", options=given)
    os.close(write)
    assert (ended.returncode, report.returncode) == (1, 1)
    told = "exit code 1: writing to standard output failed: whoever was reading it has stopped; let it read to the end"
    assert told == ended.stderr.splitlines()[-1]
    assert report.stderr.splitlines()[-1] == "error: standard output was closed before everything was written"
    assert "Traceback" not in ended.stderr + report.stderr
    assert "Exception ignored" not in ended.stderr + report.stderr


def test_2(serve, smspartner):
    """2: usage or settings are wrong, and nothing is requested."""
    sandbox = serve()
    ended = smspartner(sandbox, "run", "promo", "--to", "data", "--rate", "fast")
    told = "error: rate 'fast': give a number above 0 and a unit, such as 10/s or 300/min\n"
    assert (2, "", told, []) == (ended.returncode, ended.stdout, ended.stderr, sandbox.requests)


def test_3(serve, smspartner, rows):
    """3: some tags are not complete; the others are loaded."""
    ended = smspartner(serve(Fault("html", tag="struck")), "run", "struck", "promo", "--to", "data")
    told = "exit code 3: some tags are incomplete, unstable, shrunk or failed; the others are loaded"
    assert (3, told, ["promo"] * 3) == (ended.returncode, last_line(ended), [row["tag"] for row in rows("data")])


def test_4(serve, smspartner, rows):
    """4: all tags are loaded, but rows are in quarantine."""
    ended = smspartner(serve(Fault("bad_number", tag="struck")), "run", "struck", "promo", "--to", "data")
    told = "exit code 4: all tags loaded, but rows are in quarantine (more than --allow-quarantined N, default 0)"
    assert (4, told, 5, 1) == (ended.returncode, last_line(ended), len(rows("data")), len(rows("data", "quarantine")))


@pytest.mark.parametrize(("allowed", "code"), [("1", 4), ("2", 0)])
def test_4_only_beyond_what_is_allowed(serve, command, allowed, code):
    """4 becomes 0 where no more rows are in quarantine than `--allow-quarantined` allows."""
    sandbox = serve(Fault("bad_number"))
    ended = command(sandbox, "run", "struck", "promo", "--to", "data", "--allow-quarantined", allowed)
    assert code == ended.returncode


def test_3_beats_4(serve, command):
    """A tag that is not complete weighs more than rows in quarantine."""
    sandbox = serve(Fault("bad_number", tag="promo"), Fault("html", tag="struck"))
    assert command(sandbox, "run", "struck", "promo", "--to", "data").returncode == 3


def test_5(serve, smspartner, here):
    """5: the API refuses the key; nothing is loaded, an old export stays, and no request is retried."""
    sandbox = serve()
    (here / "rows.csv").write_text("old")
    ended = smspartner(
        sandbox, "run", "promo", "--to", "data", "--to", "rows.csv", SMSPARTNER_API_KEY="wrong-key-of-mine"
    )
    told = (
        'exit code 5: the API answered code 10 (wrong API key), "Clé API incorrecte"; '
        "check the key in your SMS Partner account"
    )
    assert (5, told, 1, "old") == (
        ended.returncode,
        last_line(ended),
        len(sandbox.requests),
        (here / "rows.csv").read_text(),
    )
    assert list((here / "data" / "statuses").iterdir()) == []


@pytest.mark.parametrize("code", [1, 10, 20, 30, 40, 96])
def test_5_for_every_refusal(serve, report, code):
    """5: each code by which the vendor refuses the key or the account ends the run at its first request."""
    sandbox = serve(Fault(f"vendor_error_{code}"))
    ended, found = report(sandbox, "promo", "--to", "data")
    assert (ended, found["tags"], found["not_reached"], len(sandbox.requests)) == (5, [], ["promo"], 1)
    assert found["failure"].startswith(f"the API answered code {code} (")


def test_5_despite_http_401(serve, command):
    """5: the vendor's word counts, whatever the HTTP status that goes with it."""
    assert command(serve(Fault("vendor_error_10_http_401")), "run", "promo", "--to", "data").returncode == 5


SILENCED = {
    "wrong key": (
        [],
        "wrong-key-of-mine",
        5,
        ('the API answered code 10 (wrong API key), "Clé API incorrecte"; check the key in your SMS Partner account'),
    ),
    "HTML": (
        [Fault("html")],
        "sandbox-key",
        3,
        "some tags are incomplete, unstable, shrunk or failed; the others are loaded",
    ),
}


@pytest.mark.parametrize("case", SILENCED.values(), ids=SILENCED.keys())
def test_quiet_still_says_why(serve, command, case):
    """With `--quiet`, stderr holds nothing but the reason, in one sentence."""
    faults, key, code, told = case
    ended = command(serve(*faults), "run", "promo", "--to", "data", "--quiet", SMSPARTNER_API_KEY=key)
    assert (code, "", f"error: {told}\n") == (ended.returncode, ended.stdout, ended.stderr)


def test_quiet_success_says_nothing(serve, command):
    """With `--quiet`, a run that ends well says nothing."""
    ended = command(serve(), "run", "promo", "--to", "data", "--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130(serve, start, rows, here, number):
    """130: a signal ends a run that waits; loaded tags, report and audit stay, and an export is not published."""
    (here / "rows.csv").write_text("old")
    run = start(
        serve(Fault("slow", tag="struck", seconds=60)),
        *("run", "promo", "struck", "relance", "--to", "data", "--to", "rows.csv", "--to", "-"),
    )
    printed = [run.stdout.readline() for _ in range(4)]  # the header and the rows of `promo`: it is loaded everywhere
    run.send_signal(number)
    stdout, stderr = run.communicate(timeout=30)
    assert (run.returncode, stdout, stderr.splitlines()[-1]) == (130, "", INTERRUPTED)
    assert "2 of 3 tags were not reached" in stderr.splitlines()
    assert "Traceback" not in stderr
    (kept,) = (json.loads(path.read_text(encoding="utf-8")) for path in (here / "data" / "runs").iterdir())
    assert (
        kept["exit_code"],
        [tag["tag"] for tag in kept["tags"]],
        kept["not_reached"],
    ) == (130, ["promo"], ["struck", "relance"])
    assert [(row["tag"], row["verdict"], row["rows_loaded"]) for row in rows("data", "tag_runs")] == [
        ("promo", "complete", 3)
    ]
    assert (
        [row["tag"] for row in rows("data")],
        len(printed),
        (here / "rows.csv").read_text(),
    ) == (["promo"] * 3, 4, "old")
    assert {"rows.csv", "data"} == {path.name for path in here.iterdir()}


def test_130_twice(serve, start):
    """130: further signals change nothing."""
    run = start(serve(Fault("slow", tag="struck", seconds=60)), "run", "promo", "struck", "--to", "data", "--to", "-")
    for _ in range(4):
        run.stdout.readline()
    for _ in range(3):
        run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=30)
    assert (run.returncode, "Traceback" in stderr) == (130, False)


def test_130_keeps_what_was_read_before(serve, start, rows):
    """130: with Great Expectations too, only the tag in hand is dropped; tags read whole before are loaded."""
    sandbox = serve(Fault("slow", tag="relance", seconds=60))
    log = ("-v", "--log-format", "json", "--validate", "gx")
    run = start(sandbox, "run", "promo", "struck", "relance", "--to", "data", *log)
    for line in run.stderr:
        if "tag struck: complete" in line:  # so `promo` has been taken in
            break
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert (run.returncode, sum(row["tag"] == "promo" for row in rows("data"))) == (130, 3)
