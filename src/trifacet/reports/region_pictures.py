"""Pictures with their regions drawn on them: each mask tinted, its box outlined, its number at its corner;
without a box in the middle of the mask, whose stray pixels may lie anywhere.

Invariant: a copy of one size is drawn on, and encoded anew by us.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from trifacet.preferences.rejected.masks import Corners, Mask
from trifacet.web.pictures import Picture

_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
_TINT = 0.45
_SIDE = 360  # pixels, the longest side


class Drawn(NamedTuple):
    """A region on a picture: its number, mask, and box, if there is one."""

    number: int
    mask: Mask
    box: Corners | None = None


def with_regions(picture: Image.Image, regions: Sequence[Drawn], side: int = _SIDE) -> Image.Image:
    """A copy, ``side`` pixels along its longer side, with the regions drawn on it; masks are of the picture's size."""
    scale = side / max(picture.size)
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    pixels = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)).astype(np.float32)
    for one in regions:
        inside = np.asarray(Image.fromarray(one.mask).resize(size, Image.Resampling.NEAREST))
        pixels[inside] = (1 - _TINT) * pixels[inside] + _TINT * np.array(_colour(one), np.float32)
    drawn = Image.fromarray(pixels.round().astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    for one in regions:
        left, upper = (scale * edge for edge in (one.box[:2] if one.box else _middle(one.mask)))
        left, upper = (min(max(edge, 0), end - 1) for edge, end in zip((left, upper), size, strict=True))
        if one.box:
            right, lower = (scale * edge - 1 for edge in one.box[2:])
            right, lower = min(max(right, left), size[0] - 1), min(max(lower, upper), size[1] - 1)
            pen.rectangle((left, upper, right, lower), outline=_colour(one), width=2)
        label = pen.textbbox((left + 2, upper + 1), str(one.number))
        pen.rectangle((left, upper, label[2] + 2, label[3] + 2), fill=_colour(one))
        pen.text((left + 2, upper + 1), str(one.number), fill="white")
    return drawn


def embedded(image: Image.Image) -> Picture:
    """An image as a data URL."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    return Picture(
        f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", image.width, image.height
    )


def _colour(one: Drawn) -> tuple[int, int, int]:
    return _COLOURS[(one.number - 1) % len(_COLOURS)]


def _middle(mask: Mask) -> tuple[float, float]:
    """The pixel (x, y) of the mask that is nearest to the median of them all; the corner where it is empty."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return 0.0, 0.0
    nearest = int(np.argmin(np.abs(rows - np.median(rows)) + np.abs(columns - np.median(columns))))
    return float(columns[nearest]), float(rows[nearest])
