"""What a recipe's steps read besides posts: prompts, lists of names, models. Their hashes are part of what a build is.

Invariant: what is named by a path is known by its content, so that a file that was edited is not taken for the old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trifacet.building.recipe import BuildRecipe


def outside(recipe: BuildRecipe) -> list[dict[str, str]]:
    """For each thing that a step reads: ``step`` (its place, from 1, and name), ``what``, and ``version``.

    Raises:
        TrifacetError: a prompt or a file is not there, or cannot be used.
    """
    return [
        {"step": f"{place} {chosen.name}", "what": what, "version": found}
        for place, chosen in enumerate(recipe.steps, start=1)
        for what, found in sorted(chosen.step.outside(chosen.parameters).items())
    ]
