"""A comparison as tables for the terminal and Markdown, and what has to be said beside them in words.

Invariant: numbers show as many digits as their intervals bear; nothing is marked without the p-value and the
correction being named; names from outside are escaped for where they go, and isolated in sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from trifacet.base.bidi import isolated
from trifacet.base.markdown import markdown_text
from trifacet.base.words import listed, visible
from trifacet.comparing.comparison import Column, Comparison, DifferenceVerdict, MeasuredCell, MetricDifference
from trifacet.comparing.pairs import JudgedPairs
from trifacet.statistics.keys import OWN
from trifacet.statistics.measures import Better

MARKS: dict[DifferenceVerdict, str] = {"better": "▲", "worse": "▼", "differs": "≠", "": ""}
CORRECTIONS = {"holm": "Holm-corrected", "bh": "Benjamini–Hochberg-corrected", "none": "uncorrected"}
ABSENT = "–"
TALLIES = "Win / tie / lose count units (samples, or groups of them) by which of the two models has the better value."
EFFECTS = (
    "d_z is the mean of the paired differences over their standard deviation, for metrics that are means over units; "
    "Cliff's delta (-1 to 1) compares any unit of one model with any of the other."
)
MANY = 9  # so many metrics are the rows of a table in a paper or a README: neither is wide enough for columns


def by_profile(comparison: Comparison) -> list[tuple[str, list[Column]]]:
    """The columns of each profile."""
    found: dict[str, list[Column]] = {}
    for column in comparison.columns:
        found.setdefault(column.profile, []).append(column)
    return list(found.items())


def tables_of(comparison: Comparison) -> list[tuple[str, list[Column]]]:
    """The columns of each table: those of a profile, under its name; or all, without one, where that is asked for."""
    return [("", list(comparison.columns))] if comparison.settings.one_table else by_profile(comparison)


def name_in(table: str, column: Column) -> str:
    """The metric's name in a table of this name: with its profile where that does not stand above it."""
    return column.name if table == column.profile else column.title


def digits(comparison: Comparison, column: Column) -> int:
    """Decimals at which the widest interval of the column's values shows two digits; 1 to 5."""
    cells = [comparison.cells[model, column.key] for model in comparison.models]
    spans = [cell.interval for cell in cells if cell.interval]
    halves = [(high - low) / 2 for low, high in spans if high - low > 1e-9 * abs(high)]  # less is rounding
    size = max(halves or [abs(cell.value) for cell in cells if math.isfinite(cell.value)], default=0.0)
    return min(5, max(1, 1 - math.floor(math.log10(size)))) if size > 0 else 1


def number_text(value: float | None, places: int, *, signed: bool = False) -> str:
    """The number with so many decimals; never "-0.0"."""
    if value is None or not math.isfinite(value):
        return ABSENT
    rounded = round(value, places) + 0.0
    return f"{rounded:+.{places}f}" if signed and rounded else f"{rounded:.{places}f}"


def interval_text(interval: tuple[float, float] | None, places: int, *, signed: bool = False) -> str:
    """[lower, upper], or nothing."""
    if interval is None:
        return ""
    return f"[{', '.join(number_text(end, places, signed=signed) for end in interval)}]"


def p_text(p: float | None) -> str:
    """A p-value as papers print it."""
    if p is None:
        return ABSENT
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def cell_of(comparison: Comparison, model: str, column: Column) -> tuple[MeasuredCell, str, str, DifferenceVerdict]:
    """A cell, its value and interval as text, and the verdict against the baseline."""
    cell, places = comparison.cells[model, column.key], digits(comparison, column)
    one = comparison.against_baseline(model, column)
    verdict: DifferenceVerdict = one.verdict if one else ""
    return cell, number_text(cell.value, places), interval_text(cell.interval, places), verdict


def tally_text(one: MetricDifference) -> str:
    """Units won, tied and lost."""
    size = one.effect
    return ABSENT if size.wins is None else f"{size.wins} / {size.ties} / {size.losses}"


def legend(comparison: Comparison) -> str:
    """What the marks mean, with the test and the correction by name."""
    settings = comparison.settings
    limit = f"{1 - settings.level:.2g}"
    intervals = (
        f"Brackets: {100 * settings.level:g} % intervals ({'BCa' if settings.method == 'bca' else 'percentile'} "
        f"bootstrap, {settings.draws} draws)."
    )
    if not comparison.differences:
        return intervals
    return (
        f"{intervals} ▲ better, ▼ worse than {isolated(comparison.baseline)}, ≠ differs where neither "
        f"direction is better: paired permutation test, {CORRECTIONS[settings.correction]} p ≤ {limit} over "
        f"{_family(comparison)} of each metric."
    )


