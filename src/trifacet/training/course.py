"""The way of a training through the phases of a curriculum: passes, their steps, their batches in order.

Invariant: no batch and no optimizer step has samples of two passes, so none has samples of two phases: a pass ends with
a smaller batch, and a step of fewer forwards, where its samples run out, as an epoch does without a curriculum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import BatchSampler, Sampler

from trifacet.training.batches import Groups
from trifacet.training.curriculum import Phase


@dataclass(frozen=True)
class Pass:
    """One way through a phase's samples; the last one of a phase may end early.

    ``phase`` counts from 0; ``first`` and ``steps`` are optimizer steps, ``forwards`` batches of all processes.
    """

    phase: int
    first: int
    steps: int
    forwards: int


class Course:
    """All passes of a training, one after the other.

    Args:
        phases: who is trained on when.
        batch_size: samples of a forward.
        forwards: of an optimizer step, over all processes.
        seed: of the order within a pass.
        groups: who shares a batch with whom (None: drawn anew in each pass).
    """

    def __init__(
        self, phases: Sequence[Phase], *, batch_size: int, forwards: int, seed: int, groups: Groups | None = None
    ) -> None:
        self.phases, self.batch_size, self.forwards, self.seed = phases, batch_size, forwards, seed
        self.groups = groups
        self.passes: list[Pass] = []
        self.first: list[int] = []  # the step with which each phase begins, from 0
        step = 0
        for number in range(len(phases)):
            self.first.append(step)
            batches = len(self.kept_batches(number))
            whole = math.ceil(batches / forwards)
            left = math.ceil(phases[number].epochs * whole)
            while left:
                steps = min(left, whole)
                self.passes.append(Pass(number, step, steps, min(batches, steps * forwards)))
                step, left = step + steps, left - steps
        self.steps = step

    def phase_steps(self, phase: int) -> int:
        """The optimizer steps of a phase."""
        return sum(one.steps for one in self.passes if one.phase == phase)

    def place(self, step: int) -> tuple[int, int]:
        """The pass in which a training is that has done so many steps, and how many of them were that pass's."""
        at = next((at for at, one in enumerate(self.passes) if step < one.first + one.steps), len(self.passes))
        return at, step - self.passes[at].first if at < len(self.passes) else 0

    def kept_batches(self, phase: int) -> list[list[int]]:
        """The phase's samples in batches, in the data's order or as they are grouped, as they are scored."""
        if self.groups is not None:
            return [group for part in self._grouped(phase) for group in part]
        members = self.phases[phase].members
        return [members[at : at + self.batch_size] for at in range(0, len(members), self.batch_size)]

    def batches(self, number: int) -> list[list[int]]:
        """The batches of a pass, in the order of its training: drawn by (seed, number of the pass) alone."""
        one = self.passes[number]
        draws = torch.Generator().manual_seed(self.seed + number)
        if self.groups is None:
            members = self.phases[one.phase].members
            order = [members[place] for place in torch.randperm(len(members), generator=draws).tolist()]
            found = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        else:  # the last group of each part may be small, and stays behind the others
            parts = self._grouped(one.phase)
            whole = [group for part in parts for group in part[:-1]]
            places = torch.randperm(len(whole), generator=draws).tolist()
            found = [*(whole[place] for place in places), *(part[-1] for part in parts)]
        return found[: one.forwards]

    def _grouped(self, phase: int) -> list[list[list[int]]]:
        """The batches' members, part by part."""
        assert self.groups is not None
        wanted = [set(part) for part in self.phases[phase].parts]
        return [[group for group in self.groups.members if group[0] in part] for part in wanted]


class _Order(Sampler[int]):
    """Which pass it is; accelerate's loaders tell their sampler the epoch."""

    def __init__(self, course: Course) -> None:
        self.course, self.epoch = course, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def batches(self) -> list[list[int]]:
        return self.course.batches(min(self.epoch, len(self.course.passes) - 1))

    def __len__(self) -> int:
        return sum(map(len, self.batches()))

    def __iter__(self) -> Iterator[int]:
        for batch in self.batches():
            yield from batch


class PassBatches(BatchSampler):
    """The batches of a course's passes; the loop's epochs are the passes."""

    def __init__(self, course: Course) -> None:
        self.sampler: _Order = _Order(course)
        self.batch_size, self.drop_last = course.batch_size, False

    def __len__(self) -> int:
        return len(self.sampler.batches())

    def __iter__(self) -> Iterator[list[int]]:
        yield from self.sampler.batches()
