"""``trifacet align``: the alignments of a recipe."""

from __future__ import annotations

from trifacet.cli.options import (
    OnBadRowOption,
    OnlyOption,
    OverwriteOption,
    RecipeArgument,
    SetOption,
    overrides,
)
from trifacet.cli.run import train


def align(
    recipe: RecipeArgument,
    set_: SetOption = None,
    only: OnlyOption = None,
    on_bad_row: OnBadRowOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Preference alignment by the recipe's objectives; prints the folders of the models.

    Starts from the recipe's own supervised model where it has one, else from model.path.

    Example: trifacet align recipes/llava-1.6-7b-mcm-dpo.yaml --set model.path=runs/sft/models/sft/model
    """
    from trifacet.training.recipe import load_recipe

    loaded = load_recipe(recipe, overrides(set_, on_bad_row))
    train(loaded, only or list(loaded.align), overwrite=overwrite)
