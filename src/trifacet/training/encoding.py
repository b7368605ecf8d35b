"""What a data set costs in tokens under a recipe's model. Invariant: the counts are those that training will see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from trifacet.errors import TrifacetError
from trifacet.models.loading import load_processor
from trifacet.records import PreferenceSample, Sample, SupervisedSample
from trifacet.training.recipe import Recipe
from trifacet.training.sources import encoder_of


@dataclass(frozen=True)
class TokenBudget:
    """Lengths in tokens. ``over`` samples lose ``cut_tokens`` tokens of their posts; ``impossible`` ones cannot fit."""

    max_length: int
    longest: int
    over: int
    cut_tokens: int
    impossible: list[str]


def token_budget(recipe: Recipe, samples: Sequence[Sample]) -> TokenBudget:
    """How the samples fit into ``data.max_length`` with their chosen versions and all rejected responses.

    Raises:
        TrifacetError: the recipe's model has no processor yet (a tiny model is made by its run).
    """
    family = load_processor(
        _model_path(recipe),
        image_tiles=recipe.model.image_tiles,
        image_pixels=recipe.model.image_pixels,
        trust_remote_code=recipe.model.trust_remote_code,
    )
    encoder = encoder_of(recipe, family)
    per_image = len(family.image_tokens(family.read(Image.new("RGB", (8, 8)))))
    longest = over = cut_tokens = 0
    impossible: list[str] = []
    for sample in samples:
        responses = list(_responses(sample))
        try:
            shown = len(sample.pictures)
            table, cut = encoder.texts(
                sample.prompt, [sample.context], responses, image_tokens=shown * per_image, images=shown
            )
        except TrifacetError:
            impossible.append(sample.id)
            continue
        length = int(np.max([len(text.ids_L) for text in table.values()])) + shown * (per_image - 1)
        longest = max(longest, length + cut)
        over += cut > 0
        cut_tokens += cut
    return TokenBudget(recipe.data.max_length, longest, over, cut_tokens, impossible)


def _responses(sample: Sample) -> tuple[str, ...]:
    if isinstance(sample, PreferenceSample):
        return (sample.response, *sample.rejected_responses)
    return (sample.response,) if isinstance(sample, SupervisedSample) else ("",)


def _model_path(recipe: Recipe) -> str:
    if recipe.model.path is not None:
        return recipe.model.path
    made = recipe.folder / "models" / "base" / "model"
    if not made.is_dir():
        raise TrifacetError(f"the recipe's tiny model is not made yet; run the recipe first, then {made} is there")
    return str(made)
