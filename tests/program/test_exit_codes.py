"""Every exit code, from a real process, with the reason on stderr; schedulers decide by it."""

import json
import os
import resource
import select
import signal
import subprocess

import pytest
from faults import Campaign, Fault
from smspartner_pipelines.load import open_destination


def lines(ended):
    """Give the lines of stderr, and check that nothing looks like a crash."""
    assert "Traceback" not in f"{ended.stdout}{ended.stderr}"
    assert "Exception ignored" not in ended.stderr
    return ended.stderr.splitlines()


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
    assert ": 3 rows loaded into data, " in lines(first)[-2]
    assert lines(first)[-1].startswith("never-sent: unknown: the API answered code 4")
    assert lines(second)[0] == "skipped, since what is loaded is unchanged or fresh: 1 tag"
    assert ": 0 rows loaded into data, " in lines(second)[1]


def test_1_destination_busy(serve, smspartner, here):
    """1: another process holds the destination; nothing is requested."""
    sandbox = serve()
    with open_destination(str(here / "data")).open(for_loading=True):
        ended = smspartner(sandbox, "run", "promo", "--to", "data")
    assert (ended.returncode, sandbox.requests) == (1, [])
    assert lines(ended)[-1].startswith("error: data is in use by another run; wait until it has ended")


def test_1_one_destination_fails(start_sandbox, smspartner, here, rows):
    """1: where one destination of several fails, the others are loaded, and the summary says which failed."""
    (here / "rows.csv").write_text("old")
    (here / "file").write_text("")
    # 2,000 rows are 200 KB of CSV, and a tenth of that in Parquet.
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))}
    sandbox = start_sandbox([Campaign("promo", 2000, sent_at=1_700_000_000)])
    places = ("--to", "rows.csv", "--to", "file/data", "--to", "data")
    ended = smspartner(sandbox, "run", "promo", *places, options=limited)
    assert (ended.returncode, len(rows("data")), (here / "rows.csv").read_text()) == (1, 2000, "old")
    said = [line.split(" failed: ")[0] for line in lines(ended) if line.startswith("error: ")]
    assert said == ["error: rows.csv: writing rows.csv", "error: file/data: reading file/data"]
    assert lines(ended)[-1] == "exit code 1: the run could not be done (destination failed, disk full, bug)"
    assert {"rows.csv", "data", "file"} == {path.name for path in here.iterdir()}


def test_1_nobody_reads(serve, smspartner):
    """1: the reader of standard output has stopped; about a lost report nothing is said, a lost export is named."""
    read, write = os.pipe()
    os.close(read)
    given = {"capture_output": False, "stdout": write, "stderr": -1, "stdin": None}
    ended = smspartner(serve(), "run", "promo", "--to", "-", options=given)
    report = smspartner(serve(), "run", "promo", "--to", "data", "--json", "--quiet", options=given)
    os.close(write)
    assert (ended.returncode, report.returncode, report.stderr) == (1, 1, "")
    assert "standard output" in ended.stderr
    assert lines(ended)[-1].startswith("exit code 1: ")


def test_3(serve, smspartner, rows):
    """3: some tags are not complete; the others are loaded, and the way on is named."""
    ended = smspartner(serve(Fault("html", tag="struck")), "run", "struck", "promo", "--to", "data")
    assert (ended.returncode, [row["tag"] for row in rows("data")]) == (3, ["promo"] * 3)
    assert lines(ended)[-3].startswith("struck: failed: page 1: the body is a web page")
    assert lines(ended)[-2] == "run again: smspartner run struck … (with the options of this run)"
    assert "some tags are incomplete, unstable, shrunk or failed; the others are loaded" in lines(ended)[-1]


def test_4(serve, smspartner, rows):
    """4: all tags are loaded, but rows are in quarantine; the command that says why is named."""
    ended = smspartner(serve(Fault("bad_number", tag="struck")), "run", "struck", "promo", "--to", "data")
    assert (ended.returncode, len(rows("data")), len(rows("data", "quarantine"))) == (4, 5, 1)
    assert lines(ended)[-2:] == [
        "in quarantine: 1 row of struck; `smspartner quarantine data` counts them by reason",
        "exit code 4: no tag failed, but rows are in quarantine (over --allow-quarantined N, default 0)",
    ]


