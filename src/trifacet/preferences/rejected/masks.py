"""Which pixels of a picture count: masks, as boxes and unions of them.

Invariant: a mask has the shape (height, width) of the picture it belongs to; True is inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.bool_]
Corners = tuple[float, float, float, float]  # left, upper, right, lower, in pixels of the picture
Quad = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


class Lettered(NamedTuple):
    """A word that stands in a picture, and the corners of the rectangle around it, as one reads: from the upper left
    clockwise.
    """

    text: str
    quad: Quad


def box_mask(size: tuple[int, int], box: Corners) -> Mask:
    """The pixels of a picture of ``size`` (width, height) that a box touches; what lies outside is cut off."""
    width, height = size
    left, upper = max(int(np.floor(box[0])), 0), max(int(np.floor(box[1])), 0)
    right, lower = min(int(np.ceil(box[2])), width), min(int(np.ceil(box[3])), height)
    mask = np.zeros((height, width), np.bool_)
    mask[upper : max(lower, upper), left : max(right, left)] = True
    return mask


def quad_mask(size: tuple[int, int], quad: Quad) -> Mask:
    """The pixels of a picture of ``size`` (width, height) that a turned rectangle touches, in whole pixels.

    One whose sides lie along the picture's is its box.
    """
    across, down = sorted({x for x, _ in quad}), sorted({y for _, y in quad})
    if len(across) <= 2 and len(down) <= 2:
        return box_mask(size, (across[0], down[0], across[-1], down[-1]))
    drawn = Image.new("1", size)
    # Pillow's pixels are points: half a pixel less is where their middles are
    ImageDraw.Draw(drawn).polygon([(x - 0.5, y - 0.5) for x, y in quad], fill=1, outline=1)
    return np.array(drawn)


def union(masks: Iterable[Mask]) -> Mask | None:
    """What any of the masks holds; None of no mask."""
    found: Mask | None = None
    for mask in masks:
        found = mask.copy() if found is None else found | mask
    return found


def area(mask: Mask) -> float:
    """The share of the picture that is inside."""
    return float(mask.mean())
