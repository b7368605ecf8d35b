"""Answers that have been paid for, and what they cost: one SQLite file.

Invariant: an answer is on the disk, with its cost, before anyone uses it. A kill loses what is in flight at most, and
what has been paid in all is the sum over the answers.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from trifacet.base.errors import TrifacetError, cure_of

_APPLICATION = 0x54524641  # "TRFA": tells our file from others
_VERSION = 1
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
    cost REAL NOT NULL           -- at the price of the day
) WITHOUT ROWID
"""


class BudgetReached(TrifacetError):  # noqa: N818 - it is no error of the user's
    """The next question could cost more than is left of the budget."""


@dataclass(frozen=True)
class Reply:
    """What an endpoint answered. ``counted``: the tokens are the endpoint's own count, not our estimate."""

    text: str
    finish: str
    answered_by: str
    tokens_in: int
    tokens_out: int
    counted: bool


@dataclass
class Tally:
    """What one step asked one model in this run."""

    asked: int = 0  # questions of the step
    cached: int = 0  # answers that needed no request: kept before, or the same question was in flight
    sent: int = 0  # requests, repeated ones too
    answered: int = 0  # requests that brought an answer; these are paid
    retries: Counter[str] = field(default_factory=Counter)  # requests repeated because the endpoint failed, by cause
    repeats: Counter[str] = field(default_factory=Counter)  # questions asked again because of the answer, by problem
    problems: Counter[str] = field(default_factory=Counter)  # questions that stayed without a value
    tokens_in: int = 0
    tokens_out: int = 0
    estimated_in: int = 0  # of the same answers, before they were sent
    estimated_out: int = 0
    uncounted: int = 0  # answers whose tokens the endpoint did not count
    spent: float = 0.0

    @property
    def ratios(self) -> tuple[float, float]:
        """Tokens (in, out) counted over tokens estimated; 1 before the first answer."""
        into = self.tokens_in / self.estimated_in if self.estimated_in else 1.0
        return into, self.tokens_out / self.estimated_out if self.estimated_out else 1.0


class Books:
    """The answers' file, the tallies of this run and the budget. One event loop at a time uses it."""

    def __init__(self, path: Path, budget: float | None = None) -> None:
        self.path, self.budget = path, budget
        self.tallies: dict[tuple[str, str], Tally] = {}  # by (step, model)
        self._reserved: list[float] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._unwritten: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        with self._guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            # two, so that reading never waits for the disk; the first is used by one thread at a time
            self._writing = sqlite3.connect(path, timeout=60, check_same_thread=False)
            self._prepare(self._writing)
            self._reading = sqlite3.connect(path, timeout=60)
            rows = self._reading.execute("SELECT model, COUNT(*), SUM(cost) FROM answers GROUP BY model").fetchall()
        self._answered = Counter({model: count for model, count, _ in rows})
        self.paid_before: float = sum(cost for _, _, cost in rows)

    def __enter__(self) -> Books:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything is on the disk already."""
        self._reading.close()
        self._writing.close()

    @property
    def spent(self) -> float:
        """What this run has paid."""
        return sum(tally.spent for tally in self.tallies.values())

    @property
    def paid(self) -> float:
        """What the answers of the file have cost in all, over all runs."""
        return self.paid_before + self.spent

    def answered(self, model: str) -> int:
        """How many answers of a model the file holds."""
        return self._answered[model]

    def tally(self, step: str, model: str) -> Tally:
        """The tally of a step and a model."""
        return self.tallies.setdefault((step, model), Tally())

    def find(self, key: str) -> Reply | None:
        """The answer that is kept under ``key``."""
        with self._guarded():
            row = self._reading.execute(
                "SELECT text, finish, answered_by, tokens_in, tokens_out, counted FROM answers WHERE key = ?", (key,)
            ).fetchone()
        return Reply(*row) if row else None

    async def keep(
        self, key: str, step: str, model: str, reply: Reply, *, estimated: tuple[int, int], cost: float
    ) -> None:
        """Write an answer down; it is on the disk when this returns. Those that come together are written together."""
        said = (reply.text, reply.finish, reply.answered_by, reply.tokens_in, reply.tokens_out, reply.counted)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unwritten.append(((key, step, model, *said, cost), written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await written
        tally = self.tally(step, model)
        tally.answered += 1
        tally.tokens_in += reply.tokens_in
        tally.tokens_out += reply.tokens_out
        tally.estimated_in += estimated[0]
        tally.estimated_out += estimated[1]
        tally.uncounted += not reply.counted
        tally.spent += cost
        self._answered[model] += 1

    async def reserve(self, cost: float) -> Callable[[], None]:
        """Set ``cost`` aside until the function that is returned is called.

        Where only what is in flight stands in the way, this waits: it may come cheaper than was set aside for it.

        Raises:
            BudgetReached: there is not so much left.
        """
        while self.budget is not None and self.paid + sum(self._reserved) + cost > self.budget * (1 + 1e-9):
            if not self._reserved:
                raise BudgetReached(
                    f"budget of {self.budget:g} reached after {sum(self._answered.values())} calls and "
                    f"{self.paid:.6g} spent; raise 'budget' and the same command continues"
                )
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
        self._reserved.append(cost)

        def release() -> None:
            self._reserved.remove(cost)
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

        return release

    async def _write(self) -> None:
        while self._unwritten:
            batch, self._unwritten = self._unwritten, []
            error: TrifacetError | None = None
            try:
                await asyncio.to_thread(self._insert, [row for row, _ in batch])
            except TrifacetError as caught:
                error = caught
            for written in [future for _, future in batch if not future.done()]:
                written.set_exception(error) if error else written.set_result(None)

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        with self._guarded(), self._writing:
            self._writing.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _prepare(self, base: sqlite3.Connection) -> None:
        application = base.execute("PRAGMA application_id").fetchone()[0]
        version = base.execute("PRAGMA user_version").fetchone()[0]
        empty = not base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if not empty and (application, version) != (_APPLICATION, _VERSION):
            raise TrifacetError(f"{self.path} was not written by this version of the program; name another file")
        for pragma in (f"application_id={_APPLICATION}", f"user_version={_VERSION}"):
            base.execute(f"PRAGMA {pragma}")
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute(_TABLE)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            cure = cure_of(error, "name another file")
            raise TrifacetError(
                f"cannot use {self.path}, which keeps the models' answers: {error}; {cure}, then the same "
                "command continues"
            ) from None

    def rows(self) -> list[dict[str, Any]]:
        """The tallies as plain rows, for the report, in the order in which the steps first asked."""
        return [
            {"step": step, "model": model, "ratios": tally.ratios}
            | {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(tally).items()}
            for (step, model), tally in self.tallies.items()
        ]

    def kept(self) -> list[dict[str, Any]]:
        """What the file's answers came to over all runs: step that asked first, model, answers, tokens, money."""
        names = ("step", "model", "answered", "tokens_in", "tokens_out", "spent")
        with self._guarded():
            rows = self._reading.execute(
                "SELECT step, model, COUNT(*), SUM(tokens_in), SUM(tokens_out), SUM(cost) FROM answers "
                "GROUP BY step, model ORDER BY step, model"
            ).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]
