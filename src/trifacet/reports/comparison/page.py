"""The page of ``trifacet compare``: tables, differences drawn with their intervals, judged pairs, samples.

Invariant: every name and text is escaped by the template; the only markup let through is SVG that ``svg.svg_of`` made
and the sections that are handed in as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trifacet.base.bidi import isolated
from trifacet.base.files import write_atomically
from trifacet.base.words import visible, without_folders
from trifacet.comparing.comparison import Column, Comparison
from trifacet.comparing.contestants import Contestant
from trifacet.comparing.pairs import JudgedPairs
from trifacet.metrics.target import Target
from trifacet.reports.comparison.examples import examples
from trifacet.reports.comparison.forest import difference_chart
from trifacet.reports.comparison.items import sections
from trifacet.reports.comparison.tables import (
    CORRECTIONS,
    MARKS,
    caveats,
    cell_of,
    difference_row,
    findings,
    legend,
    name_in,
    official_text,
    official_word,
    p_text,
    share_text,
    tables_of,
)
from trifacet.reports.words import quantity
from trifacet.web.page import render_page


def write_comparison(
    path: Path,
    comparison: Comparison,
    contestants: Sequence[Contestant],
    samples: Mapping[str, Target],
    *,
    images: Path | None = None,
    judged: JudgedPairs | None = None,
    extra: Sequence[Markup] = (),
) -> None:
    """Write the page, whole or not at all; see ``render_comparison``. Raises TrifacetError where that fails."""
    write_atomically(
        path, render_comparison(comparison, contestants, samples, images=images, judged=judged, extra=extra)
    )


def render_comparison(
    comparison: Comparison,
    contestants: Sequence[Contestant],
    samples: Mapping[str, Target],
    *,
    images: Path | None = None,
    judged: JudgedPairs | None = None,
    extra: Sequence[Markup] = (),
) -> str:
    """The page as text.

    Args:
        comparison: what was compared.
        contestants: the models, for their texts and where they come from.
        samples: what the texts are about.
        images: folder of the samples' pictures, None shows none; without samples, that of the benchmarks' pictures,
            where it is not the one that a result names.
        judged: what a language model made of the pairs.
        extra: ready sections for the end, trusted as they are.
    """
    return render_page(
        __name__,
        "comparison.html.jinja",
        {"quantity": quantity, "p": p_text, "share": share_text, "interval": _shares, "brief": without_folders},
        comparison=comparison,
        contestants=contestants,
        samples=len(samples),
        opening=_opening(comparison, len(samples)),
        correction=CORRECTIONS[comparison.settings.correction],
        legend=legend(comparison),
        tables=[
            (
                table,
                [(column, name_in(table, column), official_word(comparison, column)) for column in columns],
                _rows(comparison, columns),
            )
            for table, columns in tables_of(comparison)
        ],
        charts=[
            difference_chart(comparison, column, f"forest-{index}") for index, column in enumerate(comparison.columns)
        ],
        differences=[
            (difference_row(comparison, one), p_text(one.p_over_all), one.chance.exact, _tone(one.verdict))
            for one in comparison.differences
        ],
        pairs=len({(one.model, one.other) for one in comparison.differences}),
        findings=findings(comparison),
        official=official_text(comparison),
        caveats=[*(visible(without_folders(note)) for note in comparison.notes), *caveats(comparison)],
        judged=judged,
        examples=examples(comparison, {one.name: one.texts for one in contestants}, samples, images),
        items=sections(comparison, contestants, None if samples else images),
        extra=extra,
    )


def _opening(comparison: Comparison, samples: int) -> str:
    baseline = isolated(comparison.baseline)
    others = [name for name in comparison.models if name != comparison.baseline]
    most = max(column.units for column in comparison.columns)
    if not others:
        return f"{baseline} on {most} samples or groups of them, drawn as wholes."
    who = isolated(others[0]) if len(others) == 1 else f"{len(others)} models"
    what = "samples" if most == samples else "units (samples, or groups of them)"
    test = f"{CORRECTIONS[comparison.settings.correction]} p ≤ {1 - comparison.settings.level:.2g}"
    counted = findings(comparison)
    result = counted[0] if len(counted) == 1 else "How often each is better stands above the differences."
    return f"{who} against {baseline} on {most} {what}, by {test}. {result}"


def _rows(comparison: Comparison, columns: Sequence[Column]) -> list[tuple[str, list[dict[str, Any]]]]:
    rows = []
    for model in comparison.models:
        cells = []
        for column in columns:
            _, value, interval, verdict = cell_of(comparison, model, column)
            one = comparison.against_baseline(model, column)
            cells.append(
                {
                    "value": value,
                    "interval": interval,
                    "verdict": verdict,
                    "mark": MARKS[verdict],
                    "tone": _tone(verdict),
                    "p": p_text(one.p_corrected) if one else "",
                }
            )
        rows.append((model, cells))
    return rows


def _tone(verdict: str) -> str:
    """The colour of a verdict; none where neither direction is better."""
    return {"better": "right", "worse": "wrong"}.get(verdict, "")


def _shares(interval: tuple[float, float]) -> str:
    return f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
