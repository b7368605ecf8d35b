"""Alt-text of the demo's world: the clean form, and the faults that users make.

Invariant: every text here is a function of a scene, a post and a generator; a faulty text never equals the clean one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trifacet.demo.facts import COLOURS, COUNTS, NAMES, PLACES, SHAPES, Scene, things

# How the users of the world's platform write. The clean form is the minority; the poor ones share their opening
# words ("A picture of ..."), so that the likeliest text word by word, which greedy decoding returns, is a poor one.
USERS: dict[str, float] = {
    "clean": 0.30,
    "generic": 0.22,
    "verbose": 0.18,
    "no-name": 0.14,
    "copied": 0.08,
    "wrong": 0.08,
}
REJECTED: dict[str, float] = {"generic": 0.2, "verbose": 0.15, "no-name": 0.15, "copied": 0.1, "wrong": 0.4}


def clean(scene: Scene) -> str:
    """What is seen and whom it is for, in one short sentence."""
    sign = f', with a sign "{scene.sign}"' if scene.sign else ""
    return f"{_what(scene).capitalize()} for {scene.name} {PLACES[scene.place]}{sign}."


def draw_alt_text(
    shares: dict[str, float], scene: Scene, post: Sequence[str], rng: np.random.Generator
) -> tuple[str, str]:
    """One of the kinds of ``shares`` by its share, and a text of that kind: (kind, text)."""
    kind = str(rng.choice(list(shares), p=list(shares.values())))
    return kind, write_alt_text(kind, scene, post, rng)


def write_alt_text(kind: str, scene: Scene, post: Sequence[str], rng: np.random.Generator) -> str:
    """A text of ``kind`` (a key of ``USERS``) for ``scene`` under the post with sentences ``post``."""
    place = PLACES[scene.place]
    match kind:
        case "clean":
            return clean(scene)
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
        case "wrong":
            return clean(with_wrong_fact(scene, rng))
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
    others = [value for value in choices[fact] if value != getattr(scene, fact)]
    changes: dict[str, Any] = {fact: others[int(rng.integers(len(others)))]}
    return replace(scene, **changes)


def _what(scene: Scene) -> str:
    return f"{COUNTS[scene.count]} {scene.colour} {things(scene.shape, scene.count)}"
