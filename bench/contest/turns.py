"""One process per contestant, which works when it is its turn and sleeps otherwise.

Invariant: never do two contestants work at once, and each figure of a contestant comes from its own process. A round
gives every contestant one reference pass (where it is made before training) and one step.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from contest.clock import REFERENCE, Clock, synchronised
from contest.contestants import CONTESTANTS, Contestant
from contest.inputs import Inputs
from contest.machine import Multiplication, forget_peak, give_back, peak_memory
from contest.sequences import cells_for, least_work, written_out

LEARNING_RATE = 1e-6
PEAK = "multiplication"  # the process that measures what the machine can do
ATTENTION, PRODUCTS, OTHER, BETWEEN = KERNELS = "attention", "products", "other", "between"
NAMED = {ATTENTION: ("attention", "flash", "fmha"), PRODUCTS: ("mm", "conv", "cutlass")}  # what names of kernels have


@dataclass(frozen=True)
class Turn:
    """Seconds per sample of one turn, the loss of its step, and the bytes that its process held at most until then.

    ``step`` is forward, backward and update without the reference and without making the batch.
    """

    data: float
    step: float
    reference: float
    loss: float
    peak_memory: int


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
    """A contestant with its optimizer, in its own process unless ``inside`` another's."""

    def __init__(self, name: str, inputs: Inputs, terms: int, *, inside: bool = False) -> None:
        self.inputs, self.device, self.inside = inputs, inputs.shape.device, inside
        start_memory = peak_memory(self.device)
        self.contestant: Contestant = CONTESTANTS[name].make(inputs, terms)
        indices = inputs.indices(0)
        logps = self.contestant.logps(indices)
        self.contestant.model.train()
        self.weights = [weight for weight in self.contestant.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
        self.in_reference = Clock(self.device)
        self.in_reference.watch_reference(self.contestant)
        need = self._need(indices)
        self.introduction = Introduction(
            logps,
            self.contestant.tokens(self.contestant.batch(indices)) / len(indices),
            need.distinct_tokens,
            need.total_tokens,
            need.flops,
            start_memory,
            self.contestant.online_reference,
        )
        self._give_back()
        forget_peak(self.device)  # loading is no part of a step

    def _give_back(self) -> None:
        """The next contestant needs the room; a toy leaves enough, and to look for what can go takes it longer."""
        if not self.inside:
            give_back(self.device)

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
        if not self.contestant.online_reference:
            self.contestant.reference(batch)
            reference = synchronised(self.device) - trained
        samples = self.inputs.shape.batch
        del batch
        self._give_back()
        return Turn(
            (made - began) / samples,
            (trained - warm - inside) / samples,
            reference / samples,
            loss,
            peak_memory(self.device),
        )

    def _step(self, batch: Any, clock: Clock | None = None) -> float:
        loss = self.contestant.gradients(batch)
        if clock is not None:
            clock.switch("update")
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def shares(self, number: int) -> dict[str, float]:
        """Seconds per sample of a step by region; with hooks, so it is no timing of the whole."""
        batch = self.contestant.batch(self.inputs.indices(number))
        clock = Clock(self.device)
        clock.watch_llava(self.contestant.model)
        clock.watch_reference(self.contestant)
        self.contestant.clock = clock
        clock.start()
        self._step(batch, clock)
        seconds = clock.stop()
        self.contestant.clock = None
        del batch
        self._give_back()
        return {region: value / self.inputs.shape.batch for region, value in seconds.items()}

    def kernels(self, number: int) -> dict[str, float]:
        """Seconds per sample of a step by kind of kernel, and between kernels, as PyTorch's profiler has it."""
        batch = self.contestant.batch(self.inputs.indices(number))
        with torch.profiler.profile() as profile:
            began = synchronised(self.device)
            self._step(batch)
            whole = synchronised(self.device) - began
        del batch
        self._give_back()
        seconds = dict.fromkeys(KERNELS, 0.0)
        for event in profile.key_averages():
            name = event.key.lower()
            kind = next((kind for kind, parts in NAMED.items() if any(part in name for part in parts)), OTHER)
            time = event.self_device_time_total if self.device == "cuda" else event.self_cpu_time_total
            seconds[kind] += time / 1e6
        seconds[BETWEEN] = max(whole - sum(seconds.values()), 0.0)
        return {kind: value / self.inputs.shape.batch for kind, value in seconds.items()}


class Sprinter:
    """Measures the machine's multiplication in its own process, in every round."""

    def __init__(self, inputs: Inputs, size: int | None = None) -> None:
        self.multiplication = Multiplication(inputs.shape.device, inputs.shape.arithmetic, size)
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

    def in_a_line(self) -> str:
        """What failed, and the last line that it said."""
        first, *others = str(self).strip().splitlines()
        return f"{first} {others[-1].strip()}" if others else first


class Process:
    """The parent's end of a contestant."""

    def __init__(self, name: str, inputs: Inputs, terms: int, threads: int) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there, name, inputs, terms, threads), daemon=True)
        self._process.start()
        there.close()

    def answer(self, until: float | None = None) -> Any:
        """What the process says next: its introduction, then the result of each call.

        Raises:
            FailedError: it failed, ended, or said nothing ``until`` then (as ``time.monotonic`` counts).
        """
        if until is not None and not self._here.poll(max(until - time.monotonic(), 0)):
            raise FailedError(f"{self.name}: no answer in the time that there was")
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

    def call(self, method: str, *arguments: Any, until: float | None = None) -> Any:
        """Wait for the answer: nobody else works meanwhile. Raises as ``answer`` does."""
        with suppress(ConnectionError):  # a process that is gone is reported below
            self._here.send((method, arguments))
        return self.answer(until)

    def end(self, *, patience: float = 10) -> None:
        """Let the process go; one that is busy for ``patience`` seconds more is ended."""
        if self._process.is_alive():
            with suppress(ConnectionError):
                self._here.send(None)
        self._process.join(timeout=patience)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(timeout=10)  # what it held is then free for those who go on


class Inside:
    """A contestant in this process, in the place of a ``Process``: at toy size, where its memory is not asked about."""

    def __init__(self, name: str, inputs: Inputs, terms: int, threads: int) -> None:
        self.name = name
        self._worker: Any = None
        self._make = lambda: Sprinter(inputs, 256) if name == PEAK else Worker(name, inputs, terms, inside=True)

    def answer(self, until: float | None = None) -> Any:
        """Its introduction. Raises FailedError."""
        self._worker = self._tried(self._make)
        return self._worker.introduction

    def call(self, method: str, *arguments: Any, until: float | None = None) -> Any:
        """What it answers. Raises FailedError."""
        return self._tried(lambda: getattr(self._worker, method)(*arguments))

    def _tried(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception:
            raise FailedError(f"{self.name} failed:\n{traceback.format_exc()}") from None

    def end(self, *, patience: float = 10) -> None:
        """Let it go."""
        self._worker = None


@contextmanager
def processes(
    names: list[str], inputs: Inputs, *, terms: int, threads: int, inside: bool = False
) -> Iterator[dict[str, Process | Inside]]:
    """A process per contestant and one that measures multiplication; they are ended with the block.

    ``inside``: no processes; all work in this one.
    """
    if not inside:
        os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS=str(threads))
    running: dict[str, Process | Inside] = {}
    try:
        for name in [*names, PEAK]:
            running[name] = (Inside if inside else Process)(name, inputs, terms, threads)
        yield running
    finally:
        for process in running.values():
            process.end()
