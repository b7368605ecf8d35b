"""What the processes that read images ahead do about signals, and how their errors arrive.

Invariant: a signal to all processes of a run, as schedulers send it, ends the main one in its own time: its workers
live until it has finished the step, and it ends them by their queues as always.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from trifacet.base.errors import TrifacetError

GRACE_SECONDS = 60  # so long a worker outlives SIGTERM; the main process takes it with it when it ends before


class OutliveSignal:
    """A ``worker_init_fn``; ``also`` is one that is called besides."""

    def __init__(self, also: Callable[[int], Any] | None = None) -> None:
        self.also = also

    def __call__(self, worker: int) -> None:
        signal.signal(signal.SIGTERM, _end_later)
        if self.also is not None:
            self.also(worker)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE_SECONDS)


def sound(batch: Any) -> Any:
    """``batch``; raises the error that came in its place: its row, field and cure as they were raised in a worker."""
    if isinstance(batch, TrifacetError):
        raise batch
    return batch
