"""A chart over steps with its heading, its hint, and the same in words. Invariant: values are drawn as they came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trifacet.base.bidi import isolated
from trifacet.reports.plots import Line, line_chart


@dataclass(frozen=True)
class Chart:
    """A chart with its heading and one sentence on how to read it."""

    title: str
    hint: str
    svg: Markup


def chart(
    title: str,
    hint: str,
    lines: Sequence[Line],
    chart_id: str,
    *,
    level: float | None = None,
    named: bool = False,
    from_zero: bool = False,
    borders: Sequence[float] = (),
) -> Chart:
    """The lines drawn; the text alternative says where each began and ended, and how many ``borders`` are between."""
    said = "; ".join(
        f"{isolated(line.label)} from {short(line.values[0])} to {short(line.values[-1])}" for line in lines
    )
    last = max((line.steps[-1] for line in lines), default=0)
    marked = f" in {len(borders) + 1} phases" if borders else ""
    alternative = f"{title} over {last:.0f} steps{marked}: {said}." if said else f"{title}: nothing logged."
    drawn = line_chart(
        lines,
        alternative=alternative,
        chart_id=chart_id,
        level=level,
        named=named,
        from_zero=from_zero,
        borders=borders,
    )
    return Chart(title, hint, drawn)


def short(value: float) -> str:
    """The number in as few digits as still tell it from its neighbours."""
    if not math.isfinite(value):
        return "not a number"
    size = abs(value)
    if size and not 0.001 <= size < 10_000:
        return f"{value:.1e}"
    return f"{value:.3f}" if 0 < size < 0.1 else f"{value:.2f}"
