"""How sure the numbers of a run's summary are: intervals, marks against the baseline, and whether the best is best.

Invariant: every number is the stored comparison's; no best value goes without a word on what a test tells it from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from trifacet.base.bidi import isolated
from trifacet.base.markdown import markdown_text
from trifacet.base.words import listed, visible
from trifacet.comparing.comparison import Column, Comparison, held_against_baseline
from trifacet.comparing.document import document
from trifacet.reports.comparison.forest import difference_chart
from trifacet.reports.comparison.tables import (
    CORRECTIONS,
    MARKS,
    caveats,
    interval_text,
    legend,
    p_text,
    unofficial_text,
)
from trifacet.reports.tables import Metric, Summary, TableCell, decimals
from trifacet.reports.words import quantity

NOT_COMPARED = (
    "These scores have neither intervals nor tests, so that the best of a column may be so by chance. Running the "
    "recipe again adds them; 'trifacet compare' gives them for the run's folder as it is."
)


@dataclass(frozen=True)
class Sureness:
    """What the page says of intervals and tests beside the marks in the table.

    ``leaders`` are sentences on the best values, ``pairs`` the number of pairs that they come from; ``charts`` hold the
    differences from the baseline (none where there is one model).
    """

    against: Comparison
    pairs: int
    leaders: list[str]
    charts: list[tuple[Metric, str, Markup]]

    @property
    def legend(self) -> str:
        """What brackets and marks mean."""
        return legend(self.against)

    @property
    def correction(self) -> str:
        """How the p-values are corrected, to stand before or after them."""
        return CORRECTIONS[self.against.settings.correction]

    @property
    def family(self) -> str:
        """The test that tells the best from the others."""
        pairs = f"all {self.pairs} pairs of models" if self.pairs > 1 else "the one pair of models"
        return f"{self.correction} over {pairs}"

    @property
    def notes(self) -> list[str]:
        """What a reader must know first: of this run's numbers, and that they tell of these posts only."""
        return [*map(visible, self.against.notes), *unofficial_text(self.against), *caveats(self.against)[:1]]

    @property
    def limits(self) -> list[str]:
        """What else such numbers do not say."""
        return caveats(self.against)[1:]


def marked(summary: Summary, comparison: Comparison | None) -> Summary:
    """The summary with the interval of every value, its mark, and for the best whom no test tells it from."""
    if comparison is None:
        return summary
    against = held_against_baseline(comparison)
    columns = {column.name: column for column in comparison.columns}
    told = {(one.column.name, frozenset((one.model, one.other))): bool(one.verdict) for one in comparison.differences}
    alike = {metric.key: _alike(summary, place, told) for place, metric in enumerate(summary.metrics)}
    rows = []
    for model, cells in summary.rows:
        shown = []
        for metric, cell in zip(summary.metrics, cells, strict=True):
            column = columns.get(metric.key)
            known = column is not None and model.name in comparison.models
            new = _marked(cell, metric, model.name, against, column) if column is not None and known else cell
            shown.append(replace(new, alike=alike[metric.key]) if cell.best else new)
        rows.append((model, shown))
    return replace(summary, rows=rows)


def _marked(cell: TableCell, metric: Metric, model: str, against: Comparison, column: Column) -> TableCell:
    one = against.against_baseline(model, column)
    interval = interval_text(against.cells[model, column.key].interval, decimals(metric))
    if one is None:
        return replace(cell, interval=interval)
    return replace(cell, interval=interval, verdict=one.verdict, mark=MARKS[one.verdict], p=p_text(one.p_corrected))


def _alike(summary: Summary, place: int, told: dict[tuple[str, frozenset[str]], bool]) -> tuple[str, ...] | None:
    """The models that are not best and not told from one that is; None where a pair was not tested."""
    metric = summary.metrics[place].key
    best = [model.name for model, cells in summary.rows if cells[place].best]
    others = [model.name for model, cells in summary.rows if not cells[place].best and cells[place].value is not None]
    asked = {(one, other): told.get((metric, frozenset((one, other)))) for one in best for other in others}
    if None in asked.values():
        return None
    return tuple(other for other in others if not all(asked[one, other] for one in best))


def sureness(summary: Summary, comparison: Comparison | None, unit: str = "post") -> Sureness | None:
    """What is to be said beside a summary that is ``marked``; None where nothing was compared.

    ``unit``: what a held-out sample is called.
    """
    if comparison is None:
        return None
    against = held_against_baseline(comparison)
    by_name = {column.name: column for column in against.columns if against.differences}
    charts: list[tuple[Metric, str, Markup]] = []
    for metric in summary.metrics:
        if (column := by_name.get(metric.key)) is not None:
            _, hint, svg = difference_chart(against, column, f"against-{len(charts)}", metric.title)
            charts.append((metric, f"{hint} {quantity(column.units)} {unit}s.".strip(), svg))
    pairs = len({(one.model, one.other) for one in comparison.differences})
    return Sureness(against, pairs, leaders(summary), charts)


def leaders(summary: Summary) -> list[str]:
    """Sentences: who has the best value in which metrics, and whether a test tells it from all others."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    names = {
        model.name: f"{isolated(model.name)}{' (degenerated)' if model.degenerate else ''}" for model, _ in summary.rows
    }
    for place, metric in enumerate(summary.metrics):
        best = [(names[model.name], cells[place]) for model, cells in summary.rows if cells[place].best]
        if best and best[0][1].alike is not None:
            alike = tuple(names[name] for name in best[0][1].alike)
            found.setdefault((tuple(name for name, _ in best), alike), []).append(isolated(metric.title))
    return [_sentence(best, alike, ", ".join(titles)) for (best, alike), titles in found.items()]


def _sentence(best: Sequence[str], alike: Sequence[str], titles: str) -> str:
    if len(best) > 1:
        apart = f"no test tells them from {listed(alike)}" if alike else "all others are told apart"
        return f"{titles} – {listed(best)} read alike, and {apart}."
    if alike:
        return f"{titles} – {best[0]} has the best value, but no test tells it from {listed(alike)}: it may be chance."
    return f"{titles} – {best[0]} is best, and told apart from every other model."


def markdown_remarks(sure: Sureness | None) -> list[str]:
    """What stands below the table in Markdown."""
    if sure is None:
        said = [NOT_COMPARED]
    else:
        best = f"Best values in bold, told apart by the same test, {sure.family}:"
        said = [sure.legend, *([best] if sure.leaders else []), *sure.leaders, *sure.notes, *sure.limits]
    return [f"* {markdown_text(line)}" for line in said]


def sureness_document(summary: Summary, comparison: Comparison | None) -> dict[str, Any]:
    """For ``--json``: "comparison" as ``trifacet compare --json`` has it, or null; "best" by metric."""
    best: dict[str, Any] = {}
    for place, metric in enumerate(summary.metrics):
        cells = [(model.name, cells[place]) for model, cells in summary.rows if cells[place].best]
        if cells:
            alike = cells[0][1].alike
            best[metric.key] = {
                "models": [name for name, _ in cells],
                "not_told_apart": None if alike is None else list(alike),
            }
    held = None if comparison is None else document(held_against_baseline(comparison))
    return {"comparison": held, "best": best}
