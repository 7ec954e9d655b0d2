"""How to reach the API: what is accepted, and what is refused before anything is requested."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from smspartner.api_key import read_api_key
from smspartner.connection import Connection, Rate, check_base_url, parse_rate
from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, Secret

KEY = Secret("key-of-the-connection-test")
WHERE = "check SMSPARTNER_API_KEY, its file or its command"


def refusal_of(function: Any, *arguments: Any, **options: Any) -> SettingsError:
    """What a call raises, without cause or context; no text is shown that may be a key in the wrong place."""
    with pytest.raises(SettingsError) as caught:
        function(*arguments, **options)
    error = caught.value
    assert (error.__cause__, error.__suppress_context__ or error.__context__ is None) == (None, True)
    assert "s3cret" not in str(error)
    return error


def test_defaults() -> None:
    """The key alone makes a connection to the vendor, with the documented defaults; it prints without its key."""
    made = Connection(KEY)
    limits = {"concurrency": 8, "rate": Rate(1800, 60.0), "timeout": 30.0, "retries": 5, "backoff": 0.5}
    proof = {"passes": 3, "pass_pauses": (1.0, 5.0), "verify": False, "max_body_bytes": 67108864}
    expected = {"api_key": KEY, "base_url": "https://api.smspartner.fr/v1", **limits, **proof}
    assert {field.name: getattr(made, field.name) for field in dataclasses.fields(Connection)} == expected
    assert "api_key=***" in repr(made)
    assert REDACT(f"?apiKey={KEY.reveal()}") == "?apiKey=***"
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.retries = 1  # type: ignore[misc]


def test_the_pace_of_a_run() -> None:
    """The vendor's host is asked 1,800 times a minute at most, loopback as often as it answers; a given rate holds."""
    rates = [Connection(KEY, base_url=url).rate for url in ("https://gateway.example", "http://127.0.0.1:8025")]
    assert rates == [Rate(1800, 60.0), None]
    given = Rate(5, 1.0)
    assert [Connection(KEY, base_url=url, rate=given).rate for url in ("https://h", "http://[::1]")] == [given, given]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"concurrency": value}, f"concurrency is {value}; give a number from 1 to 256") for value in (0, 257)),
        *(
            ({"timeout": value}, f"timeout is {shown}; give a number from 0.001 to 3600")
            for value, shown in ((0, 0), (math.nan, "nan"), (math.inf, "inf"), (1.234567890123456e20, "out of range"))
        ),
        *(
            ({"retries": value}, f"retries is {shown}; give a number from 0 to 100")
            for value, shown in ((-1, -1), ("s3cret-key", "str"), (True, True), (1234567890123456, "out of range"))
        ),
        ({"backoff": -0.1}, "backoff is -0.1; give a number from 0 to 3600"),
        ({"passes": 0}, "passes is 0; give a number from 1 to 100"),
        ({"rate": 5.0}, "rate is float; give a Rate, such as parse_rate('300/min')"),
        ({"api_key": "s3cret-in-clear"}, "api_key is given as str; wrap the text, as in Secret(getpass.getpass())"),
        (
            {"api_key": Secret("")},
            (
                "there is no API key; set SMSPARTNER_API_KEY, SMSPARTNER_API_KEY_FILE to a file, "
                "or SMSPARTNER_API_KEY_COMMAND to a command"
            ),
        ),
        *(
            (
                {"api_key": Secret(key)},
                f"the API key holds a line break, a control character or an undecodable byte; {WHERE}",
            )
            for key in ("s3cret\nb", "s3cret\udcff-bytes")
        ),
        ({"api_key": Secret("s3cret7")}, f"the API key has fewer than 8 characters; {WHERE}"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], message: str) -> None:
    """A value that can't be meant is refused with its name and what to give instead; a text is not repeated."""
    assert str(refusal_of(Connection, **{"api_key": KEY, **options})) == message


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        *((f"https://api.smspartner.fr{path}", "https://api.smspartner.fr/v1") for path in ("/v1", "/v1/", "", "/")),
        ("HTTPS://proxy.example/sms/v2//", "https://proxy.example/sms/v2"),
        ("https://host:8443/v1", "https://host:8443/v1"),
        ("http://127.0.0.1:8025/v1", "http://127.0.0.1:8025/v1"),
        ("http://127.1.2.3", "http://127.1.2.3/v1"),
        ("http://localhost:8025", "http://localhost:8025/v1"),
        ("http://[::1]:8025/v1", "http://[::1]:8025/v1"),
    ],
)
def test_base_urls(url: str, checked: str) -> None:
    """HTTPS anywhere and HTTP on loopback are base URLs; a slash at the end and a missing path make no difference."""
    assert (checked, checked) == (check_base_url(url), Connection(KEY, base_url=url).base_url)


REFUSED_URLS = {
    "plain HTTP shows the API key to the network; use https://": (
        *("http://api.smspartner.fr/v1", "http://localhost.example.com", "http://127.0.0.1.example.com"),
        *("http://192.168.0.1", "http://0.0.0.0", "http://2130706433", "http://[::2]", "http://128.0.0.1"),
    ),
    "the base URL is not the URL of an API; give https://HOST/PATH": (
        *("", "api.smspartner.fr", "ftp://me:s3cret@host/v1", "ftp://host/v1", "https://", "https:///v1"),
        *("https://host:port/", "https://*.host"),
        *("https://me:s3cret@host:x/", "https://host:99999", "https://host:0", "https://[::1", "//host/v1", "s3cret"),
        *("https://.", "https://a..b", f"https://{'a' * 64}.fr", "https://host\\v1"),
        *("https://me:s3cret@host/v1", "https://me@host/v1", "https://host/v1?apiKey=s3cret", "https://host/v1#s3cret"),
        *("https://host/v 1", "https://host/v\udcff", "https://host/v\u202e1"),
    ),
}


