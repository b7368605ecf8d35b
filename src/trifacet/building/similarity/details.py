"""Whether two pictures that look alike from afar also say the same: lettering, figures, small things.

Invariant: what both pictures show is compared at the finest size that both have, up to ``SIDE``; a difference counts
where it is larger than what compression, another size or a hair's breadth of misplacement leave behind.

One template (a meme, a score, a page of text) makes pictures whose thumbnails are all the same. The cuts are refined
from coarse to fine (Gauss-Newton, as in ``alignment``), then the two are held against each other pixel by pixel.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trifacet.base.errors import DataError
from trifacet.building.similarity.alignment import LARGEST_CUT
from trifacet.building.similarity.pictures import open_small
from trifacet.building.step import Tools

SIDE = 384  # pixels of the longer side: letters of a thirtieth of the height are told apart
MAX_REST = 20.0  # 8-bit steps left over, on average over a spot; copies leave 6 at most, another digit 40
SPOT = 5  # pixels of its side
_BASE, _EDGE = 16.0, 0.35  # steps that any pixel may differ by, and share of the contrast around it besides
_SIZES = ((32, 4), (64, 4), (128, 2), (SIDE, 1))  # longer side, Gauss-Newton steps
_HELD = 32  # pictures kept open, at most about a megabyte each

_Floats = NDArray[np.float32]


class Shown(NamedTuple):
    """A picture: its size, its grey channel made smaller for each of ``_SIZES``, its two colour differences."""

    width: int
    height: int
    greys: tuple[Image.Image, ...]
    colours: tuple[Image.Image, Image.Image]


class Details:
    """Compares pictures by their files ("ROOT:path")."""

    def __init__(self, tools: Tools) -> None:
        self._open = lru_cache(_HELD)(lambda file: shown(open_small(tools.path(file), tools.max_pixels, SIDE)))

    def same(self, outer: str, inner: str, cuts: NDArray[np.float64]) -> bool:
        """Whether ``inner`` shows what the cuts (left, top, right, bottom) leave of ``outer``.

        A file that can no longer be read shows nothing.
        """
        try:
            return same_details(self._open(outer), self._open(inner), cuts)
        except DataError:
            return False


def shown(image: Image.Image) -> Shown:
    """What is compared of an RGB picture."""
    image = image.convert("YCbCr")
    image.thumbnail((2 * SIDE, 2 * SIDE))
    grey, *colours = image.split()
    greys = []
    for side, _ in _SIZES:
        scale = min(1.0, 2 * side / max(image.size))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        greys.append(grey.resize(size, Image.Resampling.BOX))
    return Shown(*image.size, tuple(greys), (colours[0], colours[1]))


def same_details(outer: Shown, inner: Shown, cuts: NDArray[np.float64]) -> bool:
    """As ``Details.same``."""
    return rest(outer, inner, cuts) <= MAX_REST


def rest(outer: Shown, inner: Shown, cuts: NDArray[np.float64]) -> float:
    """By how many 8-bit steps the worst spot differs beyond what copies do."""
    for (side, steps), one, other in zip(_SIZES, outer.greys, inner.greys, strict=True):
        size = _grid(outer, inner, cuts, side)
        cuts = _refined(one, other, cuts, size, steps)
    half = max(1, size[0] // 2), max(1, size[1] // 2)  # compression spares the colours' details
    pairs = (((one, other), size), *((pair, half) for pair in zip(outer.colours, inner.colours, strict=True)))
    return max(_rest(_seen(one, cuts, grid), _seen(other, None, grid)) for (one, other), grid in pairs)


def _grid(outer: Shown, inner: Shown, cuts: NDArray[np.float64], side: int) -> tuple[int, int]:
    """The largest size of this side that neither picture has to be enlarged for."""
    left, top, right, bottom = cuts
    width = min(inner.width, outer.width * (1 - left - right))
    height = min(inner.height, outer.height * (1 - top - bottom))
    scale = min(1.0, side / max(width, height))
    return max(8, round(width * scale)), max(8, round(height * scale))


def _seen(channel: Image.Image, cuts: NDArray[np.float64] | None, size: tuple[int, int]) -> _Floats:
    """[height, width] of what the cuts leave."""
    left, top, right, bottom = (0.0, 0.0, 0.0, 0.0) if cuts is None else cuts.tolist()
    width, height = channel.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return np.asarray(channel.resize(size, Image.Resampling.HAMMING, box=box), np.float32)


def _refined(
    outer: Image.Image, inner: Image.Image, cuts: NDArray[np.float64], size: tuple[int, int], steps: int
) -> NDArray[np.float64]:
    """The best cuts on the way of so many Gauss-Newton steps; brightness and contrast are free."""
    target = _seen(inner, None, size)
    goal, best, best_cuts = _standard(target), -2.0, cuts
    across = (np.arange(size[0], dtype=np.float32) + 0.5) / size[0]
    down = ((np.arange(size[1], dtype=np.float32) + 0.5) / size[1])[:, None]
    for step in range(steps + 1):
        now = _seen(outer, cuts, size)
        if (fit := float(np.vdot(_standard(now), goal))) > best:
            best, best_cuts = fit, cuts
        if step == steps:
            break
        slope_y, slope_x = np.gradient(now)
        slope_x, slope_y = slope_x * size[0] / (1 - cuts[0] - cuts[2]), slope_y * size[1] / (1 - cuts[1] - cuts[3])
        moves = (slope_x * (1 - across), slope_y * (1 - down), -slope_x * across, -slope_y * down)
        columns = np.stack([*moves, now, np.ones_like(now)]).reshape(6, -1).astype(np.float64)
        normal = columns @ columns.T
        normal[range(4), range(4)] += 1e-4 * np.trace(normal[:4, :4]) / 4 + 1e-6
        solution = np.linalg.solve(normal + 1e-6 * np.eye(6), columns @ target.ravel())
        gain = solution[4] if abs(solution[4]) > 0.2 else 1.0
        cuts = np.clip(cuts + np.clip(solution[:4] / gain, -0.03, 0.03), 0.0, LARGEST_CUT)
    return best_cuts


def _standard(view: _Floats) -> _Floats:
    view = view - view.mean()
    return np.asarray(view / max(float(np.linalg.norm(view)), 1e-6))


def _rest(one: _Floats, other: _Floats) -> float:
    """What the worst spot differs by beyond what is allowed there, brightness and contrast made equal."""
    from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

    gain = np.clip(other.std() / max(float(one.std()), 1e-6), 0.8, 1.25)
    one = gain * one + np.clip(other.mean() - gain * one.mean(), -40, 40)
    apart = np.abs(one - other)
    if apart.max() <= _BASE:
        return 0.0
    contrast = np.minimum(*(maximum_filter(view, 3) - minimum_filter(view, 3) for view in (one, other)))
    over = np.maximum(apart - _BASE - _EDGE * contrast, 0)
    return float(uniform_filter(over, SPOT).max())
