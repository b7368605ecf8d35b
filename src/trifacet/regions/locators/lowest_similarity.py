"""The random mask that lowers the CLIP similarity of picture and response most (PEA-DPO; no detector).

Invariant: the masks depend on the seed, the sample's id and the picture's size alone; of equal ones the first is taken.
Shape letters: S side of CLIP's square, N pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import AutoModel

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError
from trifacet.preferences.rejected.masks import Corners, box_mask
from trifacet.regions.locators.checkpoints import MODEL, identity, normalised, open_checkpoint, squashed
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import Look, Region

_STRETCH = 2.0  # a mask is up to twice as wide, or as high, as the picture's own proportions make it
_AT_ONCE = 32


class LowestSimilarity:
    """A mask by a CLIP-family model (CLIP, SigLIP). It is of the whole response: its region's word is empty.

    The whole picture is squashed to CLIP's square, so that a mask at its edge counts as much as one in its middle; what
    a mask covers has CLIP's mean colour. CLIP reads the response's beginning.
    """

    name = "lowest-similarity"
    definition = 1

    def __init__(self, settings: LocatorSettings) -> None:
        assert settings.model is not None
        self.settings = settings
        self.checkpoint = open_checkpoint(AutoModel, settings.model, settings)
        model = self.checkpoint.model
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise TrifacetError(
                f"{MODEL}: {settings.model} is a {type(model).__name__}; use one of the CLIP family (CLIP, SigLIP)"
            )
        self.side = int(model.config.vision_config.image_size)

    def fingerprint(self) -> dict[str, Any]:
        """Weights and processors, number and size of the masks."""
        return {
            **identity(self.name, self.definition, self.settings),
            "draws": self.settings.draws,
            "share": self.settings.values.share,
            **self.checkpoint.fingerprint(),
        }

    def drawn(self, look: Look) -> Iterator[Corners]:
        """Rectangles of about ``share`` of the picture, in whole pixels, at least one."""
        share, (width, height) = self.settings.values.share, look.picture.size
        draws = generator(self.name, look.seed, look.sample.id)
        most = min(_STRETCH, 1 / max(share, 1 / _STRETCH))
        for _ in range(self.settings.draws):
            stretch = math.exp(draws.uniform(-1, 1) * math.log(most))
            wide = min(max(round(math.sqrt(share * stretch) * width), 1), width)
            high = min(max(round(math.sqrt(share / stretch) * height), 1), height)
            left, upper = int(draws.integers(width - wide + 1)), int(draws.integers(height - high + 1))
            yield left, upper, left + wide, upper + high

    def pixel_values(self, picture: Image.Image) -> NDArray[np.float32]:
        """The picture as CLIP reads it here, [3, S, S]."""
        images = self.checkpoint.images
        return normalised(squashed(picture, self.side, Image.Resampling.BICUBIC), images.image_mean, images.image_std)

    @torch.inference_mode()
    def locate(self, look: Look) -> list[Region]:
        """One region, whose score is by how much the cosine falls (0 where none lowers it)."""
        picture = look.picture.convert("RGB")
        whole_3SS = torch.from_numpy(self.pixel_values(picture))
        boxes = list(self.drawn(look))
        text_d = _unit(self.checkpoint.model.get_text_features(**self.checkpoint.tokenized([look.sample.response])))[0]
        cosines = []
        for start in range(-1, len(boxes), _AT_ONCE):  # -1: the picture itself
            some = boxes[max(start, 0) : start + _AT_ONCE]
            pictures = [self._masked(whole_3SS, box, picture.size) for box in some]
            pictures = [whole_3SS, *pictures] if start < 0 else pictures
            seen_Nd = _unit(self.checkpoint.model.get_image_features(self.checkpoint.pixels(torch.stack(pictures))))
            cosines += (seen_Nd @ text_d).tolist()
        before, after = cosines[0], cosines[1:]
        best = int(np.argmin(after))
        drop = min(max(before - after[best], 0.0), 1.0)
        return [Region("", box_mask(picture.size, boxes[best]), drop, boxes[best])]

    def _masked(self, whole_3SS: Tensor, box: Corners, size: tuple[int, int]) -> Tensor:
        """The picture with what the mask covers in the mean colour, which is 0 here."""
        across, down = self.side / size[0], self.side / size[1]
        inside = box_mask((self.side, self.side), (box[0] * across, box[1] * down, box[2] * across, box[3] * down))
        return whole_3SS.masked_fill(torch.from_numpy(inside), 0.0)


def _unit(output: Any) -> Tensor:
    """Vectors of length 1 in float32, of what CLIP's or SigLIP's function gives."""
    return torch.nn.functional.normalize(getattr(output, "pooler_output", output).float(), dim=-1)
