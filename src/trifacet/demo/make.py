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
from trifacet.data.post_settings import Posts
from trifacet.demo import signs_files, tasks_files, things_files
from trifacet.demo.alttext import clean, draw_alt_text
from trifacet.demo.facts import Scene, accepted, confusions, objects, scene_generator, tempting
from trifacet.demo.knobs import drawn, hard_context, hard_scene, nearness
from trifacet.demo.posts import Post
from trifacet.demo.renderer import render_scene
from trifacet.demo.tasks_roles import Prompts

if TYPE_CHECKING:
    from trifacet.data.settings import Split, World, WorldKind

Fields = Callable[[Scene, Post, np.random.Generator, Posts, np.random.Generator], dict[str, Any]]
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
        that state it) and ``extra["confusions"]`` (per fact the words that state another value), with knobs of
        ``spec.posts`` also ``extra["objects"]`` and, where the post tempts, ``extra["tempts"]``; those of pictures
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
    if spec.kind == "posts":
        return partial(_post, fields=_FIELDS[split], posts=spec.posts)
    return _SAMPLES[spec.kind][split]


def post_of(split: str, index: int, seed: int, posts: Posts) -> tuple[Scene, Post, list[np.random.Generator]]:
    """A sample of the world of posts before it is told: scene, post, and the sources of chance of its texts, of noise
    in pairs, and of hard rejected posts and pictures.
    """
    rng = scene_generator(seed, split, index)
    further = rng.spawn(3)
    scene, post = drawn(rng, posts)
    return scene, post, [rng, *further]


def _post(
    folder: Path, split: str, index: int, seed: int, image_size: int, fields: Fields, posts: Posts
) -> dict[str, Any]:
    scene, post, (rng, of_pairs, of_contexts, of_images) = post_of(split, index, seed, posts)
    name = f"{split}-{index:05d}"
    image = f"images/{name}.png"
    render_scene(scene, image_size, nearness(posts)).save(folder / image, compress_level=1)
    row = {"id": name, "image": image, "context": post.text, **fields(scene, post, rng, posts, of_pairs)}
    if split == "preference" and of_contexts.random() < posts.hard_contexts:
        row["rejected_contexts"] = [hard_context(scene, post, of_contexts)]
    if split == "preference" and of_images.random() < posts.hard_images:
        row["rejected_images"] = [f"images/{name}-rejected.png"]
        hard = render_scene(hard_scene(scene, of_images), image_size, nearness(posts))
        hard.save(folder / row["rejected_images"][0], compress_level=1)
    return row


def _supervised(
    scene: Scene, post: Post, rng: np.random.Generator, posts: Posts, of_pairs: np.random.Generator
) -> dict[str, Any]:
    kind, text = draw_alt_text(posts.users, scene, post.sentences, rng, clauses=posts.clauses)
    return {"response": text, "extra": {"kind": kind}}


def _preference(
    scene: Scene, post: Post, rng: np.random.Generator, posts: Posts, of_pairs: np.random.Generator
) -> dict[str, Any]:
    kind, text = draw_alt_text(posts.rejected, scene, post.sentences, rng, clauses=posts.clauses, otherwise="wrong")
    chosen = clean(scene, posts.clauses)
    extra: dict[str, Any] = {"rejected_kind": kind}
    is_noisy, is_swapped = of_pairs.random(2) < (posts.chosen_noise, posts.swapped)
    if is_noisy:
        poor = draw_alt_text(posts.faults, scene, post.sentences, of_pairs, clauses=posts.clauses, otherwise="wrong")
        if poor[1] != text:  # else the pair says nothing: it stays as it was
            extra, chosen = {"chosen_kind": poor[0], **extra}, poor[1]
    if is_swapped:
        chosen, text, extra = text, chosen, {"swapped": True, **extra}
    return {"response": chosen, "rejected_responses": [text], "extra": extra}


def _held_out(
    scene: Scene, post: Post, rng: np.random.Generator, posts: Posts, of_pairs: np.random.Generator
) -> dict[str, Any]:
    extra: dict[str, Any] = {"facts": accepted(scene), "confusions": confusions(scene)}
    if posts != Posts():
        extra["objects"] = objects(scene)
    if scene.claim is not None:
        extra["tempts"] = tempting(scene)
    return {"references": [clean(scene, posts.clauses)], "extra": extra}


_FIELDS: dict[Split, Fields] = {
    "sft": _supervised,
    "preference": _preference,
    "validation": _held_out,
    "test": _held_out,
}
_SAMPLES: dict[WorldKind, dict[Split, Sample]] = {
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
