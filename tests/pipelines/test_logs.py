"""Log records as text or JSON, always redacted."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable

import pytest
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.output import RedactingStream, start_logging

KEY = "key+of/the logs"


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Begin to log, to standard error that is redacted as in the command."""

    def start(verbose: int, level: str | None, style: str) -> None:
        monkeypatch.setattr(sys, "stderr", RedactingStream(sys.stderr))
        REDACT.add(Secret(KEY))
        start_logging(verbose, level, style)

    return start


def test_json(begin: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """Each record is one JSON object a line, with time, level, logger and message, and with its exception."""
    begin(1, None, "json")
    logger = logging.getLogger("some.logger")
    logger.debug("not shown")
    logger.info("%s é\nsecond line", "promo")
    try:
        raise ValueError(f"apiKey={KEY}")  # noqa: TRY301
    except ValueError:
        logger.exception("failed for %s", "key%2Bof%2Fthe%20logs")
    out, err = capsys.readouterr()
    first, second = map(json.loads, err.splitlines())
    assert out == ""
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "info", "logger": "some.logger", "message": "promo é\nsecond line"}
    assert (second["level"], second["message"]) == ("error", "failed for ***")
    assert second["exception"].endswith("ValueError: apiKey=***")


def test_text(begin: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """Records are lines on stderr, redacted down to the traceback."""
    begin(0, "debug", "text")
    try:
        raise ValueError(KEY)  # noqa: TRY301
    except ValueError:
        logging.getLogger("x").debug("key %s", KEY, exc_info=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert " DEBUG   x: key ***\n" in err
    assert err.endswith("ValueError: ***\n")
    assert KEY not in err


def test_warnings(begin: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings of libraries are log records too."""
    begin(0, None, "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"something about {KEY}", stacklevel=1)
    assert "something about ***" in json.loads(capsys.readouterr().err)["message"]
