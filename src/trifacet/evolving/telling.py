"""What a step is doing right now, told to whoever shows it. Invariant: nothing depends on whether anybody listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ROLES = {
    "normal": "generator",
    "contrastive": "generator",
    "continued": "generator",
    "feedback": "reviser",
    "revised": "reviser",
    "verdicts": "verifier",
    "gate": "verifier",
}
"""Who is asked in a step, by the folder that its texts are kept in."""


@dataclass(frozen=True)
class StepProgress:
    """How far the questions of a step have come.

    Attributes:
        step: its name.
        done: texts that are there, those of earlier sittings too.
        total: texts in all.
        rate: texts a second in this sitting; None before the first.
    """

    step: str
    done: int
    total: int
    rate: float | None

    @property
    def left(self) -> float | None:
        """Seconds until the step is done, at this rate."""
        return (self.total - self.done) / self.rate if self.rate else None

    def __str__(self) -> str:
        role = ROLES.get(self.step)
        said = f"{role}: {self.step}" if role else self.step
        said += f" {self.done:,}/{self.total:,}"
        if self.rate:
            said += f", {self.rate:.{0 if self.rate >= 10 else 1}f}/s"
        return said


_listening: list[Callable[[StepProgress], None]] = []


@contextmanager
def listening(show: Callable[[StepProgress], None]) -> Iterator[None]:
    """Have ``show`` told while the block runs."""
    _listening.append(show)
    try:
        yield
    finally:
        _listening.remove(show)


class Telling:
    """Tells of one step.

    Args:
        step: its name.
        done: texts that are there already.
        total: texts in all.
    """

    def __init__(self, step: str, done: int, total: int) -> None:
        self.step, self.before, self.total = step, done, total
        self._began = time.monotonic()
        self(done)

    def __call__(self, done: int) -> None:
        """So many are there."""
        if _listening:
            seconds = time.monotonic() - self._began
            rate = (done - self.before) / seconds if done > self.before and seconds > 0 else None
            for show in _listening:
                show(StepProgress(self.step, done, self.total, rate))
