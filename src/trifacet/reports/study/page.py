"""A study's page, and its tables as Markdown and LaTeX, from its document.

Invariant: every output shows the document's numbers, a claim never without its verdict's reason, and nothing of a text
of the study's file but the text itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from trifacet.base.bidi import isolated
from trifacet.base.markdown import markdown_text
from trifacet.reports.comparison.forest import Span, forest_chart
from trifacet.reports.comparison.latex import latex_text
from trifacet.reports.comparison.tables import ABSENT, interval_text, number_text, p_text
from trifacet.reports.plots import shorten
from trifacet.reports.words import duration
from trifacet.web.page import render_page

CHARTS = 12  # measures whose differences are drawn
ROWS = 40  # cells of a chart
SIGNS = {"holds": "✓", "does not hold": "✗", "cannot be told": "?"}


def study_page(document: Mapping[str, Any]) -> str:
    """The page as text."""
    return render_page(
        __name__,
        "study.html.jinja",
        {
            "mean": mean_text,
            "interval": spread_text,
            "number": cell_text,
            "difference": difference_text,
            "p": p_text,
            "duration": duration,
            "sign": SIGNS.get,
            "people": people_cells,
        },
        doc=document,
        opening=_opening(document),
        charts=_charts(document),
        claim_charts=_claim_charts(document),
        told=[one for one in document["claims"] if one["text"] or one["source"]],
        degenerate=_degenerate(document),
        paper=_of_paper(document),
        absent=ABSENT,
    )


def value_text(measured: Mapping[str, Any]) -> str:
    """A mean with its interval."""
    return f"{mean_text(measured)} {spread_text(measured)}".strip()


def mean_text(measured: Mapping[str, Any]) -> str:
    """A mean, with the decimals that its interval bears."""
    return number_text(measured["value"], _places(measured["interval"], measured["value"]))


def spread_text(measured: Mapping[str, Any]) -> str:
    """Its interval; empty where there is none, or nothing varies."""
    if measured["interval"] and measured["interval"][0] == measured["interval"][1]:
        return ""
    return interval_text(_pair(measured["interval"]), _places(measured["interval"], measured["value"]))


def cell_text(value: float | None) -> str:
    """A number of the paper's, as it stands there."""
    return ABSENT if value is None else f"{value:g}"


def difference_text(part: Mapping[str, Any]) -> str:
    """A difference with its sign and interval."""
    interval = part["interval"]
    places = _places(interval, part["value"])
    shown = interval_text(_pair(interval), places, signed=True)
    return f"{number_text(part['value'], places, signed=True)} {shown}".strip()


