"""The campaign report as one HTML page: an answer first, then what needs a look, then every campaign."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cached_property
from importlib.resources import files
from statistics import median
from typing import Any

import numpy as np
import smspartner
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from smspartner.redaction import REDACT, hide_numbers
from smspartner.vendor import LOCAL_TIME_ZONE

from smspartner_pipelines.pages import campaign_charts as charts
from smspartner_pipelines.pages.campaign_figures import Campaign
from smspartner_pipelines.pages.campaign_look import FAR_TIMES, MOST_NEWEST, Look
from smspartner_pipelines.pages.campaign_table import CampaignTable
from smspartner_pipelines.pages.campaign_times import Times, times_of

MOST_LOOKS, MOST_READINGS = 20, 5
"""Shown at once: of what needs a look, and of the readings of a campaign."""

_WORDS_OF_SCRIPT = ("total_some", "found", "none_named", "none_sent", "none_both")
_FACTS_OF_SCRIPT = ("n", "q", "days", "seen", "all")
_NEARLY_ALL = 0.9


def campaign_page(look: Look, title: str | None = None) -> bytes:
    """Give the page, in UTF-8; it holds no secret, no phone number, and needs nothing beyond itself."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    facts = {name: f"{{{name}}}" for name in _FACTS_OF_SCRIPT}
    words = json.dumps({key: look.t(key, **facts) for key in _WORDS_OF_SCRIPT}, ensure_ascii=False)
    script = _file("report.js").replace("WORDS", words.replace("<", "\\u003c"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _Page(look)
    pieces = environment.from_string(_file("report.html.jinja")).generate(
        page=page,
        look=look,
        figures=look.figures,
        table=CampaignTable(look, page.scale, page.read_at),
        t=look.t,
        title=REDACT(title or look.t("title")),
        style=Markup(_file("style.css")),  # noqa: S704  # our own files, as below
        script=Markup(script),  # noqa: S704
        script_hash=f"sha256-{digest}",
        version=smspartner.__version__,
        most_looks=MOST_LOOKS,
        most_newest=MOST_NEWEST,
        far_times=FAR_TIMES,
    )
    return b"".join(piece.encode() for piece in pieces)


def _file(name: str) -> str:
    return (files("smspartner_pipelines") / "pages" / name).read_text(encoding="utf-8")


class _Page:
    """What the template shows, in the words of the page."""

    def __init__(self, look: Look) -> None:
        self.look, self.figures, self.t = look, look.figures, look.t
        self.missing = [one for one in look.campaigns if one.state is None and not one.unknown]
        self.damaged = [one for one in look.campaigns if one.damaged]
        self.scale = charts.Scale(look.figures.usual)
        self.times = times_of(look.figures.deliveries, look.t)
        self.read_at = max((one.state.extracted_at for one in self.figures.loaded if one.state), default=self.t.now)
        self.waiting, self.final, self.delivered, self.opt_outs = map(
            self.figures.total, ("waiting", "final", "delivered", "stop_sms")
        )
        self.messages, self.failed = self.final + self.waiting, self.final - self.delivered
        self.share = 100 * self.delivered / self.final if self.final else None

    # The answer

    @property
    def answer(self) -> Markup:
        if not self.figures.loaded:
            return self.t("nothing_loaded")
        if not self.final:
            return self.t("all_waiting", n=self.waiting) if self.waiting else self.t("no_messages")
        return self.t("answer", n=self.delivered, final=self.final, gap=self._gap())

    def _gap(self) -> Markup:
        usual = self.figures.usual
        if usual is None or self.share is None:
            return self.t("gap_unknown")
        points = self.t.points(self.share, usual)
        if points is None:
            return self.t("gap_none", usual=self.t.percent(usual))
        return self.t("gap", points=points, usual=self.t.percent(usual), cause=self._cause(usual))

    def _cause(self, usual: float) -> Markup | str:
        """Name the one campaign without which half of the gap would be closed, if there is one."""
        gap = abs((self.share or 0) - usual)
        best: tuple[float, Campaign, float] | None = None
        for one in self.figures.loaded:
            final = self.final - one.final
            without = 100 * (self.delivered - one.delivered) / final if final else usual + gap
            if abs(without - usual) <= gap / 2 and (best is None or abs(without - usual) < best[0]):
                best = (abs(without - usual), one, without)
        return self.t("cause", link=self.look.link(best[1]), share=self.t.percent(best[2])) if best else ""

    @property
    def waiting_sentence(self) -> Markup | str:
        if not self.waiting or not self.final:
            return ""
        most = max(self.figures.loaded, key=lambda one: one.waiting)
        whose = self.t("waiting_whose", link=self.look.link(most)) if most.waiting >= _NEARLY_ALL * self.waiting else ""
        return self.t("waiting", n=self.waiting, whose=whose)

    @property
    def missing_sentence(self) -> Markup | str:
        of = len(self.look.campaigns)
        return (
            self.t("missing", n=len(self.missing), of=of, names=self.look.named(self.missing)) if self.missing else ""
        )

    def parts(self) -> Markup:
        """Draw what became of all messages: delivered, failed, waiting, with a gap between."""
        drawn, at = [], 0.0
        for kind, rows in (("d", self.delivered), ("f", self.failed), ("w", self.waiting)):
            width = 1000 * rows / self.messages
            if width:
                drawn.append(
                    f'<path class="{kind}" d="M{at:.1f} 0h{max(1.0, width - 3):.1f}v10h-{max(1.0, width - 3):.1f}z"/>'
                )
            at += width
        return Markup("".join(drawn))  # noqa: S704  # numbers alone

    # When

    def bars(self, times: Times, height: int) -> Markup:
        found = [
            charts.Bar(rows, self.t("bar", when=times.name(bar, self.t), n=rows), times.minute(bar, self.t))
            for bar, rows in enumerate(times.counts.tolist())
        ]
        drawn = charts.bars(found, height, self.ticks(int(times.counts.max())))
        return drawn + charts.labels_below(times.labels(self.t), height + 20)

    def names_over(self, times: Times, height: int) -> Markup:
        names = [(bar, self.figures.campaigns[one].tag) for bar, one in times.peaks]
        return charts.labels_above(times.counts.tolist(), names, height)

    def hours(self, times: Times, height: int) -> Markup:
        """Draw deliveries by hour; at night, SMS that advertise must not be sent in France."""
        found = [
            charts.Bar(rows, self.t("bar", when=self.hour(hour), n=rows))
            for hour, rows in enumerate(times.hours.tolist())
        ]
        below = charts.night(height) if self.in_paris else ""
        labels = [(hour / 24, self.t("hour", hour=hour)) for hour in range(0, 24, 4)]
        drawn = charts.bars(found, height, self.ticks(int(times.hours.max())), below)
        return drawn + charts.labels_below(labels, height + 18, middle=True)

    def hour(self, hour: int) -> Markup:
        return self.t("hour_to", hour=hour, next=hour + 1)

    @property
    def in_paris(self) -> bool:
        return self.t.zone.key == LOCAL_TIME_ZONE

    def ticks(self, top: int) -> list[tuple[int, str]]:
        return [(value, self.t.number(value)) for value in charts.ticks_for(top)]

    @cached_property
    def finished(self) -> list[Campaign]:
        """The campaigns that say how fast deliveries usually come: final, sent once, and not low."""
        return [
            one
            for one in self.look.campaigns
            if one.curve is not None and not one.waiting and not one.reused and not self.look.is_low(one)
        ]

    def median_of(self, name: str) -> Markup:
        return self.t.duration(int(median(getattr(one, name) for one in self.finished)))

    @cached_property
    def usual_curve(self) -> str:
        """The mean curve of finished campaigns; nothing where they are too few."""
        if self.figures.usual is None or not self.finished:
            return ""
        return charts.curve(np.mean([np.asarray(one.curve) / (one.final or 1) for one in self.finished], axis=0))

    # Campaign by campaign

    def sections(self) -> list[Campaign]:
        return [one for one in self.look.campaigns if self.look.has_section(one)]

    def summary(self, one: Campaign) -> Markup:
        if one.state is None:
            return self.t("one_never", n=max(1, one.runs[1] - one.runs[0]), day=self.t.day(one.first_try))
        if not one.messages:
            return self.t("one_empty")
        if one.first is None or one.last is None:
            days = ""
        else:
            days = self.t.span(one.first, one.last) if one.reused else self.t.day(one.sent)
        said = self.t("one_waiting", n=one.final, waiting=one.waiting) if one.waiting else self.t("one_of", n=one.final)
        return said + " · " + days if days else said

    def weeks(self, one: Campaign) -> Times | None:
        owner, quarters, counts = self.figures.deliveries
        mine = owner == self.figures.campaigns.index(one)
        return times_of((owner[mine], quarters[mine], counts[mine]), self.t, step="week")

    def curve(self, one: Campaign) -> dict[str, Any]:
        """Draw the deliveries of one campaign by the time since its first one, beside the usual curve."""
        read = one.state.extracted_at.timestamp() - (one.first or 0) if one.state and one.waiting else None
        path = charts.curve(np.asarray(one.curve) / (one.messages), read)
        left, top = charts.end_of(path)
        share = self.t.percent(100 * one.delivered / (one.messages))
        note = self.t("curve_waiting", share=share, n=one.waiting)
        if not one.waiting and one.half is not None and one.most is not None:
            note = self.t("curve_final", half=self.t.duration(one.half), most=self.t.duration(one.most))
        note += self.t("curve_usual") if self.usual_curve else ""
        return {"path": path, "note": note, "left": left, "top": f"{float(top) * 1.6:.1f}", "ends": bool(one.waiting)}

    def readings(self, one: Campaign) -> tuple[list[dict[str, Any]], int]:
        """Give the newest runs that read a campaign, newest first, and how many were before."""
        begin, end = one.runs
        newest = self.figures.runs.slice(max(begin, end - MOST_READINGS), min(end - begin, MOST_READINGS)).to_pylist()
        return newest[::-1], end - begin - len(newest)

    # How sure

    def oldest_open(self) -> Campaign | None:
        """Give the campaign whose figures can still change and were read longest ago."""
        still_open = [one for one in self.figures.loaded if one.waiting and one.state]
        return min(still_open, key=lambda one: one.state.extracted_at if one.state else self.t.now, default=None)

    def damaged_places(self) -> str:
        """Name what could not be read and belongs to no tag."""
        return ", ".join(sorted({hide_numbers(one.place) for one in self.figures.damages if one.tag is None}))
