"""A stage that asks a language model: all rows of a few parts at the same time, on the head.

Invariant: rows are asked about independently, so that the order in which answers come changes nothing; a part is
written when all its rows are decided, and what was answered before a stop comes from the answers kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from trifacet.building.parts import Record, Stage
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import Batch, Post
from trifacet.building.step import AskStep, Tools
from trifacet.building.steps import STEPS
from trifacet.building.workers import Link, step_record
from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel

PARTS_AT_ONCE = 3  # while the last answers of one part are awaited, those of the next are asked for


async def ask_parts(
    link: Link,
    recipe: BuildRecipe,
    books: Books,
    source: Path,
    target: Path,
    parts: Iterable[int],
    tools: Tools,
    on_done: Callable[[Record], None],
) -> None:
    """Ask about every row of ``parts``, write what came of it, and call ``on_done`` with each part's record.

    Raises:
        TrifacetError: the endpoint fails or the budget is reached. Nothing new is asked then; answers under way are
            awaited and kept.
    """
    async with AsyncExitStack() as closing:
        models = {
            name: await closing.enter_async_context(
                LanguageModel(name, spec, books, seed=recipe.seed, max_pixels=recipe.max_pixels)
            )
            for name, spec in recipe.models.items()
        }
        for model in models.values():
            model.siblings = models
        name, _ = recipe.model_named(link.parameters.model)
        await _ask_parts(link, models[name].for_step(link.name), source, target, parts, tools, on_done)


async def _ask_parts(
    link: Link,
    model: LanguageModel,
    source: Path,
    target: Path,
    parts: Iterable[int],
    tools: Tools,
    on_done: Callable[[Record], None],
) -> None:
    step = STEPS[link.name]
    assert isinstance(step, AskStep)
    room, stopped = asyncio.Semaphore(PARTS_AT_ONCE), asyncio.Event()

    async def one_post(post: Post) -> None:
        if not stopped.is_set():
            try:
                await step.ask(post, link.parameters, model, tools)
            except BaseException:
                stopped.set()
                raise

    async def one_part(part: int) -> None:
        async with room:
            if stopped.is_set():
                return
            started, batch = time.monotonic(), Batch(Stage(source).read("rows", part), link.index, link.name)
            found = await asyncio.gather(*map(one_post, batch.posts()), return_exceptions=True)
            for problem in found:
                if problem is not None:
                    raise problem
            if stopped.is_set():  # some were not asked
                return
            table, events = batch.result()
            files = dict([Stage(target).write("rows", part, table), Stage(target).write("events", part, events)])
            told = step_record(link.index, len(batch), table, events, time.monotonic() - started)
            on_done({"part": part, "files": files, "steps": [told]})

    problems = await asyncio.gather(*map(one_part, parts), return_exceptions=True)
    for problem in problems:
        if problem is not None:
            raise problem
