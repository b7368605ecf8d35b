"""Drawing a scene with Pillow.

Invariant: the picture is a function of the scene and the size alone, and shows nothing of the scene's names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trifacet.demo.facts import COLOURS, Scene

Rgb = tuple[int, int, int]
_GROUNDS: dict[str, tuple[Rgb, Rgb]] = {  # sky, ground; none is near a colour of the objects
    "beach": ((180, 222, 240), (232, 214, 170)),
    "night": ((22, 22, 42), (44, 44, 62)),
    "meadow": ((188, 224, 240), (158, 192, 132)),
    "snow": ((212, 222, 232), (246, 248, 252)),
}
_SHADE = 14  # how far, in 8-bit steps, an object's colour strays from its word's


def render_scene(scene: Scene, size: int) -> Image.Image:
    """The scene as an RGB picture of ``size`` x ``size`` pixels."""
    image = empty_place(scene.place, size)
    draw = ImageDraw.Draw(image)
    colour = shaded(scene.colour, scene.shade)
    for x, y, side in scene.spots:
        draw_thing(draw, scene.shape, x * size, y * size, side * size / 2, colour)
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
    return tuple(
        min(255, max(0, round(channel + _SHADE * stray))) for channel, stray in zip(COLOURS[colour], shade, strict=True)
    )


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
