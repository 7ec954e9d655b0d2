"""The command on an object store: what is wrong with it, and whose credentials it takes."""

from __future__ import annotations

import pytest
from smspartner_pipelines.sandbox import Campaign

SECRETS = ("wJalrXUtnFEMI/of+the/tests", "FwoGZXIvYXdzEXAMPLETOKENOFTHESESSION")


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve a tag with an invalid row."""
    return start_sandbox([Campaign.of_rows("promo", [api_row(1), api_row(2, status="?"), api_row(3)])])


def test_nothing_requested(sandbox, bucket, command):
    """Where it can't be loaded, the command ends before anything is requested, with exit code 2 and one sentence."""
    ended = command(sandbox, "run", "promo", "--to", "s3://no-such-bucket-here/data")
    assert (ended.returncode, sandbox.requests) == (2, [])
    assert "there is no such bucket (NoSuchBucket); create it, or correct its name" in ended.stderr


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
