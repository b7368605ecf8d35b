"""The report's charts, drawn by matplotlib as SVG that sits inside the page.

Invariant: a chart never tells by colour alone (bars are labelled, lines differ in dash and marker), its colours are the
page's own CSS variables, so that it follows the light and the dark scheme.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from trifacet.base.bidi import isolated
from trifacet.web.svg import svg_of

WIDTH = 340  # user units (px at scale 1) of every chart: on a phone it fills the screen with letters of 11 px
FONT_SIZE = 8.25  # points: 11 user units

# Stand-ins that matplotlib draws with; in the SVG each becomes a CSS variable of page.css.
INK, QUIET, _GRID = "#010203", "#010204", "#010205"
GROUND = "#010206"  # the card's: inside hollow dots, and around lines that cross bars
SERIES = ("#010211", "#010212", "#010213", "#010214", "#010215", "#010216", "#010217", "#010218")
VARIABLES = {INK: "--ink", QUIET: "--quiet", _GRID: "--line", GROUND: "--card"} | {
    stand_in: f"--series-{index}" for index, stand_in in enumerate(SERIES)
}
_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1.4)),
    (0, (7, 2, 1.5, 2)),
    (0, (3, 1.2)),
    (0, (7, 1.2, 1, 1.2, 1, 1.2)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a model may be called $x$
    "font.size": FONT_SIZE,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True)
class Line:
    """One curve: its name, its points, and the index that fixes its colour, dash and marker everywhere."""

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    style: int


_NOTHING = 1e-6  # no bar: NLTK's BLEU of texts that share no four words is 1e-308 and told as 0.0


@dataclass(frozen=True)
class PointCloud:
    """Pairs of points, ((x, y) full, (x, y) hollow), and the index that fixes their colour and marker."""

    pairs: Sequence[tuple[Sequence[float], Sequence[float]]]
    style: int


def bar_chart(
    values: Mapping[str, float | None],
    *,
    alternative: str,
    texts: Mapping[str, str],
    chart_id: str,
    whiskers: Mapping[str, tuple[float, float]] | None = None,
    reach: float = 0.0,
) -> Markup:
    """Horizontal bars, one per name, in the given order, each with its text at its end.

    Args:
        values: length of each bar; None draws none.
        alternative: what the chart says, in words.
        texts: what stands at the end of each bar.
        chart_id: unique in the page.
        whiskers: where the whisker of a bar begins and ends: an interval, or a spread over seeds.
        reach: the value that the chart has room for at least, so that several charts have one scale.
    """
    names = list(values)
    finite = {name: value if _is_finite(value) else 0.0 for name, value in values.items()}
    whiskers = whiskers or {}
    ends = {name: max(finite[name] or 0.0, whiskers.get(name, (0.0, 0.0))[1]) for name in names}
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart_id}):
        figure, axes = empty_figure(26 * len(names) + 8)
        for row, name in enumerate(names):
            length = finite[name] or 0.0
            axes.barh(row, length, height=0.62, color=SERIES[row % len(SERIES)])
            if name in whiskers:
                for colour, width in ((GROUND, 3.6), (INK, 1.2)):  # ink alone is hard to see on some bars
                    mark = {"marker": "|", "markersize": 6 + width, "markeredgewidth": width}
                    axes.plot(whiskers[name], [row, row], color=colour, linewidth=width, **mark)
            end = (max(ends[name], 0.0), row)
            axes.annotate(texts[name], end, (5, 0), textcoords="offset points", va="center", color=INK)
        low = min([0.0, *(min(finite[name] or 0.0, whiskers.get(name, (0.0, 0.0))[0]) for name in names)])
        high = max([*ends.values(), reach])
        high = high if high > _NOTHING else 1.0
        axes.set_xlim(low, high + 0.32 * (high - low))  # room for the texts at the ends
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), [isolated(shorten(name, 18)) for name in names], color=INK)
        axes.tick_params(length=0)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        if low < 0:  # bars begin at 0, which is not at the left
            axes.spines["left"].set_visible(False)
            axes.axvline(0.0, color=QUIET, linewidth=STYLE["axes.linewidth"])
        figure.subplots_adjust(left=0.34, right=0.995, top=0.99, bottom=0.01)
        return _svg(figure, alternative, chart_id)


def line_chart(
    lines: Sequence[Line],
    *,
    alternative: str,
    chart_id: str,
    level: float | None = None,
    named: bool = False,
    from_zero: bool = False,
    across: str = "optimiser step",
    borders: Sequence[float] = (),
) -> Markup:
    """Curves over steps, without a legend of their own: the page has one for all charts of a stage.

    Args:
        lines: the curves.
        alternative: what the chart says, in words.
        chart_id: unique in the page.
        level: a value to compare with, drawn as a thin line across.
        named: write each curve's name at its end.
        from_zero: the vertical axis begins at 0: for lengths and shares, of which a small change is to look small.
        across: what the horizontal axis counts.
        borders: places on the horizontal axis that are marked by a dotted line.
    """
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart_id}):
        figure, axes = empty_figure(210)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        if level is not None:
            axes.axhline(level, color=QUIET, linewidth=1)
        for border in borders:
            axes.axvline(border, color=QUIET, linewidth=1, linestyle=":")
        ends: list[tuple[float, float]] = []
        for line in lines:
            axes.plot(
                line.steps,
                [value if _is_finite(value) else math.nan for value in line.values],
                **_look(line.style),
                markevery=max(1, len(line.steps) // 6),
            )
            if named and line.steps and _is_finite(line.values[-1]):
                end = (line.steps[-1], line.values[-1])
                aside = (6, -9 * ends.count(end))  # below the name of a curve that ends there too
                ends.append(end)
                axes.annotate(
                    isolated(shorten(line.label, 14)), end, aside, textcoords="offset points", va="center", color=INK
                )
        if from_zero:
            tops = [value for line in lines for value in line.values if _is_finite(value)]
            top = max([*tops, 0.05])
            axes.set_ylim(-0.03 * top, 1.1 * top)  # room for a marker at 0
        axes.set_xlabel(across)
        axes.locator_params(axis="both", nbins=5)
        axes.locator_params(axis="x", integer=True)
        figure.subplots_adjust(left=0.15, right=0.81 if named else 0.97, top=0.97, bottom=0.19)
        return _svg(figure, alternative, chart_id)


def pair_chart(clouds: Sequence[PointCloud], *, axes: tuple[str, str], alternative: str, chart_id: str) -> Markup:
    """Points in a plane, two by two: each full mark is joined by a line to its hollow one.

    Both axes have one scale, so that lengths in the plane can be compared.

    Args:
        clouds: the pairs of each model.
        axes: what the horizontal and the vertical axis are.
        alternative: what the chart says, in words.
        chart_id: unique in the page.
    """
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart_id}):
        figure, plane = empty_figure(300)
        for cloud in clouds:
            look = {"linestyle": "none", "marker": _MARKERS[cloud.style % len(_MARKERS)], "markersize": 4.5}
            colour = SERIES[cloud.style % len(SERIES)]
            across, up = (
                [value for full, hollow in cloud.pairs for value in (full[axis], hollow[axis], math.nan)]
                for axis in (0, 1)
            )
            plane.plot(across, up, color=QUIET, linewidth=0.6)
            plane.plot(across[1::3], up[1::3], **look, markerfacecolor="none", markeredgecolor=colour)
            plane.plot(across[::3], up[::3], **look, markerfacecolor=colour, markeredgecolor=colour)
        plane.set_aspect("equal", adjustable="datalim")
        plane.set_xlabel(axes[0])
        plane.set_ylabel(axes[1])
        plane.locator_params(axis="both", nbins=5)
        figure.subplots_adjust(left=0.15, right=0.97, top=0.97, bottom=0.14)
        return _svg(figure, alternative, chart_id)


def swatch(style: int, chart_id: str) -> Markup:
    """A short piece of the curve with this style, for the legend; decoration, since its name stands beside it."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart_id}):
        figure = Figure(figsize=(40 / 72, 12 / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.plot([0, 1, 2], [0, 0, 0], **_look(style), markevery=[1])
        axes.set_xlim(0, 2)
        return _svg(figure, None, chart_id)


def shorten(text: str, length: int) -> str:
    """One line of at most ``length`` characters without control characters."""
    plain = "".join(char for char in " ".join(text.split()) if unicodedata.category(char)[0] != "C")
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def _look(style: int) -> dict[str, Any]:
    return {
        "color": SERIES[style % len(SERIES)],
        "linestyle": _DASHES[style % len(_DASHES)],
        "marker": _MARKERS[style % len(_MARKERS)],
        "markersize": 4.5,
        "linewidth": 1.6,
    }


def empty_figure(height: float) -> tuple[Figure, Any]:
    """A figure of the common width, ``height`` in the same units, and its axes."""
    figure = Figure(figsize=(WIDTH / 96, height / 96))
    return figure, figure.add_subplot()


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _svg(figure: Figure, alternative: str | None, chart_id: str) -> Markup:
    return svg_of(figure, alternative=alternative, chart_id=chart_id, variables=VARIABLES)
