"""What the campaign report's script draws from: figures as plain values, column by column, to be short in JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Literal

import vl_convert
from smspartner.redaction import MASK
from smspartner_schemas.contract import PHONE_PATTERNS, STATUS_WORDS

from smspartner_pipelines.pages.campaign_figures import STANDINGS, CampaignFigures
from smspartner_pipelines.pages.campaign_texts import Language, Texts
from smspartner_pipelines.pages.campaign_times import Times, times_of_all, times_of_each

_LOCALES: dict[Language, Literal["en-GB", "fr-FR"]] = {"en": "en-GB", "fr": "fr-FR"}
_NUMBER = re.compile(PHONE_PATTERNS["plain"])


@dataclass(frozen=True)
class TableColumn:
    """A column of the page's table, and the text that names it."""

    key: str
    text: str
    right: bool = True

    def name(self, texts: Texts) -> str:
        """Name it in a language."""
        return texts(self.text)


COLUMNS = (
    TableColumn("tag", "column_tag", right=False),
    TableColumn("standing", "column_standing", right=False),
    TableColumn("messages", "column_messages"),
    TableColumn("rate", "column_rate"),
    *(TableColumn(word, f"status_{word}") for word in STATUS_WORDS),
    TableColumn("opt_outs", "column_opt_outs"),
    TableColumn("quarantined", "column_quarantined"),
    TableColumn("newest", "column_newest"),
    TableColumn("fetched", "column_fetched"),
)


def shown_tags(figures: CampaignFigures) -> list[str]:
    """Give the tags as the page shows them: a phone number in one is hidden, and such tags still differ."""
    numbers = count(1)
    return [_NUMBER.sub(f"{MASK}{next(numbers)}", tag) if _NUMBER.search(tag) else tag for tag in figures.tags]


def without_number(text: str) -> str:
    """Hide phone numbers in a text that names a tag or a file."""
    return _NUMBER.sub(MASK, text)


def page_data(figures: CampaignFigures, texts: Texts, zone: str | None, made_at: datetime) -> dict[str, Any]:
    """Give everything that scripts show. Times are seconds since 1970."""
    names = dict(zip(figures.tags, shown_tags(figures), strict=True))
    deliveries = [tag.deliveries for tag in figures.tags.values()]
    number_format = vl_convert.get_format_locale(_LOCALES[texts.language])
    if texts.language == "fr":
        number_format = {**number_format, "thousands": "\u202f"}
    return {
        "language": texts.language,
        "zone": zone,
        "made": _seconds(made_at),
        "texts": texts.for_scripts(),
        "number_format": number_format,
        "time_format": vl_convert.get_time_format_locale(_LOCALES[texts.language]),
        "statuses": STATUS_WORDS,
        "status_names": {word: texts(f"status_{word}") for word in STATUS_WORDS},
        "standing_names": {code: texts(f"standing_{code}") for code in STANDINGS},
        "columns": [{"key": column.key, "right": column.right} for column in COLUMNS],
        "tags": _tags(figures, list(names.values())),
        "countries": [[country, list(counts.values())] for country, counts in figures.countries.items()],
        "times": _times(times_of_all(deliveries)),
        "tag_times": _times(times_of_each(deliveries)),
        "progress": [
            {"tag": names[tag], "readings": [[_seconds(reading.at), reading.counts] for reading in readings]}
            for tag, readings in figures.progress.readings.items()
        ],
    }


def _tags(figures: CampaignFigures, names: list[str]) -> dict[str, list[Any]]:
    tags = figures.tags.values()
    return {
        "tag": names,
        "standing": [tag.standing for tag in tags],
        **{word: [tag.statuses[word] for tag in tags] for word in STATUS_WORDS},
        "opt_outs": [tag.opt_outs for tag in tags],
        "quarantined": [tag.quarantined for tag in tags],
        "newest": [_seconds(tag.state.newest_status_at) for tag in tags],
        "fetched": [_seconds(tag.state.extracted_at) for tag in tags],
    }


def _times(times: Times) -> dict[str, Any]:
    return {"step": times.step, "series": {str(number): series for number, series in times.series.items() if series[0]}}


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
