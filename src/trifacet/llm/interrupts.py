"""Running what asks until it is told to stop.

Invariant: Ctrl-C and SIGTERM are one thing: nothing new is asked, and answers under way, which will be paid for, are
awaited as long as their models' ``timeout`` at most. A second signal ends that at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


def run_until_kept(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in an event loop of its own, and cancel it at the first signal.

    Raises:
        KeyboardInterrupt: there was a signal; SIGTERM is its argument.
    """
    received: list[int] = []
    running: list[asyncio.Task[Any]] = []
    before: dict[int, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore()  # a second one is for whoever had them
        if running:
            _LOG.warning("note: stopping when the answers under way are kept; the same again stops at once")
            running[0].get_loop().call_soon_threadsafe(running[0].cancel)

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    async def watched() -> T:
        task = asyncio.current_task()
        assert task
        running.append(task)
        if received:
            task.cancel()
        return await work

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:  # as nohup leaves it
            continue
        try:
            before[number] = signal.signal(number, stop)
        except ValueError:  # not the main thread: the caller's handling stays
            break
    try:
        result = asyncio.run(watched())
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        restore()
    if received:
        raise KeyboardInterrupt("SIGTERM") if received[0] == signal.SIGTERM else KeyboardInterrupt()
    return result
