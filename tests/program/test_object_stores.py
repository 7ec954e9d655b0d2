"""The command on an object store: a run, the next one, and all that looks at what is loaded or changes it."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.sandbox import Campaign, Fault

PHONE_KEY = "a phone key of 26 letters!"
SECRETS = ("wJalrXUtnFEMI/of+the/tests", "FwoGZXIvYXdzEXAMPLETOKENOFTHESESSION")


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve two settled tags, one with an invalid row."""
    rows = [api_row(1), api_row(2, status="?"), api_row(3)]
    return start_sandbox([Campaign.of_rows("promo", rows), Campaign.of_rows("others", [api_row(4)])])


@pytest.fixture
def numbers(bucket, here):
    """Read the numbers that are loaded under a tag's file name."""

    def read(tag):
        key = next(key for key in bucket.objects("data/statuses/") if f"/{tag}-" in key)
        (here / "read.parquet").write_bytes(bucket.read(key))
        return pq.read_table(here / "read.parquet")["phone_number"].to_pylist()

    return read


def test_run_twice(sandbox, bucket, report, command):
    """A second run skips what is settled; `tags` shows what is loaded; the run's report and audit lie beside."""
    first = report(sandbox, "promo", "others", "--to", f"{bucket.uri}/data")
    second = report(sandbox, "promo", "others", "--to", f"{bucket.uri}/data")
    verdicts = [{tag["tag"]: tag["verdict"] for tag in told["tags"]} for _, told in (first, second)]
    assert (first[0], second[0]) == (4, 4)
    assert verdicts == [{"promo": "complete", "others": "complete"}, {"promo": "complete", "others": "skipped"}]
    for kind, ending in (("runs", "json"), ("tag_runs", "parquet")):
        runs = sorted(f"data/{kind}/{told['run_id']}.{ending}" for _, told in (first, second))
        assert bucket.objects(f"data/{kind}/") == runs
    listed = command(None, "tags", f"{bucket.uri}/data")
    assert (listed.returncode, "promo" in listed.stdout, "others" in listed.stdout) == (0, True, True)


def test_forget(sandbox, bucket, command, numbers):
    """A forgotten person leaves, and stays away when the tag is read again."""
    place = f"{bucket.uri}/data"
    command(sandbox, "run", "promo", "--to", place)
    told = command(None, "forget", "+33639980001", "--to", place, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert told.returncode == 0
    assert told.stdout.startswith(f"{place}: 1 row and 0 rows in quarantine removed")
    assert numbers("promo") == ["+33639980003"]
    command(sandbox, "run", "promo", "--refresh", "all", "--to", place, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert numbers("promo") == ["+33639980003"]


def test_nothing_requested(sandbox, bucket, command):
    """Where it can't be loaded, the command ends before anything is requested, with exit code 2 and one sentence."""
    ended = command(sandbox, "run", "promo", "--to", "s3://no-such-bucket-here/data")
    assert (ended.returncode, sandbox.requests) == (2, [])
    assert "there is no such bucket (NoSuchBucket); create it, or correct its name" in ended.stderr


def test_second_run(start_sandbox, bucket, command, start, campaign):
    """A run on a place in use ends with exit code 1, and requests nothing."""
    slow = start_sandbox([campaign("promo")], faults=[Fault("slow", seconds=30)])
    first = start(slow, "run", "promo", "--to", f"{bucket.uri}/data", "--timeout", "60")
    while not slow.requests:  # it holds the lock by the time it asks for something
        assert first.poll() is None
    other = start_sandbox([campaign("promo")])
    second = command(other, "run", "promo", "--to", f"{bucket.uri}/data/")
    assert (second.returncode, other.requests) == (1, [])
    assert f"{bucket.uri}/data is in use by another run" in second.stderr


@pytest.mark.parametrize("given", ["environment", "file"])
def test_credentials(sandbox, bucket, smspartner, here, given):
    """Credentials come as AWS tools take them, and no log at any level shows them, whole or in a request."""
    if given == "file":
        text = "[team]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = {}\naws_session_token = {}\n"
        (here / "credentials").write_text(text.format(*SECRETS))
        changes = {"AWS_SHARED_CREDENTIALS_FILE": str(here / "credentials"), "AWS_PROFILE": "team"}
        changes |= {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    else:
        changes = {"AWS_SESSION_TOKEN": SECRETS[1]}
    ended = smspartner(sandbox, "run", "promo", "--to", f"{bucket.uri}/data", "--log-level", "debug", **changes)
    assert ended.returncode == 4
    told = ended.stdout + ended.stderr
    assert not any(secret in told for secret in (*SECRETS, "Signature=", "x-amz-security-token"))
