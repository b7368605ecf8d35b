"""The text of a post: it names whom the things are for, and chatters.

Invariant: of the four facts a post tells the name only, and by ``telling`` what the world's knobs have it tell, rightly
or wrongly in the same words. The colours, shapes and counts in its chatter are drawn without a look at the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
_TELLING: dict[str, tuple[str, ...]] = {  # of the picture's own things
    "colour": ("In the picture it is all {said}.", "As you see I made it in {said}.", "Here in {said}, at last."),
    "shape": ("The picture shows the {said}.", "As you see I made {said}.", "Here with {said}, at last."),
    "count": ("In the picture there are {said}.", "As you see I made {said}.", "Here with {said}, at last."),
    "thing": ("In the picture with a {colour} {said}.", "As you see a {colour} {said} came along."),
}
_CHAT = (
    "It took all morning.",
    "My neighbour came by to look.",
    "More about it soon.",
    "Nothing else to tell today.",
    "The kettle is on again.",
    "It was windy on the way.",
    "I slept well after that.",
    "Ask me how it went.",
)


@dataclass(frozen=True)
class Post:
    """A post's sentences in order; of those that speak of the picture's own things, what each speaks of."""

    sentences: tuple[str, ...]
    told: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole post."""
        return " ".join(self.sentences)


def write_post(scene: Scene, rng: np.random.Generator) -> list[str]:
    """The post's sentences, in order."""
    sentences = [_pick(rng, _FOR_WHOM).format(name=scene.name)]
    if scene.other:
        sentences.append(_pick(rng, _OTHERS).format(other=scene.other))
    if rng.random() < 0.7:
        sentences.append(_chatter(rng))
    rng.shuffle(sentences)
    return [_pick(rng, _OPENINGS), *sentences]


def telling(fact: str, scene: Scene, rng: np.random.Generator) -> str:
    """A sentence that tells a fact of the picture: what the scene's claim says of it, else the truth."""
    if scene.claim is not None and scene.claim.fact == fact:
        return _pick(rng, _TELLING[fact]).format(said=said(fact, scene.claim.value), colour=scene.claim.colour)
    return _pick(rng, _TELLING[fact]).format(said=said(fact, getattr(scene, fact)))


def said(fact: str, value: str | int) -> str:
    """The word for a fact's value in such a sentence."""
    match fact:
        case "count":
            return COUNTS[int(value)]
        case "shape":
            return SHAPES[str(value)]
        case _:
            return str(value)


def chat(rng: np.random.Generator) -> str:
    """A sentence that says nothing."""
    return _pick(rng, _CHAT)


def _chatter(rng: np.random.Generator) -> str:
    """Things that are not in the picture, or are so by chance only."""
    count = int(rng.integers(1, len(COUNTS) + 1))
    shape = _pick(rng, tuple(SHAPES))
    return _pick(rng, _CHATTER).format(
        count=COUNTS[count], colour=_pick(rng, tuple(COLOURS)), things=things(shape, count)
    )


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
