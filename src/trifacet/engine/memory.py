"""How many layers must be made again in the backward pass, so that a training stays within a size.

Invariant: what is chosen changes no number, only what is kept between the passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trifacet.engine.scoring import Batch, TrieScorer

SPARE = 1.1  # of what is computed: an allocator's holes, and workspaces of libraries


class Alive(TorchDispatchMode):
    """Counts the tensors that are made within the block and not let go."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor):
                storage = one.untyped_storage()
                if storage._cdata not in self._held:
                    self._held[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        return made

    @property
    def bytes(self) -> int:
        """Of what is there now."""
        return sum(size for held, size in self._held.values() if not held.expired())


@dataclass(frozen=True)
class Need:
    """Bytes that a step takes beside what is in memory before the first one.

    Args:
        least: with every layer that can be made again made again.
        layer: what one layer more keeps.
        layers: how many can be made again.
    """

    least: int
    layer: int
    layers: int

    def with_kept(self, kept: int) -> int:
        """With so many layers kept."""
        return int(SPARE * (self.least + kept * self.layer))

    def most_kept(self, room: int) -> int | None:
        """How many layers can be kept within ``room``; None where it is too little for none."""
        return next((kept for kept in range(self.layers, -1, -1) if self.with_kept(kept) <= room), None)


def need(scorer: TrieScorer, batch: Batch) -> Need:
    """What a step on ``batch`` takes: gradients and two moments of what trains, and what the forward keeps.

    Two forwards say so, one with all layers made again and one with the first of them kept; no backward is run.
    """
    layers = scorer.can_be_made_again
    before = scorer.made_again
    try:
        least, kept = (_kept_by(scorer, batch, layers[first:]) for first in (0, 1))
    finally:
        scorer.made_again = before
    layer = max(kept - least, 0)
    weights = sum(
        weight.numel() * (weight.element_size() + 8) for weight in scorer.parameters() if weight.requires_grad
    )
    return Need(weights + least + layer, layer, len(layers))  # one layer's inside is there while it is made again


def _kept_by(scorer: TrieScorer, batch: Batch, made_again: Sequence[nn.Module]) -> int:
    scorer.made_again = list(made_again)
    with Alive() as alive:
        logps_C = scorer(batch)
        size = alive.bytes
    del logps_C
    return size
