"""One SQLite file of this program's own: what review votes and suggestions of texts are kept in.

Invariant: what was written is on the disk when ``changing`` returns, whole or not at all; a file of something else, or
of another version, is refused by name and never changed. Reading waits for nobody who writes: each question has a
connection of its own, and whoever waits for another program's lock waits ``LONGEST_WAIT`` at most.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trifacet.base.errors import TrifacetError, cure_of, disk_is_full

LONGEST_WAIT = 5.0  # seconds that a question or a change waits for another program's lock on the file


@dataclass(frozen=True)
class Kind:
    """What a file is: how messages call it and the command that writes it, its marks, its tables.

    ``tables`` is a script that makes those that are not there.
    """

    called: str
    command: str
    application: int
    version: int
    tables: str


class SqliteFile:
    """Threads may share it, and so may processes.

    Args:
        path: the file. For writing it is made where there is none, readable by its owner alone.
        kind: what it has to be.
        writing: also for writing; for reading alone the folder need not be writable.
        fill: puts the first rows into a new file, in one transaction with its tables.

    Raises:
        TrifacetError: no such file, a file of something else or of another version, or one that cannot be used.
    """

    def __init__(
        self, path: Path, kind: Kind, *, writing: bool, fill: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        self.path, self.kind, self._file = path, kind, path
        self._changing = threading.Lock()
        self.writer: sqlite3.Connection | None = None
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        with self.guarded():
            if writing:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                self.writer = _connected(path)
                self._prepare(self.writer, fill)
            elif not os.access(path.parent, os.W_OK):
                self._copies = tempfile.TemporaryDirectory()
                self._file = _copied(path, Path(self._copies.name))  # SQLite's log needs a place to write in
            with closing(_connected(self._file)) as base:
                self._require_kind(base)

    def close(self) -> None:
        """Let go of the file."""
        with self._changing:
            if self.writer is not None:
                self.writer.close()
        if self._copies is not None:
            self._copies.cleanup()

    def read(self, statement: str, *values: Any) -> list[Any]:
        """What a SELECT finds."""
        with self.guarded(), closing(_connected(self._file)) as base:
            return base.execute(statement, values).fetchall()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction: on the disk when the block ends, gone where it raises."""
        assert self.writer is not None, "opened for reading"
        if not self._changing.acquire(timeout=LONGEST_WAIT):
            raise TrifacetError(f"cannot use the {self.kind.called} {self.path}: another change waits too long")
        try:
            with self.guarded():
                self.writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self.writer
                    self.writer.execute("COMMIT")
                except BaseException:
                    if self.writer.in_transaction:
                        self.writer.execute("ROLLBACK")
                    raise
        finally:
            self._changing.release()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Errors of the file, and of what another program wrote into it, as one line."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            cure = f"; {cure_of(error)}, then the same command continues" if disk_is_full(error) else ""
            raise TrifacetError(f"cannot use the {self.kind.called} {self.path}: {error}{cure}") from None
        except (KeyError, TypeError, ValueError) as error:
            told = f"{type(error).__name__}: {error}"
            raise TrifacetError(f"the {self.kind.called} {self.path} is damaged ({told})") from None

    def _require_kind(self, base: sqlite3.Connection) -> None:
        found = tuple(base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if found != (self.kind.application, self.kind.version):
            raise TrifacetError(
                f"{self.path} is no {self.kind.called} of this version of `{self.kind.command}`; name another file"
            )

    def _prepare(self, base: sqlite3.Connection, fill: Callable[[sqlite3.Connection], None] | None) -> None:
        empty = not base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if not empty:
            self._require_kind(base)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute("PRAGMA foreign_keys=ON")
        if empty:
            self._make(base, fill)

    def _make(self, base: sqlite3.Connection, fill: Callable[[sqlite3.Connection], None] | None) -> None:
        """Whole or not at all; of two processes that begin at once the second finds what the first made."""
        try:
            base.executescript(f"BEGIN IMMEDIATE;{self.kind.tables}")
            if not base.execute("PRAGMA application_id").fetchone()[0]:
                if fill is not None:
                    fill(base)
                for pragma in (f"application_id={self.kind.application}", f"user_version={self.kind.version}"):
                    base.execute(f"PRAGMA {pragma}")
            base.execute("COMMIT")
        except BaseException:
            if base.in_transaction:
                base.execute("ROLLBACK")
            raise


def _connected(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there, in which every statement is a transaction."""
    address = f"file:{quote(os.fsencode(path.absolute()))}?mode=rw"
    return sqlite3.connect(address, LONGEST_WAIT, isolation_level=None, check_same_thread=False, uri=True)


def _copied(path: Path, folder: Path) -> Path:
    """A copy of a file, with the log that a killed program may have left beside it."""
    for name in (path.name, f"{path.name}-wal"):
        if (source := path.with_name(name)).is_file():
            shutil.copyfile(source, folder / name)
    return folder / path.name
