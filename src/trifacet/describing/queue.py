"""The queue of suggestions: one SQLite file, with what a model suggested and what people decided.

Invariant: nothing is changed or removed. A suggestion is what its last event says; each decision, also an undoing, is a
new event that names who and when, and is on the disk when the call returns. Whoever decides says which event was seen:
where another one came in between nothing is written. Answers of models are kept here before they are used, so that none
is asked for twice; one that is not as it was written counts as none.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.sqlite_file import SqliteFile
from trifacet.base.words import CONTROL
from trifacet.data.writing import Written
from trifacet.describing.place import Picture
from trifacet.describing.queue_file import (
    EVENTS,
    KIND,
    LAST,
    ROW,
    ROWS,
    WENT,
    add,
    before_stale,
    events_in,
    insert,
    standing,
    told,
)
from trifacet.describing.suggestion import (
    DECISIONS,
    OPEN,
    QUEUE_STATES,
    Event,
    Proposal,
    QueueState,
    Suggestion,
    as_json,
    event_of,
    suggestion_of,
)

_MOST_MOVES = 1000
LONGEST_TEXT = 10_000  # characters of a text, or of a long description


class ChangedSinceError(TrifacetError):
    """Somebody else has decided on a suggestion since it was looked at."""


class Queue:
    """Threads and processes may share it.

    Args:
        path: the SQLite file; for writing it is made where there is none.
        writing: also for writing.

    Raises:
        TrifacetError: no such file (for reading), a file of something else, or a queue of another version.
    """

    def __init__(self, path: Path, *, writing: bool = True) -> None:
        self.path = path
        if not writing and not path.is_file():
            raise TrifacetError(f"{path}: no such queue; `trifacet alt suggest --queue {path}` writes one")
        self._file = SqliteFile(path, KIND, writing=writing, fill=_fill)
        with self._file.guarded():
            ((secret,),) = self._file.read("SELECT value FROM facts WHERE name = 'secret'")
            self.secret = bytes.fromhex(secret)  # what the review page's links are made of

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    # --- looking ------------------------------------------------------------------------------------------------

    def suggestions(
        self,
        *,
        states: Collection[str] = (),
        documents: Collection[str] = (),
        roles: Collection[str] = (),
        holding: str = "",
        since: int = 0,
    ) -> list[Suggestion]:
        """The suggestions in the order of their documents and lines; all, or those that fit each given filter.

        ``holding``: those with this in their text, present text or picture's address, in any case; ``since``: those
        with an event behind that number.
        """
        wanted, sought = list(states), holding.casefold()
        marks = ", ".join("?" * len(wanted))
        clause = f" AND e.state IN ({marks})" if wanted else ""
        order = "ORDER BY p.document, p.line, e.id"
        rows = self._file.read(f"{ROWS} WHERE e.number IN ({LAST}) AND e.number > ?{clause} {order}", since, *wanted)
        with self._file.guarded():
            found = [suggestion_of(row) for row in rows]
        return [
            one
            for one in found
            if (not documents or one.proposal.document in documents)
            and (not roles or one.proposal.place.role in roles)
            and sought in _searched(one).casefold()
        ]

    def get(self, suggestion: str) -> Suggestion:
        """One of them. Raises TrifacetError for an id that is not there."""
        rows = self._file.read(ROW, suggestion)
        with self._file.guarded():
            return suggestion_of(self._known(rows, suggestion))

    def events(self, suggestion: str) -> list[Event]:
        """All that became of one, the first event first."""
        return [event_of(row) for row in self._file.read(EVENTS, suggestion)]

    def last_of(self, who: str) -> tuple[Suggestion, Event] | None:
        """The last decision of a person that stands, with its suggestion; None where there is none to take back."""
        rows = self._file.read(
            "SELECT id, MAX(number) AS most FROM events WHERE who = ? AND made = 0 AND undoes IS NULL GROUP BY id "
            "ORDER BY most DESC",
            who,
        )
        last: tuple[str, Event] | None = None
        for name, most in rows:
            if last is not None and last[1].number > most:
                break
            event = standing(self.events(name))[-1]
            own = event.who == who and not event.made and event.state in (*DECISIONS, "suggested")
            if own and (last is None or event.number > last[1].number):
                last = name, event
        return None if last is None else (self.get(last[0]), last[1])

    def stats(self) -> dict[str, int]:
        """How many suggestions are in each state, those that none is in left out."""
        rows = self._file.read(f"SELECT state FROM events WHERE number IN ({LAST})")
        counts = Counter(row[0] for row in rows)
        return {state: counts[state] for state in QUEUE_STATES if counts[state]}

    @property
    def root(self) -> Path | None:
        """The folder that documents' paths are relative to; None before the first suggestion."""
        rows = self._file.read("SELECT value FROM facts WHERE name = 'root'")
        return (self.path.parent / rows[0][0]).resolve() if rows else None

    def stand_on(self, root: Path) -> None:
        """Note the root, as seen from the queue's own folder. Raises TrifacetError where it has another one."""
        known = self.root
        if known is not None and known != root.resolve():
            raise TrifacetError(
                f"{self.path} holds suggestions for what is below {known}; give that as --root, or another --queue"
            )
        if known is None:
            seen = os.path.relpath(root.resolve(), self.path.parent.resolve())
            with self._file.changing() as base:
                base.execute("INSERT OR IGNORE INTO facts VALUES ('root', ?)", (Path(seen).as_posix(),))

    # --- suggesting ---------------------------------------------------------------------------------------------

    def put(self, proposals: Iterable[Proposal], who: str) -> Counter[str]:
        """Enter suggestions, all or none; how many are "new", "again" (changed, or open once more) and "kept".

        What a person accepted or edited stays decided while picture, context and place are the same; what was refused
        is open again where another text is suggested. Where a place has another id by now (its picture or what is
        around it changed) the old suggestion is stale; one whose place has moved keeps its decision.
        """
        counts = Counter[str]()
        with self._file.changing() as base:
            for proposal in proposals:
                counts[self._put(base, proposal, who)] += 1
        return counts

    def _put(self, base: sqlite3.Connection, proposal: Proposal, who: str) -> str:
        rows = base.execute(ROW, (proposal.id,)).fetchall()
        before = suggestion_of(rows[0]) if rows else self._moved(base, proposal, who)
        if before is not None and before.state == "stale":  # it is there again
            before = before_stale(base, before)
        decided = before is not None and before.state in ("accepted", "edited")
        if before is not None:
            same_text = _said(before.proposal) == _said(proposal)
            decided = decided or (before.state == "refused" and same_text)
            same_place = (before.proposal.digest, before.proposal.place) == (proposal.digest, proposal.place)
            again = rows and rows[0][2] == "stale"
            if rows and not again and same_place and (decided or (same_text and before.state in OPEN)):
                return "kept"
        for old in self._named(base, "document = ? AND key = ?", told(proposal.document), told(proposal.place.key)):
            if old.id != proposal.id and old.state not in ("stale", "applied"):
                add(base, old, "stale", old.text, old.long, who, "its picture or what is around it changed")
        number = _keep(base, proposal)
        state, text, long, note = proposal.state, proposal.text, proposal.long, proposal.withheld
        if decided and before is not None:
            state, text, long, note, who = before.state, before.text, before.long, "found again", before.who
        insert(base, proposal.id, number, state, text, long, who, note, made=True)
        return "again" if rows else "new"

    def _moved(self, base: sqlite3.Connection, proposal: Proposal, who: str) -> Suggestion | None:
        """The suggestion of the document, as it stood, that was for the same picture in the same context elsewhere.

        Of several the first in the document; it is noted where it went, so that the next place gets the next.
        """
        clause = "document = ? AND picture = ? AND context = ?"
        same = self._named(base, clause, told(proposal.document), proposal.picture, proposal.context)
        stale = [one for one in same if one.state == "stale" and not one.note.startswith(WENT)]
        if not stale:
            return None
        old = min(stale, key=lambda one: (one.proposal.place.line or 0, one.proposal.place.column or 0, one.event))
        add(base, old, "stale", old.text, old.long, who, f"{WENT}{proposal.id}")
        return before_stale(base, old)

    def _named(self, base: sqlite3.Connection, clause: str, *values: str) -> list[Suggestion]:
        """The suggestions of which a proposal fits."""
        ids = base.execute(f"SELECT DISTINCT id FROM proposals WHERE {clause}", values).fetchall()
        return [suggestion_of(base.execute(ROW, one).fetchone()) for one in ids]

    def gone(self, document: str, here: Collection[tuple[str, Picture, str]], who: str, note: str) -> int:
        """Mark those of a document stale whose (key, picture, context) is not among what is ``here``; how many."""
        with self._file.changing() as base:
            old = [
                one
                for one in self._named(base, "document = ?", told(document))
                if one.state not in ("stale", "applied")
                and (one.proposal.place.key, one.proposal.place.picture, one.proposal.context) not in here
            ]
            for one in old:
                add(base, one, "stale", one.text, one.long, who, note)
        return len(old)

    def move(self, moved: Iterable[tuple[Suggestion, Proposal]], who: str) -> int:
        """Note that the same places stand elsewhere in other bytes, by a change that is known; how many.

        A suggestion keeps its state and its text, at its place as it is now. One that somebody decided on meanwhile
        stays as it is.
        """
        with self._file.changing() as base:
            there = [(one, proposal) for one, proposal in moved if self._now(base, one.id).event == one.event]
            for one, proposal in there:  # all of them first: one may come to where another was
                if proposal.id != one.id:
                    add(base, one, "stale", one.text, one.long, who, f"{WENT}{proposal.id}")
            for one, proposal in there:
                number = _keep(base, proposal)
                insert(base, proposal.id, number, one.state, one.text, one.long, one.who, one.note, made=True)
        return len(there)

    def whereabouts(self, suggestion: str, event: int) -> tuple[str, int]:
        """Id and event of a suggestion that was at this event, as it is called now: it may have moved since.

        Where anybody decided since that event, what was given.
        """
        for _ in range(_MOST_MOVES):
            known = self.events(suggestion)
            if len(known) < 2 or known[-1].state != "stale" or not known[-1].note.startswith(WENT):
                break
            following = self.events(known[-1].note.removeprefix(WENT))
            if known[-2].number != event or not following:
                break
            moved = next((one for one in following if one.number > known[-1].number), None)
            if moved is None or not moved.made:
                break
            suggestion, event = known[-1].note.removeprefix(WENT), moved.number
        return suggestion, event

    # --- deciding -----------------------------------------------------------------------------------------------

    def decide(
        self,
        suggestion: str,
        state: QueueState,
        text: str | None,
        who: str,
        seen_event: int,
        *,
        long: str | None = None,
        note: str = "",
    ) -> Suggestion:
        """A person's decision: "accepted" (the suggestion as it stands), "edited" (``text``; "" says that the picture
        is decorative), "refused", or "suggested" (open again).

        Raises:
            ChangedSinceError: another event came after ``seen_event``.
            TrifacetError: no such suggestion, no such decision, one that is stale or applied, or a text that is none.
        """
        if state not in (*DECISIONS, "suggested"):
            raise TrifacetError(f"{state!r} is no decision; give accepted, edited, refused or suggested")
        if state == "edited" and text is None:
            raise TrifacetError(f"{suggestion}: edited without a text; give one, or '' for a decorative picture")
        with self._file.changing() as base:
            now = self._seen(base, suggestion, seen_event)
            if now.state in ("stale", "applied"):
                cure = "undo that first" if now.state == "applied" else "run `trifacet alt suggest` again"
                raise TrifacetError(f"{suggestion} is {now.state}; {cure}")
            new, more = now.proposal.text, now.proposal.long if long is None else _clean(long, suggestion)
            if state == "edited" and text is not None:
                new = _clean(text, suggestion)
            number = add(base, now, state, new, more, who, note)
        return replace(now, event=number, state=state, text=new, long=more, who=who, note=note)

    def undo(self, suggestion: str, who: str, seen_event: int) -> Suggestion:
        """Take back the last event that is not taken back yet; what a model suggested cannot be.

        Raises:
            ChangedSinceError: another event came after ``seen_event``.
            TrifacetError: no such suggestion, or nothing to undo.
        """
        with self._file.changing() as base:
            now = self._seen(base, suggestion, seen_event)
            stack = standing(events_in(base, suggestion))
            if stack[-1].made:
                raise TrifacetError(f"{suggestion}: nothing to undo")
            before = stack[-2]
            add(base, now, before.state, before.text, before.long, who, "undone", undoes=stack[-1].number)
        return self.get(suggestion)

    def mark_applied(self, suggestions: Iterable[str], who: str, note: str = "") -> None:
        """Note that texts were put in place, all or none. Raises TrifacetError for an id that is not there."""
        self._mark(suggestions, "applied", who, note)

    def mark_stale(self, suggestions: Iterable[str], who: str, note: str) -> None:
        """Note that places are no longer as they were when texts were suggested for them."""
        self._mark(suggestions, "stale", who, note)

    def _mark(self, suggestions: Iterable[str], state: QueueState, who: str, note: str) -> None:
        with self._file.changing() as base:
            for name in suggestions:
                now = self._now(base, name)
                if now.state != state:
                    add(base, now, state, now.text, now.long, who, note)

    def _now(self, base: sqlite3.Connection, suggestion: str) -> Suggestion:
        rows = base.execute(ROW, (suggestion,)).fetchall()
        return suggestion_of(self._known(rows, suggestion))

    def _seen(self, base: sqlite3.Connection, suggestion: str, seen_event: int) -> Suggestion:
        now = self._now(base, suggestion)
        if now.event != seen_event:
            raise ChangedSinceError(
                f"{suggestion} is {now.state} since {now.when}, by {now.who or 'nobody'}; look at it again"
            )
        return now

    def _known(self, rows: Sequence[Any], suggestion: str) -> Any:
        if not rows:
            raise TrifacetError(f"{self.path}: no suggestion {suggestion!r}")
        return rows[0]

    # --- answers ------------------------------------------------------------------------------------------------

    def answers(self, key: str) -> dict[int, Written]:
        """What was drawn for a request, by the number of the draw."""
        rows = self._file.read("SELECT draw, content, digest FROM answers WHERE key = ?", key)
        with self._file.guarded():
            return {
                draw: Written(**json.loads(content) | {"filtered": ()})
                for draw, content, digest in rows
                if digest == text_digest(f"{key} {draw} {content}")
            }

    def keep_answers(self, answers: Iterable[tuple[str, Written]]) -> None:
        """Keep what was drawn, each under the key of its request; on the disk when this returns."""
        rows = [(key, one.draw, json.dumps(asdict(one))) for key, one in answers]
        with self._file.changing() as base:
            base.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                [(key, draw, content, text_digest(f"{key} {draw} {content}")) for key, draw, content in rows],
            )


def _fill(base: sqlite3.Connection) -> None:
    base.execute("INSERT INTO facts VALUES ('secret', ?)", (secrets.token_hex(32),))


def _keep(base: sqlite3.Connection, proposal: Proposal) -> int:
    """Keep a proposal; its number."""
    place = (told(proposal.document), proposal.place.line or 0, told(proposal.place.key))
    number = base.execute(
        "INSERT INTO proposals (id, document, line, key, picture, context, content) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (proposal.id, *place, proposal.picture, proposal.context, as_json(proposal)),
    ).lastrowid
    assert number is not None
    return number


def _searched(one: Suggestion) -> str:
    place = one.proposal.place
    return "\n".join((one.text, place.alt or "", place.picture.address[:1000]))


def _clean(text: str, suggestion: str) -> str:
    """A person's text without what nobody sees. Raises TrifacetError for one that is none."""
    if len(text) > LONGEST_TEXT:
        raise TrifacetError(f"{suggestion}: a text of {len(text)} characters; give at most {LONGEST_TEXT}")
    return CONTROL.sub("", text).strip()


def _said(proposal: Proposal) -> tuple[Any, ...]:
    """What makes a suggestion another one."""
    return proposal.text, proposal.long, proposal.withheld
