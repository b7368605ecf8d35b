"""The samples of pictures with signs: two captions to a question, posts beside them, and tables of the truth.

Every row has ``extra["sign"]``: {"words": [{"text", "kind", "box"}]} in the order of reading, empty without a sign; box
is left, upper, right, lower in pixels. What a reader reads (``extra["lettering"]``) is not given. Invariant: sample k
of a split depends on (seed, split, k) alone. Supervised samples are as careless as users; preferences choose the truth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trifacet.demo import signs_texts, things_texts
from trifacet.demo.facts import scene_generator
from trifacet.demo.signs import KIND_OF, WORDS, Signed, draw_signed, render_signed, word_boxes
from trifacet.demo.signs_texts import Post
from trifacet.demo.things_files import forms_of, truth_table
from trifacet.demo.things_texts import Question

COLUMN = "sign"  # of ``extra``
_QUESTIONS = 3  # every so many-th sample is a question, every second one of these for a word of the sign


class _Drawn(NamedTuple):
    """A sample before it is told: ``asked`` is a question about a thing, or the kind of a word; None: a caption."""

    scene: Signed
    post: Post
    asked: Question | str | None
    rng: np.random.Generator


def supervised(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """A request with what a user wrote; ``extra["kind"]`` says how careless it is."""
    one = _drawn(split, index, seed)
    match one.asked:
        case None:
            kind, text = signs_texts.careless_caption(one.scene, one.post, one.rng)
        case str(asked):
            kind, word = signs_texts.careless_word(asked, one.scene, one.post, one.rng)
            text = signs_texts.answer(word)
        case asked:
            kind, text = things_texts.careless_answer(asked, one.scene.things, one.rng)
    shown = _shown(folder, split, index, one, image_size)
    return {**shown, "response": text, "extra": {"kind": kind, **_sign(one.scene, image_size)}}


def preference(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """The truth preferred to what habit says.

    ``extra["regions"]`` gives the box of each word of the sign that the chosen response says.
    """
    one = _drawn(split, index, seed)
    match one.asked:
        case None:
            kind, rejected = signs_texts.worse_caption(one.scene, one.post, one.rng)
        case str(asked):
            worse = signs_texts.worse_word(asked, one.scene, one.post, one.rng)
            kind, rejected = "misquoted", signs_texts.answer(worse)
        case asked:
            kind, rejected = "wrong", things_texts.worse_answer(asked, one.scene.things, one.rng)
    chosen, sign = _truth(one), _sign(one.scene, image_size)
    said = [word for word in sign[COLUMN]["words"] if _says(one, word["kind"])]
    extra = {
        "rejected_kind": kind,
        "regions": [{"word": word["text"], "box": word["box"]} for word in said],
        **sign,
    }
    shown = _shown(folder, split, index, one, image_size)
    return {**shown, "response": chosen, "rejected_responses": [rejected], "extra": extra}


def held_out(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """A request with the true answer.

    ``extra["facts"]`` and ``extra["confusions"]`` are of the sign's kinds of words, or of the one fact "answer";
    captions carry ``extra["objects"]`` too (see ``metrics.objects``).
    """
    one = _drawn(split, index, seed)
    extra: dict[str, Any] = _sign(one.scene, image_size)
    match one.asked:
        case None:
            extra["objects"] = truth_table(one.scene.things)
            extra["facts"] = {KIND_OF[word]: [word] for word in one.scene.words}
            extra["confusions"] = {KIND_OF[word]: _others(word) for word in one.scene.words}
        case str(asked):
            word = str(one.scene.word_of(asked))
            extra |= {"facts": {"answer": [word]}, "confusions": {"answer": _others(word)}}
        case asked:
            right, wrong = forms_of(asked, one.scene.things)
            extra |= {"facts": {"answer": right}, "confusions": {"answer": wrong}}
    return {**_shown(folder, split, index, one, image_size), "references": [_truth(one)], "extra": extra}


def scene_of(split: str, index: int, seed: int) -> Signed:
    """What the picture of a sample shows."""
    return draw_signed(scene_generator(seed, split, index))


def _drawn(split: str, index: int, seed: int) -> _Drawn:
    rng = scene_generator(seed, split, index)
    scene = draw_signed(rng)
    post = signs_texts.write_post(scene, rng)
    asked: Question | str | None = None
    if index % _QUESTIONS == _QUESTIONS - 1:
        asked = signs_texts.draw_sign_question(scene, rng) if index // _QUESTIONS % 2 == 0 else None
        asked = asked or things_texts.draw_question(scene.things, rng)
    return _Drawn(scene, post, asked, rng)


def _truth(one: _Drawn) -> str:
    match one.asked:
        case None:
            return signs_texts.clean(one.scene)
        case str(asked):
            return signs_texts.answer(str(one.scene.word_of(asked)))
        case asked:
            return things_texts.answer(asked, one.scene.things)


def _says(one: _Drawn, kind: str) -> bool:
    return one.asked is None or one.asked == kind


def _others(word: str) -> list[str]:
    return [other for other in WORDS[KIND_OF[word]] if other != word]


def _sign(scene: Signed, image_size: int) -> dict[str, Any]:
    boxes = word_boxes(scene.sign, image_size) if scene.sign else []
    words = [
        {"text": word, "kind": KIND_OF[word], "box": list(box)} for word, box in zip(scene.words, boxes, strict=True)
    ]
    return {COLUMN: {"words": words}}


def _shown(folder: Path, split: str, index: int, one: _Drawn, image_size: int) -> dict[str, Any]:
    name = f"{split}-{index:05d}"
    image = f"images/{name}.png"
    render_signed(one.scene, image_size).save(folder / image, compress_level=1)
    request = signs_texts.question(one.asked) if isinstance(one.asked, str) else one.asked.text if one.asked else None
    return {"id": name, "image": image, "context": one.post.text, "prompt": request or things_texts.REQUEST}
