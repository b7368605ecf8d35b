"""From a file's own way of storing colours to RGB of 8 bits.

Invariant: what comes out shows what a page would: no black where something is transparent or of another range.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from trifacet.base.errors import DataError

_STRIP = 1 << 20  # pixels that are laid on white at a time
_GREYS = (1.0, 255.0, 4095.0, 65535.0)  # what is white in floats, and with 8, 12 and 16 bits


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB without alpha: what is transparent becomes white, as on a page, not the black that lies under it.

    Greys of more than 8 bits are scaled: white is 1 (floats only), 255, 4095 or 65535, the least that is not below the
    brightest; or the brightest itself where that is over all of them, or less than a sixteenth of it.

    Raises:
        DataError: of no range is known: negative, infinite or no numbers.
    """
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _of_deep_grey(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """A strip at a time: whole layers would take the memory of three more pictures."""
    white = Image.new("RGB", image.size, "white")
    rows = max(_STRIP // image.width, 1)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        layer = image.crop(box).convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        white.paste(Image.alpha_composite(paper, layer).convert("RGB"), box)
    return white


def _of_deep_grey(image: Image.Image) -> Image.Image:
    import numpy as np

    grey = image.convert("F")  # 16 bits too: Pillow's own conversion to 8 would clip them
    extrema: Any = grey.getextrema()
    low, high = extrema
    if not (low >= 0 and high < float("inf")) or (image.mode == "F" and np.isnan(np.asarray(grey)).any()):
        raise DataError(
            f"its values, from {low:g} to {high:g}, tell nobody what is black and what is white",
            fix="save it with 8 bits for each channel",
        )
    white = next((top for top in _GREYS[image.mode != "F" :] if top >= high), high)
    white = high if high < white / 16 else white
    rgb = grey.point(lambda value: value * (255 / (white or 1.0))).convert("L").convert("RGB")
    if isinstance(clear := image.info.get("transparency"), int):
        rgb.paste("white", mask=Image.fromarray(np.asarray(grey) == clear))
    return rgb
