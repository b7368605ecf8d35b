"""The file that keeps answers: one SQLite table, and the claims on what is being asked.

Invariant: each row carries its own digest, and one that does not fit it is never given out. While one process has
claimed a question no other one gets it, and a claim ends with its process, however that ends.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from trifacet.base import system
from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError, cure_of, first_line

_LOG = logging.getLogger(__name__)
_APPLICATION = 0x54524641  # "TRFA": tells our file from others
_VERSION = 2  # 1 had no digests; such a file gets them when it is opened
_MARKS = ("application_id", "user_version")
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,        -- SHA-256 of the question
    step TEXT NOT NULL,          -- who asked first
    model TEXT NOT NULL,         -- the recipe's name for it
    text TEXT NOT NULL,
    finish TEXT NOT NULL,        -- why the model stopped
    answered_by TEXT NOT NULL,   -- the endpoint's name for the model
    tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    counted INTEGER NOT NULL,    -- 1: tokens as the endpoint counted them, 0: estimated
    cost REAL NOT NULL,          -- at the price of the day
    digest TEXT                  -- of all of the above
) WITHOUT ROWID
"""
COLUMNS = ("key", "step", "model", "text", "finish", "answered_by", "tokens_in", "tokens_out", "counted", "cost")
_ALL = ", ".join(COLUMNS)
_DAMAGED = "put back a copy of it, or name another file: its answers are asked and paid for again"


class AnswersFile:
    """One file of answers; rows are values of ``COLUMNS``. Each method raises TrifacetError where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._claims: BinaryIO | None = None
        self._claimed: set[str] = set()
        self._told = False  # that a row was changed
        with self._guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            # two, so that reading never waits for the disk; the first is used by one thread at a time
            self._writing = sqlite3.connect(path, timeout=60, check_same_thread=False)
            try:
                self._file = _identity(path)
                self._prepare(self._writing)
                self._reading = sqlite3.connect(path, timeout=60)
                self._reading.text_factory = _decoded
            except BaseException:
                self._writing.close()
                raise

    def close(self) -> None:
        """Close the file; everything is on the disk already."""
        self._reading.close()
        self._writing.close()
        if self._claims:
            self._claims.close()

    def find(self, key: str) -> tuple[Any, ...] | None:
        """The row under ``key``. One that is not as it was written is told, and counts as none."""
        rows = self.query(f"SELECT {_ALL}, digest FROM answers WHERE key = ?", key)
        if not rows:
            return None
        if rows[0][-1] == _digest(*rows[0][:-1]):
            return rows[0][:-1]
        if not self._told:
            self._told = True
            told = "note: %s: the answer %s is not as it was written; it is asked again, and so are others like it"
            _LOG.warning(told, self.path, key)
        return None

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows; they are on the disk when this returns. Any thread may call it, one at a time."""
        with self._guarded(), self._writing:
            if _identity(self.path) != self._file:
                raise FileNotFoundError("another file has taken its place")
            marks = ", ".join("?" * len(COLUMNS))
            sealed = [(*row, _digest(*row)) for row in rows]
            self._writing.executemany(f"INSERT OR REPLACE INTO answers VALUES ({marks}, ?)", sealed)

    def query(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        """What a SELECT finds."""
        with self._guarded():
            return self._reading.execute(sql, values).fetchall()

    def claim(self, key: str) -> bool:
        """Whether the question is now this process's to ask, until ``release``.

        Claims are locks on single bytes of an empty file beside the answers: a kill leaves none behind.
        """
        if key in self._claimed:
            return False
        with self._guarded():
            if self._claims is None:
                self._claims = self.path.with_name(f"{self.path.name}.asking").open("ab")
            try:
                system.lock_byte(self._claims, _place(key))
            except (BlockingIOError, PermissionError):  # another process has it
                return False
        self._claimed.add(key)
        return True

    def release(self, key: str) -> None:
        """Leave a question that was claimed to others."""
        assert self._claims
        system.unlock_byte(self._claims, _place(key))
        self._claimed.discard(key)

    def _prepare(self, base: sqlite3.Connection) -> None:
        base.execute("PRAGMA synchronous=FULL")
        with base:
            base.execute("BEGIN IMMEDIATE")  # another process may be about to do the same
            application, version = (base.execute(f"PRAGMA {name}").fetchone()[0] for name in _MARKS)
            if base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                if application != _APPLICATION or version not in (1, _VERSION):
                    raise TrifacetError(
                        f"{self.path} was not written by this version of the program; name another file"
                    )
                names = tuple(name for _, name, *_ in base.execute("PRAGMA table_info(answers)"))
                if names != (COLUMNS if version == 1 else (*COLUMNS, "digest")):
                    raise sqlite3.DatabaseError("its table of answers is gone or another one")
                if version == 1:
                    base.create_function("digest_of", -1, _digest, deterministic=True)
                    base.execute("ALTER TABLE answers ADD COLUMN digest TEXT")
                    base.execute(f"UPDATE answers SET digest = digest_of({_ALL})")
            base.execute(_TABLE)
            for name, value in zip(_MARKS, (_APPLICATION, _VERSION), strict=True):
                base.execute(f"PRAGMA {name}={value}")
        base.execute("PRAGMA journal_mode=WAL")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last where SQLite quotes what is damaged
            raise self.unusable(error) from None

    def unusable(self, error: Exception) -> TrifacetError:
        """The one line to end with where ``error`` keeps the file from being used."""
        otherwise = (
            "free some space" if isinstance(error, sqlite3.OperationalError) else "see to that"
        )  # "disk I/O error"
        cure = f"{cure_of(error, otherwise)} or name another file, then the same command continues"
        if type(error) is sqlite3.DatabaseError or isinstance(error, UnicodeDecodeError):
            cure = _DAMAGED
        elif isinstance(error, FileNotFoundError):
            error = FileNotFoundError("it was removed or replaced while it was in use")
        return TrifacetError(f"cannot use {self.path}, which keeps the models' answers: {first_line(error)}; {cure}")


def _decoded(raw: bytes) -> str:
    """A text, also one that is damaged: its digest tells."""
    return raw.decode("utf-8", "surrogateescape")


def _digest(*row: Any) -> str:
    """SHA-256 of a row's values, whatever their types."""
    return text_digest(json.dumps(row, default=repr))


def _place(key: str) -> int:
    """The byte that stands for a question."""
    return int(key[:15], 16)


def _identity(path: Path) -> tuple[int, int]:
    """Which file lies at ``path``; OSError where there is none."""
    found = path.stat()
    return found.st_dev, found.st_ino
