"""The tables of the campaign report: a row a campaign, the same as CSV, and a row a country."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup

from smspartner_pipelines.pages.campaign_charts import Scale
from smspartner_pipelines.pages.campaign_figures import Campaign
from smspartner_pipelines.pages.campaign_look import Look
from smspartner_pipelines.pages.campaign_texts import DASH

COLUMNS = ("tag", "sent", "messages", "share", "failed", "opt_outs", "waiting", "read")
"""What the table can be sorted by."""

_CSV_COLUMNS = (
    *("tag", "first_delivery", "last_delivery", "messages", "delivered", "failed", "ko", "waiting", "opt_outs"),
    *("delivered_share_of_final", "opt_out_share_of_delivered", "quarantined", "last_read"),
)
_MOST_COUNTRIES = 10


class CampaignTable:
    """Rows as HTML, made here since there may be tens of thousands; `read_at` is the newest reading of all."""

    def __init__(self, look: Look, scale: Scale, read_at: datetime) -> None:
        self._look, self._scale, self._t = look, scale, look.t
        self._read_at = look.t.time(read_at)
        self._labels = {name: look.t(f"column_{name}") for name in COLUMNS}

    def rows(self) -> Markup:
        """Give the rows of all campaigns."""
        return Markup("".join(map(self._row, self._look.campaigns)))  # noqa: S704  # escaped below

    def _row(self, one: Campaign) -> str:
        state, read = one.state, one.state.extracted_at if one.state else one.last_try
        counts = (one.messages, one.delivered, one.final, state.stop_sms, one.waiting) if state else ("",) * 5
        minutes = ["" if at is None else str(int(at) // 60) for at in (one.sent, read.timestamp() if read else None)]
        facts = "|".join(map(str, (minutes[0], *counts, minutes[1])))
        cells = self._cells(one, state.extracted_at) if state else self._never(one)
        name = f"{self._look.link(one)}{self._notes(one)}"
        return f'<tr role="row" data-v="{facts}"><th role="rowheader" scope="row">{name}</th>{cells}</tr>\n'

    def _cells(self, one: Campaign, read: datetime) -> str:
        t, low = self._t, self._look.is_low(one)
        is_old = any(problem.kind == "old" for problem in self._look.problems.get(one.tag, ()))
        kind = "odd" if is_old else "same" if t.time(read) == self._read_at else ""
        mark = self._scale.mark(one.share, waiting=bool(one.waiting), far=low)
        many = "odd" if self._look.has_many_opt_outs(one) else ""
        return (
            f'<td role="cell" class="sent nb">{t.day(one.sent)}</td>'
            f"{self._cell('messages', t.number(one.messages))}"
            f'<td role="cell" class="share"><b class="{"odd" if low else ""}">{t.percent(one.share)}</b>{mark}</td>'
            f"{self._cell('failed', t.number(one.failed))}"
            f"{self._cell('opt_outs', t.percent(one.opt_out_share), many)}"
            f"{self._cell('waiting', t.number(one.waiting), '' if one.waiting else 'zero')}"
            f"{self._cell('read', f'{t.day(read)}<i>, {t.clock(read)}</i>', f'nb {kind}')}"
        )

    def _cell(self, column: str, text: str, kind: str = "") -> str:
        return f'<td role="cell" data-l="{self._labels[column]}" class="{kind}">{text}</td>'

    def _never(self, one: Campaign) -> str:
        hidden = f'<span aria-hidden="true">{DASH}</span><span class="sr">{self._t("not_known")}</span>'
        empty = f'<td role="cell" class="dash">{hidden}</td>'
        word = self._t("cell_unknown" if one.unknown else "cell_never")
        tried = one.last_try
        last = self._t("cell_tried", time=self._t.day(tried).replace(" ", "\u00a0")) if tried else DASH
        share = f'<td role="cell" class="share"><span class="odd">{word}</span>{self._scale.mark(None)}</td>'
        return f'{empty}{empty}{share}{empty * 3}<td role="cell">{last}</td>'

    def _notes(self, one: Campaign) -> str:
        t = self._t
        notes = [note for problem in self._look.problems.get(one.tag, ()) if (note := problem.note(t))]
        if notes:
            return f'<small class="odd">{", ".join(notes)}</small>'
        if one.reused:
            return f"<small>{t('note_since', day=t.day(one.first))}</small>"
        if one.state and not one.messages:
            return f"<small>{t('note_empty')}</small>"
        return f"<small>{t('note_waiting')}</small>" if one.waiting else ""

    def csv(self) -> str:
        """Give the table as a link's address: CSV with a byte order mark, which spreadsheets want."""
        written = io.StringIO()
        table = csv.writer(written, delimiter=";" if self._t.language == "fr" else ",")
        table.writerow(_CSV_COLUMNS)
        table.writerows(map(self._csv_row, self._look.campaigns))
        return "data:text/csv;charset=utf-8," + quote("\ufeff" + written.getvalue())

    def _csv_row(self, one: Campaign) -> list[object]:
        state = one.state
        if state is None:
            return [one.tag, *[""] * (len(_CSV_COLUMNS) - 1)]
        first, last, read = (
            "" if at is None else f"{self._t.local(at):%Y-%m-%dT%H:%M}"
            for at in (one.first, one.last, state.extracted_at)
        )
        shares = ["" if share is None else f"{share / 100:.4f}" for share in (one.share, one.opt_out_share)]
        if self._t.language == "fr":
            shares = [share.replace(".", ",") for share in shares]
        counts = (one.messages, one.delivered, one.failed, state.ko, one.waiting, state.stop_sms)
        return [one.tag, first, last, *counts, *shares, state.rows_quarantined, read]

    def countries(self) -> Iterator[tuple[str, int, float, float, Markup, bool]]:
        """Give the largest countries, and the others as one.

        Each has name, messages with an outcome, their part of all and the delivered share in per cent, the mark of this
        share, and whether it is far from the usual one.
        """
        totals: Counter[str | None] = Counter()
        good: Counter[str | None] = Counter()
        for one in self._look.figures.loaded:
            for code, (final, delivered) in one.countries.items():
                totals[code] += final
                good[code] += delivered
        ranked = [(self._t.country(code), final, good[code]) for code, final in totals.most_common() if final]
        shown, rest = ranked[:_MOST_COUNTRIES], ranked[_MOST_COUNTRIES:]
        if rest:
            finals, delivered_ones = (sum(column) for column in list(zip(*rest, strict=True))[1:])
            shown.append((self._t("other_countries", n=len(rest)), finals, delivered_ones))
        for name, final, delivered in shown:
            share = 100 * delivered / final
            far = self._look.far_below(share, final)
            mark = Markup(self._scale.mark(share, far=far))  # noqa: S704  # numbers alone
            yield name, final, 100 * final / totals.total(), share, mark, far
