"""Where votes are kept: one SQLite file, which also says what was reviewed.

Invariant: a vote is on the disk before ``vote`` returns, and no row of ``votes`` is ever changed or removed; a judge's
last vote on a sample is the one that counts. Reading writes nothing and waits for no vote.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.sqlite_file import Kind, SqliteFile
from trifacet.review.order import Choice, ReviewOutcome, Side, outcome
from trifacet.review.pairs import Review

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS samples (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, same INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS judges (name TEXT PRIMARY KEY, folded TEXT UNIQUE NOT NULL, sees INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS votes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sample TEXT NOT NULL REFERENCES samples(id),
    judge TEXT NOT NULL REFERENCES judges(name),
    first TEXT NOT NULL CHECK (first IN ('A', 'B')),
    choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'tie', 'skip')),
    comment TEXT NOT NULL,
    saw INTEGER NOT NULL,
    time TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS votes_of ON votes (judge, sample);
CREATE TRIGGER IF NOT EXISTS votes_stay BEFORE UPDATE ON votes
    BEGIN SELECT RAISE(ABORT, 'votes are never changed'); END;
CREATE TRIGGER IF NOT EXISTS votes_remain BEFORE DELETE ON votes
    BEGIN SELECT RAISE(ABORT, 'votes are never removed'); END;
"""
_KIND = Kind("store", "trifacet review", 0x54_46_52_56, 1, _TABLES)  # "TFRV"


@dataclass(frozen=True)
class HumanJudge:
    """Who votes; ``sees`` is False where the judge asked to have the images hidden."""

    name: str
    sees: bool


@dataclass(frozen=True)
class Vote:
    """One answer. ``first`` is whose text stood as text 1, ``saw`` whether an image was shown, ``time`` is UTC."""

    number: int
    sample: str
    judge: str
    first: Side
    choice: Choice
    comment: str
    saw: bool
    time: str
    counts: bool

    @property
    def outcome(self) -> ReviewOutcome | None:
        """What the vote says of A; None where the sample was skipped."""
        return outcome(self.first, self.choice)


@dataclass(frozen=True)
class _Entry:
    """A sample as the store knows it: ``same`` where both texts have the same words."""

    id: str
    same: bool


class Store:
    """One review's votes. Threads may share it, and so may processes.

    Args:
        path: the SQLite file. It is made, readable by its owner alone, where ``review`` is given and there is none.
        review: what is to be reviewed; None reads whatever the file holds, in a folder that cannot be written too.

    Raises:
        TrifacetError: no such store, a file of something else, or a store of another review.
    """

    def __init__(self, path: Path, review: Review | None = None) -> None:
        self.path = path
        if review is None and not path.is_file():
            raise TrifacetError(f"{path}: no such store; give the one that `trifacet review` wrote with --store")
        fill = None if review is None else lambda base: _fill(base, review)
        self._file = SqliteFile(path, _KIND, writing=review is not None, fill=fill)
        with self._file.guarded():
            facts = dict(self._file.read("SELECT name, value FROM facts"))
            rows = self._file.read("SELECT id, same FROM samples ORDER BY number")
            self.names: tuple[str, str] = tuple(json.loads(facts["names"]))
            self.seed, self.secret = facts["seed"], bytes.fromhex(facts["secret"])
            self.samples = tuple(_Entry(name, bool(same)) for name, same in rows)
        if review is not None:
            self._check(json.loads(facts["fingerprint"]), review.fingerprint())

    def require(self, review: Review) -> None:
        """Raise TrifacetError where the votes are on another review."""
        (kept,) = self._read("SELECT value FROM facts WHERE name = 'fingerprint'")
        self._check(json.loads(kept[0]), review.fingerprint())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def judges(self) -> list[HumanJudge]:
        """All who have begun, in the order in which they did."""
        rows = self._read("SELECT name, sees FROM judges ORDER BY rowid")
        return [HumanJudge(name, bool(sees)) for name, sees in rows]

    def judge(self, name: str) -> HumanJudge | None:
        """The judge of that name, in whatever case it is written; None where nobody has begun under it."""
        rows = self._read("SELECT name, sees FROM judges WHERE folded = ?", name.casefold())
        return HumanJudge(rows[0][0], bool(rows[0][1])) if rows else None

    def begin(self, name: str, *, sees: bool) -> None:
        """Enter a judge, or change whether one who has begun sees images."""
        self._write(
            "INSERT INTO judges VALUES (?, ?, ?) ON CONFLICT (folded) DO UPDATE SET sees = excluded.sees",
            name, name.casefold(), int(sees),
        )  # fmt: skip

    def vote(self, sample: str, judge: str, first: Side, choice: Choice, *, comment: str = "", saw: bool) -> None:
        """Add a vote; it is on the disk when this returns."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(
            "INSERT INTO votes (sample, judge, first, choice, comment, saw, time) VALUES (?, ?, ?, ?, ?, ?, ?)",
            sample, judge, first, choice, comment, int(saw), time,
        )  # fmt: skip

    def votes(self, judge: str | None = None) -> list[Vote]:
        """All votes in the order in which they were given, or those of one judge."""
        rows = self._read(
            "SELECT number, sample, judge, first, choice, comment, saw, time, number = MAX(number) OVER "
            "(PARTITION BY judge, sample) FROM votes WHERE ?1 IS NULL OR judge = ?1 ORDER BY number",
            judge,
        )
        return [_vote(row) for row in rows]

    def counting(self, judge: str) -> dict[str, Vote]:
        """The votes of a judge that count, by sample."""
        return {vote.sample: vote for vote in self.votes(judge) if vote.counts}

    def _read(self, statement: str, *values: Any) -> list[Any]:
        return self._file.read(statement, *values)

    def _write(self, statement: str, *values: Any) -> None:
        with self._file.changing() as base:
            base.execute(statement, values)

    def _check(self, kept: dict[str, str], given: dict[str, str]) -> None:
        other = [part for part, digest in given.items() if kept.get(part) != digest]
        if other:
            raise TrifacetError(
                f"{self.path} holds a review of {self.names[0]} and {self.names[1]} on {len(self.samples)} samples; "
                f"this one differs in {_listed(other)}; give the same files in the same order, or another --store"
            )


def _fill(base: sqlite3.Connection, review: Review) -> None:
    """Write what is reviewed into a new file."""
    facts = {
        "names": json.dumps(review.names),
        "fingerprint": json.dumps(review.fingerprint()),
        "seed": secrets.token_hex(8),
        "secret": secrets.token_hex(32),
    }
    pairs = [(number, pair.id, int(pair.same)) for number, pair in enumerate(review.pairs)]
    base.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
    base.executemany("INSERT INTO samples VALUES (?, ?, ?)", pairs)


def _vote(row: tuple[Any, ...]) -> Vote:
    number, sample, judge, first, choice, comment, saw, time, counts = row
    return Vote(number, sample, judge, first, choice, comment, bool(saw), time, bool(counts))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
