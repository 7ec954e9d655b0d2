"""The campaign report as one HTML page: a template, the stylesheets and scripts beside it, the figures as JSON."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import vl_convert
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from smspartner.redaction import REDACT
from smspartner_schemas.contract import DELIVERED, STATUS_WORDS, WAITING

from smspartner_pipelines.pages.campaign_data import COLUMNS, page_data, shown_tags, without_number
from smspartner_pipelines.pages.campaign_figures import SETTLED, STANDINGS, CampaignFigures
from smspartner_pipelines.pages.campaign_texts import Language, Texts

_STALE = timedelta(hours=24)
_MOST_NAMED = 5
_SCRIPTS = ("campaigns_words.js", "campaigns_charts.js", "campaigns_table.js")
"""Of the page itself, in the order in which they need each other."""


@dataclass(frozen=True)
class PageSettings:
    """What the reader is to see: the place that was read, language, title and time zone (None: the browser's)."""

    place: str
    language: Language
    made_at: datetime
    title: str | None = None
    zone: str | None = None


def campaign_page(figures: CampaignFigures, settings: PageSettings) -> str:
    """Give the page; it holds no secret, no phone number, and needs nothing beyond itself."""
    texts = Texts(settings.language)
    own = "".join(map(_file, _SCRIPTS))
    scripts = [f'(function(){{"use strict";{_library()}}})();', f"(function(){{{own}}})();"]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    template = environment.from_string(_file("campaigns.html.jinja"))
    return template.render(
        t=texts,
        title=REDACT(settings.title or texts("title")),
        place=REDACT(settings.place),
        zone=settings.zone,
        made_at=settings.made_at,
        time=_time,
        style=Markup(_file("style.css") + _file("campaigns.css")),  # noqa: S704  # our own files, as below
        licences=Markup(_file("bundled_licences.txt").replace("--", "- ")),  # noqa: S704
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        script_hashes=Markup(" ".join(map(_hash, scripts))),  # noqa: S704
        data=Markup(as_script_data(page_data(figures, texts, settings.zone, settings.made_at))),  # noqa: S704  # escaped there
        version=importlib.metadata.version("smspartner-connector"),
        **_words(figures, texts, settings.made_at),
    )


def as_script_data(value: Any) -> str:
    """Write JSON that stands in a script element: nothing in it ends the element, or begins a comment."""
    text = REDACT.json(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _library() -> str:
    """Give Vega, Vega-Lite and Vega-Embed as one script, which the package brings."""
    return vl_convert.javascript_bundle(None)  # type: ignore[arg-type]  # all of it, rather than what a snippet needs


def _file(name: str) -> str:
    return (files("smspartner_pipelines") / "pages" / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Name a script in the page's policy, under which no other one runs."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _time(at: datetime) -> Markup:
    """Give a time that the page's script writes in the reader's zone; in UTC until then."""
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d %H:%M} UTC</time>').format(at, at)


def _words(figures: CampaignFigures, texts: Texts, made_at: datetime) -> dict[str, Any]:
    """Give what the template shows beside charts and table."""
    return {
        "notices": _notices(figures, texts),
        "remarks": _remarks(figures, texts, made_at),
        "key_figures": _key_figures(figures, texts),
        "statuses": [_status(word, figures, texts) for word in STATUS_WORDS],
        "standings": [(code, texts(f"standing_{code}")) for code in STANDINGS],
        "columns": [{"key": column.key, "right": column.right, "name": column.name(texts)} for column in COLUMNS],
        "glossary": _glossary(texts),
        "has_progress": bool(figures.progress.readings),
        "progress_left_out": figures.progress.left_out,
        "total_waiting": figures.total(WAITING),
        "countries": len(figures.countries),
        "reasons": [
            {"code": REDACT(reason), "meaning": texts.reason(reason), "rows": rows, "tags": tags}
            for reason, (rows, tags) in sorted(figures.reasons.items(), key=lambda item: (-item[1][0], item[0]))
        ],
    }


def _glossary(texts: Texts) -> list[tuple[str, str]]:
    """Give the words of the page that say something else elsewhere, or nothing, each with its meaning."""
    keys = ["delivery_rate", *(f"status_{word}" for word in STATUS_WORDS), "opt_outs", "in_quarantine", "data_fetched"]
    keys += [f"standing_{code}" for code in STANDINGS]
    return [(texts(key), texts(f"{key}_means")) for key in keys]


def _notices(figures: CampaignFigures, texts: Texts) -> list[str]:
    shown = dict(zip(figures.tags, shown_tags(figures), strict=True))
    found = {
        "unreadable": list(map(without_number, figures.unreadable)),
        "unsure": [shown[tag] for tag in figures.unsure],
    }
    return [texts(key, count=len(named), tags=_named(named, texts)) for key, named in found.items() if named]


def _named(tags: list[str], texts: Texts) -> str:
    named = ", ".join(tags[:_MOST_NAMED])
    return texts("and_others", tags=named, count=len(tags) - _MOST_NAMED) if len(tags) > _MOST_NAMED else named


def _remarks(figures: CampaignFigures, texts: Texts, made_at: datetime) -> list[str]:
    stale = sum(tag.standing != SETTLED and made_at - tag.state.extracted_at > _STALE for tag in figures.tags.values())
    return [texts("stale", count=stale, hours=_STALE // timedelta(hours=1))] if stale else []


def _status(word: str, figures: CampaignFigures, texts: Texts) -> dict[str, Any]:
    rows = figures.total(word)
    share = texts.percent(rows, figures.messages)
    return {"word": word, "name": texts(f"status_{word}"), "rows": rows, "share": share}


def _key_figures(figures: CampaignFigures, texts: Texts) -> list[dict[str, Any]]:
    tags = figures.tags.values()
    still_open = [tag for tag in tags if tag.standing != SETTLED]
    messages, delivered, waiting = figures.messages, figures.total(DELIVERED), figures.total(WAITING)
    opt_outs, quarantined = sum(tag.opt_outs for tag in tags), sum(tag.quarantined for tag in tags)
    data_fetched_note: Any = ""
    if still_open:
        oldest = min(tag.state.extracted_at for tag in still_open)
        data_fetched_note = Markup("{}{}").format(texts("data_fetched_note"), _time(oldest))
    listed: list[tuple[str, Any, Any]] = [
        (texts("campaigns"), len(tags), texts("campaigns_note", open=len(still_open))),
        (texts("messages"), messages, texts("messages_note")),
        (
            texts("delivery_rate"),
            texts.percent(delivered, messages),
            texts("delivery_rate_note", delivered=delivered),
        ),
        (texts("status_waiting"), waiting, texts("waiting_note", share=texts.percent(waiting, messages))),
        (texts("opt_outs"), opt_outs, texts("opt_outs_note", share=texts.percent(opt_outs, messages))),
        (texts("in_quarantine"), quarantined, texts("in_quarantine_note")),
        (texts("data_fetched"), _time(max(tag.state.extracted_at for tag in tags)), data_fetched_note),
    ]
    return [
        {
            "name": name,
            "value": texts.number(value) if isinstance(value, int) else value,
            "note": note,
            "is_time": isinstance(value, Markup),
        }
        for name, value, note in listed
    ]
