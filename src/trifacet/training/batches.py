"""What a batch brings to the loss, and batches whose members lend each other images and contexts.

A trie over such a batch holds each image and context only once. Invariant: who is with whom depends on (number of
samples, batch size, seed) alone, so reference scores can be cached; the order of the groups changes by epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Sampler

from trifacet.base.draws import generator
from trifacet.base.tensors import OfTensors
from trifacet.preferences.losses import Plan


@dataclass(eq=False)
class LossInputs(OfTensors):
    """What the loss needs of a batch besides the scores of its cells."""

    plan: Plan
    indices: list[int]  # of the samples, for messages
    cut: list[int]  # those whose post was cut
    reference_logps_C: Tensor | None = None  # where they are cached
    weight: float = 1.0  # of the batch among those of its step


class Groups:
    """The samples in groups of ``size``; the last one holds what is left over.

    ``parts``: samples of different parts share no group, and each part has a last one (None: all are of one).
    """

    def __init__(self, samples: int, size: int, seed: int, parts: Sequence[Sequence[int]] | None = None) -> None:
        self.size, self.parts = size, parts
        self.members: list[list[int]] = []
        for part in parts or [range(samples)]:
            order = [part[place] for place in generator("groups", seed).permutation(len(part)).tolist()]
            self.members += [order[at : at + size] for at in range(0, len(order), size)]
        self._place = {
            index: (number, at) for number, group in enumerate(self.members) for at, index in enumerate(group)
        }

    def from_here(self, index: int) -> list[int]:
        """The group of a sample in its cycle, beginning with the sample itself."""
        number, at = self._place[index]
        group = self.members[number]
        return group[at:] + group[:at]


class GroupSampler(Sampler[int]):
    """Group after group, in a new order each epoch; the smaller one stays last, or batches would straddle groups."""

    def __init__(self, groups: Groups, seed: int) -> None:
        self.groups, self.seed, self.epoch = groups, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """The loop's notice of a new epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(map(len, self.groups.members))

    def __iter__(self) -> Iterator[int]:
        *whole, last = self.groups.members
        order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(self.seed + self.epoch))
        for number in order.tolist():
            yield from whole[number]
        yield from last
