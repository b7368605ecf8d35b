"""The images of a review, as a browser gets them.

Invariant: what is sent was decoded and encoded anew, within bounds and without metadata: no byte of the file itself.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.base.images import load_image

LONGEST_SIDE = 1600  # pixels: fills half of a fine screen
_KEPT = 24  # images, of some 300 kB each
_LOSSLESS = 256  # up to this side PNG is small and keeps every pixel


@dataclass(frozen=True)
class EncodedPicture:
    """An image for a page: its bytes, their type, and its size in pixels."""

    data: bytes
    type: str
    width: int
    height: int


class Pictures:
    """The images below ``root``; those asked for last are kept. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._kept: OrderedDict[str, EncodedPicture] = OrderedDict()
        self._lock = threading.Lock()  # one image is decoded at a time: a large one takes 150 MB

    def get(self, name: str) -> EncodedPicture | None:
        """The image ``name``; None where it is missing, damaged, too large or outside the root."""
        with self._lock:
            if name not in self._kept:
                try:
                    self._kept[name] = _encode(load_image(self.root, name, allow_animated=True))
                except (TrifacetError, ValueError, OSError):  # a name with a null byte, a file that may not be read
                    return None
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(name)
            return self._kept[name]


def _encode(image: Image.Image) -> EncodedPicture:
    """An RGB image as PNG or JPEG of at most ``LONGEST_SIDE`` pixels a side, its metadata left behind."""
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    image.info.clear()  # Pillow would write comments and colour profiles on
    buffer = io.BytesIO()
    small = max(image.size) <= _LOSSLESS
    if small:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=88, optimize=True)
    return EncodedPicture(buffer.getvalue(), "image/png" if small else "image/jpeg", *image.size)
