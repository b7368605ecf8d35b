"""The samples of the world of tasks: pictures with signs, posts, instructions with known truth, and three roles' rows.

Every row has ``extra["task"]``; rows that ask have ``extra["truth"]`` (see ``tasks_truth.is_right``), and
``extra["facts"]`` and ``extra["confusions"]`` of the answer. Supervised rows have ``extra["lesson"]`` too, and
``extra["kind"]`` says how careless the label is. Invariant: sample k of a split depends on (seed, split, k) alone; a
picture of the supervised split serves four rows in succession.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trifacet.demo.facts import scene_generator
from trifacet.demo.signs import KIND_OF, WORDS, Signed, draw_signed, render_signed
from trifacet.demo.signs_texts import Post, write_post
from trifacet.demo.tasks_roles import CYCLE, SHORT, Prompts, lesson
from trifacet.demo.tasks_texts import MORE, TASKS, Asked, Said, draw_asked, say, worse
from trifacet.demo.tasks_truth import NUMBER_WORDS, TRUTH
from trifacet.demo.things_files import truth_table

ROWS_OF_A_PICTURE = 4  # of the supervised split


def supervised(
    folder: Path, split: str, index: int, seed: int, image_size: int, prompts: Prompts, wrong: float
) -> dict[str, Any]:
    """A row of one of the roles, with a label as careless as theirs; ``wrong``: of what is judged and revised."""
    scene, post = _picture(split, index // ROWS_OF_A_PICTURE, seed)
    rng = scene_generator(seed, split, index)
    which = CYCLE[index % len(CYCLE)]
    task = TASKS[sum(divmod(index, len(CYCLE))) % len(TASKS)]  # every role meets every task
    asked = draw_asked(task, scene, post, rng)
    row = lesson(which, asked, scene, post, prompts, rng, wrong)
    name = f"images/{split}-{index // ROWS_OF_A_PICTURE:05d}.png"
    if index % ROWS_OF_A_PICTURE == 0 or not (folder / name).exists():
        render_signed(scene, image_size).save(folder / name, compress_level=1)
    extra: dict[str, Any] = {"lesson": which, "task": task, "kind": row.kind}
    if which == "answer":
        extra |= truth_of_task(asked, scene)
    if row.system:
        extra["system"] = row.system
    shown = {"id": f"{split}-{index:05d}", "image": name, "context": row.context, "prompt": row.prompt}
    return {**shown, "response": row.response, "extra": extra}


def preference(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """The truth preferred to a wrong answer, of either wording."""
    shown, asked, scene, post, rng = _asked(folder, split, index, seed, image_size)
    chosen = say(asked, asked.truth, short=bool(rng.random() < SHORT))
    rejected = say(asked, worse(asked, scene, post, rng), short=bool(rng.random() < SHORT))
    extra = {"task": asked.task, **truth_of_task(asked, scene)}
    return {**shown, "response": chosen, "rejected_responses": [rejected], "extra": extra}


def held_out(folder: Path, split: str, index: int, seed: int, image_size: int) -> dict[str, Any]:
    """An instruction with its reference answer, of either wording."""
    shown, asked, scene, _, rng = _asked(folder, split, index, seed, image_size)
    reference = say(asked, asked.truth, short=bool(rng.random() < SHORT))
    return {**shown, "references": [reference], "extra": {"task": asked.task, **truth_of_task(asked, scene)}}


def _picture(split: str, index: int, seed: int) -> tuple[Signed, Post]:
    rng = scene_generator(seed, f"{split} pictures", index)
    scene = draw_signed(rng)
    return scene, write_post(scene, rng)


def _asked(
    folder: Path, split: str, index: int, seed: int, image_size: int
) -> tuple[dict[str, Any], Asked, Signed, Post, np.random.Generator]:
    scene, post = _picture(split, index, seed)
    rng = scene_generator(seed, split, index)
    asked = draw_asked(TASKS[index % len(TASKS)], scene, post, rng)
    name = f"{split}-{index:05d}"
    image = f"images/{name}.png"
    render_signed(scene, image_size).save(folder / image, compress_level=1)
    return {"id": name, "image": image, "context": post.text, "prompt": asked.text}, asked, scene, post, rng


def truth_of_task(asked: Asked, scene: Signed) -> dict[str, Any]:
    """What a right answer is known by: ``extra`` but for the task."""
    truth, about = asked.truth, asked.about
    told: dict[str, Any]
    if isinstance(truth, Said):
        facts = {KIND_OF[word]: ([word], _other_words(KIND_OF[word], word)) for word in truth.words}
        told = {"things": {shape: colour for colour, shape in truth.things}, "words": list(truth.words)}
        return {TRUTH: told, "objects": truth_table(scene.things), **_facts(facts)}
    match asked.task:
        case "count":
            right = list(NUMBER_WORDS[int(str(truth))])
            wrong = [word for forms in NUMBER_WORDS.values() for word in forms if word not in right]
            told = {"count": truth}
        case "compare" if about:
            right, wrong = [about[0]], [about[1]]
            told = {"left": about[0], "right": about[1]}
        case "compare":
            right = [MORE[str(truth)]]
            wrong = [form for form in MORE.values() if form not in right]
            told = {"more": truth}
        case "yes-no":
            asked_for = about[1] if len(about) > 1 else None
            is_so = truth is not None and asked_for in (None, truth)
            right, wrong = (["yes"], ["no"]) if is_so else (["no"], ["yes"])
            told = {"shape": about[0], "asked": asked_for, "colour": truth}
        case _:
            right, wrong = [str(truth)] if truth else ["no"], _other_words(about[0], str(truth))
            told = {"word": truth}
    return {TRUTH: told, **_facts({"answer": (right, wrong)})}


def _other_words(kind: str, word: str) -> list[str]:
    return [one for one in WORDS[kind] if one != word]


def _facts(facts: dict[str, tuple[list[str], list[str]]]) -> dict[str, Any]:
    right = {fact: forms for fact, (forms, _) in facts.items()}
    return {"facts": right, "confusions": {fact: forms for fact, (_, forms) in facts.items()}}
