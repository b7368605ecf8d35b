"""Log-probs of all cells of a batch in one forward.

Invariant: the scores are those of the plain model run path by path (1e-4 in float32 on summed log-probs), whatever the
tries share. Each distinct image goes through the vision encoder once; the head runs on response tokens only.
Shape letters: B rows, N tokens of the longest row, R response tokens, M reads, C cells of the batch, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trifacet.engine.attention import SEGMENTS, flex_block_mask, visible
from trifacet.engine.family import Family, ImageInput, core
from trifacet.engine.trie import Path, Trie, build_trie

Batch = dict[str, Any]
Rows = Literal["batch", "sample", "path"]
Attention = Literal["auto", "segments", "dense", "flex"]
LOGITS_AT_ONCE = 2**27  # values: beyond this the head runs in chunks that are computed again in the backward pass


@dataclass(frozen=True)
class Encoded:
    """A sample ready to be batched: one path per cell, and the distinct images that ``Path.images_L`` numbers."""

    paths: tuple[Path, ...]
    images: tuple[ImageInput, ...]


def collate(samples: Sequence[Encoded], family: Family, pad_id: int, rows: Rows = "batch") -> Batch:
    """The tries of a batch as a dict of tensors that ``TrieScorer`` takes.

    Args:
        samples: the samples; cells are numbered sample after sample, path after path.
        family: of the model that will score them.
        pad_id: token id of the padding at the right.
        rows: one trie over the whole ``batch``, so that samples share what they have in common (no padding then), one
            row per ``sample``, or one per ``path``; with a path longer than the model's attention window always that.
    """
    numbers: dict[str, int] = {}
    images: list[ImageInput] = []
    paths: list[list[Path]] = []  # per sample, the images numbered over the batch
    for sample in samples:
        for image in sample.images:
            if image.key not in numbers:
                numbers[image.key] = len(images)
                images.append(image)
        number = np.array([*(numbers[image.key] for image in sample.images), -1])  # text, -1, stays -1
        paths.append([path._replace(images_L=number[path.images_L]) for path in sample.paths])
    every = [path for sample_paths in paths for path in sample_paths]
    beyond_window = family.window is not None and max(len(path.tokens_L) for path in every) > family.window
    if beyond_window:
        rows = "path"
    grouped = {"batch": [every], "sample": paths, "path": [[path] for path in every]}[rows]
    tokens_I = np.array([len(family.image_tokens(image)) for image in images], dtype=np.int64)
    batch = {**_rows([build_trie(group) for group in grouped], pad_id, tokens_I), "images": family.collate(images)}
    if beyond_window:
        batch["plain_BN"] = batch["ends_BN"] == batch["ends_BN"][:, :1]  # all but the padding
    return batch


def _rows(tries: Sequence[Trie], pad_id: int, tokens_I: np.ndarray) -> Batch:
    """One row per trie, padded at the right; padding is a run of its own that sees and is seen by itself."""
    width = max(len(trie.tokens_N) for trie in tries)
    ids_BN = np.full((len(tries), width), pad_id)
    images_BN = np.full((len(tries), width), -1)
    ends_BN = np.full((len(tries), width), width)
    positions = np.zeros((*tries[0].positions_N.shape[:-1], len(tries), width), dtype=np.int64)
    for row, trie in enumerate(tries):
        size = len(trie.tokens_N)
        ids_BN[row, :size] = trie.tokens_N
        images_BN[row, :size] = trie.images_N
        ends_BN[row, :size] = trie.ends_N
        positions[..., row, :size] = trie.positions_N
    cells = np.cumsum([0] + [len(trie.lengths_P) for trie in tries])
    reads = np.cumsum([0] + [len(trie.token_R) for trie in tries])

    def joined(parts: Sequence[np.ndarray], offsets: np.ndarray | None = None) -> Tensor:
        moved = parts if offsets is None else [part + offset for part, offset in zip(parts, offsets, strict=False)]
        return torch.from_numpy(np.concatenate(moved))

    return {
        "input_ids": torch.from_numpy(ids_BN),
        "position_ids": torch.from_numpy(positions),
        "images_BN": torch.from_numpy(images_BN),
        "ends_BN": torch.from_numpy(ends_BN),
        "image_order": joined([trie.image_order(tokens_I) for trie in tries]),
        "parent_R": joined([trie.parent_R for trie in tries], np.arange(len(tries)) * width),
        "token_R": joined([trie.token_R for trie in tries]),
        "read_M": joined([trie.read_M for trie in tries], reads),
        "cell_M": joined([trie.path_M for trie in tries], cells),
        "lengths_C": joined([trie.lengths_P for trie in tries]),
    }


class TrieScorer(nn.Module):
    """Wraps a model so that its forward takes a batch of tries and gives summed log-probs per cell.

    A module, so that the training loop, DDP and FSDP treat it as the model.

    Args:
        model: a transformers model, or PEFT's wrapper of one.
        family: its family.
        mixed_precision: compute in bfloat16 whatever the weights are.
        attention: ``segments`` leaves out blocks of tokens that cannot see each other (CPU), ``flex`` does so by
            FlexAttention, ``dense`` masks; ``auto`` is segments on the CPU and dense elsewhere.
    """

    def __init__(
        self, model: nn.Module, family: Family, *, mixed_precision: bool = False, attention: Attention = "auto"
    ) -> None:
        super().__init__()
        assert attention in get_args(Attention), attention
        self.model = model
        self.family = family
        self.mixed_precision = mixed_precision  # here and not in the loop, so that the reference computes alike
        if attention == "auto":
            attention = "segments" if next(model.parameters()).device.type == "cpu" else "dense"
        self._blank_images: Batch | None = None
        self.attention: Attention = "dense" if family.needs_dense_mask else attention
        names = {"segments": SEGMENTS, "flex": "flex_attention", "dense": "sdpa"}
        core(model).set_attn_implementation({"text_config": names[self.attention]})

    def _precision(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(device.type, torch.bfloat16) if self.mixed_precision else contextlib.nullcontext()

    def _mask(self, batch: Batch) -> Any:
        if "plain_BN" in batch:
            return batch["plain_BN"]  # one sequence per row: the model makes its own masks
        ends_BN = batch["ends_BN"]
        if self.attention == "segments":
            return ends_BN[:, None, None, :]
        if self.attention == "flex":
            return flex_block_mask(ends_BN)
        return self.family.dense_masks(visible(ends_BN), batch["images_BN"], batch["position_ids"])

    def forward(self, **batch: Any) -> Tensor:
        """Summed log-probs (nats, float32) of each cell's response, shape (C,), in the order of the batch's paths."""
        with self._precision(batch["input_ids"].device):
            images = batch["images"] or (self._blank(batch["input_ids"].device) if self._encoder_always() else {})
            features = self.family.features(self.model, **images) if images else []
            hidden_BNd = self.family.hidden(
                self.model,
                batch["input_ids"],
                self._mask(batch),
                batch["position_ids"],
                [features[index] for index in batch["image_order"].tolist()],
            )
            logps_R = self._logps(hidden_BNd.flatten(0, 1)[batch["parent_R"]], batch["token_R"])
        logps_C = logps_R.new_zeros(len(batch["lengths_C"]))
        logps_C = logps_C.index_add(0, batch["cell_M"], logps_R[batch["read_M"]])
        if features and not batch["images"]:  # of the blank: in the graph, and of no weight
            logps_C = logps_C + 0 * torch.stack([feature.float().sum() for feature in features]).sum()
        return logps_C

    def _encoder_always(self) -> bool:
        """Whether the vision encoder runs even in a batch without images.

        So it must where it trains (DDP waits for the gradients of all processes, and an optimizer treats a gradient of
        zero and none differently) and where processes may hold shards of it (they gather in its forward).
        """
        world = torch.distributed
        several = world.is_available() and world.is_initialized() and world.get_world_size() > 1
        return several or self._encoder_trains()

    def _encoder_trains(self) -> bool:
        parts = self.family.parts(self.model)
        seen = (weight for name in ("vision", "projector") for weight in parts[name].parameters())
        return torch.is_grad_enabled() and any(weight.requires_grad for weight in seen)

    def _blank(self, device: torch.device) -> Batch:
        """A small grey picture for the encoder, as ``features`` takes it."""
        if self._blank_images is None:
            self._blank_images = self.family.collate([self.family.read(Image.new("RGB", (32, 32), "grey"))])
        return {name: value.to(device) for name, value in self._blank_images.items()}

    def _logps(self, hidden_Rd: Tensor, token_R: Tensor) -> Tensor:
        """Log-probs of single tokens; logits of many tokens over a large vocabulary never exist all at once."""

        def logps(hidden_Rd: Tensor, token_R: Tensor) -> Tensor:
            logits_RV = self.family.logits(self.model, hidden_Rd).float()
            return -nn.functional.cross_entropy(logits_RV, token_R, reduction="none")

        vocabulary = core(self.model).config.get_text_config().vocab_size
        chunk = max(LOGITS_AT_ONCE // vocabulary, 1)
        if len(token_R) <= chunk:
            return logps(hidden_Rd, token_R)
        pieces = zip(hidden_Rd.split(chunk), token_R.split(chunk), strict=True)
        return torch.cat([checkpoint(logps, *piece, use_reentrant=False) for piece in pieces])
