"""Captions of pictures with several things, questions about them, and how careless users answer.

The habits: beside some things another one is usual, and careless users name it without looking; things have a usual
colour; the last of many things is left out; a question is answered with yes. No picture has these habits.
Invariant: every text is a function of a scene and a generator; a rejected text never equals the chosen one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from trifacet.demo.facts import COLOURS, SHAPES
from trifacet.demo.things import Things

REQUEST = "Describe the picture."
# What users name beside a thing, and the share of them that do so where it is not there: bench/mfpo/world.yaml
USUAL: dict[str, tuple[str, float]] = {"ring": ("candle", 0.6), "ball": ("kite", 0.5), "star": ("rug", 0.3)}
USUAL_COLOURS: dict[str, str] = {
    "ball": "red", "ring": "yellow", "star": "yellow", "kite": "pink", "candle": "green", "rug": "blue",
}  # fmt: skip
COLOUR_SLIP, LEFT_OUT, YES = 0.1, 0.15, 0.1
REJECTED: dict[str, float] = {"usual": 0.45, "swapped": 0.2, "colour": 0.2, "left-out": 0.15}

Value = TypeVar("Value")
Named = tuple[str, str]  # colour and shape


class Question(NamedTuple):
    """What is asked of a thing: ``colour`` None asks whether it is there, a colour whether it is there in that colour;
    ``which`` asks for its colour.
    """

    shape: str
    colour: str | None = None
    which: bool = False

    @property
    def text(self) -> str:
        """The request."""
        if self.which:
            return f"What colour is the {self.shape}?"
        return f"Is there a {' '.join(filter(None, (self.colour, self.shape)))}?"


def caption(named: Sequence[Named]) -> str:
    """One sentence that names things in this order."""
    return sentence(listed(named))


def listed(named: Sequence[Named]) -> str:
    """The things in this order, as a sentence would begin with them."""
    return joined([f"a {colour} {shape}" for colour, shape in named])


def joined(parts: Sequence[str]) -> str:
    """Commas between the parts, "and" before the last one."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def seen(scene: Things) -> list[Named]:
    """What is there, in the order of reading."""
    return [(thing.colour, thing.shape) for thing in scene.things]


def careless_caption(scene: Things, rng: np.random.Generator) -> tuple[str, str]:
    """The caption of a user: (kind, text), the kind being true, usual, colour or left-out."""
    kind, named = careless_names(scene, rng)
    return kind, caption(named)


def careless_names(scene: Things, rng: np.random.Generator) -> tuple[str, list[Named]]:
    """What a user names: (kind, things), the kind as ``careless_caption`` has it."""
    named = seen(scene)
    for at, (_, shape) in enumerate(named):
        other, share = USUAL.get(shape, ("", 0.0))
        if other in scene.absent and rng.random() < share:
            return "usual", [*named[: at + 1], (USUAL_COLOURS[other], other), *named[at + 1 :]]
    if rng.random() < COLOUR_SLIP:
        return "colour", recoloured(named, rng)
    if len(named) > 2 and rng.random() < LEFT_OUT:
        return "left-out", named[:-1]
    return "true", named


def worse_caption(scene: Things, rng: np.random.Generator) -> tuple[str, str]:
    """A rejected caption by the same habits: (kind, text), the kind being one of ``REJECTED``."""
    named = seen(scene)
    kind = str(rng.choice(list(REJECTED), p=list(REJECTED.values())))
    match kind:
        case "usual":
            named = with_usual(scene, rng)
        case "swapped":
            at = int(rng.integers(len(named)))
            named[at] = (named[at][0], one_of(rng, scene.absent))
        case "colour":
            named = recoloured(named, rng)
        case "left-out":
            named.pop(int(rng.integers(len(named))))
    return kind, caption(named)


def with_usual(scene: Things, rng: np.random.Generator) -> list[Named]:
    """What is there, and an absent thing in its usual colour after one that it is usual beside."""
    named = seen(scene)
    at, other = _usual(scene, rng)
    named.insert(at + 1, (USUAL_COLOURS[other], other))
    return named


