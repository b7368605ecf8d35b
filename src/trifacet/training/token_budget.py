"""What a data set costs in tokens under a recipe's model. Invariant: the counts are those that training will see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.data.records import PreferenceSample, Sample, SupervisedSample
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_processor
from trifacet.training.recipe import Recipe


@dataclass(frozen=True)
class TokenBudget:
    """Lengths in tokens. ``over`` samples lose ``cut_tokens`` tokens of their posts; ``impossible`` ones cannot fit."""

    max_length: int
    longest: int
    over: int
    cut_tokens: int
    impossible: list[str]


def token_budget(recipe: Recipe, samples: Sequence[Sample], sizes: Mapping[str, tuple[int, int]]) -> TokenBudget:
    """How the samples fit into ``data.max_length`` with their chosen versions and all rejected responses.

    Args:
        recipe: says the model.
        samples: what to count.
        sizes: width and height of the upright image of each name; with many models its tokens depend on it.

    Raises:
        TrifacetError: the recipe's model has no processor yet (a tiny model is made by its run).
    """
    family = load_processor(
        _model_path(recipe),
        image_tiles=recipe.model.image_tiles,
        image_pixels=recipe.model.image_pixels,
        trust_remote_code=recipe.model.trust_remote_code,
    )
    encoder = WayOfAsking.of(recipe.data).encoder(family)

    @cache
    def tokens_of(size: tuple[int, int]) -> int:
        return len(family.image_tokens(family.read(Image.new("RGB", size))))

    longest = over = cut_tokens = 0
    impossible: list[str] = []
    for sample in samples:
        responses = list(_responses(sample))
        try:
            image_tokens = sum(tokens_of(sizes[name]) for name in sample.pictures)
            shown = len(sample.pictures)
            asked = encoder.asked(sample)
            table, cut = encoder.texts(asked, [sample.context], responses, image_tokens=image_tokens, images=shown)
        except TrifacetError:
            impossible.append(sample.id)
            continue
        length = int(np.max([len(text.ids_L) for text in table.values()])) + image_tokens - shown
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
