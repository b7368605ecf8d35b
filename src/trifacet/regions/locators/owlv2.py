"""OWLv2 (Minderer et al., arXiv 2306.09683): boxes, each word by itself.

Invariant: what is found of a word does not depend on the other words; boxes refer to the square to which the processor
pads a picture at its right or lower side, and are cut to the picture. Shape letters: P patches, W words.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import Owlv2ForObjectDetection
from transformers.image_transforms import center_to_corners_format

from trifacet.base.extras import require
from trifacet.regions.locators.boxes import Box, BoxLocator
from trifacet.regions.locators.checkpoints import WORDS_AT_ONCE, open_checkpoint
from trifacet.regions.locators.settings import LocatorSettings

_REDUCED = 2  # times the model's side: larger pictures are reduced first, as the processor's filter takes them whole


class Owlv2(BoxLocator):
    """Boxes by OWLv2."""

    name = "owlv2"

    def __init__(self, settings: LocatorSettings) -> None:
        require(["scipy"], "locator 'owlv2'")  # with which its processor resizes
        super().__init__(settings)
        assert settings.model is not None
        self.checkpoint = open_checkpoint(Owlv2ForObjectDetection, settings.model, settings)

    def boxes(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Box]]:
        """The picture's patches are encoded once, then compared with all phrases."""
        model, images = self.checkpoint.model, self.checkpoint.images
        pixels = images(images=self._reduced(picture), return_tensors="pt")["pixel_values"]
        feature_map = model.image_embedder(pixel_values=self.checkpoint.pixels(pixels))[0]
        features_1Pd = feature_map.flatten(1, 2)
        side = max(picture.size)
        corners_P4 = (
            center_to_corners_format(model.box_predictor(features_1Pd, feature_map))[0].float() * side
        ).tolist()
        found = []
        for start in range(0, len(phrases), WORDS_AT_ONCE):
            asked = self.checkpoint.tokenized(phrases[start : start + WORDS_AT_ONCE])
            words_1Wd = model.owlv2.get_text_features(**asked).pooler_output[None]
            scores_WP = model.class_predictor(features_1Pd, words_1Wd)[0][0].float().sigmoid().T
            for scores_P in scores_WP:
                places = torch.nonzero(scores_P > self.settings.values.threshold)[:, 0].tolist()
                found.append([Box(float(scores_P[place]), tuple(corners_P4[place])) for place in places])
        return found

    def _reduced(self, picture: Image.Image) -> Image.Image:
        most = _REDUCED * int(self.checkpoint.model.config.vision_config.image_size)
        if max(picture.size) <= most:
            return picture
        scale = most / max(picture.size)
        return picture.resize(
            (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)), Image.Resampling.BILINEAR
        )
