"""Gemma 3: images of a fixed number of tokens that see each other in both directions; some layers see a window only.

Invariant: the masks are those of each path alone: a token sees its ancestors and the tokens of its own image, in
sliding layers no further than the window, counted in the positions of the path and not in the places of the row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from trifacet.engine.family import ImageInput
from trifacet.models.base import PictureGrid, TransformersFamily


class Gemma3Family(TransformersFamily):
    """The ``Family`` of Gemma 3 with images. An image's run is its start, its features' placeholders and its end."""

    name = "gemma3"
    needs_dense_mask = True
    handles_sliding_window = True

    @property
    def reserved_ids(self) -> frozenset[int]:
        tokenizer = self.processor.tokenizer
        return super().reserved_ids | {int(tokenizer.image_token_id), int(tokenizer.eoi_token_id)}

    def prepared(self, text: str) -> str:
        start = self.processor.boi_token
        return text.replace(start, f"\n\n{start}\n\n")  # line breaks may merge with those of the text around

    def picture_grid(self, image: ImageInput, size: tuple[int, int]) -> PictureGrid:
        side = math.isqrt(self.config.mm_tokens_per_image)
        return PictureGrid.filled(side, side)

    def as_processed(self, image: ImageInput) -> dict[str, Any]:
        return {"num_crops": [0]}

    def image_tokens(self, image: ImageInput) -> Any:
        run = super().image_tokens(image)
        start, end = self.placeholder_id, int(self.processor.tokenizer.eoi_token_id)
        return run[(run == start).argmax() : (run == end).argmax() + 1]  # without the line breaks of ``prepared``

    def encoded(self, image_features: Sequence[Any]) -> dict[str, Any]:
        if not image_features:
            return {}
        return {"image": BaseModelOutputWithPooling(pooler_output=torch.stack(list(image_features)))}

    def told(self, ids_BL: Tensor, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        return {"token_type_ids": (ids_BL == self.processor.tokenizer.image_token_id).long()}

    def dense_masks(self, visible_BNN: Tensor, images_BN: Tensor, position_ids: Tensor) -> Any:
        starts_BN = torch.ones_like(images_BN, dtype=torch.bool)
        starts_BN[:, 1:] = images_BN[:, 1:] != images_BN[:, :-1]
        ends_BN = torch.ones_like(starts_BN)
        ends_BN[:, :-1] = starts_BN[:, 1:]
        runs_BN = starts_BN.cumsum(1)
        inside_BN = (images_BN >= 0) & ~starts_BN & ~ends_BN  # the features, less the tokens around them
        one_image_BNN = (runs_BN[:, :, None] == runs_BN[:, None, :]) & inside_BN[:, :, None] & inside_BN[:, None, :]
        seen_BNN = visible_BNN | one_image_BNN
        window = self.config.get_text_config().sliding_window
        near_BNN = position_ids[:, None, :] > position_ids[:, :, None] - window
        return {"full_attention": seen_BNN[:, None], "sliding_attention": (seen_BNN & near_BNN)[:, None]}

    def grown_masks(self, seen_RQC: Tensor, key_RC: Tensor, query_RQ: Tensor) -> Any:
        window = self.config.get_text_config().sliding_window
        near_RQC = key_RC[:, None, :] > query_RQ[:, :, None] - window
        return {"full_attention": seen_RQC[:, None], "sliding_attention": (seen_RQC & near_RQC)[:, None]}
