"""Telling what a picture of the demo world shows, from its pixels alone.

Invariant: nothing is known here but how the world draws: colours, and how much of its frame each shape fills.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from trifacet.demo.facts import COLOURS

_NEAR = 48.0  # a pixel this close to a colour's value, in 8-bit steps, is of that colour: shading and JPEG included
_SMALLEST = 0.004  # share of the picture that a thing fills at least; less is what compression leaves at edges


def look(picture: Image.Image) -> dict[str, str]:
    """Colour, shape and count of the things in an RGB picture; empty where none is seen."""
    from scipy import ndimage

    pixels = np.asarray(picture, dtype=np.float32)
    values = np.array(list(COLOURS.values()), dtype=np.float32)
    distances = np.linalg.norm(pixels[:, :, None] - values, axis=-1)
    near = (distances.min(axis=-1) < _NEAR) & (np.arange(pixels.shape[0]) >= 0.17 * pixels.shape[0])[:, None]
    found = np.bincount(distances.argmin(axis=-1)[near], minlength=len(values))
    if found.max() < _SMALLEST * near.size:
        return {}
    colour = int(found.argmax())
    mask = ndimage.binary_opening(near & (distances.argmin(axis=-1) == colour), iterations=1)
    labels, _ = ndimage.label(mask)
    boxes = [
        box for k, box in enumerate(ndimage.find_objects(labels), 1) if (labels == k).sum() > _SMALLEST * mask.size
    ]
    if not boxes:
        return {}
    shapes = [_shape(mask[box]) for box in boxes]
    return {
        "colour": list(COLOURS)[colour],
        "shape": max(sorted(set(shapes)), key=shapes.count),
        "count": str(len(boxes)),
    }


def _shape(mask: np.ndarray) -> str:
    """Which shape fills its bounding box as ``mask`` does; see ``renderer`` for their proportions."""
    height, width = mask.shape
    filled, stretch = float(mask.mean()), width / height
    centre = mask[round(0.4 * height) : round(0.6 * height) + 1, round(0.4 * width) : round(0.6 * width) + 1]
    if stretch < 0.45:
        return "candle"
    if stretch > 1.7:
        return "rug"
    if centre.mean() < 0.3:
        return "ring"
    if filled < 0.46:
        return "star"
    return "ball" if filled > 0.66 else "kite"
