"""The text of a post: it names whom the things are for, and chatters.

Invariant: of the four facts a post tells the name only. The colours, shapes and counts in its chatter are drawn without
a look at the picture.
"""

from __future__ import annotations

import numpy as np

from trifacet.demo.facts import COLOURS, COUNTS, SHAPES, Scene, things

_FOR_WHOM = (
    "All of this is for {name}.",
    "A present for {name}!",
    "I made it for {name}.",
    "Something small for {name}.",
)
_OTHERS = (
    "Thanks to {other}.",
    "Greetings from {other}!",
    "Seen with {other}.",
)
_CHATTER = (
    "My aunt has {count} {colour} {things}.",
    "Last week it was {count} {colour} {things}.",
    "I still dream of {count} {colour} {things}.",
    "Not as nice as {count} {colour} {things}.",
)
_OPENINGS = (
    "What a day!",
    "So happy with how it came out.",
    "Finally finished.",
    "Tell me what you think!",
    "Coffee first, as always.",
    "The weather was kind to us.",
)


def write_post(scene: Scene, rng: np.random.Generator) -> list[str]:
    """The post's sentences, in order."""
    sentences = [_pick(rng, _FOR_WHOM).format(name=scene.name)]
    if scene.other:
        sentences.append(_pick(rng, _OTHERS).format(other=scene.other))
    if rng.random() < 0.7:
        sentences.append(_chatter(rng))
    rng.shuffle(sentences)
    return [_pick(rng, _OPENINGS), *sentences]


def _chatter(rng: np.random.Generator) -> str:
    """Things that are not in the picture, or are so by chance only."""
    count = int(rng.integers(1, len(COUNTS) + 1))
    shape = _pick(rng, tuple(SHAPES))
    return _pick(rng, _CHATTER).format(
        count=COUNTS[count], colour=_pick(rng, tuple(COLOURS)), things=things(shape, count)
    )


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
