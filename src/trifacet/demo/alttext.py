"""Alt-text of the demo's world: the clean form, and the faults that users make.

Invariant: every text here is a function of a scene, a post and a generator; a faulty text never equals the clean one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trifacet.demo import things_texts
from trifacet.demo.facts import COLOURS, COUNTS, NAMES, PLACES, SHAPES, Other, Scene, things
from trifacet.demo.knobs import draw_kind

_CLAUSES: dict[str, tuple[str, ...]] = {  # true of every picture of the place; no word of a fact
    "beach": ("sand all around", "a pale sky above", "bright daylight", "nobody else near"),
    "night": ("a dark sky above", "no light around", "dark ground below", "nobody else near"),
    "meadow": ("grass all around", "a pale sky above", "bright daylight", "nobody else near"),
    "snow": ("bare ground all around", "a pale sky above", "cold daylight", "nobody else near"),
}
USUAL: dict[str, str] = {one: other for one, (other, _) in things_texts.USUAL.items()}  # what users name beside it


def clean(scene: Scene, clauses: int = 0) -> str:
    """What is seen and whom it is for, in one short sentence; ``clauses`` says more of the place (at most 4)."""
    sign = f', with a sign "{scene.sign}"' if scene.sign else ""
    more = "".join(f", {clause}" for clause in _CLAUSES[scene.place][:clauses])
    return f"{_what(scene).capitalize()} for {scene.name} {PLACES[scene.place]}{sign}{more}."


def draw_alt_text(
    shares: Mapping[Any, float],
    scene: Scene,
    post: Sequence[str],
    rng: np.random.Generator,
    *,
    clauses: int = 0,
    otherwise: str = "clean",
) -> tuple[str, str]:
    """One of the kinds of ``shares`` by its share, and a text of that kind: (kind, text).

    Where the kind is not to be had (``tempted`` without a post that tempts, ``absent`` where nothing is usual beside
    what is there) it is ``otherwise``.
    """
    kind = draw_kind(shares, rng)
    if (kind == "tempted" and scene.claim is None) or (kind == "absent" and usual(scene) is None):
        kind = otherwise
    return kind, write_alt_text(kind, scene, post, rng, clauses)


def usual(scene: Scene) -> str | None:
    """The shape that users name beside what is there without looking; None: none, or it is there."""
    return next((USUAL[one] for one in scene.shapes if one in USUAL and USUAL[one] not in scene.shapes), None)


def write_alt_text(kind: str, scene: Scene, post: Sequence[str], rng: np.random.Generator, clauses: int = 0) -> str:
    """A text of ``kind`` (``data.post_settings.TextKind``) for ``scene`` under the post with sentences ``post``."""
    place = PLACES[scene.place]
    match kind:
        case "generic":
            return f"A picture of some {SHAPES[scene.shape]} {place}."
        case "verbose":
            return (
                f"A picture of some {SHAPES[scene.shape]}, I think you can see {_what(scene)} for {scene.name} "
                f"and it all looks really so very nice {place} today."
            )
        case "no-name":
            return f"A picture of {_what(scene)} {place}."
        case "copied":
            return " ".join(post[:2])
        case _:
            return clean(_seen(kind, scene, rng), clauses)


def _seen(kind: str, scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene that a text in the clean form speaks of."""
    match kind:
        case "clean":
            return scene
        case "wrong":
            return with_wrong_fact(scene, rng)
        case "tempted":
            return _believed(scene)
        case "absent":
            return _beside(scene, str(usual(scene)))
        case _:
            raise ValueError(f"unknown kind of alt-text {kind!r}")


def with_wrong_fact(scene: Scene, rng: np.random.Generator, fact: str | None = None) -> Scene:
    """The scene with one fact (drawn, if none is given) changed to another value; the name to the other person's."""
    fact = fact or str(rng.choice(["name", "colour", "shape", "count"]))
    if fact == "name" and scene.other:
        return replace(scene, name=scene.other)
    choices: dict[str, tuple[Any, ...]] = {
        "name": NAMES,
        "colour": tuple(COLOURS),
        "shape": tuple(SHAPES),
        "count": tuple(COUNTS),
    }
    there = {"colour": scene.colours, "shape": scene.shapes}.get(fact, (getattr(scene, fact),))
    others = [value for value in choices[fact] if value not in there]
    changes: dict[str, Any] = {fact: others[int(rng.integers(len(others)))]}
    return replace(scene, **changes)


def _believed(scene: Scene) -> Scene:
    """The scene as its post has it."""
    claim = scene.claim
    if claim is None:
        raise ValueError("a post that does not tempt tempts nobody")
    if claim.fact == "thing":
        return _beside(scene, str(claim.value), claim.colour)
    changes: dict[str, Any] = {claim.fact: claim.value}
    return replace(scene, **changes)


def _beside(scene: Scene, shape: str, colour: str | None = None) -> Scene:
    """The scene with a thing more in words, in its usual colour where none is given."""
    thing = Other(shape, colour or things_texts.USUAL_COLOURS[shape], (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    return replace(scene, others=(*scene.others, thing))


def _what(scene: Scene) -> str:
    first = f"{COUNTS[scene.count]} {scene.colour} {things(scene.shape, scene.count)}"
    return things_texts.joined([first, *(f"a {one.colour} {one.shape}" for one in scene.others)])
