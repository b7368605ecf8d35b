"""``trifacet build``: from raw posts to supervised, preference and test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trifacet.cli.common import out, plain, print_table
from trifacet.cli.options import OverwriteOption, SetOption


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML build recipe")],
    *,
    set_: SetOption = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="work on a Ray cluster, such as ray://head:10001")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes that work at the same time [default: one for each core]")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Build data sets from raw posts; the same command continues what was interrupted.

    Examples:
      trifacet build recipes/build-demo.yaml
    """
    from trifacet.building.build import run_build
    from trifacet.building.recipe import load_build_recipe

    loaded = load_build_recipe(recipe, set_ or ())
    manifest = run_build(loaded, overwrite=overwrite, ray=ray, workers=workers)
    rows = [[plain(step["name"]), step["rows_in"], step["rows_out"]] for step in manifest["steps"]]
    print_table("rows", ["step", "in", "out"], rows)
    out.print(plain(str(loaded.folder)))
