"""Options that several subcommands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe; presets are in recipes/")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override a recipe key, such as align.dpo.learning_rate=1e-6"),
]


class OnBadRow(StrEnum):
    """What to do with a row, or its image, that cannot be used."""

    STOP = "stop"
    SKIP = "skip"


OnBadRowOption = Annotated[
    OnBadRow | None,
    typer.Option(
        "--on-bad-row",
        help="stop at a row or image that cannot be used, or skip, count and list it [default: data.on_bad_row]",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="begin anew: delete what an earlier run left in the output folder")
]


def overrides(set_: list[str] | None, on_bad_row: OnBadRow | None) -> list[str]:
    """The recipe keys that the command line overrides."""
    return [*(set_ or ()), *([f"data.on_bad_row={on_bad_row.value}"] if on_bad_row else ())]
