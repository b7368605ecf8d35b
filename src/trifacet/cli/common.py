"""What every subcommand shares: two streams, exit codes, tables, JSON.

Invariant: results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trifacet.files import write_atomically

EXIT_FINDINGS = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


def plain(text: str) -> str:
    """``text`` on one line, with Rich's markup and the terminal's control characters disarmed: it may be hostile."""
    line = " ".join(text.split())
    return escape("".join(char if char.isprintable() else "\ufffd" for char in line))


def write_json(document: Any, path: str) -> None:
    """Write ``document`` to ``path``, whole or not at all; ``-`` is standard output."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    write_atomically(Path(path), text)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output; cells that are numbers stand at the right."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] == "-" for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    out.print(table)


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
