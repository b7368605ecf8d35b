"""Small copies of images that travel inside the page.

Invariant: what is shown has been decoded and encoded anew by us, so no byte of a stranger's file reaches the reader.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trifacet.base.errors import DataError
from trifacet.base.images import MAX_PIXELS, decode_image, resolve_inside, within_bounds

_LONGEST_SIDE = 480  # pixels: twice what the page shows, for fine screens
_TINY = 160  # up to this side PNG is smaller than JPEG and keeps every pixel


@dataclass(frozen=True)
class Picture:
    """A data URL with its size in pixels, or the reason why there is none."""

    url: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""

    @property
    def tiny(self) -> bool:
        """Whether the page has to enlarge it."""
        return max(self.width, self.height) <= _TINY


def picture(root: Path, name: str, *, side: int = _LONGEST_SIDE, max_pixels: int = MAX_PIXELS) -> Picture:
    """The image ``name`` below ``root``, of at most ``max_pixels``, as a data URL of at most ``side`` pixels a side."""
    try:
        path = resolve_inside(root, name)
        return within_bounds(_encoded, name, path, name, side, max_pixels, max_pixels=max_pixels)
    except DataError as error:
        return Picture(problem=error.problem)


def _encoded(path: Path, name: str, side: int, max_pixels: int) -> Picture:
    image = decode_image(path, name, max_pixels=max_pixels, allow_animated=True)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if max(image.size) <= _TINY:
        kind = "png"
        image.save(buffer, "PNG", optimize=True)
    else:
        kind = "jpeg"
        image.save(buffer, "JPEG", quality=80, optimize=True)
    url = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return Picture(url, *image.size)