def findings(comparison: Comparison) -> list[str]:
    """One sentence for each pair: in how many metrics it is better, worse, another, or not found to differ."""
    pairs: dict[tuple[str, str], dict[DifferenceVerdict, list[str]]] = {}
    for one in comparison.differences:
        found = pairs.setdefault((one.model, one.other), {"better": [], "worse": [], "differs": [], "": []})
        found[one.verdict].append(isolated(one.column.title))
    lines = []
    for (model, other), found in pairs.items():
        said = [f"better in {len(found['better'])}", f"worse in {len(found['worse'])}"]
        if found["worse"]:
            said[-1] += f" ({listed(found['worse'], 3)})"
        if found["differs"]:
            said.append(f"different in {len(found['differs'])} of which neither direction is better")
        said.append(f"no difference found in {len(found[''])}")
        pair = f"{isolated(model)} against {isolated(other)}"
        lines.append(f"{pair}, of {sum(map(len, found.values()))} metrics: {', '.join(said)}.")
    return lines


def _family(comparison: Comparison) -> str:
    pairs = len({(one.model, one.other) for one in comparison.differences})
    return f"the {pairs} pairs" if pairs > 1 else "the one pair"


def official_word(comparison: Comparison, column: Column) -> str:
    """Whether a metric's values are those of its own program."""
    if column.profile in OWN:
        return "our own"
    return "not official" if _unofficial(comparison, column) else "official"


def official_text(comparison: Comparison) -> list[str]:
    """Which metrics are official values, and why the others are not."""
    named: dict[str, list[str]] = {}
    for column in comparison.columns:
        named.setdefault(official_word(comparison, column), []).append(column.title)
    lines = [f"official values: {metric_titles(comparison, named['official'])}"] if "official" in named else []
    if "our own" in named:
        told = metric_titles(comparison, named["our own"])
        lines.append(f"defined by this program, so that no other gives them: {told}")
    return [*lines, *unofficial_text(comparison)]


def unofficial_text(comparison: Comparison) -> list[str]:
    """Which metrics are not official values, and why."""
    lines = []
    for reasons, titles in by_reasons(comparison).items():
        are = "is not official" if len(titles) == 1 else "are not official"
        lines.append(f"{metric_titles(comparison, titles)} {are}: {'; '.join(map(isolated, reasons))}")
    return lines


def metric_titles(comparison: Comparison, titles: Sequence[str]) -> str:
    """The metrics by name; a profile's or benchmark's together where all of several are among them."""
    shown: list[str] = []
    for profile, columns in by_profile(comparison):
        own = [column.title for column in columns]
        there = [title for title in own if title in titles]
        whole = bool(profile) and len(there) == len(own) > 1
        shown += [f"all {len(own)} metrics of {isolated(profile)}"] if whole else map(isolated, there)
    return ", ".join(shown)


def by_reasons(comparison: Comparison) -> dict[tuple[str, ...], list[str]]:
    """The metrics that are not official, by why: of a benchmark all for the same reason, as a rule."""
    found: dict[tuple[str, ...], list[str]] = {}
    for column in comparison.columns:
        if reasons := _unofficial(comparison, column):
            found.setdefault(tuple(reasons), []).append(column.title)
    return found


def _unofficial(comparison: Comparison, column: Column) -> list[str]:
    said = [comparison.cells[model, column.key].unofficial for model in comparison.models]
    return list(dict.fromkeys(reason for reason in said if reason))


def caveats(comparison: Comparison) -> list[str]:
    """What these numbers do not say; true of every comparison of this kind."""
    said = [
        "Intervals are over the samples of this test set: another training run, another seed of generation or another "
        "judge may differ by more.",
    ]
    if comparison.differences:
        said += [
            "Whether two models differ is told by the interval of their difference and by the test, not by whether "
            "their own intervals overlap: the samples are the same, so the models' errors go together.",
            "An interval and a test can disagree near the limit; they answer slightly different questions.",
            "No difference found is not the same as no difference: look at how wide the interval is.",
        ]
    if any("cider" in column.name.lower() for column in comparison.columns):
        said.append(
            "CIDEr's word weights come from all references of this set and stay fixed when samples are drawn: its "
            "intervals say nothing about sets with other references."
        )
    if not comparison.differences:
        return said
    if comparison.settings.correction == "none":
        said.append("The p-values are not corrected: of many pairs, some will be small by chance.")
    else:
        said.append(
            "Each metric is a family of its own. Who picks one of several metrics after looking takes the p-value over "
            "all metrics instead, which stands in the page and the JSON of 'trifacet compare'."
        )
    return said


