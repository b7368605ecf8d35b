"""Batches whose members lend each other images and contexts, so that one trie over the batch holds each only once.

Invariant: who is with whom depends on (number of samples, batch size, seed) alone, so reference scores can be cached;
what changes from epoch to epoch is the order of the groups.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from trifacet.base.draws import generator


class Groups:
    """The samples in groups of ``size``; the last one holds what is left over."""

    def __init__(self, samples: int, size: int, seed: int) -> None:
        order = generator("groups", seed).permutation(samples).tolist()
        self.size = size
        self.members: list[list[int]] = [order[at : at + size] for at in range(0, samples, size)]
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
