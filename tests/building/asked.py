"""Rows, and what a step that asks a model makes of them, with a scripted model behind a real endpoint."""

import asyncio
import json

from rows_of import about, decided

from trifacet.building.rows import RowBatch
from trifacet.building.step import MADE, Tools
from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint
from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel
from trifacet.llm.settings import Model

SEED = 17


def tools_in(folder):
    roots = {"0": folder / "images", MADE: folder / "made"}
    for root in roots.values():
        root.mkdir(exist_ok=True, parents=True)
    return Tools(SEED, folder, roots)


def asked(step, table, answer, folder, *, siblings=(), faults=0.0, reparse=1, **parameters):
    """(rows that stay, events) as lists, after ``step`` asked ``answer`` (a function of messages) about ``table``.

    ``siblings`` are (name, answer) of further models.
    """

    async def run(endpoints, books):
        models = {}
        for name, endpoint in endpoints.items():
            spec = Model(base_url=endpoint.base_url, model="scripted", timeout=20, reparse=reparse, tries=20)
            models[name] = LanguageModel(name, spec, books, seed=SEED, first_pause=0.01)
            models[name].siblings = models
        batch = RowBatch(table, 1, step.name)
        chosen = step.parameters.model_validate(parameters)
        async with asyncio.TaskGroup() as group:
            for post in batch.posts():
                group.create_task(step.ask(post, chosen, models["first"], tools_in(folder)))
        for model in models.values():
            await model.__aexit__(None, None, None)
        return batch.result()

    from contextlib import ExitStack

    with ExitStack() as stack:
        endpoints = {
            name: stack.enter_context(
                ScriptedEndpoint(one, Faults.mixed(faults, slow=0.01, retry_after=0.01) if faults else None)
            )
            for name, one in (("first", answer), *siblings)
        }
        books = stack.enter_context(Books(folder / "answers.sqlite"))
        table, events = asyncio.run(run(endpoints, books))
    return table.to_pylist(), told(events)


def told(events):
    """Events as dicts with their detail read."""
    return [event | {"detail": json.loads(event["detail"] or "{}")} for event in events.to_pylist()]


def in_parts(step, table, folder, size, **parameters):
    """(rows that stay, events) of a global step over parts of ``size`` rows."""
    chosen, tools = step.parameters.model_validate(parameters), tools_in(folder)
    parts = [table.slice(start, size) for start in range(0, len(table), size)]
    decisions = decided(step, parts, chosen, tools, folder)
    results = []
    for part in parts:
        batch = RowBatch(part, 1, step.name)
        step.apply(batch, about(decisions, part), chosen, tools)
        results.append(batch.result())
    return (
        [row for rows, _ in results for row in rows.to_pylist()],
        [event for _, events in results for event in told(events)],
    )
