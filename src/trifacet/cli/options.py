"""Options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe; presets are in recipes/")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override a recipe key, such as align.dpo.learning_rate=1e-6"),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="begin anew: delete what an earlier run left in the output folder")
]