def comparison_markdown(comparison: Comparison, judged: JudgedPairs | None = None) -> str:
    """The tables as Markdown, then the differences and what the judge said."""
    lines: list[str] = []
    for profile, columns in tables_of(comparison):
        lines += [f"### {markdown_text(profile)}", ""] if profile else []
        metrics = [f"{markdown_text(name_in(profile, column))}{arrow(column.better)}" for column in columns]
        models = [
            f"{markdown_text(model)}{' (baseline)' if model == comparison.baseline else ''}"
            for model in comparison.models
        ]
        cells = [[_markdown_cell(comparison, model, column) for column in columns] for model in comparison.models]
        if len(columns) >= MANY:
            lines += _markdown_rows(["Metric", *models], metrics, list(zip(*cells, strict=True)))
        else:
            lines += _markdown_rows(["Model", *metrics], models, cells)
        lines.append("")
    lines += [
        markdown_text(legend(comparison)),
        "",
        *(line for one in findings(comparison) for line in (markdown_text(one), "")),
        "| Metric | Model | Against | Difference | p | p corrected | Win / tie / lose | d_z | Cliff's delta |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in comparison.differences:
        lines.append("| " + " | ".join(markdown_text(cell) for cell in difference_row(comparison, one)) + " |")
    if comparison.differences:
        lines += ["", markdown_text(f"{TALLIES} {EFFECTS}")]
    if judged:
        lines += [
            "",
            f"Judged by {markdown_text(judged.asked.model)}, in both orders; {markdown_text(judged.prompt)}.",
            "",
            "| Model | Against | Win | Tie | Lose | Not parsed | Orders agree | First position |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
            *("| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in judged_rows(judged)),
        ]
    said = [*official_text(comparison), *map(visible, comparison.notes), *caveats(comparison)]
    return "\n".join([*lines, "", *(f"* {markdown_text(note)}" for note in said)]) + "\n"


def _markdown_rows(heads: Sequence[str], sides: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines: its head, and a row of cells behind each of ``sides``."""
    rows = [[side, *row] for side, row in zip(sides, cells, strict=True)]
    return [
        f"| {' | '.join(heads)} |",
        "|---|" + "---:|" * (len(heads) - 1),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def difference_row(comparison: Comparison, one: MetricDifference) -> list[str]:
    """Metric, model, other, difference with interval, p, corrected p, units won / tied / lost, effect sizes."""
    places, size = digits(comparison, one.column), one.effect
    return [
        one.column.title,
        one.model,
        one.other,
        f"{number_text(one.value, places, signed=True)} {interval_text(one.interval, places, signed=True)}".strip(),
        p_text(one.chance.p),
        f"{p_text(one.p_corrected)} {MARKS[one.verdict]}".strip(),
        tally_text(one),
        number_text(size.d_z, 2, signed=True),
        number_text(size.cliffs_delta, 2, signed=True),
    ]


def judged_rows(judged: JudgedPairs) -> list[list[str]]:
    """Model, other, counts with the intervals of their shares, share of agreeing orders, first-position rate."""
    rows = []
    for pair in judged.pairs:
        counts = [
            f"{pair.summary.counts[one]} [{100 * low:.0f}, {100 * high:.0f} %]"
            for one, (low, high) in pair.summary.intervals.items()
        ]
        rows.append([pair.model, pair.other, *counts, share_text(pair.consistency), share_text(pair.first_position)])
    return rows


def share_text(value: float | None) -> str:
    """A share in per cent."""
    return ABSENT if value is None else f"{100 * value:.1f} %"


def _markdown_cell(comparison: Comparison, model: str, column: Column) -> str:
    _, value, interval, verdict = cell_of(comparison, model, column)
    return " ".join(part for part in (value, MARKS[verdict], markdown_text(interval)) if part)


def arrow(better: Better) -> str:
    """The direction that is better, to stand after a metric's name."""
    return {"higher": " ↑", "lower": " ↓", "neither": ""}[better]
