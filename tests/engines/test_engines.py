"""Each engine in an environment of its own: its cases hold, and nothing that it writes holds a key or a number."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

KEY, WRONG_KEY, PHONE_KEY = "k3y+/=&%é s3cretOfTests", "wr0ng+/=&%k3yOfTests", "a phone key for these tests"
NUMBER = re.compile(r"6\W{0,3}3\W{0,3}9\W{0,3}9\W{0,3}8\W{0,3}0\W{0,3}0")
"""All numbers of these cases begin with +336399800, which is kept for fiction."""

ROWS = r"\.parquet$|\.duckdb|/(data|loaded|statuses)/|(statuses|quarantine)\.[^/]*\.(jsonl|csv|insert_values)(\.gz)?$"
"""Files that hold rows."""


def spellings(secret: str) -> set[str]:
    """Give the ways in which programs write a text down."""
    coded = [base64.b64encode(b" " * shift + secret.encode()).decode()[4:-4] for shift in range(3)]
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], *coded}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("airflow", {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "SMSPARTNER_VALIDATE": "contract"}),
        ("dagster", {"DAGSTER_DISABLE_TELEMETRY": "1", "SMSPARTNER_VALIDATE": "contract"}),
        ("dbt", {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "SMSPARTNER_VALIDATE": "contract"}),
        ("dlt", {"RUNTIME__LOG_LEVEL": "DEBUG", "DLT_DATA_DIR": "dlt"}),
        ("prefect", {"DO_NOT_TRACK": "1", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}),
        ("spark", {"SMSPARTNER_PHONE_KEY": PHONE_KEY}),
    ],
)
def test_engine(
    run_cases: Callable[..., Any], postgresql_server: str, tmp_path: Path, name: str, settings: dict[str, str]
) -> None:
    """All cases of an engine hold; neither keys nor numbers stand in logs, plans, traces, databases or schemas."""
    (tmp_path / "wrong").write_text(WRONG_KEY, encoding="utf-8")
    homes = {f"{engine}_HOME": str(tmp_path) for engine in ("AIRFLOW", "DAGSTER", "PREFECT")}
    ended = run_cases(name, SMSPARTNER_API_KEY=KEY, TEST_POSTGRESQL=postgresql_server, **homes, **settings)
    assert ended.returncode == 0
    files = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and not re.search(rf"{ROWS}|/(wrong|secrets\.toml|connections\.json|secret\.py)$", str(path))
    ]
    texts = {str(path): path.read_bytes().decode("latin-1") for path in files}
    assert len(texts) > 1
    texts |= {"stdout": ended.stdout, "stderr": ended.stderr}
    secrets = [spelled for secret in (KEY, WRONG_KEY, PHONE_KEY) for spelled in spellings(secret)]
    assert [at for at, text in texts.items() if NUMBER.search(text) or any(one in text for one in secrets)] == []
