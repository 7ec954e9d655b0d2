"""How to reach the API: what is accepted, and what is refused before anything is requested."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from smspartner.connection import Connection, check_base_url, parse_rate, read_api_key
from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, Secret

KEY = Secret("key-of-the-connection-test")


def test_defaults() -> None:
    """The key alone makes a connection to the vendor, with the documented defaults."""
    assert {field.name: getattr(Connection(KEY), field.name) for field in dataclasses.fields(Connection)} == {
        "api_key": KEY,
        "base_url": "https://api.smspartner.fr/v1",
        "concurrency": 8,
        "rate": None,
        "timeout": 30.0,
        "retries": 5,
        "backoff": 0.5,
        "passes": 3,
        "verify": False,
        "max_body_bytes": 67108864,
    }


def test_nothing_prints_the_key() -> None:
    """A connection prints without its key, and its key is redacted from then on."""
    assert "api_key=***" in repr(Connection(KEY))
    assert REDACT(f"?apiKey={KEY.reveal()}") == "?apiKey=***"


def test_a_key_as_bare_text() -> None:
    """A key that is no `Secret` is refused with how to wrap it, and the refusal does not show it."""
    with pytest.raises(SettingsError) as caught:
        Connection("key-in-clear")  # type: ignore[arg-type]
    assert str(caught.value) == "api_key is given as str: wrap the text, as in Secret(getpass.getpass())"


def test_it_does_not_change() -> None:
    """A connection is one value that is passed down."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Connection(KEY).retries = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0: give a number from 1 to 256"),
        ({"concurrency": 257}, "concurrency is 257: give a number from 1 to 256"),
        ({"timeout": 0}, "timeout is 0: give a number from 0.001 to 3600"),
        ({"timeout": math.nan}, "timeout is nan: give a number from 0.001 to 3600"),
        ({"timeout": math.inf}, "timeout is inf: give a number from 0.001 to 3600"),
        ({"retries": -1}, "retries is -1: give a number from 0 to 100"),
        ({"backoff": -0.1}, "backoff is -0.1: give a number from 0 to 3600"),
        ({"passes": 0}, "passes is 0: give a number from 1 to 100"),
        ({"rate": 0}, "rate is 0: give a number above 0, such as 300/min"),
        ({"rate": -1.0}, "rate is -1.0: give a number above 0, such as 300/min"),
        ({"rate": math.inf}, "rate is inf: give a number above 0, such as 300/min"),
        ({"rate": math.nan}, "rate is nan: give a number above 0, such as 300/min"),
        (
            {"api_key": Secret("")},
            "no API key: set SMSPARTNER_API_KEY, or SMSPARTNER_API_KEY_FILE to a file that holds it",
        ),
        (
            {"api_key": Secret("a\nb")},
            "the API key holds a line break or control character: check SMSPARTNER_API_KEY or its file",
        ),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    """A value that can't be meant is refused with its name, the value and what to give instead."""
    with pytest.raises(SettingsError) as caught:
        Connection(**{"api_key": KEY, **options})
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://api.smspartner.fr/v1", "https://api.smspartner.fr/v1"),
        ("https://api.smspartner.fr/v1/", "https://api.smspartner.fr/v1"),
        ("https://api.smspartner.fr", "https://api.smspartner.fr/v1"),
        ("https://api.smspartner.fr/", "https://api.smspartner.fr/v1"),
        ("HTTPS://proxy.example/sms/v2//", "https://proxy.example/sms/v2"),
        ("https://host:8443/v1", "https://host:8443/v1"),
        ("http://127.0.0.1:8025/v1", "http://127.0.0.1:8025/v1"),
        ("http://127.1.2.3", "http://127.1.2.3/v1"),
        ("http://localhost:8025", "http://localhost:8025/v1"),
        ("http://[::1]:8025/v1", "http://[::1]:8025/v1"),
    ],
)
def test_base_urls(url: str, checked: str) -> None:
    """HTTPS anywhere and HTTP on loopback are base URLs; a slash at the end and a missing path are mended."""
    assert (checked, checked) == (check_base_url(url), Connection(KEY, base_url=url).base_url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://api.smspartner.fr/v1", "http://localhost.example.com", "http://127.0.0.1.example.com"),
        *("http://192.168.0.1", "http://0.0.0.0", "http://2130706433", "http://[::2]", "http://128.0.0.1"),
    ],
)
def test_plain_http_beyond_loopback(url: str) -> None:
    """Plain HTTP to anywhere else is refused: it would show the key to the network."""
    with pytest.raises(SettingsError, match="plain HTTP would show the API key to the network; use https://"):
        check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "api.smspartner.fr", "ftp://host/v1", "https://", "https:///v1", "https://host:port/", "file:///etc"),
        *("https://host:99999", "https://host:0", "https://[::1", "//host/v1", "javascript:x"),
    ],
)
def test_no_base_url(url: str) -> None:
    """What is no HTTP URL of a host is refused."""
    with pytest.raises(SettingsError, match=r"give https://HOST/PATH, such as https://api.smspartner.fr/v1"):
        check_base_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://me:s3cret@host/v1", "https://me@host/v1", "https://host/v1?apiKey=s3cret", "https://host/v1#s3cret"],
)
def test_more_than_a_base_url(url: str) -> None:
    """User names, `?` and `#` are refused without being shown."""
    with pytest.raises(SettingsError, match="give scheme, host and path only") as caught:
        check_base_url(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://me:s3cret@host/v1", "ftp://host/v1?apiKey=s3cret", "https://me:s3cret@host:x/"])
def test_malformed_urls_are_shown_without_credentials(url: str) -> None:
    """A malformed URL is shown without what may be credentials."""
    with pytest.raises(SettingsError) as caught:
        check_base_url(url)
    assert "s3cret" not in str(caught.value)


def test_key_from_the_environment(tmp_path: Path) -> None:
    """The environment's key beats a file, the environment's file beats the one of the settings."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_text("key-of-ours\n", encoding="utf-8")
    theirs.write_text("\ufeffkey-of-theirs\r\n", encoding="utf-8")
    environment = {"SMSPARTNER_API_KEY": " key-itself ", "SMSPARTNER_API_KEY_FILE": str(theirs)}

    assert read_api_key(str(ours), environment) == Secret("key-itself")
    del environment["SMSPARTNER_API_KEY"]
    assert read_api_key(str(ours), environment) == Secret("key-of-theirs")
    assert read_api_key(str(ours), {"SMSPARTNER_API_KEY": ""}) == Secret("key-of-ours")
    assert REDACT("key-of-theirs, key-of-ours, key-itself") == "***, ***, ***"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf\n"])
def test_no_key(tmp_path: Path, content: bytes) -> None:
    """No key is said to be none, and a file without one to be empty."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^no API key: set SMSPARTNER_API_KEY"):
        read_api_key(None, {})
    with pytest.raises(SettingsError, match=r": it is empty; name a file that holds the key and nothing else$"):
        read_api_key(str(file), {})


