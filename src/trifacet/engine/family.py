"""What the engine needs to know of a model family. Invariant: the engine reaches a model through this alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn


class Family(Protocol):
    """A model family for which the trie is exact; ``docs/families.md`` says how to add one."""

    name: str
    processor: Any
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]

    @property
    def image_token_id(self) -> int:
        """The id that stands for one image in a tokenised template, before it is expanded."""
        ...

    def pixels(self, image: Image.Image) -> Tensor:
        """The normalised input of the vision encoder for one image, (3, height, width)."""
        ...

    def image_tokens(self, pixels: Tensor) -> NDArray[np.int64]:
        """The ids that one image takes in the row."""
        ...

    def positions(self, tokens_L: NDArray[np.int64]) -> NDArray[np.int64]:
        """The model's own position ids of one sequence: (L,) or (axes, L)."""
        ...

    def collate(self, pixels: Sequence[Tensor]) -> dict[str, Tensor]:
        """The images of a batch as keyword arguments of ``features``."""
        ...

    def features(self, model: nn.Module, **images: Tensor) -> list[Tensor]:
        """What the language model sees of each image, (image tokens, hidden) each."""
        ...

    def hidden(
        self,
        model: nn.Module,
        input_ids_BN: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor,
        image_features: Sequence[Tensor],
    ) -> Tensor:
        """Last hidden states (B, N, hidden); ``image_features`` in the order of their runs in the rows."""
        ...

    def logits(self, model: nn.Module, hidden: Tensor) -> Tensor:
        """The language-model head on (..., hidden)."""
        ...

    def parts(self, model: nn.Module) -> dict[str, nn.Module]:
        """The model's parts by name: ``vision``, ``projector`` and ``language`` (head included)."""
        ...

    def unread(self, model: nn.Module) -> list[nn.Module]:
        """What of the vision encoder comes after the layer that the projector reads: it never gets a gradient."""
        ...
