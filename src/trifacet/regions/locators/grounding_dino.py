"""Grounding DINO (Liu et al., arXiv 2303.05499): boxes of all words from one prompt of phrases.

Invariant: a box shows the words whose own tokens score, found by their places in the prompt and never by decoded text,
which runs phrases into each other. Shape letters: Q queries, T tokens of the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from PIL import Image
from torch import Tensor
from transformers import GroundingDinoForObjectDetection
from transformers.image_transforms import center_to_corners_format

from trifacet.regions.locators.boxes import Box, BoxLocator
from trifacet.regions.locators.checkpoints import no_thinner, open_checkpoint
from trifacet.regions.locators.settings import LocatorSettings

_ENDS = re.compile(r"[\s.?\[\]]+")  # what ends a phrase, or spells a special token


class Prompt(NamedTuple):
    """Phrases in one text, each with the characters where it stands (end exclusive)."""

    text: str
    spans: list[tuple[int, int]]


class GroundingDino(BoxLocator):
    """Boxes by Grounding DINO; ``threshold`` is for a box's best token, ``text_threshold`` for a word's own."""

    name = "grounding-dino"

    def __init__(self, settings: LocatorSettings) -> None:
        super().__init__(settings)
        assert settings.model is not None
        self.checkpoint = open_checkpoint(GroundingDinoForObjectDetection, settings.model, settings)
        self.most_tokens = int(self.checkpoint.model.config.max_text_len)

    def thresholds(self) -> dict[str, float]:
        """Both of them."""
        return {**super().thresholds(), "text_threshold": self.settings.values.text_threshold}

    def boxes(self, picture: Image.Image, phrases: Sequence[str]) -> list[list[Box]]:
        """One forward for as many phrases as fit into the text encoder: usually all."""
        padded = no_thinner(picture)
        inputs = self.checkpoint.images(images=padded, return_tensors="pt")
        found: list[list[Box]] = []
        for prompt in self.prompts(phrases):
            scores_TQ, boxes_Q4, tokens = self._detect(inputs, prompt)
            width, height = padded.size
            corners = center_to_corners_format(boxes_Q4) * boxes_Q4.new_tensor([width, height] * 2)
            found += [self._of_word(scores_TQ, corners, own) for own in tokens]
        return found

    def prompts(self, phrases: Sequence[str]) -> Iterator[Prompt]:
        """The phrases in order, in as few prompts as the text encoder takes."""
        text, spans, used = "", list[tuple[int, int]](), 2  # the tokens around it
        for phrase in phrases:
            plain = _ENDS.sub(" ", phrase.lower()).strip()
            tokens = len(self.checkpoint.tokens(plain, add_special_tokens=False)["input_ids"]) + 1  # its full stop
            if spans and used + tokens > self.most_tokens:
                yield Prompt(text, spans)
                text, spans, used = "", [], 2
            if not plain:
                spans.append((0, 0))  # of which no token is
                continue
            text += " " if text else ""
            spans.append((len(text), len(text) + len(plain)))
            text, used = f"{text}{plain}.", used + tokens
        if spans:
            yield Prompt(text, spans)

    def _detect(self, inputs: Any, prompt: Prompt) -> tuple[Tensor, Tensor, list[list[int]]]:
        """Probabilities (T, Q), relative boxes (Q, 4) as centre and size, and the tokens of each phrase."""
        model, tokens = self.checkpoint.model, self.checkpoint.tokens
        encoded = tokens(
            prompt.text, return_tensors="pt", return_offsets_mapping=True, return_token_type_ids=True,
            truncation=True, max_length=self.most_tokens,
        )  # fmt: skip
        places = encoded.pop("offset_mapping")[0].tolist()
        own = [
            [at for at, (start, stop) in enumerate(places) if start < last and stop > first and start < stop]
            for first, last in prompt.spans
        ]
        output = model(
            pixel_values=self.checkpoint.pixels(inputs["pixel_values"]),
            pixel_mask=inputs["pixel_mask"].to(model.device) if "pixel_mask" in inputs else None,
            **encoded.to(model.device),
        )
        return output.logits[0].float().sigmoid().T, output.pred_boxes[0].float(), own

    def _of_word(self, scores_TQ: Tensor, corners_Q4: Tensor, own: list[int]) -> list[Box]:
        if not own:
            return []
        scores_Q = scores_TQ[own].max(0).values
        values = self.settings.values
        kept_Q = (scores_TQ.max(0).values > values.threshold) & (scores_Q > values.text_threshold)
        return [
            Box(score, tuple(corners))
            for score, corners in zip(scores_Q[kept_Q].tolist(), corners_Q4[kept_Q].tolist(), strict=True)
        ]
