"""Idefics3 and SmolVLM: tiles in rows and columns, each named by its place in the text, then the whole picture.

Invariant: an image's run of tokens follows from its rows and columns of tiles, which are the layout of its input.
"""

from __future__ import annotations

from typing import Any

from PIL import Image
from torch import Tensor, nn

from trifacet.engine.family import ImageInput
from trifacet.models.base import TiledFamily


class Idefics3Family(TiledFamily):
    """The ``Family`` of Idefics3; ``layout`` is (rows, columns), nought where the picture is not cut."""

    name = "idefics3"
    vision = "vision_model"
    projector = "connector"
    language = "text_model"

    @property
    def reserved_ids(self) -> frozenset[int]:
        places = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
        around = ("<fake_token_around_image>", "<global-img>", "<video>")
        return super().reserved_ids | set(self.token_ids_of(*around, *places))

    def read(self, image: Image.Image) -> ImageInput:
        read = self.processed(image)
        return ImageInput(read["pixel_values"][0], (read["rows"][0][0], read["cols"][0][0]))

    def as_processed(self, image: ImageInput) -> dict[str, Any]:
        rows, columns = image.layout
        return {"rows": [[rows]], "cols": [[columns]]}

    def features(self, model: nn.Module, **images: Tensor) -> list[Any]:
        images["pixel_values"] = images["pixel_values"][None]  # as the tiles of one text: none of them is padding
        return [tiles.flatten(0, 1) for tiles in super().features(model, **images)]


class SmolVLMFamily(Idefics3Family):
    """The ``Family`` of SmolVLM and SmolVLM2, of which it reads no videos."""

    name = "smolvlm"
