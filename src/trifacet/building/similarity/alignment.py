"""Whether one picture is the other with cropped borders, told from their thumbnails.

Invariant: symmetric in nothing but the answer's meaning: ``outer`` is the picture that may have been cropped, ``inner``
the result; a picture compared with itself has similarity 1.

The four cuts are refined by Gauss-Newton steps on the grey thumbnails (B. Lucas and T. Kanade, "An Iterative Image
Registration Technique", 1981), then the two are compared as a whole and cell by cell: a changed object in the same
scene leaves the correlation of the whole picture high, but not that of its own place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trifacet.building.similarity.pictures import COLOUR, GREY, is_flat, same_flat

CELLS = 16  # a side of the grid on which pictures are compared
_STEPS = 5  # Gauss-Newton steps
LARGEST_CUT = 0.15  # share of a side
MAX_GREY, MAX_COLOUR = 16.0, 10.0  # 8-bit steps by which a cell may differ
EDGE = 0.35  # share of the contrast around a cell by which it may differ besides: a hair's breadth matters at edges
_H = 0.004  # for differences in place of derivatives

_Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


def similarity(outer: Bytes, inner: Bytes, cuts: _Floats) -> tuple[_Floats, _Floats]:
    """[n] in 0 to 1 for thumbnails [n, THUMBNAIL] and first guesses of the cuts [n, 4] (left, top, right, bottom).

    The correlation of the grey pictures once aligned; 0 where a part of the picture differs clearly from its
    counterpart, or one is flat and the other is not. Two flat pictures are 1 or 0: of the same colour or not.

    Returns:
        the similarities, and the cuts [n, 4] at which the pictures fit best.
    """
    flat = is_flat(outer), is_flat(inner)
    result, best_cuts = np.where(flat[0] & flat[1] & same_flat(outer, inner), 1.0, 0.0), np.zeros_like(cuts)
    busy = np.flatnonzero(~flat[0] & ~flat[1])
    if len(busy):
        result[busy], best_cuts[busy] = _aligned(_parts(outer[busy]), _parts(inner[busy]), cuts[busy])
    return result, best_cuts


def _parts(thumbnails: Bytes) -> tuple[_Floats, _Floats]:
    """Grey [n, GREY, GREY] and colour differences [n, 2, COLOUR, COLOUR]."""
    grey, colour = np.split(thumbnails.astype(np.float64), [GREY * GREY], axis=1)
    return grey.reshape(-1, GREY, GREY), colour.reshape(-1, 2, COLOUR, COLOUR)


def _aligned(outer: tuple[_Floats, _Floats], inner: tuple[_Floats, _Floats], cuts: _Floats) -> tuple[_Floats, _Floats]:
    uncut = np.zeros_like(cuts)
    target = _seen(inner[0], uncut, CELLS)
    goal = _standard(target)
    best, best_cuts = np.full(len(cuts), -1.0), cuts
    for start in (uncut, cuts):
        now = start
        for _ in range(_STEPS):
            now, correlation = _step(outer[0], goal, now)
            better = correlation > best
            best_cuts = np.where(better[:, None], now, best_cuts)
            best = np.maximum(best, correlation)
    view = _seen(outer[0], best_cuts, CELLS)
    # brightness and contrast may have been changed a little: compare in the target's own
    gain = np.clip(target.std(axis=(1, 2)) / np.maximum(view.std(axis=(1, 2)), 1e-6), 0.8, 1.25)[:, None, None]
    shift = target.mean(axis=(1, 2), keepdims=True) - gain * view.mean(axis=(1, 2), keepdims=True)
    fits = _close(gain * view + np.clip(shift, -40, 40), target, MAX_GREY)
    for k in (0, 1):
        fits &= _close(
            _seen(outer[1][:, k], best_cuts, CELLS // 2), _seen(inner[1][:, k], uncut, CELLS // 2), MAX_COLOUR
        )
    return np.where(fits, np.round(np.clip(best, 0, 1), 6), 0.0), np.clip(best_cuts, 0, None)  # rounded: 1 is 1


def _step(pictures: _Floats, goal: _Floats, cuts: _Floats) -> tuple[_Floats, _Floats]:
    """The cuts [n, 4] moved by one Gauss-Newton step, and the correlation [n] that they then give."""
    now = _standard(_seen(pictures, cuts, CELLS))
    slopes = [(_standard(_seen(pictures, cuts + _H * unit, CELLS)) - now) / _H for unit in np.eye(4)]
    slope = np.stack(slopes, axis=1)
    normal = slope @ slope.swapaxes(1, 2) + 1e-3 * np.eye(4)
    move = np.linalg.solve(normal, slope @ (goal - now)[..., None])[..., 0]
    cuts = np.clip(cuts + np.clip(move, -0.04, 0.04), -0.01, LARGEST_CUT)
    return cuts, (_standard(_seen(pictures, cuts, CELLS)) * goal).sum(axis=1)


def _standard(views: _Floats) -> _Floats:
    """[n, CELLS * CELLS] with mean 0 and length 1."""
    flat = views.reshape(len(views), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))


def _close(one: _Floats, other: _Floats, most: float) -> NDArray[np.bool_]:
    """Which of the views [n, cells, cells] differ nowhere by more than what is allowed there."""
    allowed = most + EDGE * np.minimum(_contrast(one), _contrast(other))
    return np.asarray((np.abs(one - other) <= allowed).all(axis=(1, 2)))


def _contrast(views: _Floats) -> _Floats:
    """[n, cells, cells]: largest less smallest value among a cell and its neighbours."""
    wide = np.pad(views, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))
    return np.asarray(around.max(axis=(3, 4)) - around.min(axis=(3, 4)))


def _seen(pictures: _Floats, cuts: _Floats, cells: int) -> _Floats:
    """[n, cells, cells]: means over the cells of a grid laid on what the cuts leave of pictures [n, side, side]."""
    side = pictures.shape[-1]
    left, top, right, bottom = cuts.T
    return _weights(top, bottom, side, cells) @ pictures @ _weights(left, right, side, cells).swapaxes(1, 2)


def _weights(before: _Floats, after: _Floats, side: int, cells: int) -> _Floats:
    """[n, cells, side]: share of each pixel in each cell along one axis."""
    length = (1 - before - after)[:, None]
    borders = (before[:, None] + length * np.arange(cells + 1) / cells) * side
    pixels = np.arange(side)
    low = np.maximum(borders[:, :-1, None], np.maximum(pixels, 0))
    high = np.minimum(borders[:, 1:, None], pixels + 1)
    weights = np.maximum(high - low, 0)
    return np.asarray(weights / np.maximum(weights.sum(axis=2, keepdims=True), 1e-9))
