"""``trifacet sft``: stage 1 of a recipe."""

from __future__ import annotations

from trifacet.cli.options import OnBadRowOption, OverwriteOption, RecipeArgument, SetOption, overrides
from trifacet.cli.run import train


def sft(
    recipe: RecipeArgument,
    set_: SetOption = None,
    on_bad_row: OnBadRowOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Supervised fine-tuning on alt-text; prints the folder of the model.

    Example: trifacet sft recipes/llava-1.6-7b-sft.yaml --set data.root=/data/talt
    """
    from trifacet.training.recipe import load_recipe

    train(load_recipe(recipe, overrides(set_, on_bad_row)), ["sft"], overwrite=overwrite)
