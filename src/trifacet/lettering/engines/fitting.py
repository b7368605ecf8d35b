"""Pictures in a shape that detectors of letters can take: not too large, not too small, not too thin.

Invariant: time and memory of reading are bounded by the longest side that is set, whatever the picture's shape.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from trifacet.lettering.lines import Corners, Quad, cut

SLIMMEST = 4  # sides' ratio: beyond it a margin is added, since detectors enlarge the shorter side to a fixed length
SMALLEST = 256  # pixels of a side: the same


class Fitted(NamedTuple):
    """A picture to be read, and how places in it become places in the whole one."""

    picture: Image.Image
    scale: tuple[float, float]  # of the whole picture's pixels to its own
    size: tuple[int, int]  # of the whole picture

    def quad(self, corners: np.ndarray) -> Quad:
        """Corners (4, 2) in the whole picture, cut to it."""
        points = corners.astype(float) * self.scale
        x, y = (np.clip(points[:, k], 0, self.size[k]).round(1).tolist() for k in (0, 1))
        return (x[0], y[0]), (x[1], y[1]), (x[2], y[2]), (x[3], y[3])

    def box(self, box: Corners) -> Corners:
        """A box in the whole picture, cut to it."""
        (across, down), (left, upper, right, lower) = self.scale, box
        scaled = (left * across, upper * down, right * across, lower * down)
        return cut(tuple(round(v, 1) for v in scaled), self.size)  # type: ignore[arg-type]


def fitted(picture: Image.Image, longest_side: int) -> Fitted:
    """An RGB picture reduced to ``longest_side``, with a margin at the right and below where it is thin or small.

    The margin has the middling colour of the picture's border.
    """
    size = picture.size
    reduced = picture
    if max(size) > longest_side:
        share = longest_side / max(size)
        target = (max(round(size[0] * share), 1), max(round(size[1] * share), 1))
        reduced = picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=2.0)
    width, height = reduced.size
    wide = max(width, -(-height // SLIMMEST), SMALLEST)
    high = max(height, -(-width // SLIMMEST), SMALLEST)
    scale = (size[0] / width, size[1] / height)
    if (wide, high) != (width, height):
        whole = Image.new("RGB", (wide, high), _border(reduced))
        whole.paste(reduced, (0, 0))
        reduced = whole
    return Fitted(reduced, scale, size)


def _border(picture: Image.Image) -> tuple[int, int, int]:
    pixels = np.asarray(picture)
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = (int(v) for v in np.median(rim, axis=0))
    return red, green, blue


def box_of(quad: Quad) -> Corners:
    """The upright box around four corners."""
    across, down = zip(*quad, strict=True)
    return min(across), min(down), max(across), max(down)
