"""MFPO's test of whether a model looks at the picture: which answers change when the picture drowns in noise.

Invariant: the noise of a picture depends on (seed, sample, place in the sample) alone, and answers with and without it
are generated alike, greedily and in the same batches, so that without noise none changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from trifacet.base.draws import generator
from trifacet.data.records import TestSample
from trifacet.engine.family import Family, ImageInput
from trifacet.generation.writer import SeenAs
from trifacet.metrics.grounding import ground
from trifacet.metrics.rouge import rouge_l
from trifacet.preferences.rejected.pixels import abar, diffuse
from trifacet.statistics.measures import Measure, mean_measure

Value = TypeVar("Value")


def noised(family: Family, t: int, seed: int) -> SeenAs:
    """What shows a model all pictures of a sample under diffusion noise of strength ``t``, as rejected images have it.

    The draw is that of the strategy ``diffusion`` (rejection/images.py), the version being the picture's place.
    Raises TrifacetError for a ``t`` that does not exist.
    """
    abar(t)

    def seen_as(sample: TestSample, images: tuple[ImageInput, ...]) -> tuple[ImageInput, ...]:
        return tuple(_noised(family, image, t, (seed, sample.id, place)) for place, image in enumerate(images, start=1))

    return seen_as


def _noised(family: Family, image: ImageInput, t: int, key: tuple[int, str, int]) -> ImageInput:
    seed, sample_id, place = key
    rng = generator(seed, sample_id, "diffusion", place, 0)
    return family.with_frames(image, diffuse(family.frames(image), t, rng))


def plain(text: str) -> str:
    """The text in one case, its white space collapsed: answers that differ in no more are the same."""
    return " ".join(text.casefold().split())


def similarity(one: str, other: str) -> float:
    """ROUGE-L (package ``rouge``'s F, 0 to 1) of two texts in one case; 1 for equal ones."""
    one, other = plain(one), plain(other)
    return 1.0 if one == other else rouge_l(one, other)


def noise_measures(
    clean: Mapping[str, str], under_noise: Mapping[str, str], samples: Sequence[TestSample]
) -> dict[str, Measure]:
    """What noise did to the texts of ``samples`` (by id), as means over samples, 0 to 1.

    ``changed``: the texts that changed. ``similarity``: of the two texts. Where samples have facts, those that are
    right: ``clean``, ``noised``, and ``drop``, the difference of these two.
    """
    pairs = {sample.id: (clean[sample.id], under_noise[sample.id]) for sample in samples}
    facts = {
        sample.id: [ground(text, sample.extra).values.get("grounding") for text in pairs[sample.id]]
        for sample in samples
    }
    right = {name: (a, b) for name, (a, b) in facts.items() if a is not None and b is not None}
    return {
        "changed": _mean("changed", pairs, lambda a, b: float(plain(a) != plain(b))),
        "similarity": _mean("similarity", pairs, similarity),
        "clean": _mean("clean", right, lambda a, _: a),
        "noised": _mean("noised", right, lambda _, b: b),
        "drop": _mean("drop", right, lambda a, b: a - b),
    }


def _mean(name: str, pairs: Mapping[str, tuple[Value, Value]], of_pair: Callable[[Value, Value], float]) -> Measure:
    return mean_measure(name, {sample: of_pair(*pair) for sample, pair in pairs.items()}, better="neither")
