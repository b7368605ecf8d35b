"""``trifacet sft``: stage 1 of a recipe."""

from __future__ import annotations

from trifacet.cli.common import out
from trifacet.cli.options import OnBadRowOption, OverwriteOption, RecipeArgument, SetOption, overrides


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

    loaded = load_recipe(recipe, overrides(set_, on_bad_row))
    from trifacet.runs.run import run_stages  # torch, for which a recipe that is refused need not wait
    from trifacet.training import ranks

    for folder in run_stages(loaded, "sft", [], overwrite=overwrite):
        if ranks.is_first():
            out.print(str(folder))
