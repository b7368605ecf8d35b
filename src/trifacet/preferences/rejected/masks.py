"""Which pixels of a picture count: masks, as boxes and unions of them.

Invariant: a mask has the shape (height, width) of the picture it belongs to; True is inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    """The pixels of a picture of ``size`` (width, height) that a turned rectangle touches.

    One whose sides lie along the picture's is its box. At a corner a pixel more may be in.
    """
    corners = np.array(quad)
    (left, upper), (right, lower) = corners.min(0), corners.max(0)
    mask = box_mask(size, (float(left), float(upper), float(right), float(lower)))
    rows, columns = np.nonzero(mask)
    sides = np.roll(corners, -1, 0) - corners
    turn = float(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0])
    if not len(rows) or not turn:
        return mask
    middles = np.stack([columns + 0.5, rows + 0.5], 1)
    inside = np.ones(len(rows), np.bool_)
    for corner, side in zip(corners, sides, strict=True):
        across, down = (middles - corner).T
        beyond = (side[0] * down - side[1] * across) * np.sign(turn)  # less than 0 outside, times the side's length
        inside &= beyond > -(abs(side[0]) + abs(side[1])) / 2  # by how much a pixel reaches further than its middle
    mask[rows, columns] = inside
    return mask


def union(masks: Iterable[Mask]) -> Mask | None:
    """What any of the masks holds; None of no mask."""
    found: Mask | None = None
    for mask in masks:
        found = mask.copy() if found is None else found | mask
    return found


def area(mask: Mask) -> float:
    """The share of the picture that is inside."""
    return float(mask.mean())
