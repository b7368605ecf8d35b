"""The images of a review, as a browser gets them.

Invariant: what is sent was decoded and encoded anew, within bounds and without metadata: no byte of the file itself.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.base.images import TooLargeError, decode_image, resolve_inside, within_bounds

LONGEST_SIDE = 1600  # pixels: fills half of a fine screen
_AT_ONCE = 2  # images that are decoded: a dear one keeps nobody from the others
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
        self._kept: OrderedDict[str, EncodedPicture | None] = OrderedDict()
        self._lock = threading.Lock()
        self._places = threading.Semaphore(_AT_ONCE)

    def get(self, name: str) -> EncodedPicture | None:
        """The image ``name``; None where it is missing, damaged, too large or outside the root."""
        with suppress(KeyError):
            return self._known(name)
        with self._places:
            with suppress(KeyError):  # another has brought it meanwhile
                return self._known(name)
            found: EncodedPicture | None
            try:
                found = within_bounds(_encoded, name, self._source(name), name)
            except TooLargeError:
                found = None  # kept: it may have taken seconds to find out
            except TrifacetError:
                return None
            with self._lock:
                self._kept[name] = found
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return found

    def _source(self, name: str) -> Path | bytes:
        """The file ``name``, or what it holds. Raises DataError where there is none."""
        return resolve_inside(self.root, name)

    def _known(self, name: str) -> EncodedPicture | None:
        with self._lock:
            self._kept.move_to_end(name)
            return self._kept[name]


def _encoded(source: Path | bytes, name: str) -> EncodedPicture:
    return _encode(decode_image(source, name, allow_animated=True))


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
