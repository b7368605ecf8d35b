"""Where the policy itself looks when it says a word: no other model.

Invariant: one forward per sample, however many words; the map of a word does not depend on the others, but that plain
attention is told apart by what all words of the answer look at. Shape letters: L tokens, R tokens of the answer with
its end, F features of the image, Z layers that read them, Q watched tokens, d width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from trifacet.base.errors import TrifacetError
from trifacet.engine.attention import visible
from trifacet.engine.family import ImageInput, core
from trifacet.engine.forwards import left_out
from trifacet.engine.scoring import Encoded, collate
from trifacet.engine.trie import Path as TokenPath
from trifacet.engine.watching import Floats, watching
from trifacet.models.asking import WayOfAsking
from trifacet.models.base import PictureGrid
from trifacet.models.families import FAMILIES
from trifacet.models.loading import load_model, weights_fingerprint
from trifacet.preferences.facets import Cell
from trifacet.preferences.rejected.masks import Mask
from trifacet.regions.locators.checkpoints import MODEL, identity
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import KeyWord, Look, Region


class Attention:
    """The ``share`` of the picture that matters most for a word, by ``attention`` or ``gradient``.

    * ``attention``: of the tokens that predict the word's, mean over layers and heads, less the mean of all words of
      the answer, so that places at which every word looks do not count; negative differences left out.
    * ``gradient``: the length of the gradient of the log-prob of the word's tokens by each feature of the image
      (saliency, Simonyan et al., arXiv 1312.6034).

    The score is the share of the map inside the mask. The sample is asked as in training but for further pictures of
    its post, which are left out. A word without a token of its own, or whose map is empty, is not found.
    """

    name = "attention"
    definition = 1

    def __init__(self, settings: LocatorSettings, asking: WayOfAsking | None) -> None:
        """Load the policy that ``settings`` name.

        Raises:
            TrifacetError: it cannot be loaded, or its family's features are not known to lie in a grid.
        """
        assert settings.model is not None
        self.settings = settings
        self.asking = asking or WayOfAsking.read(Path(settings.model))
        loaded = load_model(
            settings.model,
            dtype=settings.dtype,
            device=settings.device,
            image_tiles=self.asking.image_tiles if asking else None,
            image_pixels=self.asking.image_pixels if asking else None,
        )
        self.model, self.family = loaded.model.eval().requires_grad_(False), loaded.family
        self.encoder = self.asking.encoder(self.family)
        blank = Image.new("RGB", (64, 64))
        if self.family.picture_grid(self.family.read(blank), blank.size) is None:
            raise TrifacetError(
                f"{MODEL}: locator 'attention' does not know where in the picture the tokens of "
                f"{FAMILIES[self.family.name].what} are; use LLaVA, LLaVA-1.6, Qwen-VL or Gemma 3, or another locator"
            )

    def fingerprint(self) -> dict[str, Any]:
        """Weights, how the policy is asked, the way and the share."""
        return {
            **identity(self.name, self.definition, self.settings),
            "by": self.settings.by,
            "share": self.settings.values.share,
            "threshold": self.settings.values.threshold,
            "asking": self.asking.told(),
            "weights": weights_fingerprint(self.model),
        }

    def locate(self, look: Look) -> list[Region]:
        """At most one region per word."""
        picture, settings = look.picture.convert("RGB"), self.settings
        image = self.family.read(picture)
        grid = self.family.picture_grid(image, picture.size)
        assert grid is not None
        regions = []
        for word, map_F in self.maps(look, image).items():
            map_hw = map_F[grid.start : grid.start + grid.rows * grid.columns].reshape(grid.rows, grid.columns)
            large_HW = enlarged(map_hw, grid, picture.size)
            if large_HW.sum() <= 0:
                continue
            mask = largest(large_HW, settings.values.share)
            score = min(float(large_HW[mask].sum() / large_HW.sum()), 1.0)
            if score > (settings.values.threshold):
                regions.append(Region(word, mask, score))
        return regions

    def maps(self, look: Look, image: ImageInput) -> dict[str, Floats]:
        """For each word that has tokens in the answer, how much each feature of the image matters for it, (F,)."""
        sample = look.sample
        asked = self.encoder.asked(sample)
        (path,), _ = self.encoder.paths(asked, [sample.context], [sample.response], [image], [[0]], [Cell()])
        spans_R2 = self.encoder.response_spans(asked, sample.response)
        length = len(path.tokens_L) - path.response_start
        spans_R2 = np.concatenate([np.zeros((max(length - len(spans_R2), 0), 2), np.int64), spans_R2[-length:]])
        own = {word.text: tokens for word in look.words if len(tokens := tokens_of(word, spans_R2))}
        if not own:
            return {}
        if self.settings.by == "gradient":
            return self._gradients(path, image, own)
        return self._attended(path, image, own, np.flatnonzero(spans_R2[:, 1] > spans_R2[:, 0]))

    def _gradients(self, path: TokenPath, image: ImageInput, own: dict[str, NDArray[np.int64]]) -> dict[str, Floats]:
        with torch.enable_grad():
            features, hidden_Ld = self._forward(path, image, gradient=True)
            before_R = torch.arange(path.response_start - 1, len(path.tokens_L) - 1)
            tokens_R = torch.from_numpy(path.tokens_L[path.response_start :]).to(hidden_Ld.device)
            logps_RV = self.family.logits(self.model, hidden_Ld[before_R]).float().log_softmax(-1)
            logps_R = logps_RV.gather(-1, tokens_R[:, None])[:, 0]
            found = {}
            for number, (word, tokens) in enumerate(own.items(), start=1):
                said = logps_R[torch.from_numpy(tokens)].sum()
                (gradient,) = torch.autograd.grad(said, features, retain_graph=number < len(own))
                squares = gradient.double().square().sum(-1)  # of Qwen3-VL (Z, F): several layers read features
                found[word] = squares.reshape(-1, squares.shape[-1]).sum(0).sqrt().cpu().numpy()
        return found

    @torch.inference_mode()
    def _attended(
        self, path: TokenPath, image: ImageInput, own: dict[str, NDArray[np.int64]], said_R: NDArray[np.int64]
    ) -> dict[str, Floats]:
        features_L = np.flatnonzero((path.images_L == 0) & (path.tokens_L == core(self.model).config.image_token_id))
        groups_L = np.zeros(len(path.tokens_L), np.int64)
        groups_L[features_L] = np.arange(1, 1 + len(features_L))
        queries_Q = path.response_start - 1 + said_R
        with watching(self.model, queries_Q, groups_L, 1 + len(features_L)) as watch:
            self._forward(path, image, gradient=False)
        mean_QF = np.mean(watch.masses, axis=0)[:, 1:]
        common_F = mean_QF.mean(0)
        return {word: (mean_QF[np.isin(said_R, tokens)].mean(0) - common_F).clip(min=0) for word, tokens in own.items()}

    def _forward(self, path: TokenPath, image: ImageInput, *, gradient: bool) -> tuple[Tensor, Tensor]:
        """The features of the image, and the last hidden states (L, d) of the sequence that reads them."""
        family, device = self.family, next(self.model.parameters()).device
        batch = collate([Encoded((path,), (image,))], family, pad_id=0, rows="path").to(device)
        with left_out(family.unread(self.model)), torch.no_grad():
            (features,) = family.features(self.model, **batch.images)
        features = features.detach().requires_grad_(gradient)
        mask = (
            batch.plain_BN
            if batch.plain_BN is not None
            else family.dense_masks(visible(batch.ends_BN), batch.images_BN, batch.position_ids)
        )
        return features, family.hidden(self.model, batch.input_ids, mask, batch.position_ids, [features])[0]


def tokens_of(word: KeyWord, spans_R2: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which tokens of the answer hold a character of the word, wherever it stands."""
    held = np.zeros(len(spans_R2), np.bool_)
    for start, stop in word.spans:
        held |= (spans_R2[:, 0] < stop) & (spans_R2[:, 1] > start) & (spans_R2[:, 0] < spans_R2[:, 1])
    return np.flatnonzero(held)


def enlarged(map_hw: Floats, grid: PictureGrid, size: tuple[int, int]) -> NDArray[np.float32]:
    """The picture's part of a map over the grid, in pixels of a picture of ``size`` (width, height), bilinear."""
    scale = map_hw.max() or 1.0
    small = Image.fromarray((map_hw / scale).astype(np.float32))
    return np.asarray(small.resize(size, Image.Resampling.BILINEAR, box=grid.box))


def largest(values_HW: NDArray[np.float32], share: float) -> Mask:
    """The ``share`` of the pixels with the largest values, at least one; of equal ones the first, row by row."""
    count = min(max(round(share * values_HW.size), 1), values_HW.size)
    mask = np.zeros(values_HW.size, np.bool_)
    mask[np.argsort(-values_HW, axis=None, kind="stable")[:count]] = True
    return mask.reshape(values_HW.shape)
