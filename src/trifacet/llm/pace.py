"""How fast requests may go. Invariant: over any minute no more goes than is allowed."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Pace:
    """At most so much a minute, evenly spread: a burst would be over the limit in the eyes of a sliding window."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0
        self._queue = asyncio.Lock()  # first come, first served
        self._corrected = asyncio.Event()

    async def wait(self, amount: float) -> None:
        """Until ``amount`` more may go."""
        clock = asyncio.get_running_loop().time
        async with self._queue:
            while (rest := self._free_at - clock()) > 0:
                self._corrected.clear()
                with suppress(TimeoutError):  # a correction may bring it forward
                    await asyncio.wait_for(self._corrected.wait(), rest)
            self._free_at = max(self._free_at, clock()) + amount * self._seconds_each

    def correct(self, amount: float) -> None:
        """So much more (or less) has gone than was said."""
        self._free_at += amount * self._seconds_each
        self._corrected.set()
