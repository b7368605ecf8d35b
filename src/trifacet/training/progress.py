"""The progress of a training stage. Invariant: what is shown is the trainer's own count."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from trifacet.progress import Bar, console

__all__ = ["Bar", "ShowProgress", "console"]


class ShowProgress(TrainerCallback):
    """The bar of a training stage, with the latest loss."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.note = bar, ""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.bar.update(state.global_step, state.max_steps, self.note)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.note = f"loss {logs['loss']:.3f}"
