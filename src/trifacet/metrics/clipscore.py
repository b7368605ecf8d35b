"""CLIPScore: how well a text fits its picture, by a CLIP model that the user names; no reference is read.

Invariant: the value is 2.5 x max(cosine, 0) of CLIP's embeddings of the picture and of "A photo depicts " + text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, CLIPModel

from trifacet.base.errors import DataError, of_sample
from trifacet.base.images import load_image
from trifacet.metrics.scores import Extra, Part
from trifacet.metrics.target import Target
from trifacet.models.checkpoint import read_weights, reading
from trifacet.models.loading import pick_device
from trifacet.models.processors import read_tokenizer, refuse_odd_normalisation
from trifacet.statistics.measures import mean_measure

CLIP_SCORE = "clip_score"
SCALE = 2.5
PREFIX = "A photo depicts "
_OFFICIAL = "clip-vit-base-patch32"  # the metric's own program knows no other
_BATCH = 16


class ClipScorer:
    """A CLIP model with its image processor and tokenizer."""

    def __init__(self, source: str, *, device: str = "auto") -> None:
        """Load ``source``, a hub id or folder. Raises TrifacetError as ``read_weights`` does."""
        self.source = source
        self.model = read_weights(CLIPModel, source, device=pick_device(device))
        with reading(source):
            self.images: Any = AutoImageProcessor.from_pretrained(source, backend="pil", trust_remote_code=False)
            refuse_odd_normalisation(source, self.images)
            self.tokens: Any = read_tokenizer(source)
        self.most_tokens = self.model.config.text_config.max_position_embeddings

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], pictures: Sequence[Any]) -> list[float]:
        """The score of each text with its picture (PIL, RGB), 0 to 2.5. A text beyond CLIP's length is cut."""
        device = self.model.device
        words = self.tokens(
            [PREFIX + text for text in texts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.most_tokens,
        ).to(device)
        pixels = self.images(images=list(pictures), return_tensors="pt").to(device)
        ours = self.model.get_text_features(**words).pooler_output
        theirs = self.model.get_image_features(**pixels).pooler_output
        cosine_B = torch.nn.functional.cosine_similarity(ours, theirs)
        return [float(value) for value in (SCALE * cosine_B.clamp(min=0)).tolist()]


def clip_extra(source: str, images_root: Path, *, device: str = "auto") -> Extra:
    """CLIPScore as a further metric of ``score_texts``; samples without a picture are left out.

    Args:
        source: hub id or folder of a CLIP model.
        images_root: the folder that the samples' image paths start from.
        device: as in ``pick_device``.

    Raises:
        TrifacetError: the model cannot be loaded.
    """
    scorer = ClipScorer(source, device=device)

    def score(written: Sequence[str], samples: Sequence[Target]) -> Part:
        pictured = [
            (sample.id, text, sample.image) for text, sample in zip(written, samples, strict=True) if sample.image
        ]
        if not pictured:
            return Part(
                {CLIP_SCORE: None},
                ["CLIPScore is not computed: the references name no image; give a test set that does"],
            )
        notes = [f"CLIPScore is 2.5 x max(cosine, 0) by {source}"]
        if len(pictured) < len(samples):
            notes.append(f"{len(samples) - len(pictured)} of {len(samples)} samples have no image and no CLIPScore")
        values: dict[str, float] = {}
        for start in range(0, len(pictured), _BATCH):
            batch = pictured[start : start + _BATCH]
            loaded = [_picture(images_root, image, name) for name, _, image in batch]
            found = scorer([text for _, text, _ in batch], loaded)
            values.update(zip((name for name, _, _ in batch), found, strict=True))
        other = (
            "" if Path(source).name == _OFFICIAL else f"by {Path(source).name}; the metric's own model is {_OFFICIAL}"
        )
        return Part({CLIP_SCORE: mean_measure(CLIP_SCORE, values, unofficial=other)}, notes)

    return score


def _picture(root: Path, image: str, name: str) -> Any:
    try:
        return load_image(root, image)
    except DataError as error:
        raise of_sample(name, error) from None
