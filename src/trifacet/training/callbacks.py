"""What happens beside the steps of the training loop: epochs, times, the log, signals.

Invariant: no callback changes a number of the training.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState

from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar
from trifacet.training import ranks
from trifacet.training.examples import Examples

SAME_SIGNAL_SECONDS = 5.0  # a launcher hands on the Ctrl-C that its processes have had already


class EpochOfExamples(TrainerCallback):
    """Tells the examples which epoch it is, also in the rest of an epoch after a resumption."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.examples.set_epoch(int(state.epoch or 0))


class StepTime(TrainerCallback):
    """Notes the mean time of a step, data loading included, over the steps of this process.

    ``elsewhere`` are seconds that were spent between steps on something else.
    """

    def __init__(self) -> None:
        self.seconds = self.elsewhere = self._began = 0.0
        self._first = 0

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._began, self._first = time.monotonic(), state.global_step

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        spent = time.monotonic() - self._began - self.elsewhere
        self.seconds = spent / max(state.global_step - self._first, 1)


class LogFile(TrainerCallback):
    """Appends each line of the log to a JSONL file, the last step's among them.

    On resumption the lines after the checkpoint are dropped.

    ``said``: what was warned of at the start, which its first line has where there is anything.
    """

    def __init__(self, path: Path, said: Sequence[str] = ()) -> None:
        self.path, self.said = path, said

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if not ranks.is_first():
            return
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # a kill may have left the last line without its end
        kept = [line for line in lines if _step_of(line) <= state.global_step]
        write_atomically(self.path, "".join(f"{line}\n" for line in kept))

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= state.max_steps:  # of a short run it may be the only line but the first
            control.should_log = True

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if logs and "loss" in logs and ranks.is_first():  # the Trainer's closing summary is no step
            with self.path.open("a", encoding="utf-8") as file:
                told = {"warnings": list(self.said)} if self.said and not file.tell() else {}
                file.write(json.dumps({"step": state.global_step, **logs, **told}) + "\n")


def _step_of(line: str) -> float:
    """The step of a line of the log; a damaged line has none that is kept."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


class OneTrackedRun(TrainerCallback):
    """Ends W&B's run with the stage: transformers leaves it open, and the next stage would be logged into it."""

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if "wandb" in args.report_to:
            import wandb

            wandb.finish()


class StopOnSignal(TrainerCallback):
    """Ctrl-C or SIGTERM ends the run after the current step, with a checkpoint; a second one ends it at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._at = 0.0
        self._before: dict[int, Any] = {}

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: the caller's handling stays
                return

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self._at = number, time.monotonic()
            if ranks.count() == 1:
                self.restore()
        elif time.monotonic() - self._at > SAME_SIGNAL_SECONDS:
            self.restore()
            signal.raise_signal(number)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if ranks.any_of(self.received is not None) and self.received is None:
            self.received = signal.SIGTERM
        if self.received is not None and not control.should_training_stop:
            control.should_save = state.global_step < state.max_steps
            control.should_training_stop = True

    def interruption(self) -> KeyboardInterrupt:
        """What to raise for the signal that was received."""
        return KeyboardInterrupt("SIGTERM") if self.received == signal.SIGTERM else KeyboardInterrupt()

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()


class ShowProgress(TrainerCallback):
    """The bar of a training stage, with the latest loss."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.note = bar, ""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.update(state.global_step, state.max_steps, self.note)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.note = f"loss {logs['loss']:.3f} at step {state.global_step}"
