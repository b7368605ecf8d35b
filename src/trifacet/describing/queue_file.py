"""The queue's file: its tables, and how an event is read from them and added.

Invariant: a row is never changed or removed, which the file itself refuses; what is kept is text that a column holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from trifacet.base.sqlite_file import Kind
from trifacet.describing.suggestion import Event, QueueState, Suggestion, event_of

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS proposals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    line INTEGER NOT NULL,
    key TEXT NOT NULL,
    picture TEXT NOT NULL,
    context TEXT NOT NULL,
    content TEXT NOT NULL        -- JSON of the whole
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    proposal INTEGER NOT NULL REFERENCES proposals(number),
    state TEXT NOT NULL,
    text TEXT NOT NULL,
    long TEXT NOT NULL,
    who TEXT NOT NULL,
    note TEXT NOT NULL,
    time TEXT NOT NULL,          -- UTC
    made INTEGER NOT NULL,       -- 1: it came with its proposal, 0: somebody decided, or put it in place
    undoes INTEGER
);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL,           -- SHA-256 of all that the answer depends on, but for its number
    draw INTEGER NOT NULL,
    content TEXT NOT NULL,
    digest TEXT NOT NULL,        -- of the three
    PRIMARY KEY (key, draw)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_of ON events (id, number);
CREATE INDEX IF NOT EXISTS proposals_at ON proposals (document, key);
CREATE INDEX IF NOT EXISTS proposals_of ON proposals (picture, context);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
CREATE TRIGGER IF NOT EXISTS proposals_stay BEFORE UPDATE ON proposals
    BEGIN SELECT RAISE(ABORT, 'proposals are never changed'); END;
CREATE TRIGGER IF NOT EXISTS proposals_remain BEFORE DELETE ON proposals
    BEGIN SELECT RAISE(ABORT, 'none is ever removed'); END;
"""
KIND = Kind("queue", "trifacet alt", 0x54_46_51_55, 1, _TABLES)  # "TFQU"
WENT = "moved to "  # in the note of a suggestion whose place is another one by now
LAST = "SELECT MAX(number) FROM events GROUP BY id"
EVENTS = "SELECT number, state, text, long, who, note, time, made, undoes FROM events WHERE id = ? ORDER BY number"
ROWS = (
    "SELECT e.number, e.id, e.state, e.text, e.long, e.who, e.note, e.time, p.content "
    "FROM events e JOIN proposals p ON p.number = e.proposal"
)
ROW = f"{ROWS} WHERE e.id = ? ORDER BY e.number DESC LIMIT 1"


def standing(events: Iterable[Event]) -> list[Event]:
    """The events of a suggestion without those that were taken back, nor what took them back."""
    stack: list[Event] = []
    for event in events:
        if event.undoes is None:
            stack.append(event)
        else:
            stack.pop()
    return stack


def events_in(base: sqlite3.Connection, suggestion: str) -> list[Event]:
    return [event_of(row) for row in base.execute(EVENTS, (suggestion,))]


def before_stale(base: sqlite3.Connection, one: Suggestion) -> Suggestion:
    """A stale suggestion as it stood before."""
    last = [event for event in events_in(base, one.id) if event.state != "stale"][-1]
    return replace(one, state=last.state, text=last.text, long=last.long, who=last.who)


def add(
    base: sqlite3.Connection,
    now: Suggestion,
    state: QueueState,
    text: str,
    long: str,
    who: str,
    note: str,
    undoes: int | None = None,
) -> int:
    """A further event of a suggestion; its number."""
    row = base.execute("SELECT proposal FROM events WHERE number = ?", (now.event,)).fetchone()
    return insert(base, now.id, row[0], state, text, long, who, note, undoes=undoes)


def insert(
    base: sqlite3.Connection,
    suggestion: str,
    proposal: int,
    state: QueueState,
    text: str,
    long: str,
    who: str,
    note: str,
    *,
    made: bool = False,
    undoes: int | None = None,
) -> int:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    number = base.execute(
        "INSERT INTO events (id, proposal, state, text, long, who, note, time, made, undoes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (suggestion, proposal, state, *map(told, (text, long, who, note)), time, int(made), undoes),
    ).lastrowid
    assert number is not None
    return number


def told(text: str) -> str:
    """A text as a column holds it: names of files may be no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
