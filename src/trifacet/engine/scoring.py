"""Log-probs of all cells of a batch in one forward.

Invariant: the scores are those of the plain model run path by path (1e-4 in float32 on summed log-probs), whatever the
trie shares. Each distinct image goes through the vision encoder once; the head runs on response tokens only.
Shape letters: B rows (one per sample), N tokens of the longest row, R response tokens, M reads, C cells of the batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trifacet.engine.family import Family
from trifacet.engine.trie import Path, Trie, build_trie

Batch = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """A sample ready to be batched: its trie (one path per cell) and the pixels of its distinct images."""

    trie: Trie
    pixels: tuple[Tensor, ...]


def encode_paths(paths: Sequence[Path], pixels: Sequence[Tensor]) -> Encoded:
    """A sample of ``paths`` over ``pixels``; ``Path.images_L`` indexes ``pixels``."""
    return Encoded(build_trie(paths), tuple(pixels))


def collate(samples: Sequence[Encoded], family: Family, pad_id: int) -> Batch:
    """One row per sample, padded at the right; a dict of tensors that ``TrieScorer`` takes.

    Rows of a single path each need no mask: causal attention is exact, and padding at the right is never seen.
    """
    tries = [sample.trie for sample in samples]
    width = max(len(trie.tokens_N) for trie in tries)
    ids_BN = np.full((len(tries), width), pad_id)
    positions = np.zeros((*tries[0].positions_N.shape[:-1], len(tries), width), dtype=np.int64)
    for row, trie in enumerate(tries):
        ids_BN[row, : len(trie.tokens_N)] = trie.tokens_N
        positions[..., row, : len(trie.tokens_N)] = trie.positions_N
    cells = np.cumsum([0] + [len(trie.lengths_P) for trie in tries])
    reads = np.cumsum([0] + [len(trie.token_R) for trie in tries])
    images = np.cumsum([0] + [len(sample.pixels) for sample in samples])

    def joined(parts: Sequence[np.ndarray], offsets: np.ndarray | None = None) -> Tensor:
        moved = parts if offsets is None else [part + offset for part, offset in zip(parts, offsets, strict=False)]
        return torch.from_numpy(np.concatenate(moved))

    batch: Batch = {
        "input_ids": torch.from_numpy(ids_BN),
        "position_ids": torch.from_numpy(positions),
        "image_order": joined([trie.image_order for trie in tries], images),
        "parent_R": joined([trie.parent_R for trie in tries], np.arange(len(tries)) * width),
        "token_R": joined([trie.token_R for trie in tries]),
        "read_M": joined([trie.read_M for trie in tries], reads),
        "cell_M": joined([trie.path_M for trie in tries], cells),
        "lengths_C": joined([trie.lengths_P for trie in tries]),
        "images": family.collate([pixels for sample in samples for pixels in sample.pixels]),
    }
    if any(len(trie.lengths_P) > 1 for trie in tries):
        mask = np.zeros((len(tries), 1, width, width), dtype=np.bool_)
        for row, trie in enumerate(tries):
            size = len(trie.tokens_N)
            mask[row, 0, :size, :size] = trie.mask_NN
            padding = np.arange(size, width)
            mask[row, 0, padding, padding] = True  # a row of the mask without any true gives NaN
        batch["attention_mask"] = torch.from_numpy(mask)
    return batch


class TrieScorer(nn.Module):
    """Wraps a model so that its forward takes a batch of tries and gives summed log-probs per cell.

    A module, so that the training loop, DDP and FSDP treat it as the model.
    """

    def __init__(self, model: nn.Module, family: Family, *, mixed_precision: bool = False) -> None:
        super().__init__()
        self.model = model
        self.family = family
        self.mixed_precision = mixed_precision  # here and not in the loop, so that the reference computes alike

    def _precision(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(device.type, torch.bfloat16) if self.mixed_precision else contextlib.nullcontext()

    def forward(self, **batch: Any) -> Tensor:
        """Summed log-probs (nats, float32) of each cell's response, shape (C,), in the order of the batch's paths."""
        with self._precision(batch["input_ids"].device):
            features = self.family.features(self.model, **batch["images"]) if batch["images"] else []
            hidden_BNd = self.family.hidden(
                self.model,
                batch["input_ids"],
                batch.get("attention_mask"),
                batch["position_ids"],
                [features[index] for index in batch["image_order"].tolist()],
            )
            hidden_Rd = hidden_BNd.flatten(0, 1)[batch["parent_R"]]
            logits_RV = self.family.logits(self.model, hidden_Rd).float()
        chosen_R = logits_RV.gather(-1, batch["token_R"][:, None]).squeeze(-1)
        logps_R = chosen_R - logits_RV.logsumexp(-1)
        cells = len(batch["lengths_C"])
        return logps_R.new_zeros(cells).index_add(0, batch["cell_M"], logps_R[batch["read_M"]])
