"""The samples of pictures with several things: two captions to a question, with masks and tables of the truth.

Invariant: sample k of a split depends on (seed, split, k) alone. Supervised samples are as careless as users;
preferences choose the truth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trifacet.demo.facts import COLOURS, SHAPES, scene_generator
from trifacet.demo.things import Things, draw_things, mask_of, render_things
from trifacet.demo.things_texts import (
    REQUEST,
    Question,
    answer,
    caption,
    careless_answer,
    careless_caption,
    draw_question,
    seen,
    worse_answer,
    worse_caption,
)

_QUESTIONS = 3  # every so many-th sample is a question


def supervised(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """A request with what a user wrote; ``extra["kind"]`` says how careless it is."""
    scene, question, rng = _drawn(split, index, seed)
    kind, text = careless_answer(question, scene, rng) if question else careless_caption(scene, rng)
    return {**_shown(folder, split, index, scene, question, image_size), "response": text, "extra": {"kind": kind}}


def preference(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """The truth preferred to what habit says.

    ``extra["regions"]`` gives the mask of each thing that the chosen response names: {"word", "mask": its PNG}.
    """
    scene, question, rng = _drawn(split, index, seed)
    if question:
        chosen, kind, rejected = answer(question, scene), "wrong", worse_answer(question, scene, rng)
    else:
        chosen, (kind, rejected) = caption(seen(scene)), worse_caption(scene, rng)
    extra = {"rejected_kind": kind, "regions": _regions(folder, split, index, scene, question, image_size)}
    shown = _shown(folder, split, index, scene, question, image_size)
    return {**shown, "response": chosen, "rejected_responses": [rejected], "extra": extra}


def held_out(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """A request with the true answer.

    Captions carry ``extra["objects"]`` (see ``metrics.objects``), questions ``extra["facts"]`` and
    ``extra["confusions"]`` of the one fact "answer".
    """
    scene, question, _ = _drawn(split, index, seed)
    shown = _shown(folder, split, index, scene, question, image_size)
    if question is None:
        return {**shown, "references": [caption(seen(scene))], "extra": {"objects": truth_table(scene)}}
    right, wrong = forms_of(question, scene)
    extra = {"facts": {"answer": right}, "confusions": {"answer": wrong}}
    return {**shown, "references": [answer(question, scene)], "extra": extra}


def truth_table(scene: Things) -> dict[str, Any]:
    """Which things are there with which attribute, and the words for all that could be."""
    return {
        "there": {thing.shape: [thing.colour] for thing in scene.things},
        "words": {shape: [shape, plural] for shape, plural in SHAPES.items()},
        "attributes": list(COLOURS),
    }


def forms_of(question: Question, scene: Things) -> tuple[list[str], list[str]]:
    """The words that answer rightly, and those that answer wrongly."""
    colour = scene.colour_of(question.shape)
    if question.which:
        return [str(colour)], [one for one in COLOURS if one != colour]
    is_so = colour is not None and question.colour in (None, colour)
    return (["yes"], ["no"]) if is_so else (["no"], ["yes"])


def scene_of(split: str, index: int, seed: int) -> Things:
    """What the picture of a sample shows."""
    return draw_things(scene_generator(seed, split, index))


def _drawn(split: str, index: int, seed: int) -> tuple[Things, Question | None, np.random.Generator]:
    rng = scene_generator(seed, split, index)
    scene = draw_things(rng)
    return scene, draw_question(scene, rng) if index % _QUESTIONS == _QUESTIONS - 1 else None, rng


def _shown(
    folder: Path, split: str, index: int, scene: Things, question: Question | None, image_size: int
) -> dict[str, Any]:
    name = f"{split}-{index:05d}"
    image = f"images/{name}.png"
    render_things(scene, image_size).save(folder / image, compress_level=1)
    return {"id": name, "image": image, "prompt": question.text if question else REQUEST}


def _regions(
    folder: Path, split: str, index: int, scene: Things, question: Question | None, image_size: int
) -> list[dict[str, str]]:
    (folder / "masks").mkdir(exist_ok=True)
    regions = []
    for thing in scene.things:
        if question is None or question.shape == thing.shape:
            path = f"masks/{split}-{index:05d}-{thing.shape}.png"
            Image.fromarray(mask_of(thing, image_size).astype(np.uint8) * 255).save(folder / path, compress_level=1)
            regions.append({"word": thing.shape, "mask": path})
    return regions
