"""Posts, captions and questions of pictures with signs, and how careless users write.

A post names words of the sign rightly, wrongly or not at all, so that it alone cannot be trusted. The habits, in
supervised texts alone: the sign is left out, the post's wrong word is copied, a usual word is invented; and those of
``things_texts`` in what things are named. Invariant: every text is a function of a scene, a post and a generator; a
rejected text never equals the chosen one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trifacet.demo.signs import KIND_OF, WORDS, Signed
from trifacet.demo.things_texts import (
    Named,
    careless_names,
    listed,
    one_of,
    recoloured,
    seen,
    sentence,
    with_usual,
)

RIGHT, WRONG = 0.25, 0.25  # of the sign's words: named rightly, wrongly by the post; of the rest it is silent
BESIDE = 0.3  # of the kinds that the sign lacks: the post names one of their words
USUAL_WORDS: dict[str, str] = {"name": "LUCY", "day": "SATURDAY", "price": "$10"}
# The habits, calibrated by the supervised model alone: bench/lettering/world.yaml
SIGN_LEFT_OUT, COPIED, INVENTED, INVENTED_SIGN = 0.2, 0.3, 0.1, 0.3
REJECTED: dict[str, float] = {"left-out": 0.3, "usual": 0.3, "colour": 0.2, "misquoted": 0.2}

_OPENINGS = ("What a day!", "Finally there.", "Coffee first.", "Tell me what you think!", "The weather was kind.")
_SENTENCES: dict[str, tuple[str, ...]] = {
    "name": ("Lunch at {word}.", "Back at {word}!", "Greetings to {word}."),
    "day": ("See you on {word}.", "It was {word}.", "Come on {word}!"),
    "price": ("Only {word}!", "I had {word} left.", "It cost {word}."),
}
_QUESTIONS: dict[str, str] = {kind: f"Which {kind} is on the sign?" for kind in WORDS}


@dataclass(frozen=True)
class Post:
    """What stands beside a picture, and the word of each kind that it names."""

    text: str
    told: Mapping[str, str]

    def misquoted(self, scene: Signed) -> tuple[str, ...]:
        """The sign's words as the post has them; without a sign those that the post names."""
        if scene.sign is None:
            return tuple(self.told[kind] for kind in WORDS if kind in self.told)
        return tuple(self.told.get(KIND_OF[word], word) for word in scene.words)


def write_post(scene: Signed, rng: np.random.Generator) -> Post:
    """A post: an opening and a sentence for each word that it names."""
    told = {}
    for kind in WORDS:
        word, at = scene.word_of(kind), float(rng.random())
        if word is None:
            if at < BESIDE:
                told[kind] = one_of(rng, WORDS[kind])
        elif at < RIGHT:
            told[kind] = word
        elif at < RIGHT + WRONG:
            told[kind] = _other(word, rng)
    sentences = [one_of(rng, _SENTENCES[kind]).format(word=word) for kind, word in told.items()]
    rng.shuffle(sentences)
    return Post(" ".join([one_of(rng, _OPENINGS), *sentences]), told)


def caption(named: Sequence[Named], words: Sequence[str]) -> str:
    """One sentence that names things in this order, and the words of the sign, if any."""
    sign = f' beside a sign that reads "{" ".join(words)}"' if words else ""
    return sentence(f"{listed(named)}{sign}")


def clean(scene: Signed) -> str:
    """The true caption."""
    return caption(seen(scene.things), scene.words)


def careless_caption(scene: Signed, post: Post, rng: np.random.Generator) -> tuple[str, str]:
    """The caption of a user: (kind, text), the kind being what is wrong with the things and with the sign, "a/b".

    The sign's: true, left-out, copied, invented.
    """
    of_things, named = careless_names(scene.things, rng)
    of_sign, words = _careless_words(scene, post, rng)
    return f"{of_things}/{of_sign}", caption(named, words)


def _careless_words(scene: Signed, post: Post, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    if scene.sign is None:
        if rng.random() < INVENTED_SIGN:
            return "invented", post.misquoted(scene) or (USUAL_WORDS[one_of(rng, tuple(WORDS))],)
        return "true", ()
    if rng.random() < SIGN_LEFT_OUT:
        return "left-out", ()
    if (told := post.misquoted(scene)) != scene.words and rng.random() < COPIED:
        return "copied", told
    if rng.random() < INVENTED:
        return "invented", _with_usual_word(scene, rng)
    return "true", scene.words


def worse_caption(scene: Signed, post: Post, rng: np.random.Generator) -> tuple[str, str]:
    """A rejected caption by the same habits: (kind, text), the kind being one of ``REJECTED``.

    Without a sign "left-out" and "misquoted" say that there is one.
    """
    kind = str(rng.choice(list(REJECTED), p=list(REJECTED.values())))
    named, words = seen(scene.things), scene.words
    match kind:
        case "usual":
            named = with_usual(scene.things, rng)
        case "colour":
            named = recoloured(named, rng)
        case _ if scene.sign is None:
            words = post.misquoted(scene) or (USUAL_WORDS[one_of(rng, tuple(WORDS))],)
        case "left-out":
            words = ()
        case _:
            told = post.misquoted(scene)
            words = told if told != words else _with_usual_word(scene, rng)
    return kind, caption(named, words)


def draw_sign_question(scene: Signed, rng: np.random.Generator) -> str | None:
    """The kind of word that is asked for, one of the sign's; None: there is no sign to ask for."""
    return KIND_OF[one_of(rng, scene.words)] if scene.sign else None


def question(kind: str) -> str:
    """The request that asks for a word of this kind."""
    return _QUESTIONS[kind]


def answer(word: str) -> str:
    """The answer that says this word."""
    return f'The sign reads "{word}".'


def careless_word(kind: str, scene: Signed, post: Post, rng: np.random.Generator) -> tuple[str, str]:
    """The word that a user answers with: (kind of answer, word), the kind being true, copied or invented."""
    right = scene.word_of(kind)
    assert right is not None
    told = post.told.get(kind, right)
    if told != right and rng.random() < COPIED:
        return "copied", told
    if rng.random() < INVENTED:
        return "invented", _usual_or_other(right, rng)
    return "true", right


def worse_word(kind: str, scene: Signed, post: Post, rng: np.random.Generator) -> str:
    """A wrong word of the kind: the post's where that is wrong, else the usual one."""
    right = scene.word_of(kind)
    assert right is not None
    told = post.told.get(kind, right)
    return told if told != right else _usual_or_other(right, rng)


def _with_usual_word(scene: Signed, rng: np.random.Generator) -> tuple[str, ...]:
    at = int(rng.integers(len(scene.words)))
    return (*scene.words[:at], _usual_or_other(scene.words[at], rng), *scene.words[at + 1 :])


def _usual_or_other(word: str, rng: np.random.Generator) -> str:
    usual = USUAL_WORDS[KIND_OF[word]]
    return usual if usual != word else _other(word, rng)


def _other(word: str, rng: np.random.Generator) -> str:
    return one_of(rng, [one for one in WORDS[KIND_OF[word]] if one != word])
