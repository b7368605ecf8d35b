"""CLIPSeg (Lüddecke and Ecker, arXiv 2112.10003): a map of the picture for each word.

Invariant: the picture is encoded once; a word's map is that of the whole model on picture and word alone. The whole
picture is squashed to the model's square, so that its map needs no cutting. Shape letters: W words.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import CLIPSegForImageSegmentation

from trifacet.regions.locators.boxes import asked_words
from trifacet.regions.locators.checkpoints import WORDS_AT_ONCE, identity, mask_of, open_checkpoint
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import Look, Region


class ClipSeg:
    """Masks by CLIPSeg: a word is found if its map's peak is above ``threshold``; the peak is the score."""

    name = "clipseg"
    definition = 1

    def __init__(self, settings: LocatorSettings) -> None:
        assert settings.model is not None
        self.settings = settings
        self.checkpoint = open_checkpoint(CLIPSegForImageSegmentation, settings.model, settings)

    def fingerprint(self) -> dict[str, Any]:
        """Weights and processors, thresholds and phrase."""
        settings = self.settings
        return {
            **identity(self.name, self.definition, self.settings),
            "phrase": settings.phrase,
            "threshold": settings.values.threshold,
            "mask_threshold": settings.values.mask_threshold,
            **self.checkpoint.fingerprint(),
        }

    @torch.inference_mode()
    def locate(self, look: Look) -> list[Region]:
        """At most one region per word."""
        asked, settings = asked_words(look, self.settings), self.settings
        if not asked:
            return []
        model, images = self.checkpoint.model, self.checkpoint.images
        pixels = images(images=look.picture.convert("RGB"), return_tensors="pt")["pixel_values"]
        seen = model.clip.vision_model(
            self.checkpoint.pixels(pixels), output_hidden_states=True, interpolate_pos_encoding=True
        )
        layers = [seen.hidden_states[layer + 1] for layer in model.extract_layers]  # the embeddings come first
        words, regions = list(asked), []
        for start in range(0, len(words), WORDS_AT_ONCE):
            some = words[start : start + WORDS_AT_ONCE]
            texts = self.checkpoint.tokenized([asked[word] for word in some])
            wanted = model.get_conditional_embeddings(batch_size=len(some), **texts)
            repeated = tuple(layer.expand(len(some), -1, -1) for layer in layers)
            maps_Whw = model.decoder(repeated, wanted).logits.float().sigmoid()
            for word, map_hw in zip(some, maps_Whw, strict=True):
                peak = float(map_hw.max())
                if peak > settings.values.threshold:
                    mask = mask_of(map_hw, look.picture.size, settings.values.mask_threshold)
                    regions += [Region(word, mask, peak)] if mask.any() else []
        return regions
