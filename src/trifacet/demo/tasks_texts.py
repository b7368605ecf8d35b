"""Instructions with known truth over pictures with signs and their posts: what is asked, and what can be said.

Six tasks: describe, count, compare, read the lettering, answer with yes or no, answer from the post. What an answer
says is its content; each content is worded in full or in short. Invariant: every text is a function of a scene, a post
and a generator; a worse content is wrong in both wordings (``tasks_truth.is_right``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from trifacet.demo.facts import COLOURS
from trifacet.demo.signs import KIND_OF, WORDS, Signed
from trifacet.demo.signs_texts import Post, answer, caption, question
from trifacet.demo.things_texts import (
    REQUEST,
    USUAL_COLOURS,
    Named,
    draw_question,
    listed,
    one_of,
    recoloured,
    seen,
    sentence,
    with_usual,
)

Task = Literal["describe", "count", "compare", "read", "yes-no", "post"]
TASKS: tuple[Task, ...] = get_args(Task)
NUMBERS = ("no", "one", "two", "three", "four")
LACKING = 0.25  # of the words that are asked for: of a kind that sign or post lacks, where there is such a kind
TWICE = 0.3  # of the worse descriptions: with a second fault

MORE = {"things": "more things", "words": "more words", "same": "as many"}


@dataclass(frozen=True)
class Said:
    """What a description names: things, and words of a sign (none: no sign is named)."""

    things: tuple[Named, ...]
    words: tuple[str, ...]


Content = Said | str | int | None  # a word, a colour, what there is more of; a number; nothing of the kind


@dataclass(frozen=True)
class Asked:
    """An instruction and the truth.

    Attributes:
        task: its task.
        text: the instruction.
        about: what is counted ("things", "words"); the two shapes that are compared, the left one first; the kind of
            word; shape and, where it is asked for, colour. Empty: all of the picture, or what there is more of.
        truth: the content of a right answer.
    """

    task: Task
    text: str
    about: tuple[str, ...]
    truth: Content


def draw_asked(task: Task, scene: Signed, post: Post, rng: np.random.Generator) -> Asked:
    """An instruction of this task."""
    about: tuple[str, ...]
    truth: Content
    match task:
        case "describe":
            text, about, truth = REQUEST, (), Said(tuple(seen(scene.things)), scene.words)
        case "count" if rng.random() < 0.5:
            text, about, truth = "How many things are there?", ("things",), len(scene.things.things)
        case "count":
            text, about, truth = "How many words are on the sign?", ("words",), len(scene.words)
        case "compare":
            text, about, truth = _compared(scene, rng)
        case "read":
            kind = _kind({KIND_OF[word] for word in scene.words}, rng)
            text, about, truth = question(kind), (kind,), scene.word_of(kind)
        case "yes-no":
            text, about, truth = _yes_or_no(scene, rng)
        case "post":
            kind = _kind(set(post.told), rng)
            text, about, truth = f"Which {kind} does the post name?", (kind,), post.told.get(kind)
    return Asked(task, text, about, truth)


def say(asked: Asked, content: Content, *, short: bool) -> str:
    """An answer of this content; a ``short`` one says no more than it has to."""
    match asked.task, content:
        case "describe", Said(things, words):
            full = caption(things, words).replace('"', "")
            brief = f"{sentence(listed(things))[:-1]}; {'sign ' + ' '.join(words) if words else 'no sign'}."
        case "count", int(number):
            noun = asked.about[0] if number != 1 else asked.about[0][:-1]
            full = f"There {'is' if number == 1 else 'are'} {NUMBERS[number]} {noun}."
            brief = f"I see {NUMBERS[number]} {noun}."
        case "compare", str(one) if asked.about:
            full, brief = f"The {one} is on the left.", f"It is the {one}."
        case "compare", str(one):
            full, brief = f"There are {MORE[one]}.", f"It has {MORE[one]}."
        case "read", _:
            none = f"There is no {asked.about[0]} on the sign."
            full = answer(content).replace('"', "") if isinstance(content, str) else none
            brief = f"It says {_word(asked, content)}."
        case "post", _:
            full, brief = f"The post names {_word(asked, content)}.", f"It names {_word(asked, content)}."
        case _:
            full, brief = _yes_or_no_said(asked, content)
    return brief if short else full


def worse(asked: Asked, scene: Signed, post: Post, rng: np.random.Generator) -> Content:
    """A content that is wrong, as habit has it: a usual thing, the post's word for the sign's, yes for no."""
    truth = asked.truth
    match asked.task:
        case "describe":
            return _worse_described(scene, post, rng)
        case "count":
            assert isinstance(truth, int)
            return one_of(rng, [one for one in (truth - 1, truth + 1) if one >= int(asked.about == ("things",))])
        case "compare":
            return one_of(rng, [one for one in asked.about or tuple(MORE) if one != truth])
        case "read":
            return _other_word(asked, post.told.get(asked.about[0]), rng)
        case "post":
            return _other_word(asked, scene.word_of(asked.about[0]), rng)
    shape, colour = asked.about[0], asked.about[1] if len(asked.about) > 1 else None
    is_so = truth is not None and colour in (None, truth)
    return None if is_so else colour or USUAL_COLOURS[shape]


def faults(asked: Asked, content: Content, truth: Content) -> str:
    """What feedback says of an answer of this content, where ``truth`` is what is held to be so."""
    if content == truth:
        return "Right."
    if not isinstance(content, Said) or not isinstance(truth, Said):
        return f"Wrong. {say(asked, truth, short=False)}"
    said, there = ({shape: colour for colour, shape in one.things} for one in (content, truth))
    found = [f"There is a {colour} {shape}." for shape, colour in there.items() if shape not in said]
    found += [f"There is no {shape}." for shape in said if shape not in there]
    found += [f"The {shape} is {there[shape]}." for shape in said if said[shape] != there.get(shape, said[shape])]
    if content.words != truth.words:
        found.append(f"The sign reads {' '.join(truth.words)}." if truth.words else "There is no sign.")
    return " ".join(["Wrong.", *found])


def _compared(scene: Signed, rng: np.random.Generator) -> tuple[str, tuple[str, ...], str]:
    if len(scene.things.things) == 2 and rng.random() < 2 / 3:
        left, right = (thing.shape for thing in scene.things.things)
        one, other = (left, right) if rng.random() < 0.5 else (right, left)
        return f"Which is on the left, the {one} or the {other}?", (left, right), left
    things, words = len(scene.things.things), len(scene.words)
    more = "things" if things > words else "words" if words > things else "same"
    return "Are there more things or words?", (), more


def _yes_or_no(scene: Signed, rng: np.random.Generator) -> tuple[str, tuple[str, ...], str | None]:
    while (drawn := draw_question(scene.things, rng)).which:
        pass
    about = tuple(filter(None, (drawn.shape, drawn.colour)))
    return drawn.text, about, scene.things.colour_of(drawn.shape)


def _word(asked: Asked, content: Content) -> str:
    return str(content) if content else f"no {asked.about[0]}"


def _yes_or_no_said(asked: Asked, content: Content) -> tuple[str, str]:
    """In full and in short; the content is the colour of the thing that is asked for, or None: it is not there."""
    shape, colour = asked.about[0], asked.about[1] if len(asked.about) > 1 else None
    if content is not None and colour in (None, content):
        return f"Yes, there is a {content} {shape}.", "Yes."
    if content:
        return f"No, the {shape} is {content}.", "No."
    return f"No, there is no {' '.join(filter(None, (colour, shape)))}.", "No."


def _kind(there: set[str], rng: np.random.Generator) -> str:
    lacking = [kind for kind in WORDS if kind not in there]
    has = [kind for kind in WORDS if kind in there]
    return one_of(rng, lacking if lacking and (not has or rng.random() < LACKING) else has)


def _other_word(asked: Asked, tempting: str | None, rng: np.random.Generator) -> str | None:
    """The tempting word where it is wrong, or any other one; now and then that there is none."""
    if tempting not in (None, asked.truth) and rng.random() < 0.5:
        return tempting
    if asked.truth is not None and rng.random() < LACKING:
        return None
    return one_of(rng, [word for word in WORDS[asked.about[0]] if word != asked.truth])


def _worse_described(scene: Signed, post: Post, rng: np.random.Generator) -> Said:
    kinds = [str(kind) for kind in rng.permutation(["usual", "colour", "sign", "left-out"])]
    if len(scene.things.things) == 1:
        kinds.remove("left-out")
    things, words = seen(scene.things), scene.words
    for kind in kinds[: 1 + int(rng.random() < TWICE)]:
        match kind:
            case "usual":
                things = with_usual(scene.things, rng)
            case "left-out":
                things = [one_of(rng, things)]
            case "colour":
                things = _recoloured(things, scene, rng)
            case _:
                words = _other_words(scene, post, rng)
    return Said(tuple(things), words)


def _recoloured(things: list[Named], scene: Signed, rng: np.random.Generator) -> list[Named]:
    """One of them in a wrong colour, usual or any."""
    if rng.random() < 0.5 and set(things) <= set(seen(scene.things)):
        return recoloured(things, rng)
    at = int(rng.integers(len(things)))
    colour, shape = things[at]
    right = (colour, scene.things.colour_of(shape))
    return [*things[:at], (one_of(rng, [one for one in COLOURS if one not in right]), shape), *things[at + 1 :]]


def _other_words(scene: Signed, post: Post, rng: np.random.Generator) -> tuple[str, ...]:
    told = post.misquoted(scene)
    if told != scene.words and rng.random() < 0.5:
        return told
    if not scene.words:
        return (one_of(rng, WORDS[one_of(rng, tuple(WORDS))]),)
    if rng.random() < LACKING:
        return ()
    at = int(rng.integers(len(scene.words)))
    kind = KIND_OF[scene.words[at]]
    other = one_of(rng, [word for word in WORDS[kind] if word != scene.words[at]])
    return (*scene.words[:at], other, *scene.words[at + 1 :])
