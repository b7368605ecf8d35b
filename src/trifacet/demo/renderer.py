"""Drawing a scene with Pillow.

Invariant: the picture is a function of the scene and the size alone, and shows nothing of the scene's names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trifacet.demo.facts import ALIKE, COLOURS, Scene

Rgb = tuple[int, int, int]
_GROUNDS: dict[str, tuple[Rgb, Rgb]] = {  # sky, ground; none is near a colour of the objects
    "beach": ((180, 222, 240), (232, 214, 170)),
    "night": ((22, 22, 42), (44, 44, 62)),
    "meadow": ((188, 224, 240), (158, 192, 132)),
    "snow": ((212, 222, 232), (246, 248, 252)),
}
_SHADE = 14  # how far, in 8-bit steps, an object's colour strays from its word's
_GREY: Rgb = (120, 120, 120)
_ANGLES = np.linspace(-np.pi, np.pi, 80, endpoint=False)  # of outlines between two shapes
_STAR = tuple(
    (radius * math.cos(angle), radius * math.sin(angle))
    for k in range(10)
    for radius, angle in [(1.15 if k % 2 == 0 else 0.4, math.pi * (k / 5 - 0.5))]
)
_CORNERS: dict[str, tuple[tuple[float, float], ...]] = {  # as ``draw_thing`` draws them
    "star": _STAR,
    "kite": ((0, -1), (0.7, -0.25), (0, 1), (-0.7, -0.25)),
    "candle": ((-0.25, -1), (0.25, -1), (0.25, 1), (-0.25, 1)),
    "rug": ((-1, -0.4), (1, -0.4), (1, 0.4), (-1, 0.4)),
}
_TRIANGLE = ((0, -1.0), (1.0, 0.9), (-1.0, 0.9))


class Nearness(NamedTuple):
    """How alike the colours of a pair are drawn, and its shapes: 0 not at all, 1 the same."""

    colours: float = 0.0
    shapes: float = 0.0


FAR = Nearness()


def render_scene(scene: Scene, size: int, near: Nearness = FAR) -> Image.Image:
    """The scene as an RGB picture of ``size`` x ``size`` pixels; ``near``: how alike colours and shapes are drawn.

    A colour that stands in the post alone is drawn as grey, such a shape as a triangle, whatever they are.
    """
    image = empty_place(scene.place, size)
    draw = ImageDraw.Draw(image)
    shape = None if "shape" in scene.post_alone else scene.shape
    colour = None if "colour" in scene.post_alone else scene.colour
    things = [(shape, colour, spot, scene.shade) for spot in scene.spots]
    things += [(one.shape, one.colour, one.spot, one.shade) for one in scene.others]
    for its_shape, its_colour, (x, y, side), shade in things:
        rgb = _strayed(_GREY if its_colour is None else _between(its_colour, near.colours), shade)
        at = (x * size, y * size, side * size / 2)
        if its_shape is not None and not near.shapes:
            draw_thing(draw, its_shape, *at, rgb)
        else:
            image.paste(rgb, mask=_silhouette(its_shape, near.shapes, size, *at))
    if scene.sign:
        _draw_sign(image, scene.sign)
    return image


def empty_place(place: str, size: int) -> Image.Image:
    """A place (a key of ``PLACES``) with nothing in it: RGB, ``size`` x ``size`` pixels."""
    sky, ground = _GROUNDS[place]
    image = Image.new("RGB", (size, size), sky)
    ImageDraw.Draw(image).rectangle((0, round(0.45 * size), size, size), fill=ground)
    return image


def shaded(colour: str, shade: Sequence[float]) -> tuple[int, ...]:
    """The RGB value of a colour's word, strayed by ``shade`` (three numbers from -1 to 1)."""
    return _strayed(COLOURS[colour], shade)


def _strayed(colour: Sequence[float], shade: Sequence[float]) -> tuple[int, ...]:
    return tuple(
        min(255, max(0, round(channel + _SHADE * stray))) for channel, stray in zip(colour, shade, strict=True)
    )


def _between(colour: str, near: float) -> Sequence[float]:
    """A colour, moved towards its neighbour: ``near`` 1 is half of the way for both."""
    own, other = COLOURS[colour], COLOURS[ALIKE[colour]]
    return [one + near / 2 * (two - one) for one, two in zip(own, other, strict=True)]


