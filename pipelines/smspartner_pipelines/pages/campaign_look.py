"""Which campaigns need a look: why, and what to do. What to do is one of a few fixed sentences, never a guess."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from urllib.parse import quote

from markupsafe import Markup
from smspartner.redaction import MASK
from smspartner.vendor import LONGEST_DELIVERY_HOURS
from smspartner_schemas.contract import ACCEPTED, PHONE_PATTERNS

from smspartner_pipelines.pages.campaign_figures import Campaign, Figures
from smspartner_pipelines.pages.campaign_texts import Texts

_KINDS = ("never", "damaged", "failed_try", "low", "many_opt_outs", "old", "quarantine", "unknown")
"""Worst first."""

FAR_POINTS = 5.0
"""So much less delivered than usual, in points, is far; settable."""

FAR_TIMES = 2
"""So many times the usual opt-outs are many, if it is a point more, too."""

MOST_NEWEST, MOST_NAMED = 200, 5
"""Campaigns with a section of their own beside those that need a look; names in a sentence."""

_NUMBER = re.compile(PHONE_PATTERNS["plain"])


@dataclass(frozen=True)
class Problem:
    """Why a campaign needs a look, in words for its entry and for its row, and what to do.

    `weight` is in messages; `n` the number in the note.
    """

    kind: str
    why: Markup
    do: Markup
    weight: float = 0.0
    n: int = 0

    def note(self, texts: Texts) -> Markup | str:
        """Say it in a word or two, for the campaign's row; nothing where the row says it anyway."""
        return "" if self.kind in {"never", "unknown"} else texts(f"note_{self.kind}", n=self.n)


