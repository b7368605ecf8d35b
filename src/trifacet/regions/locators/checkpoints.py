"""A locator's checkpoint: weights, image processor, tokenizer, and what pictures and words look like to it.

Invariant: nothing needs torchvision; a checkpoint that is not whole, or of another class, is refused in one line.
Shape letters: S side of a square that a model reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor

from trifacet.base.digests import text_digest
from trifacet.models.checkpoint import read_weights, reading
from trifacet.models.loading import pick_device, weights_fingerprint
from trifacet.models.processors import read_tokenizer, refuse_odd_normalisation
from trifacet.preferences.rejected.masks import Mask
from trifacet.regions.locators.settings import LocatorSettings

MODEL, MASKS_BY = "regions.locator.model", "regions.locator.masks_by"
PROPORTION = 8  # a picture's longer side is so many times its shorter one, at most: thinner ones are padded
WORDS_AT_ONCE = 32


class Checkpoint(NamedTuple):
    """A model in evaluation mode with what prepares its inputs; ``images`` or ``tokens`` may be None.

    ``prepared`` has digests of how they prepare them, taken before their first call, which changes a tokenizer.
    """

    model: Any
    images: Any
    tokens: Any
    prepared: dict[str, str]

    def fingerprint(self) -> dict[str, str]:
        """Digests of the weights, and of the settings of the image processor and the tokenizer."""
        return {"weights": weights_fingerprint(self.model), **self.prepared}

    def tokenized(self, texts: Sequence[str], most: int = 1_000_000) -> Any:
        """Ids and mask of texts for a CLIP-like text encoder, padded and cut to its length, or to ``most`` tokens."""
        config = self.model.config
        longest = min(getattr(config, "text_config", config).max_position_embeddings, most)
        return self.tokens(
            list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt"
        ).to(self.model.device)

    def pixels(self, values: Any) -> Tensor:
        """Pixels where and as the model computes."""
        return torch.as_tensor(values).to(self.model.device, self.model.dtype)


def identity(name: str, definition: int, settings: LocatorSettings) -> dict[str, Any]:
    """What every locator's fingerprint begins with."""
    return {"locator": name, "definition": definition, "dtype": settings.dtype}


def open_checkpoint(
    kind: Any,
    source: str,
    settings: LocatorSettings,
    *,
    key: str = MODEL,
    config: Any = None,
    tokens: bool = True,
    images: bool = True,
    may_add: str = "",
) -> Checkpoint:
    """The checkpoint of a folder or hub id.

    Args:
        kind: its class, as ``read_weights`` takes it.
        source: folder or hub id.
        settings: for device and type.
        key: the recipe's key that names it, for messages.
        config: the model's, where it is not as AutoConfig reads it.
        tokens: read a tokenizer.
        images: read an image processor, the one that needs no torchvision.
        may_add: pattern of names of weights that the model need not know.

    Raises:
        TrifacetError: it cannot be loaded; one line, which names ``key``.
    """
    device = pick_device(settings.device, "regions.locator.device")
    with reading(source, key):
        model = read_weights(
            kind, source, config=config, dtype=getattr(torch, settings.dtype), device=device, may_add=may_add
        )
        processor = None
        if images:
            processor = AutoImageProcessor.from_pretrained(source, backend="pil", trust_remote_code=False)
            refuse_odd_normalisation(source, processor)
        tokenizer = read_tokenizer(source) if tokens else None
    prepared = {} if processor is None else {"images": text_digest(processor.to_json_string())}
    if tokenizer is not None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        prepared["tokens"] = text_digest(backend.to_str() if backend else repr(sorted(tokenizer.get_vocab().items())))
    return Checkpoint(model.requires_grad_(False), processor, tokenizer, prepared)


def no_thinner(picture: Image.Image) -> Image.Image:
    """The picture, padded with grey at its right or lower side if it is thinner than ``PROPORTION``.

    Processors that keep proportions would make less than a patch of its shorter side.
    """
    longer = max(picture.size)
    least = math.ceil(longer / PROPORTION)
    if min(picture.size) >= least:
        return picture
    padded = Image.new("RGB", (max(picture.width, least), max(picture.height, least)), "grey")
    padded.paste(picture, (0, 0))
    return padded


def squashed(picture: Image.Image, side: int, resample: Image.Resampling) -> NDArray[np.float32]:
    """The whole picture as a square, [3, S, S] from 0 to 1, as processors without torchvision do it."""
    small = picture.resize((side, side), resample)
    return np.asarray(small, np.float32).transpose(2, 0, 1) / np.float32(255)


def normalised(values_3SS: NDArray[np.float32], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """(values - mean) / std per colour."""
    return (values_3SS - np.array(mean, np.float32)[:, None, None]) / np.array(std, np.float32)[:, None, None]


def mask_of(probability: Tensor, size: tuple[int, int], threshold: float) -> Mask:
    """Where a map [h, w] of the whole picture is above ``threshold``, enlarged to ``size`` (width, height)."""
    width, height = size
    large = torch.nn.functional.interpolate(
        probability[None, None].float(), size=(height, width), mode="bilinear", align_corners=False
    )
    return (large[0, 0] > threshold).cpu().numpy()
