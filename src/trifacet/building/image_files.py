"""What an image file is, told by decoding all of it: never by its name or by what a server says.

Invariant: an ``ImageFile`` was decoded whole and within the size limit; everything else is an ``Unusable`` with one of
few reasons.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError
from trifacet.base.images import image_facts, load_image


class ImageFile(NamedTuple):
    """The file's hash, its size in pixels as it is seen (upright), Pillow's name of the format, number of frames."""

    sha256: str
    width: int
    height: int
    format: str
    frames: int


class Unusable(Exception):  # noqa: N818 - the normal fate of some images, not an error of anybody's
    """An image that can't be used: ``reason`` is one of few fixed phrases, ``detail`` what was found."""

    def __init__(self, reason: str, **detail: Any) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def inspect_image(path: Path, max_pixels: int) -> ImageFile:
    """Hash and decode an image file.

    Raises:
        Unusable: "image file missing", "not an image", "image too large", "image damaged".
    """
    try:
        digest = file_digest(path)
    except OSError as error:
        raise Unusable("image file missing", problem=error.strerror) from None
    try:
        facts = image_facts(path, max_pixels=max_pixels)
    except DataError as problem:
        raise Unusable(_reason(problem), problem=problem.problem) from None
    try:
        width, height = load_image(path.parent, path.name, max_pixels=max_pixels, allow_animated=True).size
    except DataError as problem:
        raise Unusable("image damaged", problem=problem.problem) from None
    return ImageFile(digest, width, height, facts.format, facts.frames)


def _reason(problem: DataError) -> str:
    """Why an image was not even opened; Pillow's own error, if there was one, is the problem's context."""
    match problem.__context__:
        case UnidentifiedImageError():
            return "not an image"
        case None | Image.DecompressionBombError():
            return "image too large"
    return "image damaged"
