"""Secrets that never print, and redaction of all text that leaves the process."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from smspartner.redaction import MASK, Redactor, Secret, guard_logging

VALUE = "k3y/+ =&\"'\u00e9"
ENCODED = "k3y%2F%2B%20%3D%26%22%27%C3%A9"


def test_secrets_print_as_stars() -> None:
    """A secret shows as `***` however it is printed, alone or within something else."""
    secret = Secret(VALUE)
    assert [str(secret), repr(secret), f"{secret}", "%s" % secret, format(secret)] == [MASK] * 5  # noqa: UP031
    assert repr([secret]) == "[***]"
    assert secret.reveal() == VALUE


def test_secrets_are_values() -> None:
    """Secrets of the same value are equal, and equal to nothing else."""
    assert (Secret("a"), hash(Secret("a"))) == (Secret("a"), hash(Secret("a")))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secrets_are_not_written(write: Callable[[object], object]) -> None:
    """A secret can't be pickled or copied, so that nothing writes it by the way; the refusal does not show it."""
    with pytest.raises(TypeError, match=r"^a secret is not written anywhere$"):
        write(Secret(VALUE))


@pytest.mark.parametrize(
    "spelling",
    [
        VALUE,
        ENCODED,
        ENCODED.replace("%2F", "/"),
        ENCODED.lower().replace("k3y", "k3y"),
        ENCODED.replace("%20", "+"),
        ENCODED.lower().replace("%20", "+"),
        ENCODED.replace("%", "%25"),
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(VALUE.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
        "k3y/+ =&\\\"'\\u00e9",
        "k3y/+ =&\\\"'\u00e9",
        "k3y/+ =&\"\\'\u00e9",
        VALUE.encode().hex(),
    ],
)
def test_every_form_is_redacted(spelling: str) -> None:
    """A secret is found raw, percent-encoded in every way, as form, base64, JSON, Python literal and hexadecimal."""
    redact = Redactor(Secret(VALUE))
    assert redact(f"https://h/?apiKey={spelling}&tag=x {spelling}") == "https://h/?apiKey=***&tag=x ***"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=4), st.text(max_size=5), st.text(max_size=5))
def test_any_secret_in_any_text(value: str, before: str, after: str) -> None:
    """Whatever a secret is made of, none of its forms is left of a text that held it."""
    assume(value not in MASK)
    for form in (
        *(value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]),
        *(base64.b64encode(value.encode()).decode(), value.encode().hex()),
    ):
        left = Redactor(Secret(value))(f"{before}{form}{after}")
        assert MASK in left
        assert form not in left or form in f"{before}{MASK}{after}"


@pytest.mark.parametrize("spelling", ["%252F", "\\\\/", "&amp;#47;", "\\u00252f", "/"])
def test_no_rest_is_left(spelling: str) -> None:
    """Where one spelling is part of a longer one, nothing of the longer one is left standing."""
    assert Redactor(Secret("a/bcd"))(f"<a{spelling}bcd>") == "<***>"


def test_several_secrets() -> None:
    """Every secret that was added is redacted, the longer one first; an empty one changes nothing."""
    redact = Redactor(Secret("abc"), Secret(""), Secret("abcdef"))
    assert redact("abcdef abc xyz") == "*** *** xyz"
    redact.add(Secret("xyz"))
    assert redact("abcdef abc xyz") == "*** *** ***"
    assert Redactor()("anything") == "anything"


@pytest.fixture
def records() -> Any:
    """What handlers of the user's own are given, on the library's logger and on the root."""
    seen: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    handler = Handler()
    loggers = [logging.getLogger("urllib3.connectionpool"), logging.getLogger()]
    levels = [logger.level for logger in loggers]
    filters = list(loggers[0].filters)
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield seen
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
    loggers[0].filters = filters


def test_logging_of_libraries(records: list[logging.LogRecord]) -> None:
    """What the HTTP libraries log is redacted before any handler sees it: message, arguments and traceback."""
    redact = Redactor(Secret(VALUE))
    guard_logging(redact)
    logger = logging.getLogger("urllib3.connectionpool")
    try:
        raise ValueError(f"GET ?apiKey={ENCODED}")  # noqa: TRY301
    except ValueError:
        logger.exception("%s?apiKey=%s", "http://h", ENCODED)
    assert len(records) == 2  # once for each handler
    for record in records:
        assert (record.msg, record.args, record.exc_info) == ("http://h?apiKey=***", None, None)
        assert "ValueError: GET ?apiKey=***" in str(record.exc_text)
        assert ENCODED not in logging.Formatter("%(message)s").format(record)


def test_guarding_twice(records: list[logging.LogRecord]) -> None:
    """Guarding again adds nothing."""
    redact = Redactor(Secret(VALUE))
    guard_logging(redact)
    once = len(logging.getLogger("urllib3.connectionpool").filters)
    guard_logging(redact)
    assert once == len(logging.getLogger("urllib3.connectionpool").filters)
