"""What a shell offers for the words of a command line. Invariant: a recipe that cannot be read offers nothing."""

from __future__ import annotations

import re

import typer

from trifacet.base.errors import TrifacetError


def stages(ctx: typer.Context) -> list[str]:
    """The stages of the recipe that the line names, for ``--only``."""
    from trifacet.training.recipe import load_recipe

    named = ctx.params.get("recipe") or next(iter(ctx.args), None)  # an option without its value stops the parser
    try:
        return load_recipe(named, ctx.params.get("set_") or ()).stages if named else []
    except TrifacetError:
        return []


def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Keys of a recipe for ``--set``, and behind ``=`` what the key may be, where that can be told."""
    from trifacet.preferences.objectives import OBJECTIVES
    from trifacet.settings.tables import recipe_keys
    from trifacet.training.recipe import Recipe

    names = [name for name in stages(ctx) if name != "sft"]
    offered = []
    for key in recipe_keys(Recipe):
        values = re.findall("`([^`]+)`", key.type) + ["true", "false"] * ("true or false" in key.type)
        values = list(OBJECTIVES) if key.path.endswith(".objective") else values
        for path in [key.path.replace("<name>", name) for name in names] if "<name>" in key.path else [key.path]:
            offered += [f"{path}={value}" for value in values] if incomplete.startswith(f"{path}=") else [f"{path}="]
    return [one for one in offered if one.startswith(incomplete)]