@pytest.mark.parametrize("code", [1, 10, 20, 30, 40, 96])
def test_5_for_every_refusal(serve, report, here, code):
    """5: each code by which the vendor refuses the key or the account ends the run at once; an old export stays."""
    (here / "rows.csv").write_text("old")
    sandbox = serve(Fault(f"vendor_error_{code}"))
    ended, found = report(sandbox, "promo", "--to", "data", "--to", "rows.csv")
    assert (ended, found["tags"], found["not_reached"], len(sandbox.requests)) == (5, [], ["promo"], 1)
    assert found["failure"].startswith(f"the API answered code {code} (")
    assert (here / "rows.csv").read_text() == "old"


SILENCED = {
    "success": ([], "sandbox-key", 0, None),
    "wrong key": ([], "wrong-key-of-mine", 5, "not read, 1 of 1 tags: promo"),
    "HTML": ([Fault("html")], "sandbox-key", 3, "promo: failed: page 1: the body is a web page"),
    "quarantine": ([Fault("bad_number")], "sandbox-key", 4, "in quarantine: 1 row of promo"),
}


@pytest.mark.parametrize(("faults", "key", "code", "named"), SILENCED.values(), ids=SILENCED.keys())
def test_quiet_still_names_the_tags(serve, command, faults, key, code, named):
    """With `--quiet`, stderr holds the tags that need a person, and the reason, and nothing else."""
    ended = command(serve(*faults), "run", "promo", "--to", "data", "--quiet", SMSPARTNER_API_KEY=key)
    assert (code, "") == (ended.returncode, ended.stdout)
    again = ["run again: smspartner run promo … (with the options of this run)"] if code == 3 else []
    begins = [named, *again, f"exit code {code}: "] if code else []
    assert [line[: len(begin)] for line, begin in zip(lines(ended), begins, strict=True)] == begins


def until(run, text):
    """Wait until a run that logs has said something."""
    for line in run.stderr:
        if text in line:
            return


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130(serve, start, rows, here, number):
    """130: a signal ends a run that waits; loaded tags, report and audit stay, and an export is not published."""
    (here / "rows.csv").write_text("old")
    sandbox = serve(Fault("slow", tag="struck", seconds=60), Fault("slow", tag="relance", seconds=60))
    run = start(sandbox, "run", "promo", "struck", "relance", "--to", "data", "--to", "rows.csv", "-v")
    until(run, "tag promo: complete")
    run.send_signal(number)
    stdout, stderr = run.communicate(timeout=30)
    assert (run.returncode, stdout, "Traceback" in stderr) == (130, "", False)
    said = stderr.splitlines()
    assert "rows.csv was not written, since the run ended early" in said
    assert "not read, 2 of 3 tags: struck, relance" in said
    assert said[-2:] == [
        "run again: the same command, since an export holds the tags of one run",
        "exit code 130: interrupted; tags that were loaded stay loaded",
    ]
    (kept,) = (json.loads(path.read_text(encoding="utf-8")) for path in (here / "data" / "runs").iterdir())
    assert (kept["exit_code"], [tag["tag"] for tag in kept["tags"]], kept["not_reached"]) == (
        130,
        ["promo"],
        ["struck", "relance"],
    )
    assert [(row["tag"], row["verdict"], row["rows_loaded"]) for row in rows("data", "tag_runs")] == [
        ("promo", "complete", 3)
    ]
    assert ([row["tag"] for row in rows("data")], (here / "rows.csv").read_text()) == (["promo"] * 3, "old")
    assert {"rows.csv", "data"} == {path.name for path in here.iterdir()}


def test_130_while_a_destination_hangs(start_sandbox, start):
    """130: the first signal waits for what is being loaded, here by a reader that reads nothing; a second ends that."""
    sandbox = start_sandbox([Campaign("promo", 5000, sent_at=1_700_000_000)])
    run = start(sandbox, "run", "promo", "--to", "-", "-v")
    until(run, "tag promo: complete")
    while select.select([run.stdout], [], [], 0.1)[0] == []:
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(0.5)
    run.send_signal(signal.SIGINT)
    assert (run.wait(30), run.stderr.read()) == (130, "error: interrupted\n")
