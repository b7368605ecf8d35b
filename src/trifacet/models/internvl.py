"""InternVL as transformers has it: as many square tiles as suit the picture's shape, then a thumbnail.

Invariant: an image takes the same number of tokens per tile; the number of tiles is the layout of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers.modeling_outputs import BaseModelOutputWithPooling

from trifacet.engine.family import ImageInput
from trifacet.models.base import TiledFamily


class InternVLFamily(TiledFamily):
    """The ``Family`` of InternVL; ``layout`` is the number of tiles."""

    name = "internvl"

    @property
    def reserved_ids(self) -> frozenset[int]:
        processor = self.processor
        around = (processor.start_image_token, processor.end_image_token, processor.video_token)
        return super().reserved_ids | set(self.token_ids_of(*around))

    def read(self, image: Image.Image) -> ImageInput:
        pixels = self.processed(image)["pixel_values"]
        return ImageInput(pixels, (len(pixels),))

    def as_processed(self, image: ImageInput) -> dict[str, Any]:
        return {"num_patches": list(image.layout)}

    def encoded(self, image_features: Sequence[Any]) -> dict[str, Any]:
        if not image_features:
            return {}
        return {"image": BaseModelOutputWithPooling(pooler_output=torch.cat(list(image_features)))}
