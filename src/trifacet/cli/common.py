"""What every subcommand shares: two streams, exit codes, tables, JSON.

Invariant: results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from trifacet.base.files import write_atomically
from trifacet.base.progress import Terminal
from trifacet.base.words import visible

EXIT_FINDINGS = 1
EXIT_UNFORESEEN = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141  # who read standard output has left: what a shell says of such an end
NUMBER = re.compile(r"(-?[\d,]*\.?\d+|-?)")  # or none, in a column of numbers
_UNSEEN = re.compile(r"[^\n -~]")  # and all that is printable beyond ASCII
WIDEST = 10_000  # characters that no table needs
LONGEST_WORD = 24  # characters: longer words are cut where a table has to be narrow

out = Terminal(soft_wrap=True)
err = Terminal(stderr=True)
ERROR, WARNING = ("error:", "bold red"), ("warning:", "bold yellow")  # the first word of a line


def plain(text: str) -> str:
    """``text`` on one line, with the terminal's control characters as escapes: it may be hostile."""
    return visible(" ".join(text.split()))


def write_json(document: Any, path: str) -> None:
    """Write ``document`` to ``path``, whole or not at all; ``-`` is standard output."""
    write_text(_seen(json.dumps(document, indent=2, ensure_ascii=False)) + "\n", path)


def json_line(document: Any) -> str:
    """``document`` on one line; what a terminal obeys, or nobody sees, stands as escapes."""
    return _seen(json.dumps(document, ensure_ascii=False)) + "\n"


def _seen(text: str) -> str:
    return _UNSEEN.sub(lambda char: char[0] if char[0].isprintable() else json.dumps(char[0])[1:-1], text)


def write_text(text: str, path: str) -> None:
    """Write ``text`` to ``path``, whole or not at all; ``-`` is standard output."""
    if path == "-":
        sys.stdout.write(text)
    else:
        write_atomically(Path(path), text)


def tell_damage(damaged: Sequence[tuple[Path, str]], cure: str) -> None:
    """The files that are damaged, a line each; with any the command ends with exit code 1."""
    for path, problem in damaged:
        out.print(f"{plain(str(path))}: {plain(problem)}")
    count = "1 file is" if len(damaged) == 1 else f"{len(damaged)} files are"
    err.print(f"{count} damaged: {cure}" if damaged else "no file is damaged", soft_wrap=True)
    if damaged:
        sys.exit(EXIT_FINDINGS)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output; cells that are numbers stand at the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    texts = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(texts) and all(NUMBER.fullmatch(row[index]) for row in texts)
        cells = [column, *(row[index] for row in texts)]
        longest = min(max(len(word) for cell in cells for word in cell.split() or [""]), LONGEST_WORD)
        whole = max(map(len, cells)) <= longest  # such columns give no room to others; lines break between words
        justify: Literal["right", "left"] = "right" if numeric else "left"
        table.add_column(column, justify=justify, overflow="fold", min_width=longest, no_wrap=whole)
    for text in texts:
        table.add_row(*text)
    if table.__rich_measure__(out, out.options.update_width(WIDEST)).maximum > out.width:  # lines take room
        table.box, table.pad_edge = None, False
    out.print(table)


def starred(metric: str, unofficial: Mapping[str, str]) -> str:
    """The metric's name as tables show it, with a star where its value may not be that of its own program."""
    return plain(metric) + ("*" if metric in unofficial else "")


def print_unofficial(unofficial: Mapping[str, str]) -> None:
    """What the stars mean: for each reason a line with its metrics."""
    for reason in dict.fromkeys(unofficial.values()):
        names = [name for name, why in unofficial.items() if why == reason]
        out.print(plain(f"* not official: {', '.join(names)}: {reason}"), soft_wrap=True)


def json_or_table(
    document: Mapping[str, Any],
    json_path: str | None,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """The convention of ``--json``: ``-`` replaces the table by JSON, a path adds the JSON beside it."""
    if json_path:
        write_json(document, json_path)
    if json_path != "-":
        print_table(title, columns, rows)


def tell_failure(problem: str) -> None:
    """Say why a server could not do something; it goes on."""
    err.tell(ERROR, f" {plain(problem)}")
