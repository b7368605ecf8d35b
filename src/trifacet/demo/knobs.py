"""Scenes and posts of the world of posts with its knobs (``data.post_settings``): what is to be found in it.

Invariant: each knob draws from a source of its own, so that turning one leaves what the others say as it was, and at
its default draws nothing: the scenes are then those of ``facts`` and the posts those of ``posts``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from trifacet.demo.facts import ALIKE, COLOURS, COUNTS, NAMES, SHAPES, Claim, Other, Scene, draw_scene, draw_spots
from trifacet.demo.posts import Post, chat, said, telling, write_post
from trifacet.demo.renderer import Nearness

if TYPE_CHECKING:
    from trifacet.data.post_settings import Posts

CELLS = 4  # of a picture; each thing takes one
_KINDS = {"one": 1, "two": 2, "three": 3}
_SIZE = 0.33  # of a thing that a rejected image has more
Value = TypeVar("Value")


def draw_knob_scene(rng: np.random.Generator, posts: Posts, *, apart: bool = False) -> Scene:
    """A scene as the knobs have it.

    Args:
        rng: draws the scene beneath, as ``facts.draw_scene`` does; the knobs draw from what it spawns.
        posts: the knobs.
        apart: picture without its post: what the post would tell is not told, and nothing is left to it.
    """
    of_kinds, of_places, of_claims = rng.spawn(3)
    scene = _with_others(draw_scene(rng), posts, of_kinds)
    if apart:
        return scene
    alone, both = set(), set()
    of_alone: Mapping[Any, float] = posts.post_alone
    of_both: Mapping[Any, float] = posts.in_both
    for fact in ("colour", "shape", "count"):
        at, left = float(of_places.random()), of_alone.get(fact, 0.0)
        if at < left:
            alone.add(fact)
        elif at < left + of_both.get(fact, 0.0):
            both.add(fact)
    claim = _claim(scene, posts, of_claims)
    told = set() if claim is None else {claim.fact}  # one post says one thing of a fact
    return replace(scene, claim=claim, in_both=frozenset(both - told), post_alone=frozenset(alone - told))


def nearness(posts: Posts) -> Nearness:
    """How alike the pictures show what is confusable."""
    return Nearness(posts.near_colours, posts.near_shapes)


def write_knob_post(scene: Scene, rng: np.random.Generator, posts: Posts) -> Post:
    """The scene's post: what ``posts.write_post`` says, what the post tells of the picture, and chat."""
    of_told, of_chat = rng.spawn(2)
    sentences = write_post(scene, rng)
    told: dict[str, str] = {}
    for fact in ("colour", "shape", "count"):
        if fact in scene.in_both or fact in scene.post_alone:
            told[fact] = telling(fact, scene, of_told)
    if scene.claim is not None:
        told[scene.claim.fact] = telling(scene.claim.fact, scene, of_told)
    for sentence in told.values():
        sentences.insert(int(of_told.integers(1, len(sentences) + 1)), sentence)
    for _ in range(posts.chat):
        sentences.insert(int(of_chat.integers(1, len(sentences) + 1)), chat(of_chat))
    return Post(tuple(sentences), told)


def drawn(rng: np.random.Generator, posts: Posts) -> tuple[Scene, Post]:
    """A sample's scene and post."""
    scene = draw_knob_scene(rng, posts)
    return scene, write_knob_post(scene, rng, posts)


def hard_context(scene: Scene, post: Post, rng: np.random.Generator) -> str:
    """The same post with one fact changed: the name, or what it tells rightly of the picture."""
    fact = one_of(rng, ("name", *sorted(scene.in_both | scene.post_alone)))
    if fact == "name":
        name = one_of(rng, [one for one in NAMES if one not in (scene.name, scene.other)])
        return re.sub(rf"\b{scene.name}\b", name, post.text)  # a name can begin another one
    now, changed = post.told[fact], _changed(scene, fact, rng)
    then = now.replace(said(fact, getattr(scene, fact)), said(fact, getattr(changed, fact)))
    return " ".join(then if sentence == now else sentence for sentence in post.sentences)


