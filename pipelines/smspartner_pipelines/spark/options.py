"""The options of the source, checked on the driver, before anything is requested. None of them is a secret."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from smspartner.connection import (
    BASE_URL_VARIABLE,
    Connection,
    check_base_url,
    check_limits,
    parse_rate,
    read_api_key,
)
from smspartner.errors import SettingsError
from smspartner.snapshot import new_run_id
from smspartner.tags import check_tags, read_tags_file
from smspartner.api_key import KEY_FILE_VARIABLE, KEY_VARIABLE
from smspartner.vendor import DEFAULT_BASE_URL
from smspartner_schemas.contract import PhoneForm

from smspartner_pipelines.spark.schema import TABLE_NAMES

KEY_REMEDY = (
    f"the API key is read where the tasks run: set {KEY_VARIABLE} there, or {KEY_FILE_VARIABLE} to a file that holds it"
)
SECRET_NAME = re.compile(r"key|secret|token|passw", re.IGNORECASE)
"""What an option is called that somebody hopes to give the API key by."""

_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Staging:
    """What a run needs besides: rows of erased numbers left out, raw rows kept for what its expectations may doubt."""

    erased: tuple[tuple[str, str], ...] = ()
    raw: bool = False


@dataclass(frozen=True)
class ReadOptions:
    """What one read does; `rate` and `concurrency` are for all its tasks together.

    `staging` is only given by a run, which takes what ends an extraction as a row instead of an exception.
    """

    tags: tuple[str, ...]
    table: str = "statuses"
    base_url: str = Connection.base_url
    concurrency: int = Connection.concurrency
    rate: float | None = Connection.rate
    timeout: float = Connection.timeout
    retries: int = Connection.retries
    backoff: float = Connection.backoff
    verify: bool = Connection.verify
    phone_numbers: PhoneForm = "plain"
    run_id: str = ""
    partitions: int = 0
    report: bool = False
    allow_quarantined: int = 0
    staging: Staging | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", check_base_url(self.base_url))
        object.__setattr__(self, "run_id", self.run_id or new_run_id())
        check_limits(self)
        if self.partitions < 0 or self.allow_quarantined < 0:
            raise SettingsError("partitions and allowQuarantined are 0 or more")
        if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", self.run_id):
            raise SettingsError("runId: give letters, digits and hyphens only")

    def connection(self, number: int, groups: int) -> Connection:
        """Connect as task `number` (from 0) of `groups`, with its share of what all of them may ask for.

        Raises:
            SettingsError: there is no key where this runs.
        """
        share = self.concurrency // groups + (number < self.concurrency % groups)
        return Connection(
            api_key=read_api_key(),
            base_url=self.base_url,
            concurrency=max(1, share),
            rate=self.rate / groups if self.rate else None,
            timeout=self.timeout,
            retries=self.retries,
            backoff=self.backoff,
            verify=self.verify,
        )


def read_options(given: Mapping[str, str]) -> ReadOptions:
    """Read the options as Spark gives them: texts, under names in any case.

    Raises:
        SettingsError: one is unknown, wrong, or named like a secret; no value is repeated that may be one.
    """
    texts = {name.lower(): value for name, value in given.items()}
    for name in given:
        if name.lower() not in _OPTIONS and name.lower() not in _TAGS:
            raise SettingsError(_unknown(name))
    values: dict[str, Any] = {}
    for name, (field, read) in _OPTIONS.items():
        if name in texts:
            values[field] = _value(name, texts[name], read)
    values.setdefault("base_url", os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)
    return ReadOptions(tags=_asked(texts), **values)


def write_options(options: ReadOptions, tags: Sequence[str], partitions: int, staging: Staging) -> dict[str, str]:
    """Give options as Spark takes them: what `read_options` reads, for a run that stages what is read."""
    written = {
        "tags": "".join(f"{tag}\n" for tag in tags),  # a line each: a tag may hold a comma
        "table": options.table,
        "baseUrl": options.base_url,
        "concurrency": str(options.concurrency),
        "timeout": repr(options.timeout),
        "retries": str(options.retries),
        "backoff": repr(options.backoff),
        "verify": str(options.verify),
        "phoneNumbers": options.phone_numbers,
        "runId": options.run_id,
        "partitions": str(partitions),
        "onIncomplete": "report",
        "staging": json.dumps({"erased": staging.erased, "raw": staging.raw}),
    }
    return written if options.rate is None else {**written, "rate": f"{options.rate:.9f}/s"}


def _unknown(name: str) -> str:
    if SECRET_NAME.search(name):
        return f"there is no option {name!r}: {KEY_REMEDY}"
    known = ", ".join(sorted(_SPELLINGS[option] for option in (*_TAGS, *_OPTIONS) if option != "staging"))
    return f"there is no option {name!r}; there are {known}"


def _value(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text.strip())
    except (ValueError, KeyError):
        pass
    raise SettingsError(f"option {_SPELLINGS[name]}: its value is not understood")


def _asked(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Give the tags: separated by line breaks where there is one, for a tag may hold a comma; else by commas."""
    text = texts.get("tags", "")
    named = [tag.strip() for tag in (text.split("\n") if "\n" in text else text.split(","))]
    tags_file = texts.get("tagsfile")
    return tuple(check_tags([*filter(None, named), *(read_tags_file(tags_file) if tags_file else [])]))


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError
        return text.lower()

    return read


def _read_staging(text: str) -> Staging:
    document = json.loads(text)
    return Staging(tuple((key_id, number_hash) for key_id, number_hash in document["erased"]), document["raw"])


_TAGS = ("tags", "tagsfile")
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "table": ("table", _one_of(*TABLE_NAMES)),
    "baseurl": ("base_url", str),
    "concurrency": ("concurrency", int),
    "rate": ("rate", parse_rate),
    "timeout": ("timeout", float),
    "retries": ("retries", int),
    "backoff": ("backoff", float),
    "verify": ("verify", lambda text: _WORDS[text.lower()]),
    "phonenumbers": ("phone_numbers", _one_of(*get_args(PhoneForm))),
    "runid": ("run_id", str),
    "partitions": ("partitions", int),
    "onincomplete": ("report", lambda text: _one_of("fail", "report")(text) == "report"),
    "allowquarantined": ("allow_quarantined", int),
    "staging": ("staging", _read_staging),
}
"""Each option by its name in lower case: the field of `ReadOptions` it fills, and how its text is read."""

_SPELLINGS = {
    name.lower(): name
    for name in (
        *("tags", "tagsFile", "table", "baseUrl", "concurrency", "rate", "timeout", "retries", "backoff", "verify"),
        *("phoneNumbers", "runId", "partitions", "onIncomplete", "allowQuarantined", "staging"),
    )
}