def _silhouette(shape: str | None, near: float, size: int, x: float, y: float, r: float) -> Image.Image:
    """Where a shape, moved towards its neighbour, covers a picture of ``size`` x ``size``: 255, else 0. None: a
    triangle, which no shape is.
    """
    if shape is None:
        reach_A, hole = _reach(_TRIANGLE), 0.0
    else:
        (own_A, own_hole), (other_A, other_hole) = _outline(shape), _outline(ALIKE[shape])
        reach_A, hole = own_A + near / 2 * (other_A - own_A), own_hole + near / 2 * (other_hole - own_hole)
    mask = Image.new("L", (size, size))
    draw = ImageDraw.Draw(mask)
    edge_A2 = np.stack([x + r * reach_A * np.cos(_ANGLES), y + r * reach_A * np.sin(_ANGLES)], axis=1)
    draw.polygon([(float(one), float(two)) for one, two in edge_A2], fill=255)
    if hole:
        draw.ellipse((x - hole * r, y - hole * r, x + hole * r, y + hole * r), fill=0)
    return mask


def _outline(shape: str) -> tuple[np.ndarray, float]:
    """How far a shape of half-side 1 reaches at each of ``_ANGLES``, and the radius of its hole."""
    if shape in ("ball", "ring"):
        return np.ones(len(_ANGLES)), 0.6 if shape == "ring" else 0.0
    return _reach(_CORNERS[shape]), 0.0


def _reach(corners: Sequence[tuple[float, float]]) -> np.ndarray:
    """How far a polygon around the origin reaches at each of ``_ANGLES``."""
    ways_A2 = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    reach_A = np.zeros(len(_ANGLES))
    for one, two in zip(corners, [*corners[1:], corners[0]], strict=True):
        start, along = np.array(one), np.array(two) - np.array(one)
        cross_A = ways_A2[:, 0] * along[1] - ways_A2[:, 1] * along[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            far_A = (start[0] * along[1] - start[1] * along[0]) / cross_A
            part_A = (start[0] * ways_A2[:, 1] - start[1] * ways_A2[:, 0]) / cross_A
        hit_A = (far_A > 0) & (part_A >= -1e-9) & (part_A <= 1 + 1e-9)
        reach_A = np.where(hit_A, np.maximum(reach_A, far_A), reach_A)
    return reach_A


def draw_thing(
    draw: ImageDraw.ImageDraw, shape: str, x: float, y: float, r: float, colour: int | tuple[int, ...]
) -> None:
    """One object of half-side ``r`` pixels around (x, y); sizes differ between shapes so that few pixels suffice."""
    match shape:
        case "ball":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        case "ring":
            draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=max(2, round(0.4 * r)))
        case "star":
            angles = [math.pi * (k / 5 - 0.5) for k in range(10)]
            radii = [1.15 * r if k % 2 == 0 else 0.4 * r for k in range(10)]
            draw.polygon(
                [(x + q * math.cos(a), y + q * math.sin(a)) for q, a in zip(radii, angles, strict=True)], fill=colour
            )
        case "kite":
            draw.polygon(
                [(x, y - r), (x + 0.7 * r, y - 0.25 * r), (x, y + r), (x - 0.7 * r, y - 0.25 * r)], fill=colour
            )
        case "candle":
            draw.rectangle((x - 0.25 * r, y - r, x + 0.25 * r, y + r), fill=colour)
        case "rug":
            draw.rectangle((x - r, y - 0.4 * r, x + r, y + 0.4 * r), fill=colour)


def _draw_sign(image: Image.Image, text: str) -> None:
    """Lettering on a white strip along the top, in the bitmap font that Pillow carries (11 pixels high)."""
    size = image.width
    font = ImageFont.load_default_imagefont()
    left, top, right, bottom = font.getbbox(text)
    strip = Image.new("RGB", (int(right - left) + 4, int(bottom - top)), (255, 255, 255))
    ImageDraw.Draw(strip).text((2, 0), text, fill=(0, 0, 0), font=font)
    height = max(1, round(0.17 * size))
    strip = strip.resize((min(size, round(strip.width * height / strip.height)), height))
    image.paste(strip, ((size - strip.width) // 2, 0))


_GRAIN = 7  # cells of the texture along a side; what tells pictures apart has to survive a thumbnail


def textured(scene: Scene, size: int, rng: np.random.Generator) -> Image.Image:
    """The scene with light and shade of its own on its background, which no two photographs share.

    Without it pictures of equal places differ in a few flat shapes only, and a perceptual hash takes most of them for
    the same. Objects and sign keep their colours; backgrounds stay far from the objects' colours.
    """
    picture = np.asarray(render_scene(scene, size), dtype=np.float32)
    empty = np.asarray(render_scene(replace(scene, spots=(), sign=None), size), dtype=np.float32)
    coarse = Image.fromarray(rng.uniform(0, 1, (_GRAIN, _GRAIN)).astype(np.float32))
    light = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))[..., None].clip(0, 1)
    shaded = empty + 70 * light if scene.place == "night" else empty - 85 * light
    background = (picture == empty).all(axis=2, keepdims=True)
    return Image.fromarray(np.where(background, shaded, picture).clip(0, 255).astype(np.uint8))
