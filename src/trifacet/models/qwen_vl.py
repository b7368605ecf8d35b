"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: pictures of any size, cut into patches, and positions in three axes (M-RoPE).

Invariant: how many tokens an image takes, and how far it moves the positions of what follows, depends on its grid of
patches alone, which is the layout (time, height, width) of its input. Time is always 1: no video is read.
Shape letters: h, w patches of the grid; m patches merged into one token, per side; T copies in time; p pixels of a
patch, per side; C channels; L tokens of a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from trifacet.base.errors import DataError
from trifacet.engine.family import ImageInput, core
from trifacet.models.base import PictureGrid, TransformersFamily


class Qwen2VLFamily(TransformersFamily):
    """The ``Family`` of Qwen2-VL; its mergers, which end the vision encoder, are the projector."""

    name = "qwen2_vl"
    encoder_parts: ClassVar[tuple[str, ...]] = ("patch_embed", "blocks")  # names below model.model.visual
    mergers: ClassVar[tuple[str, ...]] = ("merger",)

    def __init__(self, processor: Any, config: Any) -> None:
        super().__init__(processor, config)
        images = processor.image_processor
        self._patch, self._merge, self._times = images.patch_size, images.merge_size, images.temporal_patch_size

    @property
    def reserved_ids(self) -> frozenset[int]:
        around = self.token_ids_of("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|video_pad|>")
        return super().reserved_ids | set(around)

    def read(self, image: Image.Image) -> ImageInput:
        try:
            read = self.processed(image)
        except ValueError as error:  # the processor's own limit on how long and thin a picture may be
            raise DataError(
                f"an image of {image.width} x {image.height} pixels does not suit this model ({error})",
                fix="crop it, or leave the sample out",
            ) from None
        return ImageInput(read["pixel_values"], tuple(read["image_grid_thw"][0].tolist()))

    def scale_between(self, smallest: int, largest: int) -> None:
        self.processor.image_processor.size = {"shortest_edge": smallest, "longest_edge": largest}  # pixels, not edges

    def frames(self, image: ImageInput) -> Tensor:
        _, height, width = image.layout
        m, p = self._merge, self._patch
        patches = image.pixel_values.reshape(height // m, width // m, m, m, -1, self._times, p, p)
        once = patches.select(5, 0)  # a still picture stands there once for each point in time
        return once.permute(4, 0, 2, 5, 1, 3, 6).reshape(-1, height * p, width * p)  # C, hmp, wmp

    def with_frames(self, image: ImageInput, frames: Tensor) -> ImageInput:
        _, height, width = image.layout
        m, p = self._merge, self._patch
        patches = frames.reshape(-1, height // m, m, p, width // m, m, p).permute(1, 4, 2, 5, 0, 3, 6)
        repeated = patches.unsqueeze(5).expand(*patches.shape[:5], self._times, p, p)
        return replace(image, pixel_values=repeated.reshape(height * width, -1))

    def picture_grid(self, image: ImageInput, size: tuple[int, int]) -> PictureGrid:
        _, height, width = image.layout
        return PictureGrid.filled(height // self._merge, width // self._merge)

    def as_processed(self, image: ImageInput) -> dict[str, Any]:
        return _grids([image])

    def positions(self, tokens_L: NDArray[np.int64], images: Sequence[ImageInput]) -> NDArray[np.int64]:
        """(3, L), the rule of the models' ``get_rope_index``: text counts on in all three axes alike.

        An image counts rows and columns of its grid from where the text stopped; the text after it goes on as if it
        had been as long as the grid's longer side.
        """
        positions = np.empty((3, len(tokens_L)), dtype=np.int64)
        at = position = 0
        for image in images:
            start = at + int((tokens_L[at:] == self.placeholder_id).argmax())
            positions[:, at:start] = np.arange(position, position + start - at)
            position += start - at
            time, height, width = image.layout
            grid = np.indices((time, height // self._merge, width // self._merge)).reshape(3, -1)
            at = start + grid.shape[1]
            positions[:, start:at] = position + grid
            position += max(height, width) // self._merge
        positions[:, at:] = np.arange(position, position + len(tokens_L) - at)
        return positions

    def collate(self, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        return {**super().collate(images), **_grids(images)}

    def told(self, ids_BL: Tensor, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        if not images:
            return {}
        return {**_grids(images), "mm_token_type_ids": (ids_BL == self.placeholder_id).int()}

    def parts(self, model: nn.Module) -> dict[str, nn.Module]:
        whole = core(model)

        def of_encoder(names: Sequence[str]) -> nn.Module:
            return nn.ModuleList([getattr(whole.model.visual, name) for name in names])

        return {
            "vision": of_encoder(self.encoder_parts),
            "projector": of_encoder(self.mergers),
            "language": nn.ModuleList([whole.model.language_model, whole.lm_head]),
        }

    def copied(self, *, train_vision: bool) -> list[str]:
        return ["visual"] if train_vision else list(self.mergers)


class Qwen25VLFamily(Qwen2VLFamily):
    """The ``Family`` of Qwen2.5-VL, whose vision encoder attends in windows, each within one image."""

    name = "qwen2_5_vl"


class Qwen3VLFamily(Qwen2VLFamily):
    """The ``Family`` of Qwen3-VL, which adds features of earlier vision layers to its first layers (DeepStack)."""

    name = "qwen3_vl"
    encoder_parts = ("patch_embed", "pos_embed", "blocks")
    mergers = ("merger", "deepstack_merger_list")

    def features(self, model: nn.Module, **images: Tensor) -> list[Any]:
        """Per image (1 + deepstack layers, tokens, hidden): what is embedded, then what is added after each layer."""
        inner = core(model).model
        output = inner.get_image_features(**images, return_dict=True)
        layers = (output.pooler_output, *output.deepstack_features)
        return [torch.stack(of_image) for of_image in zip(*layers, strict=True)]

    def encoded(self, image_features: Sequence[Any]) -> dict[str, Any]:
        if not image_features:
            return {}
        embedded, *added = zip(*image_features, strict=True)
        return {
            "image": BaseModelOutputWithDeepstackFeatures(
                pooler_output=list(embedded), deepstack_features=[list(layer) for layer in added]
            )
        }

    def copied(self, *, train_vision: bool) -> list[str]:
        if train_vision:
            return ["visual"]
        count = len(self.config.vision_config.deepstack_visual_indexes)  # PEFT copies no list as a whole
        return ["merger", *(f"deepstack_merger_list.{layer}" for layer in range(count))]


def _grids(images: Sequence[ImageInput]) -> dict[str, Tensor]:
    return {"image_grid_thw": torch.tensor([image.layout for image in images])} if images else {}
