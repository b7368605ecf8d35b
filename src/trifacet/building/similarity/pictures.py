"""What is kept of a picture to find its near-duplicates: 64-bit codes of the whole and of inner crops, a thumbnail.

Invariant: a signature depends on what the picture shows, hardly on its size or compression; the code of the crop that
somebody made of a picture is close to the code of one of the picture's own inner crops.

The codes are perceptual hashes: signs of low frequencies of the cosine transform of the grey picture, as in pHash
(C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). The transform is taken over
the crop analytically, so that seventeen codes cost two small matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trifacet.base.images import decode_image

GREY, COLOUR = 32, 16  # sides of the two parts of the thumbnail
THUMBNAIL = GREY * GREY + 2 * COLOUR * COLOUR  # bytes: grey, then the two colour differences
_FINE = 64  # side of the grey picture that codes are taken from
_EDGES = (0.025, 0.075)  # cut from an edge by the inner crops: every cut up to a tenth is within .025 of one
FLAT = 2.0  # 8-bit steps: what varies less than that shows nothing
_CELL, _NEAR = 8, 3  # flat pictures: side of a cell of colours, and how far apart the same colour may be

_Codes = NDArray[np.uint64]


@dataclass(frozen=True)
class _Picture:
    """``code`` of the whole, ``crops`` [16] of inner crops (see ``boxes``), ``thumbnail`` [THUMBNAIL] bytes."""

    code: np.uint64
    crops: _Codes
    thumbnail: NDArray[np.uint8]


def boxes() -> NDArray[np.float64]:
    """[17, 4]: shares cut at left, top, right and bottom: none for the whole picture, then those of the crops."""
    cuts = [(left, top, right, bottom) for left in _EDGES for right in _EDGES for top in _EDGES for bottom in _EDGES]
    return np.array([(0.0, 0.0, 0.0, 0.0), *cuts])


def open_small(path: Path, max_pixels: int, smallest: int = 4 * _FINE) -> Image.Image:
    """The picture, RGB and upright, of a JPEG perhaps smaller than it is. Raises DataError as ``decode_image`` does."""
    return decode_image(path, path.name, max_pixels=max_pixels, allow_animated=True, smallest=smallest)


def sign_picture(image: Image.Image) -> _Picture:
    """The signature of an RGB picture."""
    fine = image.resize((_FINE, _FINE), Image.Resampling.BOX, reducing_gap=2.0).convert("YCbCr")
    grey, *colours = fine.split()
    pixels = np.asarray(grey, np.float64)
    parts = [grey.resize((GREY, GREY), Image.Resampling.BOX)]
    parts += [colour.resize((COLOUR, COLOUR), Image.Resampling.BOX) for colour in colours]
    thumbnail = np.concatenate([np.asarray(part).ravel() for part in parts])
    if is_flat(thumbnail[None])[0]:
        return _flat_picture(thumbnail)
    codes = _codes(pixels)
    return _Picture(codes[0], codes[1:], thumbnail)


def is_flat(thumbnails: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the thumbnails [n, THUMBNAIL] are of one colour throughout."""
    parts = np.split(thumbnails.astype(np.float32), [GREY * GREY, GREY * GREY + COLOUR * COLOUR], axis=1)
    return np.logical_and.reduce([part.std(axis=1) < FLAT for part in parts])


def same_flat(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pairs of flat thumbnails [n, THUMBNAIL] have the same colour."""
    return np.asarray((np.abs(_mean_colour(one) - _mean_colour(other)) <= _NEAR).all(axis=1))


def _mean_colour(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    parts = np.split(thumbnails, [GREY * GREY, GREY * GREY + COLOUR * COLOUR], axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)


def _flat_picture(thumbnail: NDArray[np.uint8]) -> _Picture:
    """Codes that are equal for colours of the same cell; ``crops`` are those of the cells next to it."""
    colour = _mean_colour(thumbnail[None])[0]
    corners = np.array(np.meshgrid(*[(-_NEAR, _NEAR)] * 3)).reshape(3, -1).T
    cells = np.floor(np.vstack([colour, colour + corners]) / _CELL).astype(np.int64) + 1
    codes = _mixed((cells @ np.array([1, 1 << 8, 1 << 16])).astype(np.uint64))
    return _Picture(codes[0], np.resize(codes[1:], len(boxes()) - 1), thumbnail)


def _mixed(values: _Codes) -> _Codes:
    """splitmix64's finalizer: any two different values get codes that differ in about half of the bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _codes(pixels: NDArray[np.float64]) -> _Codes:
    """[17] codes of a grey picture [_FINE, _FINE]."""
    bases, frequencies = _bases(), _frequencies()
    # [3 rows' cuts.., v, _FINE] @ pixels @ [.., _FINE, u]: every pair of a vertical and a horizontal crop
    left = np.einsum("bvy,yx->bvx", bases, pixels)
    spectra = np.einsum("bvx,cux->bcvu", left, bases)
    whole, cropped = spectra[0, 0][None], spectra[1:, 1:].swapaxes(0, 1).reshape(-1, *spectra.shape[2:])
    bits = np.concatenate([whole, cropped])[:, frequencies[:, 0], frequencies[:, 1]] > 0
    return np.asarray(np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8").astype(np.uint64)[:, 0])


@cache
def _frequencies() -> NDArray[np.int64]:
    """[64, 2]: the lowest frequencies (v, u) without the mean, in a fixed shuffled order."""
    square = [(v, u) for v in range(_WAVES) for u in range(_WAVES) if v + u > 0]
    lowest = sorted(square, key=lambda pair: (np.hypot(*pair), pair))[:64]
    return np.array(lowest)[np.random.default_rng(0).permutation(64)]


_WAVES = 10


@cache
def _bases() -> NDArray[np.float64]:
    """[5, _WAVES, _FINE]: per cut of two opposite edges, cosines over what is left, integrated over each pixel."""
    cuts = [(0.0, 0.0), *((before, after) for before in _EDGES for after in _EDGES)]
    borders = np.arange(_FINE + 1) / _FINE
    bases = []
    for before, after in cuts:
        place = np.clip((borders - before) / (1 - before - after), 0, 1)  # 0 to 1 inside the crop
        waves = np.arange(1, _WAVES)[:, None]
        integral = np.concatenate([place[None], np.sin(np.pi * waves * place) / (np.pi * waves)])
        bases.append(np.diff(integral, axis=1))
    return np.array(bases)
