"""LLaVA-1.6 (LLaVA-NeXT) at any resolution: the whole picture as one tile, then as many tiles as its shape asks for.

Invariant: how many tokens an image takes depends on its size in pixels alone, which is the layout of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from trifacet.engine.family import ImageInput, core
from trifacet.models.base import PictureGrid, TransformersFamily
from trifacet.models.llava import ENCODERS, VICUNA_TEMPLATE, other_features, tile_grid, unread_layers


class LlavaNextFamily(TransformersFamily):
    """The ``Family`` of LLaVA-1.6 with its tiles; ``layout`` is (height, width) of the picture."""

    name = "llava_next"
    encoders = ENCODERS

    @classmethod
    def adapted_processor(cls, processor: Any, config: Any) -> Any:
        if processor.chat_template is None:
            processor.chat_template = VICUNA_TEMPLATE
        # Older processors say nothing of these.
        processor.patch_size = config.vision_config.patch_size
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        processor.num_additional_image_tokens = other_features(config)
        return processor

    def read(self, image: Image.Image) -> ImageInput:
        read = self.processed(image)
        return ImageInput(read["pixel_values"][0], tuple(read["image_sizes"][0].tolist()))

    def picture_grid(self, image: ImageInput, size: tuple[int, int]) -> PictureGrid:
        return tile_grid(self.config)  # the first tile, to which the whole picture is squashed

    def as_processed(self, image: ImageInput) -> dict[str, Any]:
        return {"pixel_values": image.pixel_values[None], "image_sizes": [list(image.layout)]}

    def collate(self, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        if not images:
            return {}
        return {
            "pixel_values": torch.cat([image.pixel_values for image in images]),
            "image_sizes": torch.tensor([image.layout for image in images]),
        }

    def parts(self, model: nn.Module) -> dict[str, nn.Module]:
        parts = super().parts(model)
        newline = nn.ParameterList([core(model).model.image_newline])
        return {**parts, "projector": nn.ModuleList([parts["projector"], newline])}

    def unread(self, model: nn.Module) -> list[nn.Module]:
        return unread_layers(core(model))
