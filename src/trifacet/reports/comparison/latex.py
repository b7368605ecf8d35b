"""A comparison as LaTeX tables.

Invariant: numbers and marks are those of the other outputs; names are set as they are written, by any LaTeX; where
pdfLaTeX has no letters for them, the table says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trifacet.base.bidi import bare
from trifacet.comparing.comparison import Column, Comparison, DifferenceVerdict
from trifacet.reports.comparison.tables import (
    ABSENT,
    MANY,
    MARKS,
    by_reasons,
    cell_of,
    legend,
    metric_titles,
    name_in,
    tables_of,
)

_MARKS: dict[DifferenceVerdict, str] = {"better": "$^{+}$", "worse": "$^{-}$", "differs": r"$^{\neq}$", "": ""}
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",  # \textquotedbl is an error in the default encoding
    "[": "{[}",  # after a line's end it would be an option
    "*": "{*}",  # and this would be a part of the line's end
    "\N{EN DASH}": r"\textendash{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}

_LIGATURES = re.compile(r"-(?=-)|[`?!](?=`)|'(?=')|,(?=,)")  # signs that would be set as another one
# What every pdfLaTeX of the last years sets without a package: Latin letters of Western Europe, and these signs.
_SET = {*map(chr, (*range(0x20, 0x7F), *range(0xC0, 0x100))), *"\n¡¿§¶©£ŁłŒœ–—‘’“”…"} - set("ÐÞðþ×÷")


def latex(comparison: Comparison) -> str:
    r"""The tables as LaTeX for ``booktabs``: values with their intervals below them, a row for each model.

    Many metrics are the rows instead, and the models the columns.
    """
    return "\n".join(_table(comparison, profile, columns) for profile, columns in tables_of(comparison))


def _table(comparison: Comparison, profile: str, columns: Sequence[Column]) -> str:
    arrows = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "neither": ""}
    metrics = [latex_text(name_in(profile, column)) + arrows[column.better] for column in columns]
    models = [
        latex_text(model) + (" (baseline)" if model == comparison.baseline else "") for model in comparison.models
    ]
    cells = [[cell_of(comparison, model, column) for column in columns] for model in comparison.models]
    turned = len(columns) >= MANY
    heads, sides = (models, metrics) if turned else (metrics, models)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\begin{{tabular}}{{l{'r' * len(heads)}}}",
        "\\toprule",
        f"{'Metric' if turned else 'Model'} & {' & '.join(heads)} \\\\",
        "\\midrule",
    ]
    for side, row in zip(sides, zip(*cells, strict=True) if turned else cells, strict=True):
        values = [f"{_number(value)}{_MARKS[verdict]}" for _, value, _, verdict in row]
        spans = [rf"{{\scriptsize {_number(interval)}}}" if interval else "" for _, _, interval, _ in row]
        lines += [f"{side} & {' & '.join(values)} \\\\", f" & {' & '.join(spans)} \\\\"]
    caption = _caption(comparison, profile, columns)
    table = "\n".join([*lines, "\\bottomrule", "\\end{tabular}", f"\\caption{{{caption}}}", "\\end{table}", ""])
    if others := "".join(sorted(set(table) - _SET)):
        return f"% needs XeLaTeX or LuaLaTeX, and a font by \\usepackage{{fontspec}} that has these: {others}\n{table}"
    return table


def _caption(comparison: Comparison, profile: str, columns: Sequence[Column]) -> str:
    """Over how many units the numbers are, what the marks mean, and which numbers of this table are not official."""
    units = sorted({column.units for column in columns})
    span = f"{units[0]} to {units[-1]}" if len(units) > 1 else f"{units[0]}"
    shown = {column.title for column in columns}
    unofficial = [
        f"Values that are not official: {metric_titles(comparison, here)} ({'; '.join(reasons)})."
        for reasons, titles in by_reasons(comparison).items()
        if (here := [title for title in titles if title in shown])
    ]
    named = f"{profile}, " if profile else ""
    caption = latex_text(
        " ".join([f"{named}n = {span} (samples, or groups of them).", legend(comparison), *unofficial])
    )
    for verdict, mark in MARKS.items():
        caption = caption.replace(mark, _MARKS[verdict]) if mark else caption
    return caption.replace("≤", r"$\leq$")


def _number(text: str) -> str:
    """A number or an interval whose minus signs are no hyphens."""
    return latex_text(text).replace("-", "$-$") if text != ABSENT else latex_text(text)


def latex_text(text: str) -> str:
    """One line in which no character commands LaTeX."""
    line = " ".join("".join(char if char.isprintable() else " " for char in bare(text)).split())
    return _LIGATURES.sub(r"\g<0>{}", "".join(_ESCAPED.get(char, char) for char in line))
