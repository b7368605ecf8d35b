"""What the engine needs to know of a model family. Invariant: the engine reaches a model through this alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn


@dataclass(frozen=True)
class ImageInput:
    """One image as its family's vision encoder reads it.

    ``pixel_values`` are normalised values as the processor lays them out (one tile, several, or a list of patches);
    ``layout`` is what else the model must be told of this image, such as its grid of patches or its size in pixels.
    """

    pixel_values: Tensor
    layout: tuple[int, ...] = ()

    @cached_property
    def key(self) -> str:
        """The same for two inputs if and only if the encoder makes the same of them."""
        values = self.pixel_values.contiguous()
        digest = hashlib.blake2b(values.numpy().tobytes(), digest_size=16)
        digest.update(repr((tuple(values.shape), values.dtype, self.layout)).encode())
        return digest.hexdigest()


class Family(Protocol):
    """A model family for which the trie is exact; ``CONTRIBUTING.md`` says how to add one."""

    name: str
    processor: Any
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    needs_dense_mask: bool  # attention is not causal alone: the masks of ``dense_masks`` must be used
    window: int | None  # tokens over which attention slides: for longer sequences the trie is not exact

    @property
    def placeholder_id(self) -> int:
        """The id that stands for one image in a tokenised template, before it is expanded."""
        ...

    @property
    def reserved_ids(self) -> frozenset[int]:
        """The ids that stand for images or around them: an answer never holds one."""
        ...

    def prepared(self, text: str) -> str:
        """A rendered template as the tokenizer is to see it: what the processor changes besides expanding images."""
        ...

    def read(self, image: Image.Image) -> ImageInput:
        """One RGB picture as the vision encoder reads it."""
        ...

    def frames(self, image: ImageInput) -> Tensor:
        """The normalised pixels of an input, (..., 3, height, width): what noise and blackness act on."""
        ...

    def with_frames(self, image: ImageInput, frames: Tensor) -> ImageInput:
        """``image`` with other pixels, of the shape that ``frames`` gives."""
        ...

    def image_tokens(self, image: ImageInput) -> NDArray[np.int64]:
        """The ids that one image takes in the row: placeholders of its features and what the processor puts around."""
        ...

    def positions(self, tokens_L: NDArray[np.int64], images: Sequence[ImageInput]) -> NDArray[np.int64]:
        """The model's own position ids of one sequence with these images, in order: (L,) or (axes, L)."""
        ...

    def collate(self, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        """The images of a batch as keyword arguments of ``features``."""
        ...

    def features(self, model: nn.Module, **images: Tensor) -> list[Any]:
        """What the language model is given of each image."""
        ...

    def encoded(self, image_features: Sequence[Any]) -> dict[str, Any]:
        """Features in the order of their runs in the rows, as the model's ``mm_encoder_outputs``."""
        ...

    def told(self, ids_BL: Tensor, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        """What the model's ``generate`` must be told beside ids, mask and features, such as the images' grids."""
        ...

    def dense_masks(self, visible_BNN: Tensor, images_BN: Tensor, position_ids: Tensor) -> Any:
        """The mask or masks of the language model, from who sees whom in the trie.

        Args:
            visible_BNN: true where a token sees another: itself and its ancestors.
            images_BN: the image to which a token belongs, -1 for text.
            position_ids: (B, N) or (axes, B, N).
        """
        ...

    def grown_masks(self, seen_RQC: Tensor, key_RC: Tensor, query_RQ: Tensor) -> Any:
        """The mask or masks of new tokens of text over a cache; ``key_RC`` and ``query_RQ`` are positions.

        Args:
            seen_RQC: true where a new token sees a place of its row.
            key_RC: the first position id of each place.
            query_RQ: that of each new token.
        """
        ...

    def hidden(
        self,
        model: nn.Module,
        input_ids_BN: Tensor,
        attention_mask: Any,
        position_ids: Tensor,
        image_features: Sequence[Any],
        cache: Any = None,
    ) -> Tensor:
        """Last hidden states (B, N, hidden); ``image_features`` in the order of their runs in the rows.

        ``cache``: one of transformers, to which keys and values go and from which those of earlier tokens come.
        """
        ...

    def logits(self, model: nn.Module, hidden: Tensor) -> Tensor:
        """The language-model head on (..., hidden), with all that the model does to its logits."""
        ...

    def parts(self, model: nn.Module) -> dict[str, nn.Module]:
        """The model's parts by name: ``vision``, ``projector`` and ``language`` (head included)."""
        ...

    def copied(self, *, train_vision: bool) -> list[str]:
        """With LoRA, the modules that train whole, as a copy (PEFT's ``modules_to_save``): names without their path."""
        ...

    def layers(self, model: nn.Module) -> list[nn.Module]:
        """The layers of the language model, the first one first."""
        ...

    def token_wise(self, model: nn.Module) -> list[nn.Module]:
        """Modules of the language model's last layer that treat every token by itself, (..., d) to (..., e)."""
        ...

    def unread(self, model: nn.Module) -> list[nn.Module]:
        """What of the vision encoder comes after the layer that the projector reads: it never gets a gradient."""
        ...


def core(model: nn.Module) -> Any:
    """The transformers model inside a PEFT wrapper, or the model itself."""
    unwrap = getattr(model, "get_base_model", None)
    return unwrap() if unwrap else model
