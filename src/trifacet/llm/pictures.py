"""Images as they are sent: scaled down, encoded by us, as data URLs.

Invariant: no byte of the user's file is sent, so neither its metadata (places, names, serial numbers) nor what may
hide behind its pixels.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError
from trifacet.base.images import MAX_PIXELS, image_facts, load_image
from trifacet.llm.estimate import scaled_size

ENCODING = "jpeg-90"  # part of a question's identity: name another encoding otherwise


@dataclass(frozen=True)
class SentPicture:
    """An image that a question shows: where it lies, the SHA-256 of its bytes, its size in pixels as it is sent."""

    path: Path
    sha256: str
    width: int
    height: int

    @property
    def identity(self) -> dict[str, str | int]:
        """What the sent image depends on. It can be told without decoding, and outlives a new version of a codec."""
        return {"sha256": self.sha256, "width": self.width, "height": self.height, "encoding": ENCODING}


def look_at(path: Path, side: int, *, max_pixels: int = MAX_PIXELS) -> SentPicture:
    """The picture at ``path``, to be scaled to ``side``. Raises DataError as ``images.image_facts`` does."""
    facts = image_facts(path, max_pixels=max_pixels)
    return SentPicture(path, file_digest(path), *scaled_size(facts.width, facts.height, side))


def data_url(picture: SentPicture, *, max_pixels: int = MAX_PIXELS) -> str:
    """The picture as a JPEG data URL. Raises DataError as ``images.load_image`` does, or when the file has changed."""
    image = load_image(picture.path.parent, picture.path.name, max_pixels=max_pixels, allow_animated=True)
    if file_digest(picture.path) != picture.sha256:
        raise DataError(f"image {picture.path.name!r} changed while it was used", fix="run again")
    side = max(picture.width, picture.height)
    image = image.resize(scaled_size(*image.size, side), Image.Resampling.LANCZOS)  # upright: sides may have changed
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
