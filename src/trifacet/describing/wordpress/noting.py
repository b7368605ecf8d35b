"""What a queue says of a plan, and what it notes once texts stand on the site.

Invariant: only a text that is still decided as the plan has it goes to the site; of a plan whose suggestions a queue
does not know it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from trifacet.describing.queue import Queue
from trifacet.describing.wordpress.plan import Update
from trifacet.describing.wordpress.putting import Result

_STANDING = ("accepted", "edited", "applied")


class Noting:
    """One queue, or none."""

    def __init__(self, queue: Queue | None, who: str) -> None:
        self._queue, self._who = queue, who
        self._known = {one.id: one for one in queue.suggestions()} if queue else {}

    def allowed(self, update: Update) -> str:
        """Why an update is not to be made by now; "" where it is."""
        for text in update.texts:
            one = self._known.get(text.suggestion)
            if one is None:
                continue
            if one.state not in _STANDING or one.text.split() != text.alt.split():
                return f"the queue has another decision by now ({one.state}); make the plan anew"
        return ""

    def applied(self, results: Sequence[Result]) -> None:
        """Note what stands on the site, and what is stale."""
        if self._queue is not None:
            self._queue.mark_applied(self._of(results, "applied", "unchanged"), self._who, "on the site")
            stale = self._of(results, "changed")
            self._queue.mark_stale(stale, self._who, "its post changed on the site since")

    def undone(self, results: Sequence[Result]) -> None:
        """What was taken off the site is accepted or edited again, as it was before."""
        if self._queue is not None:
            again = self._of(results, "undone", "unchanged")
            for one in self._queue.suggestions(states=("applied",)):
                if one.id in again:
                    self._queue.undo(one.id, self._who, one.event)

    def _of(self, results: Sequence[Result], *told: str) -> list[str]:
        return [name for one in results if one.told in told for name in one.suggestions if name in self._known]