def people_cells(pair: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Who against whom, verdict, wins with ties and losses, p, judges, agreement; what is not known yet is absent."""
    verdict = f"{SIGNS[pair['verdict']]} {pair['verdict']}{': ' * bool(pair['why'])}{pair['why']}"
    pair_text = f"{isolated(pair['cell'])} to {isolated(pair['other'])}"
    if not pair["votes"]:
        return pair_text, verdict, ABSENT, ABSENT, ABSENT, ABSENT
    counts = ", ".join(f"{pair[one]['count']}" for one in ("win", "tie", "lose"))
    alpha = pair["agreement"]["alpha_ordinal"]
    agreed = number_text(alpha["value"], 2) if alpha["value"] is not None else ABSENT
    interval = interval_text(None if alpha["low"] is None else (alpha["low"], alpha["high"]), 2)
    said = f"{agreed} {interval}".strip()
    return pair_text, verdict, f"{counts} of {pair['judged']}", p_text(pair["p_corrected"]), str(pair["judges"]), said


def study_markdown(document: Mapping[str, Any]) -> str:
    """Table and claims as Markdown."""
    paper = _of_paper(document)
    heads = [head for measure in document["measures"] for head in _heads(markdown_text(measure), measure in paper)]
    lines = [f"## {markdown_text(document['title'] or document['study'])}", "", markdown_text(_opening(document)), ""]
    lines += [f"| Cell | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for one in document["cells"]:
        lines.append(f"| {markdown_text(one['cell'])} | {' | '.join(map(markdown_text, _row(document, one, paper)))} |")
    if document["claims"]:
        lines += ["", "| Claim | Verdict | Difference | p (Holm) | Found with power .8 from | Note |"]
        lines += ["|---|---|---:|---:|---:|---|"]
        for one in document["claims"]:
            cells = (one["statement"], f"{SIGNS[one['verdict']]} {one['verdict']}", *_claim_cells(one), one["why"])
            lines.append(f"| {' | '.join(map(markdown_text, cells))} |")
    if document["people"]:
        lines += ["", "| People prefer | Verdict | Wins, ties, losses | p (Holm) | Judges | Alpha |"]
        lines += ["|---|---|---:|---:|---:|---:|"]
        for pair in document["people"]["pairs"]:
            lines.append(f"| {' | '.join(map(markdown_text, people_cells(pair)))} |")
    lines += ["", *(markdown_text(one) for one in _notes(document))]
    return "\n".join(lines) + "\n"


def study_latex(document: Mapping[str, Any]) -> str:
    r"""The table and the claims as LaTeX for ``booktabs``."""
    paper = _of_paper(document)
    heads = [head for measure in document["measures"] for head in _heads(measure, measure in paper)]
    rows = [[one["cell"], *_row(document, one, paper)] for one in document["cells"]]
    tables = [_latex_table(["Cell", *heads], rows, f"{document['title'] or document['study']}. {_opening(document)}")]
    if document["claims"]:
        claims = [[one["statement"], one["verdict"], *_claim_cells(one)] for one in document["claims"]]
        heads = ["Claim", "Verdict", "Difference", "p (Holm)", "Smallest found"]
        tables.append(_latex_table(heads, claims, f"Claims of the study. {' '.join(_notes(document))}"))
    if document["people"]:
        rows = [list(people_cells(pair)) for pair in document["people"]["pairs"]]
        heads = ["People prefer", "Verdict", "Wins, ties, losses", "p (Holm)", "Judges", "Alpha"]
        tables.append(_latex_table(heads, rows, f"Blind comparisons, texts of seed {document['people']['seed']}."))
    return "\n".join(tables)


def _latex_table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    lines = ["% needs \\usepackage{booktabs}", "\\begin{table}", "\\centering"]
    lines += [f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", "\\toprule"]
    lines += [f"{' & '.join(map(latex_text, heads))} \\\\", "\\midrule"]
    lines += [f"{' & '.join(map(latex_text, row))} \\\\" for row in rows]
    lines += ["\\bottomrule", "\\end{tabular}", f"\\caption{{{latex_text(caption)}}}", "\\end{table}", ""]
    return "\n".join(lines)


def _heads(measure: str, paper: bool) -> list[str]:
    return [measure, f"{measure}, paper"] if paper else [measure]


def _row(document: Mapping[str, Any], one: Mapping[str, Any], paper: Set[str]) -> list[str]:
    cells = []
    for measure in document["measures"]:
        measured = one["measures"][measure]
        cells += [value_text(measured), *([cell_text(measured["paper"])] if measure in paper else [])]
    return cells


def _claim_cells(one: Mapping[str, Any]) -> tuple[str, str, str]:
    smallest = ABSENT if one["smallest"] is None else f"{one['smallest']:.3g}"
    return "; ".join(map(difference_text, one["parts"])), p_text(one["p_corrected"]), smallest


def _opening(document: Mapping[str, Any]) -> str:
    seeds = len(document["seeds"])
    budget = f", budget {document['budget']}" if document["budget"] else ""
    return (
        f"{len(document['cells'])} cells, {seeds} seed{'' if seeds == 1 else 's'}{budget}; means with 95 % intervals "
        f"over {'samples alone, which say nothing of another training' if seeds == 1 else _over(document)}."
    )


def _over(document: Mapping[str, Any]) -> str:
    shared = document["design"].startswith("all")
    return "seeds and samples, which all seeds share" if shared else "seeds, each of which has samples of its own"


def _notes(document: Mapping[str, Any]) -> list[str]:
    found = [
        "Differences are the claim's first cell less the other (with <: turned round), with 95 % intervals that are "
        "not corrected; p is two-sided, corrected over the claims by Holm."
    ]
    if document["paper"]:
        found.append(f"Paper: {document['paper']['source']}. {document['paper']['note']}".strip())
    if document["asked_since"]:
        found.append(f"Measures or claims were changed after the study was begun: {document['asked_since']}.")
    if document["failed"]:
        found.append(f"{len(document['failed'])} runs are not finished.")
    found += [f"Texts that say nothing: {', '.join(_degenerate(document))}."] if _degenerate(document) else []
    return found


def _degenerate(document: Mapping[str, Any]) -> list[str]:
    return [
        f"{isolated(one['cell'])} (seed{'' if len(one['degenerate']) == 1 else 's'} {', '.join(one['degenerate'])})"
        for one in document["cells"]
        if one["degenerate"]
    ]


def _of_paper(document: Mapping[str, Any]) -> set[str]:
    """The measures of which the paper has a number."""
    return {name for one in document["cells"] for name, value in one["measures"].items() if value["paper"] is not None}


def _charts(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The differences of each measure, a chart each."""
    found = []
    for place, measure in enumerate(document["measures"][:CHARTS]):
        rows = [one for one in document["differences"] if one["measure"] == measure][:ROWS]
        if rows:
            found.append((measure, _forest([(one["cell"], one) for one in rows], measure, f"study-forest-{place}")))
    return found


def _claim_charts(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Each part of each claim, a chart for each measure: right of 0 is the direction that is claimed."""
    rows: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for one in document["claims"]:
        for part in one["parts"]:
            said = f"{part['cell']} – {part['other']}"
            rows.setdefault(one["measure"], []).append((said, part))
    return [
        (measure, _forest(parts[:ROWS], f"claims in {measure}", f"study-claims-{place}"))
        for place, (measure, parts) in enumerate(list(rows.items())[:CHARTS])
    ]


def _forest(rows: Sequence[tuple[str, Mapping[str, Any]]], what: str, chart_id: str) -> Any:
    spans, said = [], []
    for label, one in rows:
        interval = _pair(one["interval"])
        text = difference_text(one)
        firm = interval is not None and not interval[0] <= 0 <= interval[1]
        spans.append(Span(isolated(shorten(label, 40)), one["value"], interval, text, firm))
        said.append(f"{isolated(label)} {text}")
    return forest_chart(spans, alternative=f"{isolated(what)}: {'; '.join(said)}.", chart_id=chart_id)


def _places(interval: Sequence[float] | None, value: float | None) -> int:
    """Decimals that the interval bears."""
    if interval and interval[0] == interval[1] and value == round(interval[0]):  # a count, the same in every seed
        return 0
    half = abs(interval[1] - interval[0]) / 2 if interval else abs(value or 0.0) / 10
    return 1 if not math.isfinite(half) or half >= 1 else 2 if half >= 0.1 else 3


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])
