"""``trifacet align``: the alignments of a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from trifacet.cli.common import out
from trifacet.cli.options import OnBadRowOption, OverwriteOption, RecipeArgument, SetOption, overrides


def align(
    recipe: RecipeArgument,
    set_: SetOption = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="only this alignment; may be given again")
    ] = None,
    on_bad_row: OnBadRowOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Preference alignment by the recipe's objectives; prints the folders of the models.

    Starts from the recipe's own supervised model where it has one, else from model.path.

    Example: trifacet align recipes/llava-1.6-7b-mcm-dpo.yaml --set model.path=runs/sft/models/sft/model
    """
    from trifacet.training.recipe import load_recipe

    loaded = load_recipe(recipe, overrides(set_, on_bad_row))
    from trifacet.runs.run import run_stages  # torch, for which a recipe that is refused need not wait
    from trifacet.training import ranks

    for folder in run_stages(loaded, "align", only or [], overwrite=overwrite):
        if ranks.is_first():
            out.print(str(folder))
