"""SAM 3 (Meta, 2025): masks and boxes of every instance of a word, also with the Lite text encoder.

Invariant: nothing of its processor is used, which needs torchvision: the picture is squashed to the model's square and
normalised here, and masks are enlarged here. The picture is encoded once, then each word is asked for by itself.
Shape letters: Q queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, Sam3LiteTextModel, Sam3Model
from transformers.image_processing_base import ImageProcessingMixin

from trifacet.base.errors import TrifacetError
from trifacet.models.checkpoint import reading
from trifacet.preferences.rejected.masks import Corners, Mask
from trifacet.regions.locators.boxes import asked_words, cut
from trifacet.regions.locators.checkpoints import MODEL, identity, mask_of, normalised, open_checkpoint, squashed
from trifacet.regions.locators.masks import best_regions
from trifacet.regions.locators.settings import MOST, LocatorSettings, kept_count
from trifacet.regions.looking import Look, Region

_KINDS = {"sam3": Sam3Model, "sam3_lite_text": Sam3LiteTextModel}
_OF_VIDEOS = "sam3_video"  # what the released checkpoint says that it is; its detector is the model
_TOKENS = 32  # to which its processor pads a word, whatever the text encoder could take
_TRACKER = r"^tracker_(model|neck)\."


class Sam3:
    """Masks by SAM 3; a word's score is sigmoid(query) * sigmoid(presence)."""

    name = "sam3"
    definition = 1

    def __init__(self, settings: LocatorSettings) -> None:
        assert settings.model is not None
        self.settings, source = settings, settings.model
        with reading(source, MODEL):
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            if config.model_type == _OF_VIDEOS:
                config = config.detector_config
            if config.model_type not in _KINDS:
                raise TrifacetError(f"{source} is a {config.model_type}, not a sam3; name such a model")
            said, _ = ImageProcessingMixin.get_image_processor_dict(source)
        self.checkpoint = open_checkpoint(
            _KINDS[config.model_type], source, settings, config=config, images=False, may_add=_TRACKER
        )
        half = [0.5] * 3  # the class's own
        self.side = int(config.vision_config.backbone_config.image_size)
        self.mean, self.std = said.get("image_mean") or half, said.get("image_std") or half

    def fingerprint(self) -> dict[str, Any]:
        """Weights, how pictures are prepared, thresholds and what is kept."""
        settings = self.settings
        return {
            **identity(self.name, self.definition, self.settings),
            "phrase": settings.phrase,
            "kept": kept_count(settings),
            "threshold": settings.values.threshold,
            "mask_threshold": settings.values.mask_threshold,
            "pictures": [self.side, list(self.mean), list(self.std)],
            **self.checkpoint.fingerprint(),
        }

    def pixel_values(self, picture: Image.Image) -> Any:
        """The picture as the model reads it, [1, 3, side, side]."""
        return normalised(squashed(picture, self.side, Image.Resampling.BILINEAR), self.mean, self.std)[None]

    @torch.inference_mode()
    def locate(self, look: Look) -> list[Region]:
        """The instances of all words."""
        asked = asked_words(look, self.settings)
        if not asked:
            return []
        model, picture = self.checkpoint.model, look.picture.convert("RGB")
        seen = model.get_vision_features(pixel_values=self.checkpoint.pixels(self.pixel_values(picture)))
        regions = []
        for word, phrase in asked.items():
            output = model(vision_embeds=seen, **self.checkpoint.tokenized([phrase], _TOKENS))
            regions += best_regions(word, self._instances(output, picture.size), kept_count(self.settings))
        return regions

    def _instances(self, output: Any, size: tuple[int, int]) -> Iterator[tuple[float, Mask, Corners | None]]:
        """The best of what is above the threshold, as transformers' ``post_process_instance_segmentation`` makes it."""
        scores_Q = output.pred_logits[0].float().sigmoid() * output.presence_logits[0].float().sigmoid()
        width, height = size
        order = scores_Q.argsort(descending=True, stable=True)
        for query in order[: int((scores_Q > self.settings.values.threshold).sum())][:MOST].tolist():
            mask = mask_of(output.pred_masks[0, query].float().sigmoid(), size, self.settings.values.mask_threshold)
            left, upper, right, lower = output.pred_boxes[0, query].float().tolist()
            box = cut((left * width, upper * height, right * width, lower * height), size)
            yield float(scores_Q[query]), mask, box