@pytest.mark.parametrize(("url", "words"), [(url, words) for words, urls in REFUSED_URLS.items() for url in urls])
def test_refused_base_urls(url: str, words: str) -> None:
    """What is no URL of an API, would show the key, or holds more than host and path, is refused and not repeated."""
    assert words in str(refusal_of(check_base_url, url))


def command(program: str) -> str:
    """A command that runs a Python program."""
    return f'"{sys.executable}" -c "{program}"'


def test_where_the_key_comes_from(tmp_path: Path) -> None:
    """The environment's key beats a file, the environment's file the one of the settings, any file a command."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_text("key-of-ours\n", encoding="utf-8")
    theirs.write_text("\ufeffkey-of-theirs\r\n", encoding="utf-8")
    environment = {
        "SMSPARTNER_API_KEY": " 8-letter ",
        "SMSPARTNER_API_KEY_FILE": str(theirs),
        "SMSPARTNER_API_KEY_COMMAND": command("print('key-of-a-command'); print('another line')"),
    }
    found = [read_api_key(str(ours), environment).reveal()]
    for name in ("SMSPARTNER_API_KEY", "SMSPARTNER_API_KEY_FILE"):
        del environment[name]
        found.append(read_api_key(str(ours), environment).reveal())
    found.append(read_api_key(None, environment).reveal())
    assert found == ["8-letter", "key-of-theirs", "key-of-ours", "key-of-a-command"]
    assert REDACT("key-of-theirs, key-of-ours, 8-letter, key-of-a-command") == "***, ***, ***, ***"


def test_key_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that holds no key is refused with what is wrong, and its name, which may be the key, is not repeated."""
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbf\n")
    (tmp_path / "large").write_bytes(b"s3cret!" * 9_999)
    for path, problem in (
        (str(tmp_path / "bom"), "is empty"),
        ("s3cret-key-in-its-place", "can't be read: No such file or directory"),
        ("s3cret\0", "can't be read: no file has such a name"),
        (str(tmp_path), "can't be read: Is a directory"),
        (str(tmp_path / "large"), "can't be read: it is larger than 64 KB"),
        ("/dev/zero", "can't be read: it is larger than 64 KB"),
    ):
        error = refusal_of(read_api_key, path, {})
        assert error.what == f"the API key file named by SMSPARTNER_API_KEY_FILE or --api-key-file {problem}"
    for content in (b"two-lines\ns3cret", b"s3cret\xff"):
        (tmp_path / "key").write_bytes(content)
        assert "the API key holds a line break" in refusal_of(read_api_key, str(tmp_path / "key"), {}).what
    assert refusal_of(read_api_key, None, {}).what == "there is no API key"


LATE_OR_LONG = "it did not end within 0.2 s, or wrote more than 64 KB"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (command("print('s3cret-key'); raise SystemExit(3)"), "it ended with exit code 3"),
        (command("import sys; print(); sys.stderr.write('s3cret')"), "its first line is empty"),
        (command("import time; time.sleep(600)"), LATE_OR_LONG),
        ("sh -c 'echo s3cret; sleep 600; true'", LATE_OR_LONG),
        (command("import os, time; print('s3cret', flush=True); os.close(1); time.sleep(600)"), LATE_OR_LONG),
        ("cat /dev/zero", "it did not end within 30 s, or wrote more than 64 KB"),
        ("s3cret-key-in-its-place", "it can't be run: No such file or directory"),
        ('"s3cret', "it can't be run: it is not a command"),
        ("   ", "it can't be run: it is not a command"),
    ],
)
def test_key_commands_that_give_none(given: str, problem: str) -> None:
    """A command that fails, hangs, or gives no key, is refused without itself, its output or its own words."""
    seconds = 0.2 if problem == LATE_OR_LONG else 30
    error = refusal_of(read_api_key, None, {"SMSPARTNER_API_KEY_COMMAND": given}, command_seconds=seconds)
    assert error.what == f"the command in SMSPARTNER_API_KEY_COMMAND gave no API key: {problem}"


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("10/s", Rate(10, 1.0), "10/s"),
        ("300/min", Rate(300, 60.0), "300/min"),
        ("5000/h", Rate(5000, 3600.0), "5000/h"),
        (" 6 / min ", Rate(6, 60.0), "6/min"),
        ("0.5/min", Rate(0.5, 60.0), "0.5/min"),
        ("1.5/s", Rate(1.5, 1.0), "1.5/s"),
    ],
)
def test_rates(text: str, rate: Rate, shown: str) -> None:
    """A rate is a number by the second, minute or hour, and is shown as it is written."""
    assert (parse_rate(text), str(rate)) == (rate, shown)


@pytest.mark.parametrize(
    "text",
    ["", "10", "10/", "/s", "0/s", "0.0/min", "-1/s", "10/sec", "1e3/s", "10/S", "10 s", "１/s", "s3cret"],  # noqa: RUF001
)
def test_no_rates(text: str) -> None:
    """Anything else is refused with an example, and not repeated."""
    assert refusal_of(parse_rate, text).remedy == "give a number above 0 and a unit, such as 10/s or 300/min"
