"""Writing the demo's world to files in Trifacet's own format.

Invariant: sample k of a split depends on (seed, split, k) alone, so that a larger world begins with the smaller one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trifacet.base.files import write_atomically
from trifacet.demo import signs_files, tasks_files, things_files
from trifacet.demo.alttext import REJECTED, USERS, clean, draw_alt_text
from trifacet.demo.facts import Scene, accepted, confusions, draw_scene, scene_generator
from trifacet.demo.posts import write_post
from trifacet.demo.renderer import render_scene
from trifacet.demo.tasks_roles import Prompts

if TYPE_CHECKING:
    from trifacet.data.settings import Split, World, WorldKind

Fields = Callable[[Scene, list[str], np.random.Generator], dict[str, Any]]
Sample = Callable[[Path, str, int, int, int], dict[str, Any]]  # of (folder, split, index, seed, image size)


def write_world(folder: Path, spec: World, seed: int, image_size: int) -> dict[str, Path]:
    """Write pictures and samples of all four splits.

    Args:
        folder: gets ``sft.jsonl``, ``preference.jsonl``, ``validation.jsonl``, ``test.jsonl`` and ``images/``.
        spec: which world, and how many samples each split has.
        seed: seed of everything that is drawn.
        image_size: side of the square pictures in pixels.

    Returns:
        The file of each split, by name. Samples of validation and test carry ``extra["facts"]`` (per fact the words
        that state it) and ``extra["confusions"]`` (per fact the words that state another value); those of pictures
        with several things see ``things_files``, of pictures with signs ``signs_files``, with instructions
        ``tasks_files``.

    Raises:
        TrifacetError: a prompt of ``spec.prompts`` that cannot be used.
    """
    amounts: dict[Split, int] = {
        "sft": spec.sft,
        "preference": spec.preference,
        "validation": spec.validation,
        "test": spec.test,
    }
    (folder / "images").mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for split, amount in amounts.items():
        sample = _sample(spec, split)
        rows = [sample(folder, split, index, seed, image_size) for index in range(amount)]
        paths[split] = folder / f"{split}.jsonl"
        write_atomically(paths[split], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return paths


def _sample(spec: World, split: Split) -> Sample:
    if spec.kind == "tasks" and split == "sft":
        prompts = Prompts.read(Path(spec.prompts) if spec.prompts else None)
        return partial(tasks_files.supervised, prompts=prompts, wrong=spec.wrong)
    return _SAMPLES[spec.kind][split]


def _post(folder: Path, split: str, index: int, seed: int, image_size: int, fields: Fields) -> dict[str, Any]:
    rng = scene_generator(seed, split, index)
    scene = draw_scene(rng)
    post = write_post(scene, rng)
    name = f"{split}-{index:05d}"
    image = f"images/{name}.png"
    render_scene(scene, image_size).save(folder / image, compress_level=1)
    return {"id": name, "image": image, "context": " ".join(post), **fields(scene, post, rng)}


def _supervised(scene: Scene, post: list[str], rng: np.random.Generator) -> dict[str, Any]:
    kind, text = draw_alt_text(USERS, scene, post, rng)
    return {"response": text, "extra": {"kind": kind}}


def _preference(scene: Scene, post: list[str], rng: np.random.Generator) -> dict[str, Any]:
    kind, text = draw_alt_text(REJECTED, scene, post, rng)
    return {"response": clean(scene), "rejected_responses": [text], "extra": {"rejected_kind": kind}}


def _held_out(scene: Scene, post: list[str], rng: np.random.Generator) -> dict[str, Any]:
    return {"references": [clean(scene)], "extra": {"facts": accepted(scene), "confusions": confusions(scene)}}


_SAMPLES: dict[WorldKind, dict[Split, Sample]] = {
    "posts": {
        "sft": partial(_post, fields=_supervised),
        "preference": partial(_post, fields=_preference),
        "validation": partial(_post, fields=_held_out),
        "test": partial(_post, fields=_held_out),
    },
    "things": {
        "sft": things_files.supervised,
        "preference": things_files.preference,
        "validation": things_files.held_out,
        "test": things_files.held_out,
    },
    "signs": {
        "sft": signs_files.supervised,
        "preference": signs_files.preference,
        "validation": signs_files.held_out,
        "test": signs_files.held_out,
    },
    "tasks": {
        "preference": tasks_files.preference,
        "validation": tasks_files.held_out,
        "test": tasks_files.held_out,
    },
}
