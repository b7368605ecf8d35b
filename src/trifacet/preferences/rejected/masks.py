"""Which pixels of a picture count: masks, as boxes and unions of them.

Invariant: a mask has the shape (height, width) of the picture it belongs to; True is inside.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Corners = tuple[float, float, float, float]  # left, upper, right, lower, in pixels of the picture


def box_mask(size: tuple[int, int], box: Corners) -> Mask:
    """The pixels of a picture of ``size`` (width, height) that a box touches; what lies outside is cut off."""
    width, height = size
    left, upper = max(int(np.floor(box[0])), 0), max(int(np.floor(box[1])), 0)
    right, lower = min(int(np.ceil(box[2])), width), min(int(np.ceil(box[3])), height)
    mask = np.zeros((height, width), np.bool_)
    mask[upper : max(lower, upper), left : max(right, left)] = True
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
