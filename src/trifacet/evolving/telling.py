"""What steps are doing right now, told to whoever shows it, whichever processes or machines do them.

Invariant: nothing depends on whether anybody listens. What other processes do stands in small files that they write
beside their part; these are gone when the part is, and lost with no harm.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing
from trifacet.base.opening import read_text
from trifacet.reports.words import duration

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
UNDERWAY = "underway"  # below a round's folder: what the parts that are being done are doing
_LONGEST = 10_000  # bytes of a note
_EVERY = 0.5  # seconds between two notes of a process, and between two looks at them


@dataclass(frozen=True)
class StepProgress:
    """How far the questions of a step have come, in the parts that are being done.

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
        if self.left:
            said += f", {duration(self.left)} left"
        return said


Show = Callable[[Sequence[StepProgress]], None]
_listening: list[Show] = []


@contextmanager
def listening(show: Show) -> Iterator[None]:
    """Have ``show`` told while the block runs: of all steps that are being done, in their order."""
    _listening.append(show)
    try:
        yield
    finally:
        _listening.remove(show)


def in_words(steps: Sequence[StepProgress]) -> str:
    """One line."""
    return "; ".join(map(str, steps))


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
            _tell([StepProgress(self.step, done, self.total, rate)])


def _tell(steps: Sequence[StepProgress]) -> None:
    for show in list(_listening):
        show(steps)


# --- other processes --------------------------------------------------------------------------------------------


@contextmanager
def noted(round_folder: Path, part: int) -> Iterator[None]:
    """Where nobody of this process listens, have what a part does noted for whoever has handed it out."""
    if _listening:
        yield
        return
    note = _Note(round_folder / UNDERWAY / f"{part:05d}.json")
    try:
        with listening(note):
            yield
    finally:
        with suppress(OSError):
            note.file.unlink(missing_ok=True)


@dataclass
class _Note:
    """The file that says what a part does; written at most every ``_EVERY`` seconds."""

    file: Path
    _last: tuple[float, str] = field(default=(0.0, ""), init=False)

    def __call__(self, steps: Sequence[StepProgress]) -> None:
        now, step = time.monotonic(), steps[-1]
        if self._last[1] == step.step and now - self._last[0] < _EVERY:
            return
        self._last = now, step.step
        # whoever works does not stop for want of a listener
        with suppress(TrifacetError), replacing(self.file, sync=False) as temporary:
            temporary.write_text(json.dumps(asdict(step)), encoding="utf-8")


@contextmanager
def underway(round_folder: Path) -> Iterator[None]:
    """While the block runs, tell those who listen here of what other processes note."""
    folder, over = round_folder / UNDERWAY, threading.Event()
    shutil.rmtree(folder, ignore_errors=True)  # of processes that were killed

    def look() -> None:
        while not over.wait(_EVERY):
            if steps := _noted(folder):
                _tell(steps)

    watcher = threading.Thread(target=look, daemon=True)
    if _listening:
        watcher.start()
    try:
        yield
    finally:
        over.set()
        if watcher.ident is not None:
            watcher.join()
        shutil.rmtree(folder, ignore_errors=True)


def _noted(folder: Path) -> list[StepProgress]:
    """What all parts do, those in the same step together."""
    found: dict[str, list[StepProgress]] = {}
    for file in sorted(folder.glob("*.json")):
        with suppress(TrifacetError, ValueError, TypeError):  # it is gone, or another program's
            one = StepProgress(**json.loads(read_text(file, _LONGEST)))
            found.setdefault(one.step, []).append(one)
    together = []
    for step, some in found.items():
        rate = sum(one.rate or 0.0 for one in some)
        together.append(StepProgress(step, sum(one.done for one in some), sum(one.total for one in some), rate or None))
    order = list(ROLES)
    return sorted(together, key=lambda one: order.index(one.step) if one.step in order else len(order))
