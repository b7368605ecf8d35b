"""What an image file is, told by decoding all of it: never by its name or by what a server says.

Invariant: an ``ImageFile`` was decoded whole and within the size limit; everything else is an ``Unusable`` with one of
few reasons.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError
from trifacet.base.images import NoImageError, TooLargeError, prove_image

_REASONS: dict[type[DataError], str] = {NoImageError: "not an image", TooLargeError: "image too large"}


class ImageFile(NamedTuple):
    """The file's hash, its size in pixels as seen (upright), Pillow's name of the format, frames: 1, or 2 for more."""

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


def inspect_image(path: Path, max_pixels: int, name: str | None = None) -> ImageFile:
    """Hash and decode an image file, within bounds; ``name`` is for the messages, if not the file's own.

    Raises:
        Unusable: "image file missing", "not an image", "image too large", "image damaged".
    """
    try:
        digest = file_digest(path)
    except OSError as error:
        raise Unusable("image file missing", problem=error.strerror) from None
    try:
        facts = prove_image(path, name or path.name, max_pixels=max_pixels, allow_animated=True)
    except DataError as problem:
        reason = _REASONS.get(type(problem), "image damaged")
        raise Unusable(reason, problem=problem.problem) from None
    return ImageFile(digest, facts.width, facts.height, facts.format, facts.frames)
