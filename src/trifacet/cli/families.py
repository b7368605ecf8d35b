"""``trifacet families``: the model families that can be loaded. Invariant: what the docs' table says is made here."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

from trifacet.cli.common import json_or_table
from trifacet.models.families import FAMILIES

OTHERS = "Any other model_type is refused."
FALLBACK = (
    "A language model whose attention slides over a window, where its family does not say otherwise: exact in the trie "
    "while every sequence of a batch fits the window; batches with a longer one are scored one sequence per row."
)


class _Row(NamedTuple):
    """A family: its model_type, its models, how it reads images, how the trie scores it, and what else to know."""

    model_type: str
    models: str
    images: str
    trie: str
    note: str


def rows() -> list[_Row]:
    """The families in the order of the docs."""
    return [_Row(name, one.what, one.images, one.trie, one.note) for name, one in FAMILIES.items()]


def markdown() -> str:
    """The table of ``docs/families.md``."""
    lines = ["| `model_type` | models | images | trie | note |", "|---|---|---|---|---|"]
    lines += [f"| `{row.model_type}` | {row.models} | {row.images} | {row.trie} | {row.note} |" for row in rows()]
    return "\n".join(lines)


def families(
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the table as JSON; - for standard output.")
    ] = None,
) -> None:
    """Show which model families can be loaded, how they read images, and whether the prefix trie is exact.

    Example: trifacet families
    """
    table = rows()
    document = {"families": [row._asdict() for row in table], "fallback": FALLBACK, "others": OTHERS}
    json_or_table(document, json_path, "model families", ("model_type", "models", "images", "trie", "note"), table)
    if json_path != "-":
        typer.echo(f"{FALLBACK}\n{OTHERS}")
