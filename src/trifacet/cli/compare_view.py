"""A comparison in a terminal. Invariant: numbers, marks and words are those of the other outputs, disarmed."""

from __future__ import annotations

from collections.abc import Sequence

from trifacet.base.bidi import bare
from trifacet.cli.common import out, plain, print_table
from trifacet.comparing.comparison import Column, Comparison
from trifacet.comparing.pairs import JudgedPairs
from trifacet.reports.comparison import tables

WIDE = 110  # columns of a terminal that has room for everything
_OFFICIAL = {"official": "yes", "not official": "no", "our own": "own"}  # short for a column


def print_comparison(comparison: Comparison, judged: JudgedPairs | None) -> None:
    """The tables on standard output, in as many pieces as the terminal is narrow; what must be said, beside them."""
    for profile, columns in tables.tables_of(comparison):
        _print_values(comparison, profile, columns)
    _print_line(tables.legend(comparison))
    for model, other in dict.fromkeys((one.model, one.other) for one in comparison.differences):
        _print_differences(comparison, model, other)
    if comparison.differences:
        _print_line(f"{tables.TALLIES} {tables.EFFECTS}" if out.width >= WIDE else tables.TALLIES)
    if judged:
        titles = ["model", "against", "win", "tie", "lose", "not parsed", "orders agree", "first position"]
        print_table(
            f"Judged by {plain(judged.asked.model)}",
            titles,
            [[plain(cell) for cell in row] for row in tables.judged_rows(judged)],
        )
        out.print(
            f"{judged.asked.questions} questions, {judged.asked.cached} kept before, paid {judged.asked.paid:.6g}"
        )
    for line in tables.findings(comparison):
        _print_line(line)
    for line in [*tables.unofficial_text(comparison), *tables.caveats(comparison)]:
        _print_line(f"- {line}")


def _print_values(comparison: Comparison, profile: str, columns: Sequence[Column]) -> None:
    """One line per metric and one column per model: there are more metrics than models."""
    words = [tables.official_word(comparison, column) for column in columns]
    mixed = len(set(words)) > 1
    title = plain(profile) if mixed else plain(f"{profile} ({words[0]})" if profile else words[0])
    metrics = [
        "metric",
        *(plain(f"{tables.name_in(profile, column)}{tables.arrow(column.better)}") for column in columns),
    ]
    ends = [metrics, ["official", *map(_OFFICIAL.__getitem__, words)]] if mixed else [metrics]
    models = [
        [plain(model), *_aligned([_cell(comparison, model, column) for column in columns])]
        for model in comparison.models
    ]
    while models:
        count = 1
        while count < len(models) and _width([*ends, *models[: count + 1]]) <= out.width:
            count += 1
        lines = list(zip(metrics, *models[:count], *ends[1:], strict=True))
        print_table(title, lines[0], lines[1:])
        models = models[count:]


def _width(columns: Sequence[Sequence[str]]) -> int:
    """Columns of a terminal that a table without lines takes."""
    return sum(max(map(len, column)) + 2 for column in columns) - 2


def _print_differences(comparison: Comparison, model: str, other: str) -> None:
    """One line per metric; a narrow terminal is told less."""
    titles = ["metric", "difference", "p", "corrected", "win/tie/lose", "d_z", "delta"]
    shown = [place for place, title in enumerate(titles) if out.width >= WIDE or title not in ("p", "d_z", "delta")]
    given = [one for one in comparison.differences if (one.model, one.other) == (model, other)]
    profiles = {column.profile for column in comparison.columns}
    alone = profiles.pop() if len(profiles) == 1 else ""  # need not stand before each metric: names stay whole
    names = [one.column.name if alone else one.column.title for one in given]
    told = (tables.difference_row(comparison, one) for one in given)
    rows = [[name, *rest] for name, (_, _, _, *rest) in zip(names, told, strict=True)]
    spans = _aligned([(value, "", interval) for value, _, interval in (row[1].partition(" ") for row in rows)])
    rows = [[plain(row[0]), span, *map(plain, row[2:])] for row, span in zip(rows, spans, strict=True)]
    print_table(
        f"Differences{f' in {plain(alone)}' if alone else ''}: {plain(model)} less {plain(other)}",
        [titles[place] for place in shown],
        [[row[place] for place in shown] for row in rows],
    )


def _cell(comparison: Comparison, model: str, column: Column) -> tuple[str, str, str]:
    _, value, interval, verdict = tables.cell_of(comparison, model, column)
    return value, tables.MARKS[verdict], interval


def _aligned(cells: Sequence[tuple[str, str, str]]) -> list[str]:
    """Value, mark and interval of each cell of a column on one line, the parts below one another."""
    parts = [[plain(part) for part in cell] for cell in cells]
    wide = [max(map(len, part)) for part in zip(*parts, strict=True)]
    rows = [(value.rjust(wide[0]), mark.ljust(wide[1]), interval) for value, mark, interval in parts]
    return [" ".join(part for part, width in zip(row, wide, strict=True) if width).rstrip() for row in rows]


def _print_line(line: str) -> None:
    """Prose, broken between words where the terminal is narrow."""
    out.print(plain(bare(line)), soft_wrap=False)
