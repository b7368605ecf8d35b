"""Parts one after another within a budget of time, each in a process of its own where that protects the others.

Invariant: whatever a part does (fail, hang, be killed, break the card's context), the next one begins in time with
the device's memory free, and what the part had found until then is kept.

Nothing heavy is imported here, so that a part's process begins at once.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

Tell = Callable[..., None]


@dataclass(frozen=True)
class Setting:
    """How all parts are run.

    ``small``: at toy size. ``rounds``: timed turns of each. ``threads``: of each process on the CPU.
    """

    device: str = "cuda"
    small: bool = False
    rounds: int = 3
    threads: int = 4


@dataclass(frozen=True)
class Part:
    """One part: ``work(setting, tell, until)`` hands figures to ``tell`` as it finds them.

    ``tell(rows=[...])`` adds to a list, any other value replaces. ``until`` is the end of its time as
    ``time.monotonic`` counts. ``least``: seconds without which it is not begun; ``most``: seconds that it gets at most.
    ``apart``: in a process of its own.
    """

    name: str
    about: str
    work: Callable[[Setting, Tell, float], None]
    least: float
    most: float
    apart: bool = True

    def at_once(self) -> Part:
        """The part as a toy: it needs no time to speak of."""
        return replace(self, least=0.1)


@dataclass
class Found:
    """What a part has told so far."""

    figures: dict[str, Any] = field(default_factory=dict)

    def tell(self, **figures: Any) -> None:
        """Keep figures; lists grow."""
        for key, value in figures.items():
            if isinstance(value, list):
                self.figures.setdefault(key, []).extend(value)
            else:
                self.figures[key] = value


def run_parts(
    parts: Sequence[Part],
    setting: Setting,
    seconds: float,
    *,
    apart: bool = True,
    done: Callable[[dict[str, dict[str, Any]]], None] = lambda found: None,
) -> dict[str, dict[str, Any]]:
    """Run the parts in their order; the figures of each by its name.

    A part gets what later ones do not need at the least, up to its ``most``. Where there is too little time it is left
    out, and ``left_out`` says so; ``failed`` and ``stopped`` say how one ended that did not come through.

    Args:
        parts: what to run, the most important first.
        setting: handed on.
        seconds: for all.
        apart: whether parts that ask for it get a process of their own.
        done: is given all figures after each part.
    """
    end = time.monotonic() + seconds
    found: dict[str, dict[str, Any]] = {}
    for number, part in enumerate(parts):
        began = time.monotonic()
        left = end - began
        spare = left - sum(later.least for later in parts[number + 1 :])
        if left < part.least:
            found[part.name] = {"left_out": f"{max(left, 0):.0f} s were left, and it needs {part.least:.0f} s"}
        else:
            until = began + min(part.most, max(spare, part.least))
            print(f"{part.name}: {part.about}; {until - began:.0f} s at most", file=sys.stderr, flush=True)
            run = _apart if apart and part.apart else _here
            found[part.name] = {**run(part.work, setting, until), "seconds": time.monotonic() - began}
        for word in ("left_out", "failed", "stopped"):
            if word in found[part.name]:
                print(f"{part.name}: {word.replace('_', ' ')}: {found[part.name][word]}", file=sys.stderr, flush=True)
        done(found)
    return found


def _here(work: Callable[[Setting, Tell, float], None], setting: Setting, until: float) -> dict[str, Any]:
    found = Found()
    try:
        work(setting, found.tell, until)
    except Exception as error:
        traceback.print_exc()
        found.tell(failed=_in_a_line(error))
    return found.figures


def _apart(work: Callable[[Setting, Tell, float], None], setting: Setting, until: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, work, setting, until))
    process.start()
    there.close()
    found = Found()
    try:
        while here.poll(max(until - time.monotonic(), 0)):
            found.tell(**here.recv())
        found.tell(stopped="its time was up; what it had found is here")
    except EOFError:  # it said all that it had to say
        process.join()
        if process.exitcode and "failed" not in found.figures:
            found.tell(failed=f"its process ended with exit code {process.exitcode}")
    finally:
        if process.is_alive():
            process.kill()
        process.join()
    return found.figures


def _work(connection: Connection, work: Callable[[Setting, Tell, float], None], setting: Setting, until: float) -> None:
    """The life of a part's process."""

    def tell(**figures: Any) -> None:
        connection.send(figures)

    try:
        work(setting, tell, until)
    except Exception as error:
        traceback.print_exc()
        tell(failed=_in_a_line(error))
    finally:
        connection.close()


def _in_a_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
