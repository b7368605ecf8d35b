"""How a model was asked in training: ``trifacet.json`` beside its weights, by which it is asked ever after.

Invariant: what is written is read back the same; a checkpoint from elsewhere has the defaults.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Data
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import Family
from trifacet.lettering.request import Quoting
from trifacet.lettering.settings import Reading
from trifacet.models.settings import ImagePixels
from trifacet.settings.section import Section

FILE = "trifacet.json"
ImageTiles = Literal["one", "any"]
_DATA = Data()
_WORDS = {"lettering", "lettering_label", "lettering_characters", "reading"}


class WayOfAsking(Section):
    """How posts are put to a model (as in a recipe's ``data``) and how it reads images (as in its ``model``)."""

    prompt: str = _DATA.prompt
    context_label: str = _DATA.context_label
    max_length: int = Field(_DATA.max_length, ge=8, le=1_000_000)
    lettering: Literal["leave", "prompt"] = "leave"
    lettering_label: str = _DATA.lettering_label
    lettering_characters: int = Field(_DATA.lettering_characters, ge=8, le=10_000)
    reading: Reading = _DATA.reading
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
            lettering=data.lettering,
            lettering_label=data.lettering_label,
            lettering_characters=data.lettering_characters,
            reading=data.reading,
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
        told = self.told()
        if self.four_bit is None:
            del told["four_bit"]
        (folder / FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")

    def told(self) -> dict[str, Any]:
        """It as JSON; of a model that is asked without the words of pictures nothing is said of them."""
        return self.model_dump(mode="json", exclude=set() if self.lettering == "prompt" else _WORDS)

    @property
    def quoting(self) -> Quoting | None:
        """How the words read in pictures are put to the model, if they are."""
        if self.lettering == "leave":
            return None
        return Quoting(self.lettering_label, self.lettering_characters, self.reading)

    def encoder(self, family: Family) -> SampleEncoder:
        """What asks a model of ``family`` so."""
        return SampleEncoder(
            family,
            prompt=self.prompt,
            context_label=self.context_label,
            max_length=self.max_length,
            quoting=self.quoting,
        )