@pytest.mark.parametrize("content", [b"two\nlines-of-it", b"nul\x00-in-it"])
def test_no_usable_key(tmp_path: Path, content: bytes) -> None:
    """A file of several lines holds no key; its content is not shown."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^the API key holds a line break or control character") as caught:
        read_api_key(str(file), {})
    assert "-it" not in str(caught.value).replace("its file", "")


def test_key_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A key file that is missing, a directory or no text is named with what is wrong, and nothing of its content."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"s3cret\xff")
    for path, trouble in (
        (tmp_path / "missing", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (binary, "it is not UTF-8 text"),
    ):
        with pytest.raises(SettingsError) as caught:
            read_api_key(str(path), {})
        message = f"API key file {path}: {trouble}; name a file that holds the key and nothing else"
        assert (message, None) == (str(caught.value), caught.value.__context__)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10/s", 10.0), ("300/min", 5.0), ("5000/h", 5000 / 3600), ("0.5/s", 0.5), (" 6 / min ", 0.1), ("1/h", 1 / 3600)],
)
def test_rates(text: str, rate: float) -> None:
    """A rate is a number by the second, minute or hour."""
    assert rate == pytest.approx(parse_rate(text))


@pytest.mark.parametrize(
    "text",
    ["", "10", "10/", "/s", "0/s", "0.0/min", "-1/s", "10/sec", "1e3/s", "10/S", "10 s", "１/s"],  # noqa: RUF001
)
def test_no_rates(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(SettingsError) as caught:
        parse_rate(text)
    assert str(caught.value) == f"rate {text!r}: give a number above 0 and a unit, such as 10/s or 300/min"
