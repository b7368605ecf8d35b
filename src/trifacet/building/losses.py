"""Whether a step of a build has lost more of its rows than it should: a slip in a recipe must not pass unseen.

Invariant: what is done stays; the same command goes on where the recipe allows the loss.
"""

from __future__ import annotations

from math import ceil

from trifacet.base.errors import TrifacetError
from trifacet.building.counts import StepProgress
from trifacet.building.recipe import BuildRecipe

HALF = 0.5  # of its rows may go at a step for which the recipe says nothing
_CHOSEN = {"split"}  # what it leaves over is what the recipe's sizes say
_GONE = ("drop", "fail")


def loss(recipe: BuildRecipe, step: StepProgress) -> str | None:
    """What to say of a step that has lost more than it may; None where all is well."""
    lost = step.rows_in - step.rows_out
    if step.name in _CHOSEN or lost <= recipe.max_dropped.get(step.name, HALF) * step.rows_in:
        return None
    said = [(kind.partition(": "), count) for kind, count in step.counts.items()]
    why = sorted(((count, reason) for (verdict, _, reason), count in said if verdict in _GONE), reverse=True)
    told = ", ".join(f"{count:,} {reason}" for count, reason in why[:3])
    share = ceil(100 * lost / step.rows_in) / 100
    return (
        f"step {step.index}, {step.name!r}, has lost {lost:,} of {step.rows_in:,} rows ({told}); look at them with "
        f"--report or --explain, and if it is right, allow it: 'max_dropped: {{{step.name}: {share:g}}}' in the recipe "
        "(or by --set), and the same command goes on"
    )


def refuse_loss(recipe: BuildRecipe, step: StepProgress) -> None:
    """Raises TrifacetError where the step has lost more than it may."""
    if said := loss(recipe, step):
        raise TrifacetError(f"{recipe.folder}: {said}")
