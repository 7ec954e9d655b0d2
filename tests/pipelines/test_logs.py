"""Log records as text or JSON, always redacted."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator

import pytest
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.logs import configure_logging

KEY = "key+of/the logs"


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """The root logger is as before once the test ends."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    REDACT.add(Secret(KEY))
    yield
    root.handlers = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Each record is one JSON object a line, with time, level, logger and message, and with its exception."""
    configure_logging("info", "json")
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


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Records are lines on stderr, redacted down to the traceback."""
    configure_logging("debug", "text")
    try:
        raise ValueError(KEY)  # noqa: TRY301
    except ValueError:
        logging.getLogger("x").debug("key %s", KEY, exc_info=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert " DEBUG   x: key ***\n" in err
    assert err.endswith("ValueError: ***\n")
    assert KEY not in err


def test_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings of libraries are log records too."""
    configure_logging("warning", "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"something about {KEY}", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "something about ***" in json.loads(capsys.readouterr().err)["message"]
