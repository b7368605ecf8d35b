"""What a region of a picture is filled with: blur, one colour, or what surrounds it; and how it is put in.

Invariant: pixels outside the region, its soft edge included, stay the chosen picture's to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageStat

from trifacet.preferences.rejected.masks import Mask
from trifacet.preferences.rejected.pictures import Box

Weights = NDArray[np.uint8]  # (height, width): 0 keeps a pixel, 255 replaces it
BLUR = 0.1  # standard deviation, a share of the shorter side: nothing smaller than a fifth of it is told apart


def softened(region: Mask, soft_edge: float) -> Weights:
    """255 inside; outside it falls evenly to 0 over ``soft_edge``, a share of the shorter side.

    No pixel further than round(soft_edge * shorter side) rows or columns from the region gets any.
    """
    weights = region.astype(np.uint8) * np.uint8(255)
    if (reach := round(soft_edge * min(region.shape))) < 1:
        return weights
    near = np.asarray(Image.fromarray(weights).filter(ImageFilter.BoxBlur(reach)), np.uint16)
    return np.maximum(weights, np.minimum(2 * near, 255).astype(np.uint8))  # half of the box is inside at the border


def put_in(chosen: Image.Image, filled: Image.Image, weights: Weights) -> Image.Image:
    """``filled`` where the weights say so, blended at soft edges."""
    return Image.composite(filled, chosen, Image.fromarray(weights))


def blurred(chosen: Image.Image, weights: Weights) -> Image.Image:
    """The picture out of focus, standard deviation ``BLUR``."""
    return out_of_focus(chosen, BLUR * min(chosen.size))


def out_of_focus(chosen: Image.Image, deviation: float) -> Image.Image:
    """The picture under a Gaussian of this standard deviation in pixels; under a wide one at a lower resolution."""
    width, height = chosen.size
    factor = max(int(deviation / 8), 1)  # still 8 pixels: what is left out is far finer than what is blurred
    small = chosen.resize((-(-width // factor), -(-height // factor)), Image.Resampling.BOX)
    soft = small.filter(ImageFilter.GaussianBlur(deviation / factor))
    return soft if factor == 1 else soft.resize(chosen.size, Image.Resampling.BICUBIC)


def mean_coloured(chosen: Image.Image, weights: Weights) -> Image.Image:
    """The mean colour of the whole picture."""
    red, green, blue = ImageStat.Stat(chosen).mean
    return Image.new("RGB", chosen.size, (round(red), round(green), round(blue)))


def black(chosen: Image.Image, weights: Weights) -> Image.Image:
    """RGB zero."""
    return Image.new("RGB", chosen.size)


def inpainted(chosen: Image.Image, weights: Weights) -> Image.Image:
    """The region filled from what surrounds it, by pull-push (Gortler et al., The Lumigraph, 1996, section 3.4).

    The known pixels are averaged over ever larger squares until all is known, and each hole takes the finest average
    that there is. Where nothing is known, the mean colour.
    """
    hidden = Image.fromarray(weights).getbbox()
    if hidden is None or weights.all():
        return mean_coloured(chosen, weights)
    window = _around(hidden, chosen.size)
    filled = chosen.copy()
    filled.paste(_pull_push(chosen.crop(window), weights[window[1] : window[3], window[0] : window[2]]), window[:2])
    return filled


def _around(box: Box, size: tuple[int, int]) -> Box:
    """A box with as much around it as a quarter of its longer side, and 16 pixels at least."""
    left, upper, right, lower = box
    margin = max((right - left) // 4, (lower - upper) // 4, 16)
    return max(left - margin, 0), max(upper - margin, 0), min(right + margin, size[0]), min(lower + margin, size[1])


def _pull_push(chosen: Image.Image, weights: Weights) -> Image.Image:
    share = (weights == 0).astype(np.float32)
    colours = np.asarray(chosen, np.float32) * share[..., None]
    finer: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    while share.min() == 0:
        finer.append((colours, share))
        half = (max(share.shape[1] // 2, 1), max(share.shape[0] // 2, 1))
        colours, share = _scaled(colours, half, Image.Resampling.BOX), _scaled(share, half, Image.Resampling.BOX)
        full = np.minimum(1, 4 * share) / np.where(share > 0, share, 1)  # a square of which a quarter is known counts
        colours, share = colours * full[..., None], share * full
    values = colours / share[..., None]
    for colours, share in reversed(finer):
        size = share.shape[1], share.shape[0]
        values = colours + (1 - share[..., None]) * _scaled(values, size, Image.Resampling.BILINEAR)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _scaled(values: NDArray[np.float32], size: tuple[int, int], how: Image.Resampling) -> NDArray[np.float32]:
    """An array (height, width) or (height, width, channels) at ``size`` (width, height)."""
    if values.ndim == 2:
        return np.asarray(Image.fromarray(values).resize(size, how))
    return np.stack([_scaled(values[..., channel], size, how) for channel in range(values.shape[-1])], -1)
