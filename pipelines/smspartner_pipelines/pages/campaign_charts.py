"""The charts of the campaign report, drawn as SVG when the page is made.

Widths are per cent and text stands outside of what is stretched, so that labels keep their size at any width. All texts
come in escaped or as numbers; what is given is safe to put into the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from smspartner_pipelines.pages.campaign_figures import CURVE_SECONDS

_HOURS = 24
_LETTER = 0.9
"""Width of a letter of a label, in per cent of a chart 830 px wide."""

_LINE = 15
"""Height of a line of labels, in px."""

_MOST_LABELS = 8


@dataclass(frozen=True)
class Scale:
    """The axis of shares: from `low` to 100 per cent, with a line at the usual one, if that is known."""

    usual: float | None

    @property
    def low(self) -> int:
        """Where it begins: close by, where nearly everything is usually delivered."""
        return 80 if self.usual is not None and self.usual >= 85 else 0  # noqa: PLR2004

    def at(self, share: float) -> str:
        """Give the place of a share, in per cent of the width."""
        return f"{max(0.0, (share - self.low) / (100 - self.low) * 100):.2f}%"

    def line(self) -> str:
        """Draw the usual line through a row."""
        if self.usual is None:
            return ""
        at = self.at(self.usual)
        return f'<line class="usual" x1="{at}" x2="{at}" y2="100%"/>'

    def mark(self, share: float | None, *, waiting: bool = False, far: bool = False) -> str:
        """Draw a row's share, and how far it is from the usual: dot, ring (some wait), diamond (far), arrow (below)."""
        if share is None:
            return f'<svg aria-hidden="true">{self.line()}</svg>'
        at, o = self.at(share), " o" if far else ""
        if share < self.low or far:
            shape = "M-7 0 3-6v12z" if share < self.low else "M-6 0 0-6 6 0 0 6z"
            mark = f'<svg x="{at}" y="50%" width="1" height="1" overflow="visible"><path class="f" d="{shape}"/></svg>'
        else:
            kind, radius = ("ring", "4.5") if waiting else ("d", "5")
            mark = f'<circle class="{kind}" cx="{at}" cy="50%" r="{radius}"/>'
        stem = ""
        if self.usual is not None:
            stem = f'<line class="stem{o}" x1="{self.at(self.usual)}" x2="{at}" y1="50%" y2="50%"/>'
        return f'<svg aria-hidden="true">{self.line()}{stem}{mark}</svg>'


@dataclass(frozen=True)
class Bar:
    """One bar: its value, what it says when it is pointed at, and its minute since 1970, if it has one."""

    value: int
    title: str
    minute: int | str = ""


def bars(values: Sequence[Bar], height: int, ticks: Sequence[tuple[int, str]], below: str = "") -> Markup:
    """Draw bars from 0 to their largest value, with a line at each tick: a value and its label.

    `below` is drawn beneath the bars; lay `labels_below` and `labels_above` over them.
    """
    top = max((bar.value for bar in values), default=0) or 1
    lines = "".join(
        f'<line class="{"grid" if value else "axis"}" x2="100%" y1="{height - value / top * height:.2f}" '
        f'y2="{height - value / top * height:.2f}"/><text x="-8" y="{height - value / top * height + 4:.2f}" '
        f'text-anchor="end">{label}</text>'
        for value, label in ticks
    )
    drawn = "".join(
        f'<g data-d="{bar.minute}"><title>{escape(bar.title)}</title>'
        f'<path class="hit" d="M{at} 0h1v{height}h-1z"/>'
        f'<path class="d" d="M{at}.12 {height}v-{bar.value / top * height:.1f}h.76V{height}z"/></g>'
        for at, bar in enumerate(values)
        if bar.value
    )
    box = f'viewBox="0 0 {len(values)} {height}" preserveAspectRatio="none" width="100%" height="{height}"'
    return _safe(f"{below and f'<svg {box}>{below}</svg>'}{lines}<svg {box}>{drawn}</svg>")


def night(height: int) -> str:
    """Shade 20:00 to 8:00 below bars of the hours of a day."""
    return f'<path class="night" d="M0 0h8v{height}h-8z"/><path class="night" d="M20 0h4v{height}h-4z"/>'


def labels_below(labels: Sequence[tuple[float, str]], y: int, *, middle: bool = False) -> Markup:
    """Write labels below a chart, at these shares (0 to 1) of its width."""
    anchor = ' text-anchor="middle"' if middle else ""
    return _safe("".join(f'<text x="{100 * at:.2f}%" y="{y}"{anchor}>{escape(text)}</text>' for at, text in labels))


def labels_above(values: Sequence[int], names: Sequence[tuple[int, str]], height: int) -> Markup:
    """Write names over the bars they belong to, largest first, where they touch no other name and no bar.

    On a narrow screen, only the first one is shown.
    """
    tops = np.array(values) / (max(values, default=0) or 1) * height
    taken: list[tuple[float, float, float]] = []
    drawn: list[str] = []
    for bar, name in sorted(names, key=lambda one: -values[one[0]]):
        width, y = _LETTER * len(name) + 1, height - tops[bar] - 6
        ends_here = 100 * bar / len(values) > 50  # noqa: PLR2004
        x = 100 * (bar + 0.88) / len(values) if ends_here else 100 * (bar + 0.12) / len(values)
        left, right = (x - width, x) if ends_here else (x, x + width)
        under = tops[max(0, int(left / 100 * len(values))) : int(right / 100 * len(values)) + 1]
        free = all(right < other[0] or left > other[1] or abs(y - other[2]) > _LINE for other in taken)
        if not free or left < 0 or right > 100 or (under > tops[bar]).any():  # noqa: PLR2004
            continue
        taken.append((left, right, y))
        anchor, wide = "end" if ends_here else "start", " wide" if drawn else ""
        drawn.append(f'<text class="say1{wide}" x="{x:.1f}%" y="{y:.0f}" text-anchor="{anchor}">{escape(name)}</text>')
        if len(drawn) == _MOST_LABELS:
            break
    return _safe("".join(drawn))


def ticks_for(top: int) -> list[int]:
    """Give 0 and at most four round values up to `top`: 1, 2, 2.5 or 5 times a power of ten apart."""
    step = next(
        step
        for power in range(12)
        for step in (10**power, 2 * 10**power, 25 * 10 ** (power - 1) if power else 0, 5 * 10**power)
        if step and top // step <= 4  # noqa: PLR2004
    )
    return [int(step) * number for number in range(int(top // step) + 1)]


def curve(shares: npt.NDArray[np.float64], seconds: float | None = None) -> str:
    """Give the path of delivered shares (0 to 1) at `CURVE_SECONDS`, in a box of 100 by 100.

    A campaign of which some still wait ends at its last reading: `seconds` after its first delivery.
    """
    known = shares if seconds is None else shares[: max(1, int(np.searchsorted(CURVE_SECONDS, seconds)))]
    step = 100 / (len(CURVE_SECONDS) - 1)
    return "M" + " ".join(f"{number * step:g} {100 - 100 * share:.1f}" for number, share in enumerate(known.tolist()))


def end_of(path: str) -> tuple[str, str]:
    """Give where a path of `curve` ends, as shares in per cent from the left and from the top."""
    left, top = path.removeprefix("M").rsplit(" ", 2)[-2:]
    return left, top


def _safe(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704  # built above of numbers and of escaped texts
