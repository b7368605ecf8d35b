"""Differences with their intervals, one above the other: the chart of a comparison.

Invariant: as in ``plots``: colours are the page's own, and every row says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup

from trifacet.base.bidi import isolated
from trifacet.comparing.comparison import Column, Comparison
from trifacet.reports.comparison.tables import MARKS, digits, interval_text, number_text, p_text
from trifacet.reports.plots import GROUND, INK, QUIET, SERIES, STYLE, VARIABLES, empty_figure, shorten
from trifacet.web.svg import svg_of


@dataclass(frozen=True)
class Span:
    """A row of a forest chart: a value with its interval, drawn full where ``firm``, else hollow."""

    label: str
    value: float | None
    interval: tuple[float, float] | None
    text: str
    firm: bool


def forest_chart(spans: Sequence[Span], *, alternative: str, chart_id: str) -> Markup:
    """Differences with their intervals, one above the other, each beside a thin line at 0.

    Args:
        spans: the rows, from top to bottom; one without a value is named and drawn as nothing.
        alternative: what the chart says, in words.
        chart_id: unique in the page.
    """
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": chart_id}):
        figure, axes = empty_figure(44 * len(spans) + 34)
        known = [0.0]
        for row, span in enumerate(spans):
            axes.plot([0, 0], [row - 0.18, row + 0.18], color=QUIET, linewidth=1)  # not through the words
            if span.value is not None and math.isfinite(span.value):
                ink = SERIES[row % len(SERIES)]
                if span.interval is not None:
                    axes.plot(span.interval, [row, row], color=ink, linewidth=2, marker="|", markersize=7)
                    known += span.interval
                axes.plot([span.value], [row], "o", color=ink, markersize=6.5, mfc=ink if span.firm else GROUND)
                known.append(span.value)
            said = f"{span.label}  {span.text}"
            above = (0, row - 0.28)
            axes.annotate(
                said, above, (0, 0), xycoords=("axes fraction", "data"), textcoords="offset points", color=INK
            )
        room = 0.06 * ((max(known) - min(known)) or 1.0)
        axes.set_xlim(min(known) - room, max(known) + room)
        axes.set_ylim(len(spans) - 0.55, -0.85)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=5)
        figure.subplots_adjust(left=0.03, right=0.97, top=0.99, bottom=24 / (44 * len(spans) + 34))
        return svg_of(figure, alternative=alternative, chart_id=chart_id, variables=VARIABLES)


def difference_chart(
    comparison: Comparison, column: Column, chart_id: str, title: str = ""
) -> tuple[Column, str, Markup]:
    """The differences of the compared pairs in one metric: the column, how to read the chart, and the chart.

    ``title`` is what the page calls the metric, if not by its own name.
    """
    places = digits(comparison, column)
    spans, said = [], []
    for one in comparison.differences:
        if one.column.key == column.key:
            names = (one.model, one.other) if comparison.settings.pairs == "all" else (one.model,)
            name = " – ".join(isolated(shorten(part, 30 // len(names))) for part in names)
            value = number_text(one.value, places, signed=True)
            text = f"{value} {interval_text(one.interval, places, signed=True)}".strip()
            drawn = f"{text} {MARKS[one.verdict]}".strip()
            spans.append(Span(name, one.value, one.interval, drawn, bool(one.verdict)))
            verdict = f", {one.verdict}" if one.verdict else ""
            less = f"{isolated(one.model)} less {isolated(one.other)}"
            said.append(f"{less} {text}{verdict}, corrected p {p_text(one.p_corrected)}")
    hint = {"higher": "Right of the line is better.", "lower": "Left of the line is better.", "neither": ""}
    chart = forest_chart(spans, alternative=f"{isolated(title or column.title)}: {'; '.join(said)}.", chart_id=chart_id)
    return column, hint[column.better], chart
