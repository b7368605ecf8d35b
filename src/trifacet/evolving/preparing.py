"""What is looked at, and made, before the first round: whether a recipe is possible, its world, its base model, a draw.

Invariant: from here on a recipe's data are files and its model is a checkpoint.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample
from trifacet.data.source import FilesRead
from trifacet.evolving.round_samples import first_samples
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.training import Trained
from trifacet.runs.steps import base_model, make_world
from trifacet.training.recipe import Recipe, make_recipe


def refuse_impossible(recipe: EvolveRecipe) -> None:
    """Raises TrifacetError for what would otherwise be found out after hours."""
    roles, rounds = recipe.roles, recipe.rounds
    trained: tuple[Trained, ...] = ("generator", "reviser")
    for role in trained:
        if getattr(rounds, role) is not None and getattr(roles, role).endpoint is not None:
            raise TrifacetError(
                f"rounds.{role}: the {role} is an endpoint, which is not trained here; set rounds.{role}: null"
            )
    if recipe.judge is not None:
        if rounds.generator is None:
            raise TrifacetError(
                "rounds.generator: with a judge the model is aligned after every round; say how, such as "
                "rounds: {generator: {objective: dpo}}"
            )
        if rounds.reviser is not None:
            raise TrifacetError("rounds.reviser: with a judge nothing is revised; set it to null")
    learns = recipe.judge is not None or (
        rounds.count > 1 and (rounds.generator is not None or rounds.reviser is not None)
    )
    held_out = recipe.data.validation or recipe.data.world
    if learns and rounds.keep == "best" and not held_out:
        raise TrifacetError(
            "rounds.keep: best compares the rounds' models on held-out samples; set data.validation to a file of test "
            "samples, or rounds.keep: last"
        )
    if rounds.metric is not None and not held_out:
        raise TrifacetError("rounds.metric is measured on held-out samples; set data.validation to a file of them")


def settled(recipe: EvolveRecipe) -> EvolveRecipe:
    """The recipe with its world written and its tiny model made: files and a checkpoint, as if the user had them."""
    data, model = recipe.data, recipe.model
    if data.world is None and model.tiny is None:
        return recipe
    run = _as_run(recipe)
    make_world(run)
    start = base_model(run, FilesRead())
    if data.world is not None:
        home = str(recipe.folder / "data")
        given = {"root": home, "images": None, "format": "trifacet", "world": None}
        data = data.model_copy(update={**given, "validation": "validation.jsonl", "test": "test.jsonl"})
    return recipe.model_copy(
        update={"data": data, "model": model.model_copy(update={"path": str(start.path), "tiny": None})}
    )


def drawn_samples(recipe: EvolveRecipe, amount: int) -> tuple[list[TestSample], int]:
    """So many samples of a settled recipe, drawn from all and in their order, and how many there are."""
    samples, _ = first_samples(recipe)
    count = 0

    def numbered() -> Iterator[tuple[str, int, TestSample]]:
        nonlocal count
        for place, sample in enumerate(samples):
            count = place + 1
            yield text_digest(f"{recipe.seed} drawn {sample.id}"), place, sample

    drawn = sorted(heapq.nsmallest(amount, numbered(), key=lambda one: one[:2]), key=lambda one: one[1])
    return [sample for _, _, sample in drawn], count


def _as_run(recipe: EvolveRecipe) -> Recipe:
    values = {key: getattr(recipe, key).model_dump(mode="json") for key in ("model", "data")}
    return make_recipe({"name": recipe.name, "output": recipe.output, "seed": recipe.seed, **values})