def hard_scene(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same scene with one fact that its picture shows changed: colour, shape, number, a thing of another kind."""
    free = CELLS - len(scene.spots) - len(scene.others)
    shown = [fact for fact in ("colour", "shape") if fact not in scene.post_alone]
    if free or scene.count > 1:
        shown.append("count")
    if scene.others:
        shown.append("thing")
    fact = one_of(rng, shown)
    if fact == "thing":
        at = int(rng.integers(len(scene.others)))
        shape = one_of(rng, [one for one in SHAPES if one not in scene.shapes])
        changed = tuple(one._replace(shape=shape) if k == at else one for k, one in enumerate(scene.others))
        return replace(scene, others=changed)
    if fact != "count":
        return _changed(scene, fact, rng)
    count = one_of(rng, [one for one in COUNTS if one != scene.count and one <= scene.count + free])
    taken = {_cell(spot) for spot in (*scene.spots, *(one.spot for one in scene.others))}
    left = [cell for cell in range(CELLS) if cell not in taken]
    more = [(0.25 + 0.5 * (cell % 2), 0.3925 + 0.405 * (cell // 2), _SIZE) for cell in left]
    return replace(scene, count=count, spots=(*scene.spots, *more)[:count])


def _cell(spot: Sequence[float]) -> int:
    """The cell of ``facts.draw_spots`` that a spot is in, in the order of reading."""
    return int(spot[0] > 0.5) + 2 * int(spot[1] > 0.595)


def _changed(scene: Scene, fact: str, rng: np.random.Generator) -> Scene:
    """The scene with another colour or shape that no thing of it has, or another number in words alone."""
    values: dict[str, Sequence[Any]] = {
        "colour": [one for one in COLOURS if one not in scene.colours],
        "shape": [one for one in SHAPES if one not in scene.shapes],
        "count": [one for one in COUNTS if one != scene.count],
    }
    changes: dict[str, Any] = {fact: one_of(rng, values[fact])}
    return replace(scene, **changes)


def _with_others(scene: Scene, posts: Posts, rng: np.random.Generator) -> Scene:
    """The scene with as many kinds of things as the knob draws; the first kind has as many as are left room for."""
    kinds = _KINDS[draw_kind(posts.kinds, rng)]
    if kinds == 1:
        return scene
    most = CELLS - kinds + 1
    count = scene.count if scene.count <= most else int(rng.integers(1, most + 1))
    spots = draw_spots(rng, count + kinds - 1)
    shapes = [str(one) for one in rng.permutation([one for one in SHAPES if one != scene.shape])]
    others = tuple(
        Other(shape, one_of(rng, tuple(COLOURS)), spot, _shade(rng))
        for shape, spot in zip(shapes, spots[count:], strict=False)
    )
    return replace(scene, count=count, spots=spots[:count], others=others)


def _shade(rng: np.random.Generator) -> tuple[float, float, float]:
    one, two, three = rng.uniform(-1, 1, size=3).tolist()
    return one, two, three


def _claim(scene: Scene, posts: Posts, rng: np.random.Generator) -> Claim | None:
    tempts, at = float(rng.random()) < posts.tempting, draw_kind(posts.tempts, rng)
    is_plausible = float(rng.random()) < posts.plausible
    if not tempts:
        return None
    if at == "thing":
        shape = one_of(rng, [one for one in SHAPES if one not in scene.shapes])
        return Claim("thing", shape, one_of(rng, tuple(COLOURS)))
    value, there = getattr(_changed(scene, at, rng), at), (*scene.colours, *scene.shapes)
    if is_plausible and at != "count" and (alike := ALIKE[getattr(scene, at)]) not in there:
        value = alike
    return Claim(at, value)


def draw_kind(shares: Mapping[Any, float], rng: np.random.Generator) -> str:
    """One of the kinds, by its share."""
    total = sum(shares.values())
    exact = total if abs(total - 1) > 1e-9 else 1.0  # the shares themselves where they need no mending
    return str(rng.choice(list(shares), p=[share / exact for share in shares.values()]))


def one_of(rng: np.random.Generator, values: Sequence[Value]) -> Value:
    """Any of the values, all as likely."""
    return values[int(rng.integers(len(values)))]
