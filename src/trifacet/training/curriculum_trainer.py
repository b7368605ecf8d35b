"""The training loop over the phases of a curriculum: one training, whose epochs are the passes of a course.

Invariant: what a phase begins with follows from the step at which it begins, so that a training that was stopped takes
the same way: with the curriculum of one group and nothing renewed, that of ``LatticeTrainer``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import BatchSampler
from transformers import TrainingArguments
from transformers.optimization import get_scheduler
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from trifacet.base.errors import TrifacetError
from trifacet.training import ranks
from trifacet.training.course import Course, PassBatches
from trifacet.training.phase_reference import PhaseReference
from trifacet.training.planning import Planned
from trifacet.training.trainer import LatticeTrainer


class CurriculumTrainer(LatticeTrainer):
    """A ``LatticeTrainer`` over a course; ``previous`` makes the model of a phase's first step its reference."""

    def __init__(
        self, *arguments: Any, planned: Planned, previous: PhaseReference | None = None, **options: Any
    ) -> None:
        self.course: Course = planned.course
        self.curriculum = planned.curriculum
        self.previous = previous
        super().__init__(*arguments, **options)
        if self.sharding != "none" and previous is not None:
            raise TrifacetError(
                "curriculum.reference: previous needs the whole weights on each process, and these are sharded; "
                "set fixed, or launch without sharding"
            )
        renews = (self.curriculum.optimizer, self.curriculum.schedule) != ("keep", "continue")
        if self.sharding == "deepspeed" and renews:
            raise TrifacetError(
                "curriculum: DeepSpeed keeps optimizer and schedule to itself; set optimizer: keep and schedule: "
                "continue, or launch without it"
            )

    def _own_batches(self) -> BatchSampler | None:
        return PassBatches(self.course)

    def _forwards_left(self, of_step: int) -> int:
        number, done = self.course.place(self.state.global_step)
        return self.course.passes[number].forwards - done * of_step

    @property
    def samples_in_order(self) -> list[str]:
        """The ids, phase by phase: other difficulties are another training."""
        ids = super().samples_in_order
        phases = enumerate(self.course.phases, start=1)
        return [f"{number} {ids[index]}" for number, phase in phases for index in phase.members]

    def set_initial_training_values(self, args: TrainingArguments, dataloader: Any) -> Any:
        """Transformers' own, with the course's passes and steps for epochs and the most steps."""
        _, per_epoch, examples, _, of_step, in_epoch, _ = super().set_initial_training_values(args, dataloader)
        course = self.course
        samples = sum(one.steps for one in course.passes) * of_step
        return len(course.passes), per_epoch, examples, samples, of_step, in_epoch, course.steps

    def _init_training_state(self, *arguments: Any, **options: Any) -> tuple[int, int]:
        super()._init_training_state(*arguments, **options)
        number, steps = self.course.place(self.state.global_step)
        return number, steps * self.args.gradient_accumulation_steps

    def _run_epoch(self, *, epoch: int, resume_from_checkpoint: str | None, **options: Any) -> None:
        """One pass, with its own number of steps; before the first of a phase what the phase renews."""
        one = self.course.passes[epoch]
        self._begin(one.phase)
        forwards = -(-one.forwards // ranks.count())
        options |= {"steps_in_epoch": forwards, "num_update_steps_per_epoch": one.steps}
        super()._run_epoch(epoch=epoch, resume_from_checkpoint=resume_from_checkpoint, **options)

    def _begin(self, phase: int) -> None:
        """What the pass that is about to begin, or to go on, needs of its phase."""
        fresh = self.state.global_step == self.course.first[phase]
        if phase and fresh and self.curriculum.optimizer == "reset":
            self.optimizer.state.clear()
        if self.previous is not None and phase:
            kept = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            if fresh and not ranks.first_does(kept.is_dir):
                self.save_progress()  # a pass over the phase's samples may follow
            digest = None if fresh else self.notes["reference"]  # of a training that goes on in the middle of a phase
            made = self.previous.begin(self.accelerator.unwrap_model(self.model), phase, digest)
            if made is not None:
                self.notes["reference"], online = made
                self.reference_scorer = online or self.reference_scorer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The stage's schedule over all phases, or once in each."""
        if self.curriculum.schedule == "restart" and getattr(self, "lr_scheduler", None) is None:
            factors = [self._factor(self.course.phase_steps(phase)) for phase in range(len(self.course.phases))]
            first = self.course.first

            def factor(step: int) -> float:
                phase = max(number for number, begins in enumerate(first) if begins <= step)
                return factors[phase](step - first[phase])

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
            self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    def _factor(self, steps: int) -> Callable[[int], float]:
        """The learning rate as a share of the peak, by the step within a phase."""
        stand_in = SGD([torch.zeros(1)], lr=self.args.learning_rate)
        warm_up = self.args.get_warmup_steps(steps)
        made = get_scheduler(self.args.lr_scheduler_type, stand_in, warm_up, steps)
        found: Callable[[int], float] = made.lr_lambdas[0]
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the number of the phase to a line of the log."""
        if "loss" in logs:
            number, _ = self.course.place(max(self.state.global_step - 1, 0))
            logs["phase"] = self.course.passes[number].phase + 1
        super().log(logs, start_time)
