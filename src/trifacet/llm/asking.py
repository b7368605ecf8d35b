"""Questions to a model behind an endpoint or of this machine, under a budget, each answer kept.

Invariant: an answer that was paid for is kept on the disk, so that the same call after a kill asks only the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from trifacet.base.errors import TrifacetError
from trifacet.llm.books import Books
from trifacet.llm.counting import CountingModel
from trifacet.llm.interrupts import run_until_kept
from trifacet.llm.model import LanguageModel
from trifacet.llm.settings import Model
from trifacet.settings.reading import explain_invalid, read_values
from trifacet.settings.section import MOST

Name = TypeVar("Name")
Progress = Callable[[int, int], None]


class AskedModel(Model):
    """The file behind ``--judge`` and ``--endpoint``: a section of ``models`` as in a build's recipe, and a budget."""

    budget: float | None = Field(
        None, ge=0, le=MOST, description="stop cleanly before spending more, in the prices' currency"
    )


def read_asked_model(path: Path, overrides: Sequence[str] = ()) -> AskedModel:
    """The model of a YAML file. Raises TrifacetError naming the key that is wrong."""
    try:
        return AskedModel.model_validate(read_values(path, overrides))
    except ValidationError as error:
        raise TrifacetError(f"{path}: {explain_invalid(error, AskedModel)}") from None


@dataclass(frozen=True)
class Asked:
    """What asking came to, over this run: questions, those that needed no request, answers, tokens, money.

    ``problems`` counts the questions that stayed without a value, by what was wrong. ``paid`` is the money of all runs.
    """

    model: str
    questions: int
    cached: int
    answered: int
    tokens_in: int
    tokens_out: int
    cost: float
    paid: float
    problems: Mapping[str, int]

    def document(self) -> dict[str, Any]:
        """For JSON, with what could not be parsed and what was refused under names of their own."""
        values = dict(vars(self)) | {"problems": dict(self.problems)}
        return values | {key: self.problems.get(key, 0) for key in ("unparsed", "refused")}


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks that ask: the first that fails ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def ask_all(
    one: Callable[[LanguageModel, Name], Coroutine[Any, Any, None]],
    names: Sequence[Name],
    spec: AskedModel,
    books_file: Path,
    step: str,
    *,
    on_progress: Progress | None = None,
    first_pause: float = 1.0,
    counting: bool = False,
    seed: int = 17,
) -> Asked:
    """Await ``one(model, name)`` for every name, many at a time. With ``counting`` nothing is sent.

    Raises:
        TrifacetError: the first that ``one`` raises; nothing new is asked then, and what is under way is kept.
    """
    done = 0

    async def guarded(model: LanguageModel, name: Name) -> None:
        nonlocal done
        await one(model, name)
        done += 1
        if on_progress:
            on_progress(done, len(names))

    async def run(books: Books) -> None:
        if on_progress:
            on_progress(0, len(names))
        kind = CountingModel if counting else LanguageModel
        async with kind(step, spec, books, seed=seed, first_pause=first_pause) as model, together() as group:
            for name in names:
                group.create_task(guarded(model.for_step(step), name))

    with ExitStack() as closing:
        if counting and not books_file.exists():  # nothing is written where nothing is asked
            books_file = Path(closing.enter_context(TemporaryDirectory())) / "none.sqlite"
        books = closing.enter_context(Books(books_file, spec.budget))
        run_until_kept(run(books))
        tally = books.tally(step, step)
        paid = books.paid
    return Asked(
        spec.model, tally.asked, tally.cached, tally.answered, tally.tokens_in, tally.tokens_out, tally.spent, paid,
        {} if counting else dict(tally.problems),
    )  # fmt: skip
