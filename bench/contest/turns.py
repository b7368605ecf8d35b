"""One process per contestant, which works when it is its turn and sleeps otherwise.

Invariant: never do two contestants work at once, and each figure of a contestant comes from its own process. A round
gives every contestant one reference pass (where it is made before training) and one step.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from contest.clock import REFERENCE, Clock, synchronised
from contest.contestants import CONTESTANTS, Contestant
from contest.inputs import Inputs
from contest.machine import Multiplication, give_back, peak_memory
from contest.sequences import cells_for, least_work, written_out

LEARNING_RATE = 1e-6
PEAK = "multiplication"  # the process that measures what the machine can do


@dataclass(frozen=True)
class Turn:
    """Seconds per sample of one turn, and the loss of its step.

    ``step`` is forward, backward and update without the reference and without making the batch.
    """

    data: float
    step: float
    reference: float
    loss: float


@dataclass(frozen=True)
class Introduction:
    """What a contestant says of itself before the first turn; tokens and FLOPs are per sample."""

    logps: dict[str, float]
    unique_tokens: float
    distinct_tokens: float
    total_tokens: float
    needed_flops: float
    start_memory: int
    online_reference: bool


class Worker:
    """A contestant with its optimizer, in its own process."""

    def __init__(self, name: str, inputs: Inputs, terms: int) -> None:
        self.inputs, self.device = inputs, inputs.shape.device
        start_memory = peak_memory(self.device)
        self.contestant: Contestant = CONTESTANTS[name].make(inputs, terms)
        indices = inputs.indices(0)
        logps = self.contestant.logps(indices)
        self.contestant.model.train()
        self.weights = [weight for weight in self.contestant.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
        self.in_reference = Clock(self.device)
        if self.contestant.reference_model is not None:
            self.in_reference.watch(self.contestant.reference_model, REFERENCE)
        need = self._need(indices)
        self.introduction = Introduction(
            logps,
            self.contestant.tokens(self.contestant.batch(indices)) / len(indices),
            need.distinct_tokens,
            need.total_tokens,
            need.flops,
            start_memory,
            self.contestant.reference_model is not None,
        )

    def _need(self, indices: list[int]) -> Any:
        from transformers import AutoProcessor

        processor, objective = AutoProcessor.from_pretrained(self.inputs.folder), self.contestant.objective
        samples = [self.inputs.samples[index] for index in indices]
        sequences = [
            written_out(processor, sample, cell) for sample in samples for cell in cells_for(objective, sample)
        ]
        return least_work(self.contestant.model, processor, sequences, len(samples))

    def turn(self, number: int) -> Turn:
        """Batch ``number``: made, trained on, and scored by the reference where that is no part of the step."""
        began = synchronised(self.device)
        batch = self.contestant.batch(self.inputs.indices(number))
        made = synchronised(self.device)
        self.contestant.gradients(batch)  # gets its memory from the system, as only the first step of a run must
        self.optimizer.zero_grad()
        warm = synchronised(self.device)
        self.in_reference.seconds.clear()
        self.in_reference.start()
        loss = self._step(batch)
        trained = synchronised(self.device)
        inside = self.in_reference.seconds[REFERENCE]
        reference = inside
        if self.contestant.reference_model is None:
            self.contestant.reference(batch)
            reference = synchronised(self.device) - trained
        samples = self.inputs.shape.batch
        del batch
        give_back(self.device)  # the next contestant needs the room
        return Turn((made - began) / samples, (trained - warm - inside) / samples, reference / samples, loss)

    def _step(self, batch: Any, clock: Clock | None = None) -> float:
        loss = self.contestant.gradients(batch)
        if clock is not None:
            clock.switch("update")
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def memory(self) -> int:
        """Bytes at most so far."""
        return peak_memory(self.device)

    def shares(self, number: int) -> dict[str, float]:
        """Seconds per sample of a step by region; with hooks, so it is no timing of the whole."""
        batch = self.contestant.batch(self.inputs.indices(number))
        clock = Clock(self.device)
        clock.watch_llava(self.contestant.model)
        if self.contestant.reference_model is not None:
            clock.watch(self.contestant.reference_model, REFERENCE)
        self.contestant.clock = clock
        clock.start()
        self._step(batch, clock)
        seconds = clock.stop()
        self.contestant.clock = None
        del batch
        give_back(self.device)
        return {region: value / self.inputs.shape.batch for region, value in seconds.items()}


class Sprinter:
    """Measures the machine's multiplication in its own process, in every round."""

    def __init__(self, inputs: Inputs) -> None:
        self.multiplication = Multiplication(inputs.shape.device, inputs.shape.dtype)
        self.introduction = None

    def turn(self, number: int) -> float:
        """FLOPs per second, the best of this turn."""
        return self.multiplication.best_of(8)


def _work(connection: Connection, name: str, inputs: Inputs, terms: int, threads: int) -> None:
    """The life of a process: introduce itself, then answer calls until there are no more."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(threads)
    try:
        worker: Any = Sprinter(inputs) if name == PEAK else Worker(name, inputs, terms)
        connection.send((True, worker.introduction))
        while (call := connection.recv()) is not None:
            method, arguments = call
            connection.send((True, getattr(worker, method)(*arguments)))
    except (EOFError, KeyboardInterrupt):
        return
    except Exception:
        connection.send((False, traceback.format_exc()))


class FailedError(Exception):
    """A contestant's process failed or was killed."""


class Process:
    """The parent's end of a contestant."""

    def __init__(self, name: str, inputs: Inputs, terms: int, threads: int) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there, name, inputs, terms, threads), daemon=True)
        self._process.start()
        there.close()

    def answer(self) -> Any:
        """What the process says next: its introduction, then the result of each call."""
        try:
            good, value = self._here.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            hint = "; the machine had too little memory" if code == -9 else ""
            raise FailedError(f"{self.name}: its process ended (exit code {code}){hint}") from None
        if not good:
            raise FailedError(f"{self.name} failed:\n{value}")
        return value

    def call(self, method: str, *arguments: Any) -> Any:
        """Wait for the answer: nobody else works meanwhile."""
        with suppress(ConnectionError):  # a process that is gone is reported below
            self._here.send((method, arguments))
        return self.answer()

    def end(self) -> None:
        """Let the process go."""
        if self._process.is_alive():
            with suppress(ConnectionError):
                self._here.send(None)
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()


@contextmanager
def processes(names: list[str], inputs: Inputs, *, terms: int, threads: int) -> Iterator[dict[str, Process]]:
    """A process per contestant and one that measures multiplication; they are ended with the block."""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS=str(threads))
    running: dict[str, Process] = {}
    try:
        for name in [*names, PEAK]:
            running[name] = Process(name, inputs, terms, threads)
        yield running
    finally:
        for process in running.values():
            process.end()
