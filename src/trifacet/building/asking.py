"""A stage that asks a language model: all rows of a few parts at the same time, on the head.

Invariant: rows are asked about independently, so that the order in which answers come changes nothing; a part is
written when all its rows are decided, and what was answered before a stop comes from the answers kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

import pyarrow as pa

from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import Post, RowBatch
from trifacet.building.stage_folder import Record, StageFolder
from trifacet.building.step import AskStep
from trifacet.building.steps import STEPS
from trifacet.building.workers import Job, step_record
from trifacet.llm.asking import together
from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel

PARTS_AT_ONCE = 3  # while the last answers of one part are awaited, those of the next are asked for


class Asker:
    """How models are opened, and what becomes of the rows that were asked about: here, what the step decided."""

    def open(self, name: str, recipe: BuildRecipe, books: Books) -> LanguageModel:
        """The recipe's model of this name, to be entered as a context."""
        return LanguageModel(name, recipe.models[name], books, seed=recipe.seed, max_pixels=recipe.max_pixels)

    def settle(self, step: AskStep, batch: RowBatch) -> tuple[pa.Table, pa.Table]:
        """The rows that stay and the events."""
        return batch.result()


async def ask_parts(
    job: Job,
    recipe: BuildRecipe,
    asker: Asker,
    books: Books,
    parts: Iterable[int],
    on_row: Callable[[], None],
    on_done: Callable[[Record], None],
) -> None:
    """Ask about every row of ``parts``, write what came of it, call ``on_row`` after each and ``on_done`` with each
    part's record. The one link of ``job`` is the step that asks.

    Raises:
        TrifacetError: the endpoint fails or the budget is reached. Nothing new is asked then; answers under way are
            awaited and kept.
    """
    async with AsyncExitStack() as closing:
        models = {name: await closing.enter_async_context(asker.open(name, recipe, books)) for name in recipe.models}
        for model in models.values():
            model.siblings = models
        (link,) = job.links
        name, _ = recipe.model_named(link.parameters.model)
        await _ask_parts(job, models[name].for_step(link.name), asker, parts, on_row, on_done)


async def _ask_parts(
    job: Job,
    model: LanguageModel,
    asker: Asker,
    parts: Iterable[int],
    on_row: Callable[[], None],
    on_done: Callable[[Record], None],
) -> None:
    (link,), target = job.links, StageFolder(job.target)
    step = STEPS[link.name]
    assert isinstance(step, AskStep)
    room = asyncio.Semaphore(PARTS_AT_ONCE)

    async def one_post(post: Post) -> None:
        await step.ask(post, link.parameters, model, job.tools)
        on_row()

    async def one_part(part: int) -> None:
        async with room:
            started, batch = (
                time.monotonic(),
                RowBatch(StageFolder(job.source).read("rows", part), link.index, link.name),
            )
            async with together() as rows:
                for post in batch.posts():
                    rows.create_task(one_post(post))
            model.refusals.end()
            table, events = asker.settle(step, batch)
            files = target.write_both(part, table, events)
            told = step_record(link.index, len(batch), table, events, time.monotonic() - started)
            on_done({"part": part, "files": files, "steps": [told]})

    async with together() as group:
        for part in parts:
            group.create_task(one_part(part))
