"""What a person has before them: one suggestion, those before and behind it, and what becomes of it.

Invariant: a decision names the event that its person had seen; where somebody else's came between nothing is stored,
and one that is sent twice is stored once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from trifacet.base.errors import TrifacetError
from trifacet.describing.queue import LONGEST_TEXT, OPEN, ChangedSinceError, Event, Queue, QueueState, Suggestion
from trifacet.describing.reviewing.filters import Filters
from trifacet.describing.reviewing.view import plain
from trifacet.lint import lint_text
from trifacet.lint.check import LintFinding
from trifacet.lint.rule import PLATFORMS
from trifacet.lint.rules import RULES

Action = Literal["accept", "suggestion", "empty", "refuse", "reopen"]
ACTIONS: tuple[Action, ...] = get_args(Action)
_BRIEF = ("functional", "lettering", "group")  # roles for which one word may do
_LINTED = frozenset(rule.name for rule in RULES)


class RefusedError(TrifacetError):
    """A decision that cannot be one, said to whoever made it."""


@dataclass(frozen=True)
class Standing:
    """Where a suggestion stands among those that fit: its number from 1 (None: it fits no more), and its neighbours."""

    number: int | None
    count: int
    previous: Suggestion | None
    next: Suggestion | None


class Desk:
    """The suggestions of a queue. Threads may share it.

    Args:
        queue: opened for writing.
        platform, max_chars: whose limits texts are checked by.
    """

    def __init__(self, queue: Queue, *, platform: str | None = None, max_chars: int | None = None) -> None:
        self.queue, self.platform, self.max_chars = queue, platform, max_chars
        self._known: dict[str, Suggestion] = {}
        self._order: list[Suggestion] = []
        self._seen = 0
        self._lock = threading.Lock()

    def all(self) -> list[Suggestion]:
        """All suggestions as they stand, in the order of documents and lines; what did not change is not read anew."""
        with self._lock:
            if changed := self.queue.suggestions(since=self._seen):
                self._known |= {one.id: one for one in changed}
                self._seen = max(self._seen, *(one.event for one in changed))
                self._order = sorted(self._known.values(), key=_place)
            return self._order

    def find(self, name: str) -> Suggestion | None:
        """One by its id; None where there is none."""
        self.all()
        return self._known.get(name)

    def fitting(self, filters: Filters) -> list[Suggestion]:
        """Those that fit."""
        return [one for one in self.all() if filters.fits(one)]

    def standing(self, one: Suggestion, filters: Filters) -> Standing:
        """Where it stands among those that fit."""
        found = self.fitting(filters)
        here = _place(one)
        number = next((at for at, other in enumerate(found, start=1) if other.id == one.id), None)
        before = [other for other in found if _place(other) < here]
        behind = next((other for other in found if _place(other) > here), None)
        return Standing(number, len(found), before[-1] if before else None, behind)

    def onward(self, filters: Filters, after: Suggestion | None = None) -> Suggestion | None:
        """The next open one that fits behind ``after``, from the start again at the end; None: there is no other."""
        found = [one for one in self.fitting(filters) if one.state in OPEN and (after is None or one.id != after.id)]
        behind = (one for one in found if after is not None and _place(one) > _place(after))
        return next(behind, found[0] if found else None)

    @property
    def limit(self) -> int | None:
        """Characters that a text may have; None: nobody says."""
        limits = [PLATFORMS[self.platform]] if self.platform is not None else []
        return min([*limits, *([self.max_chars] if self.max_chars is not None else [])], default=None)

    def progress(self) -> tuple[int, int]:
        """How many are decided or in place, and of how many; stale ones count as none."""
        counts = Counter(one.state for one in self.all())
        total = sum(counts.values()) - counts["stale"]
        return total - sum(counts[state] for state in OPEN), total

    def rules(self) -> list[str]:
        """The names of the rules that found something."""
        return sorted({finding.rule for one in self.all() for finding in one.proposal.findings})[:100]

    def decide(self, one: str, action: Action, text: str, long: str, who: str, seen: int) -> Suggestion:
        """Store a decision; it is on the disk when this returns.

        Args:
            one: the suggestion's id.
            action: "accept" takes what stands in the box, "suggestion" what was suggested.
            text: what stands in the box.
            long: what stands in that for the long description.
            who: the person.
            seen: number of the event that the page showed.

        Raises:
            ChangedSinceError: somebody decided since.
            RefusedError: an empty text that nobody meant.
        """
        now = self.queue.get(one)
        state, given, more = _decision(now, action, text, long)
        if (now.state, now.text, now.long) == (state, given, more):
            return now  # sent again since the answer did not arrive, or another person decided the same
        new = given if state == "edited" else None
        return self.queue.decide(one, state, new, who, seen, long=more)

    def last_of(self, who: str) -> tuple[Suggestion, Event] | None:
        """What ``undo`` takes back for a person."""
        return self.queue.last_of(who)

    def undo(self, one: str, who: str, seen: int) -> Suggestion:
        """Take back the person's last decision on a suggestion. Raises ChangedSinceError as ``decide``."""
        found = self.queue.last_of(who)
        if found is None or found[0].id != one or found[0].event != seen:
            now = self.queue.get(one)
            raise ChangedSinceError(f"{one} is {now.state} since {now.when}, by {now.who or 'nobody'}")
        return self.queue.undo(one, who, seen)

    def check(self, one: Suggestion, text: str) -> Sequence[LintFinding]:
        """What the checks say of a text in the suggestion's place.

        Of what was found in the suggestion beside the alt-text checks, such as an invented name, they keep what the
        text still holds.
        """
        place = one.proposal.place
        around = place.around
        if not text:
            return ()
        same = text == plain(one.proposal.text)
        own = [found for found in one.proposal.findings if found.rule not in _LINTED]
        found = lint_text(
            text,
            context="\n".join(words for words in (around.caption, around.before, around.after) if words) or None,
            platform=self.platform,
            max_chars=self.max_chars,
            min_words=1 if place.role in _BRIEF else 3,
            image=place.picture.address if place.picture.source in ("file", "remote") else "",
        )
        return [*(one for one in own if same or any(word in text for word in one.found.split(", ") if word)), *found]


def _decision(now: Suggestion, action: Action, text: str, long: str) -> tuple[QueueState, str, str]:
    """State, text and long description that an action comes to."""
    was = now.proposal
    if now.state in ("stale", "applied"):
        raise RefusedError(f"It is {now.state}: nothing can be decided here.")
    match action:
        case "empty":
            return "edited", "", ""
        case "refuse":
            return "refused", was.text, was.long
        case "reopen":
            return "suggested", was.text, was.long
        case "suggestion":
            text, long = was.text, was.long
        case "accept":
            if len(text) > LONGEST_TEXT or len(long) > LONGEST_TEXT:
                raise RefusedError(f"a text holds at most {LONGEST_TEXT} characters")
            text, long = plain(text), plain(long)
    if not text and (was.text or was.withheld):
        raise RefusedError("The text is empty. Press “Decorative” if that is meant, or write a text.")
    return ("accepted" if (text, long) == (was.text, was.long) else "edited"), text, long


def _place(one: Suggestion) -> tuple[str, int, str]:
    return one.proposal.document, one.proposal.place.line or 0, one.id
