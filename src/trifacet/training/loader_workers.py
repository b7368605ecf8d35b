"""What the processes that read images ahead do about signals, and how their errors arrive.

Invariant: a signal to all processes of a run, as schedulers send it, ends the main one in its own time: its workers
live until it has finished the step, and it ends them by their queues as always.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from trifacet.base.errors import TrifacetError

GRACE_SECONDS = 60  # so long a worker outlives SIGTERM; the main process takes it with it when it ends before


class OutliveSignal:
    """A ``worker_init_fn``; ``also`` is one that is called besides."""

    def __init__(self, also: Callable[[int], Any] | None = None) -> None:
        self.also = also

    def __call__(self, worker: int) -> None:
        signal.signal(signal.SIGTERM, _end_later)
        sys.excepthook = _told  # by which the thread that hands tensors over tells what it trips over
        if self.also is not None:
            self.also(worker)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.alarm(GRACE_SECONDS)


def _told(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Nothing of a connection that the main process did not end, since it was interrupted: it says so itself."""
    if not issubclass(kind, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, traceback)


def sound(batch: Any) -> Any:
    """``batch``; raises the error that came in its place: its row, field and cure as they were raised in a worker."""
    if isinstance(batch, TrifacetError):
        raise batch
    return batch
