"""A comparison in a terminal. Invariant: numbers, marks and words are those of the other outputs, disarmed."""

from __future__ import annotations

from trifacet.cli.common import out, plain, print_table
from trifacet.evaluation.comparing import Column, Comparison
from trifacet.evaluation.pairs import Judged
from trifacet.reports import comparison_tables as tables

WIDE = 110  # columns of a terminal that has room for everything


def print_comparison(comparison: Comparison, judged: Judged | None) -> None:
    """The tables on standard output, in as many pieces as the terminal is narrow; what must be said, beside them."""
    names = [plain(model) for model in comparison.models]
    for profile, columns in tables.by_profile(comparison):
        cells = {
            (model, column.key): _cell(comparison, model, column) for model in comparison.models for column in columns
        }
        widest = max(len(line) for cell in cells.values() for line in cell.split("\n"))
        step = max(1, (out.width - max(map(len, names)) - 4) // (widest + 3))
        for begin in range(0, len(columns), step):
            some = columns[begin : begin + step]
            rows = [
                [name, *(cells[model, column.key] for column in some)]
                for name, model in zip(names, comparison.models, strict=True)
            ]
            print_table(plain(profile), ["model", *(plain(column.name) for column in some)], rows)
    out.print(plain(tables.legend(comparison)))
    if comparison.differences:
        _print_differences(comparison)
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
    for line in [*tables.official_text(comparison), *tables.caveats(comparison)]:
        out.print(f"- {plain(line)}")


def _print_differences(comparison: Comparison) -> None:
    """One line, or where the terminal is narrow two, for each pair and metric; a narrow one is told less."""
    titles = ["metric", "model", "against", "difference", "p", "corrected", "win/tie/lose", "d_z", "delta"]
    shown, gap = list(range(len(titles))), " "
    title = "Differences"
    if comparison.settings.pairs == "baseline":
        shown.remove(2)
        title = f"Differences from {plain(comparison.baseline)}"
    if out.width < WIDE:
        shown, gap = [place for place in shown if titles[place] not in ("p", "d_z", "delta")], "\n"
    rows = []
    for one in comparison.differences:
        cells = [plain(cell) for cell in tables.difference_row(comparison, one)]
        cells[3] = cells[3].replace(" ", gap, 1)
        rows.append([cells[place] for place in shown])
    print_table(title, [titles[place] for place in shown], rows)


def _cell(comparison: Comparison, model: str, column: Column) -> str:
    _, value, interval, verdict = tables.cell_of(comparison, model, column)
    return plain(f"{value} {tables.MARKS[verdict]}".strip()) + (f"\n{plain(interval)}" if interval else "")