def draw_question(scene: Things, rng: np.random.Generator) -> Question:
    """A question: yes and no are right equally often, half of the absent things are usual beside one that is there."""
    kind = one_of(rng, ("there", "there", "in colour", "which"))
    colour, shape = one_of(rng, seen(scene))
    if kind == "which":
        return Question(shape, which=True)
    is_so = rng.random() < 0.5
    if kind == "in colour":
        return Question(shape, colour if is_so else one_of(rng, [one for one in COLOURS if one != colour]))
    if is_so:
        return Question(shape)
    return Question(_usual(scene, rng)[1] if rng.random() < 0.5 else one_of(rng, scene.absent))


def answer(question: Question, scene: Things) -> str:
    """The right answer."""
    colour = scene.colour_of(question.shape)
    if question.which:
        return f"The {question.shape} is {colour}."
    if colour is None:
        return _no(question)
    if question.colour in (None, colour):
        return _yes(colour, question)
    return f"No, the {question.shape} is {colour}."


def worse_answer(question: Question, scene: Things, rng: np.random.Generator) -> str:
    """A wrong answer, as habit has it: yes for no, no for yes, a usual colour."""
    colour = scene.colour_of(question.shape)
    if question.which:
        assert colour is not None
        return f"The {question.shape} is {_other_colour(question.shape, colour, rng)}."
    if colour is not None and question.colour in (None, colour):
        return _no(question)
    return _yes(question.colour or USUAL_COLOURS[question.shape], question)


def careless_answer(question: Question, scene: Things, rng: np.random.Generator) -> tuple[str, str]:
    """The answer of a user: (kind, text), the kind being true or wrong."""
    colour = scene.colour_of(question.shape)
    if question.which:
        share = COLOUR_SLIP
    elif colour is not None and question.colour in (None, colour):
        share = 0.0
    else:
        tempting = [share for shape, (other, share) in USUAL.items() if _tempts(scene, shape, other, question)]
        share = max([YES, *tempting])
    if rng.random() < share:
        return "wrong", worse_answer(question, scene, rng)
    return "true", answer(question, scene)


def _tempts(scene: Things, shape: str, other: str, question: Question) -> bool:
    return question.shape == other and scene.colour_of(shape) is not None and scene.colour_of(other) is None


def _yes(colour: str, question: Question) -> str:
    return f"Yes, there is a {colour} {question.shape}."


def _no(question: Question) -> str:
    return f"No, there is no {' '.join(filter(None, (question.colour, question.shape)))}."


def _usual(scene: Things, rng: np.random.Generator) -> tuple[int, str]:
    """After which thing to name which absent one: one that is usual beside it, where there is such a pair."""
    pairs = [
        (at, USUAL[thing.shape][0])
        for at, thing in enumerate(scene.things)
        if thing.shape in USUAL and USUAL[thing.shape][0] in scene.absent
    ]
    if pairs:
        return pairs[int(rng.integers(len(pairs)))]
    return int(rng.integers(len(scene.things))), one_of(rng, scene.absent)


def recoloured(named: Sequence[Named], rng: np.random.Generator) -> list[Named]:
    """The same things, one of them in a wrong colour."""
    at = int(rng.integers(len(named)))
    colour, shape = named[at]
    return [*named[:at], (_other_colour(shape, colour, rng), shape), *named[at + 1 :]]


def _other_colour(shape: str, colour: str, rng: np.random.Generator) -> str:
    """The thing's usual colour, or any other one where that is right."""
    usual = USUAL_COLOURS[shape]
    return usual if usual != colour else one_of(rng, [one for one in COLOURS if one != colour])


def one_of(rng: np.random.Generator, values: Sequence[Value]) -> Value:
    """Any of the values, all as likely."""
    return values[int(rng.integers(len(values)))]


assert set(USUAL_COLOURS) == set(SHAPES)
