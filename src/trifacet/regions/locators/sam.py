"""SAM (Kirillov et al., arXiv 2304.02643): from boxes to masks.

Invariant: the picture is encoded once for all boxes; a mask is enlarged as transformers' own processor does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import SamModel

from trifacet.preferences.rejected.masks import Corners, Mask
from trifacet.regions.locators.checkpoints import MASKS_BY, WORDS_AT_ONCE, no_thinner, open_checkpoint
from trifacet.regions.locators.settings import LocatorSettings


class Sam:
    """A SAM checkpoint. Raises TrifacetError as ``open_checkpoint`` does."""

    definition = 1

    def __init__(self, source: str, settings: LocatorSettings) -> None:
        self.checkpoint = open_checkpoint(SamModel, source, settings, key=MASKS_BY, tokens=False)
        self.mask_threshold = settings.values.mask_threshold

    def fingerprint(self) -> dict[str, Any]:
        """Weights, processor and threshold."""
        return {"definition": self.definition, "mask": self.mask_threshold, **self.checkpoint.fingerprint()}

    @torch.inference_mode()
    def masks(self, picture: Image.Image, boxes: Sequence[Corners]) -> list[Mask]:
        """One mask per box (pixels of the picture), of the picture's size; what a mask covers may exceed its box."""
        model, images = self.checkpoint.model, self.checkpoint.images
        padded = no_thinner(picture)
        inputs = images(images=padded, return_tensors="pt")
        original, reshaped = inputs["original_sizes"].tolist(), inputs["reshaped_input_sizes"].tolist()
        scale = [reshaped[0][1] / padded.width, reshaped[0][0] / padded.height] * 2
        boxes_N4 = torch.tensor([[value * by for value, by in zip(box, scale, strict=True)] for box in boxes])
        embeddings = model.get_image_embeddings(self.checkpoint.pixels(inputs["pixel_values"]))
        masks: list[Mask] = []
        for some_B4 in boxes_N4.split(WORDS_AT_ONCE):
            output = model(
                image_embeddings=embeddings, input_boxes=self.checkpoint.pixels(some_B4[None]), multimask_output=False
            )
            for low in output.pred_masks[0].float():  # one at a time: they are as large as the picture
                (large,) = images.post_process_masks([low[None]], original, reshaped, mask_threshold=self._logit())
                masks.append(large[0, 0, : picture.height, : picture.width].cpu().numpy())
        return masks

    def _logit(self) -> float:
        least = self.mask_threshold
        return math.log(least / (1 - least)) if 0 < least < 1 else math.copysign(math.inf, least - 0.5)