class Look:
    """All campaigns, newest first, what each needs, and how it is named.

    `problems` are those of each campaign that has any, worst first. `place` is the destination as commands name it.
    """

    def __init__(self, figures: Figures, texts: Texts, place: str, far: float = FAR_POINTS) -> None:
        self.figures, self.t, self.place, self.far = figures, texts, place, far
        numbers = count(1)
        for one in figures.campaigns:  # no number is on the page, and such tags still differ
            if _NUMBER.search(one.tag):
                one.tag = _NUMBER.sub(f"{MASK}{next(numbers)}", one.tag)
        self.campaigns = sorted(figures.campaigns, key=lambda one: (-(one.sent or 0), one.tag))
        self.by_tag = {one.tag: one for one in self.campaigns}
        found = {one.tag: problems for one in self.campaigns if (problems := self._problems(one))}
        self.problems = dict(sorted(found.items(), key=lambda item: (_rank(item[1][0]), -item[1][0].weight, item[0])))
        newest = [tag for tag in self.by_tag if tag not in self.problems][:MOST_NEWEST]
        self._detailed = {*self.problems, *newest}

    def has_section(self, one: Campaign) -> bool:
        """Whether a campaign has a section of its own."""
        return one.tag in self._detailed

    def link(self, one: Campaign) -> Markup:
        """Link a campaign to its section, or name it where it has none."""
        if not self.has_section(one):
            return Markup("<span>{}</span>").format(one.tag)
        return Markup('<a href="#c-{}">{}</a>').format(quote(one.tag, safe=""), one.tag)

    def named(self, campaigns: list[Campaign]) -> Markup:
        """Name the first ones of some campaigns, and count the others."""
        names = Markup(", ").join(self.link(one) for one in campaigns[:MOST_NAMED])
        more = len(campaigns) - MOST_NAMED
        return self.t("and_others", names=names, n=more) if more > 0 else names

    def is_low(self, one: Campaign) -> bool:
        """Whether the delivered share is far below the usual one, by a message or more."""
        usual = self.figures.usual
        return usual is not None and one.share is not None and self._far_below(one.share, usual, one.final)

    def has_many_opt_outs(self, one: Campaign) -> bool:
        """Whether far more people opted out than usually do, by one or more."""
        usual, share = self.figures.usual_opt_outs, one.opt_out_share
        if usual is None or share is None:
            return False
        return share >= max(usual * FAR_TIMES, usual + 1) and (share - usual) * one.delivered >= 100  # noqa: PLR2004

    def far_below(self, share: float, final: int) -> bool:
        """Whether a share of messages with a final outcome is far below the usual one."""
        return self.figures.usual is not None and self._far_below(share, self.figures.usual, final)

    def _far_below(self, share: float, usual: float, final: int) -> bool:
        return usual - share >= self.far and (usual - share) * final >= 100  # noqa: PLR2004

    def _problems(self, one: Campaign) -> list[Problem]:
        if one.damaged:
            return [Problem("damaged", self.t("damaged"), self._do("damaged", self._run(one, "--refresh", "all")))]
        if one.state is None:
            return [self._never(one)]
        found = []
        if one.verdict and one.verdict not in ACCEPTED:
            found.append(self._failed_try(one))
        found += [*self._low(one), *self._many_opt_outs(one), *self._old(one), *self._quarantine(one)]
        return found

    def _never(self, one: Campaign) -> Problem:
        verdict = one.verdict
        kind, how = ("unknown", "unknown") if verdict == "unknown" else ("never", verdict)
        do = f"do_{how}" if how in {"unstable", "unknown"} else "do_never"
        command = Markup() if kind == "unknown" else self._run(one)
        why = self.t("never", why=self._why(one))
        return Problem(kind, why, self.t(do) + command, one.declared or 0)

    def _failed_try(self, one: Campaign) -> Problem:
        shrunk = one.verdict == "shrunk"
        time, read = self.t.time(one.last_try), self.t.time(one.state.extracted_at if one.state else None)
        why = self.t("failed_try", time=time, why=self._why(one), read=read)
        command = self._run(one, "--allow-shrink") if shrunk else self._run(one)
        return Problem("failed_try", why, self._do("shrunk" if shrunk else "failed_try", command), one.final)

    def _why(self, one: Campaign) -> Markup:
        why = self.t(f"why_{one.verdict}")
        if one.declared is None:
            return self.t("not_declared", time=self.t.time(one.last_try), why=why)
        return self.t("declared", n=one.declared, why=why)

    def _low(self, one: Campaign) -> list[Problem]:
        usual = self.figures.usual
        if not self.is_low(one) or one.state is None or one.share is None or usual is None:
            return []
        why = self.t(
            "low",
            share=self.t.percent(one.share),
            points=self.t.points(one.share, usual),
            usual=self.t.percent(usual),
        )
        do = self.t("do_low_ko", n=one.state.ko) if one.state.ko else self.t("do_low")
        return [Problem("low", why, do, (usual - one.share) * one.final / 100)]

    def _many_opt_outs(self, one: Campaign) -> list[Problem]:
        usual = self.figures.usual_opt_outs
        if not self.has_many_opt_outs(one) or one.opt_out_share is None or usual is None:
            return []
        share, weight = self.t.percent(one.opt_out_share), (one.opt_out_share - usual) * one.delivered / 100
        if usual:
            times = round(one.opt_out_share / usual)
            why = self.t("many_opt_outs", share=share, n=times, usual=self.t.percent(usual))
        else:
            why = self.t("many_opt_outs_of_none", share=share)
        return [Problem("many_opt_outs", why, self.t("do_many_opt_outs"), weight)]

    def _old(self, one: Campaign) -> list[Problem]:
        if one.state is None or not one.waiting:
            return []
        age = self.t.now - one.state.extracted_at
        if age <= timedelta(hours=LONGEST_DELIVERY_HOURS):
            return []
        why = self.t("old", days=age.days, n=one.waiting)
        return [Problem("old", why, self._do("old", self._run(one)), one.waiting, age.days)]

    def _quarantine(self, one: Campaign) -> list[Problem]:
        rows = one.state.rows_quarantined if one.state else 0
        if not rows:
            return []
        ((reason, _),) = one.reasons.most_common(1)
        why = self.t("quarantine", n=rows, reason=self.t.reason(reason))
        command = self.t.command("smspartner", "quarantine", shlex.quote(self.place))
        return [Problem("quarantine", why, self._do("quarantine", command), rows, rows)]

    def _run(self, one: Campaign, *options: str) -> Markup:
        words = ("smspartner", "run", shlex.quote(one.tag), "--to", shlex.quote(self.place), *options)
        return self.t.command(*words)

    def _do(self, key: str, command: Markup) -> Markup:
        return self.t(f"do_{key}") + command


def _rank(problem: Problem) -> int:
    return _KINDS.index(problem.kind)
