"""How a model was asked in training: ``trifacet.json`` beside its weights, by which it is asked ever after.

Invariant: what is written is read back the same; a checkpoint from elsewhere has the defaults.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Data
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import Family
from trifacet.models.settings import ImagePixels
from trifacet.settings.section import Section

FILE = "trifacet.json"
ImageTiles = Literal["one", "any"]
_DATA = Data()


class WayOfAsking(Section):
    """How posts are put to a model (as in a recipe's ``data``) and how it reads images (as in its ``model``)."""

    prompt: str = _DATA.prompt
    context_label: str = _DATA.context_label
    max_length: int = Field(_DATA.max_length, ge=8, le=1_000_000)
    image_tiles: ImageTiles = "one"
    image_pixels: ImagePixels | None = None
    four_bit: Literal["float32", "bfloat16"] | None = None  # what the base of an adapter was rounded from

    @classmethod
    def of(cls, data: Data, *, image_tiles: ImageTiles = "one", image_pixels: ImagePixels | None = None) -> WayOfAsking:
        """A recipe's way of asking."""
        return cls(
            prompt=data.prompt,
            context_label=data.context_label,
            max_length=data.max_length,
            image_tiles=image_tiles,
            image_pixels=image_pixels,
        )

    @classmethod
    def read(cls, folder: Path) -> WayOfAsking:
        """That of a checkpoint. Raises TrifacetError where the file is damaged."""
        file = folder / FILE
        if not os.path.isfile(file):  # noqa: PTH113 - of a name that no file can have it says so too
            return cls()
        try:
            noted = json.loads(file.read_text(encoding="utf-8"))
            return cls.model_validate({key: noted[key] for key in cls.model_fields if key in noted})
        except (OSError, ValueError, TypeError, RecursionError, ValidationError):
            raise TrifacetError(f"{file} is damaged; delete it and say --prompt, or copy the model again") from None

    def write(self, folder: Path) -> None:
        """Put the file into a checkpoint's folder."""
        left_out = {"four_bit"} if self.four_bit is None else set()
        (folder / FILE).write_text(json.dumps(self.model_dump(exclude=left_out), indent=2), encoding="utf-8")

    def encoder(self, family: Family) -> SampleEncoder:
        """What asks a model of ``family`` so."""
        return SampleEncoder(family, prompt=self.prompt, context_label=self.context_label, max_length=self.max_length)
