"""Options of the commands that make data over hours, build and evolve: what is seen before and after, who works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.settings.section import MOST

DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="do it with a sample first, beside the output folder, and show its report"),
]
EstimateOption = Annotated[
    bool, typer.Option("--estimate", help="say from a sample what the whole will ask, cost and take")
]
SampleOption = Annotated[
    int | None,
    typer.Option(
        "--sample",
        metavar="N",
        min=1,
        max=MOST,
        help="rows of --dry-run and --estimate, drawn from all \\[default: build 200; evolve 20, for --estimate 8]",
        show_default=False,
    ),
]
ExplainOption = Annotated[
    str | None, typer.Option("--explain", metavar="ID", help="tell all that became of one row, by its id")
]
ReportOption = Annotated[
    bool, typer.Option("--report", help="write the report of what is there so far, of unfinished work too")
]
RayOption = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="work on a Ray cluster, such as ray://head:10001"),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=512,
        help="processes that work at the same time \\[default: build one for each core, evolve the recipe's "
        "'processes'; of a cluster all that it has]",
        show_default=False,
    ),
]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="PATH", help="write the result as JSON; - for standard output")
]


def refuse_together(chosen: Mapping[str, bool]) -> None:
    """Raise TrifacetError where more than one of the options that are commands of their own is given."""
    if sum(chosen.values()) > 1:
        raise TrifacetError(f"{', '.join(chosen)} are commands of their own; give one")
