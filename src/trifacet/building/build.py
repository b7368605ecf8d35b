"""A build from its recipe to its output: stages one after another, each part once.

Invariant: the output is a function of the recipe and the sources. Killed at any moment and started again, a build goes
on with what is sealed and ends as one that was never killed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from trifacet.building import output
from trifacet.building.asking import ask_parts
from trifacet.building.parts import Record, Stage, sha256_of, write_table
from trifacet.building.progress import Progress, StepProgress
from trifacet.building.reading import READ, read_sources
from trifacet.building.recipe import BuildRecipe, dump_build_recipe
from trifacet.building.sources import fingerprint, image_root
from trifacet.building.step import DOWNLOADED, MADE, AskStep, GlobalStep, Signatures, Tools
from trifacet.building.steps import STEPS
from trifacet.building.workers import Job, Link, connect, do_parts
from trifacet.errors import TrifacetError
from trifacet.files import write_atomically
from trifacet.folders import locked

STATE_FILE = "build.json"
WRITTEN = ("stages", "images", "work", *output.KINDS)
FILES = ("recipe.yaml", output.MANIFEST, output.FAILED, "card.md", "funnel.html", "answers.sqlite")
Show = Callable[[Progress], None]


@dataclass(frozen=True)
class StagePlan:
    """Steps that are done in one go over each part: a chain in workers, or one that asks."""

    folder: Path
    links: tuple[Link, ...]

    @property
    def asks(self) -> bool:
        """Whether its step asks a language model."""
        return isinstance(STEPS[self.links[0].name], AskStep)

    @property
    def looks_at_all(self) -> bool:
        """Whether its first step has to see all rows before it can decide."""
        return isinstance(STEPS[self.links[0].name], GlobalStep)

    @property
    def indices(self) -> list[int]:
        """The places of its steps in the recipe, from 1."""
        return [link.index for link in self.links]


def plan_stages(recipe: BuildRecipe) -> list[StagePlan]:
    """The stages after reading: a step that must see all rows, or that asks, begins one of its own."""
    groups: list[list[Link]] = []
    for index, chosen in enumerate(recipe.steps, start=1):
        link = Link(index, chosen.name, chosen.parameters)
        before = STEPS[groups[-1][0].name] if groups else None
        alone = isinstance(chosen.step, AskStep | GlobalStep) or before is None or isinstance(before, AskStep)
        if alone:
            groups.append([link])
        else:
            groups[-1].append(link)
    folder = recipe.folder / "stages"
    return [StagePlan(folder / f"{group[0].index:02d}-{group[0].name}", tuple(group)) for group in groups]


def stages_of(recipe: BuildRecipe) -> list[Stage]:
    """The folders of all stages, from reading to writing: what ``--explain`` and the reports read."""
    folder = recipe.folder / "stages"
    last = Stage(folder / f"{len(recipe.steps) + 1:02d}-{output.WRITE}")
    return [Stage(folder / f"00-{READ}"), *(Stage(plan.folder) for plan in plan_stages(recipe)), last]


def run_build(
    recipe: BuildRecipe,
    *,
    overwrite: bool = False,
    ray: str | None = None,
    workers: int | None = None,
    show: Show = lambda progress: None,
) -> dict[str, Any]:
    """Build the data sets of ``recipe``; continues what was interrupted.

    Args:
        recipe: the recipe.
        overwrite: delete what an earlier build of another recipe left in the output folder.
        ray: address of a Ray cluster, see ``workers.connect``.
        workers: processes (None: one for each core; on a cluster: one for each of its cores).
        show: called whenever something has changed.

    Returns:
        The manifest.

    Raises:
        TrifacetError: the folder is another build's, a source cannot be read or has changed, an endpoint fails, the
            budget is reached.
    """
    with locked(recipe.folder, STATE_FILE):
        if overwrite:
            _clear(recipe.folder)
        state = _claim(recipe)
        names = [READ, *(chosen.name for chosen in recipe.steps), output.WRITE]
        progress = Progress([StepProgress(index, name) for index, name in enumerate(names)], show)
        if manifest := output.finished(recipe.folder):
            for stage in stages_of(recipe):
                for record in stage.records().values():
                    progress.add(record, here=False)
            return manifest
        parts = _read(recipe, state, progress)
        cores = connect(ray) if ray else os.cpu_count() or 1
        tools = tools_of(recipe, workers or cores)
        stages = stages_of(recipe)
        source = stages[0]
        for plan in plan_stages(recipe):
            with state.timed(plan.folder.name):
                _do_stage(plan, source.folder, parts, tools, recipe, progress, ray is not None)
            source = Stage(plan.folder)
        with state.timed("output"):
            manifest = output.write_output(recipe, source, parts, tools, state.facts["inputs"], stages, progress)
        state.finish()
        return manifest


def tools_of(recipe: BuildRecipe, workers: int) -> Tools:
    """What steps may use."""
    roots = {str(place): image_root(source).resolve() for place, source in enumerate(recipe.sources)}
    roots |= {name: recipe.folder.resolve() / "work" / name for name in (DOWNLOADED, MADE)}
    for name in (DOWNLOADED, MADE):
        roots[name].mkdir(parents=True, exist_ok=True)
    return Tools(recipe.seed, recipe.folder.resolve(), roots, workers, recipe.max_pixels, recipe.network)


def _do_stage(
    plan: StagePlan,
    source: Path,
    parts: list[int],
    tools: Tools,
    recipe: BuildRecipe,
    progress: Progress,
    on_cluster: bool,
) -> None:
    stage, links = Stage(plan.folder), plan.links
    if plan.looks_at_all:
        links = (replace(links[0], decisions=_decisions(plan, source, parts, tools, progress, on_cluster)), *links[1:])
    progress.begin(plan.indices, "running", len(parts))
    sealed = stage.intact()
    for record in sealed.values():
        progress.add(record, here=False)
    missing = [part for part in parts if part not in sealed]

    def done(record: Record) -> None:
        stage.add("parts", record)
        progress.add(record)

    if plan.asks and missing:
        with _model(recipe, links[0], progress) as model:
            asyncio.run(ask_parts(links[0], model, source, stage.folder, missing, tools, done))
    else:
        for record in do_parts(Job(source, stage.folder, links, tools), missing, on_cluster=on_cluster):
            done(record)
    progress.end(plan.indices)


def _decisions(
    plan: StagePlan, source: Path, parts: list[int], tools: Tools, progress: Progress, on_cluster: bool
) -> Path:
    """What a step that sees all rows decided: signatures in workers, then the decision here, once."""
    stage, link = Stage(plan.folder), plan.links[0]
    path, seal = plan.folder / "decisions.parquet", plan.folder / "decisions.sha256"
    progress.begin([link.index], "signing", len(parts))
    if seal.exists() and seal.read_text() == sha256_of(path):
        return path
    sealed = stage.intact("signatures")
    progress.signed(link.index, len(sealed))
    missing = [part for part in parts if part not in sealed]
    for record in do_parts(Job(source, stage.folder, (link,), tools, sign=True), missing, on_cluster=on_cluster):
        stage.add("signatures", record)
        progress.signed(link.index)
    progress.begin([link.index], "deciding", 1)
    step: Any = STEPS[link.name]
    signatures = Signatures(tuple(stage.path("signatures", part) for part in parts))
    table: pa.Table = step.decide(signatures, link.parameters, tools)
    write_atomically(seal, write_table(path, table, row_group=65_536))
    return path


def _read(recipe: BuildRecipe, state: _State, progress: Progress) -> list[int]:
    """Read the sources, unless they were read; returns the numbers of the parts."""
    stage = stages_of(recipe)[0]
    if "parts" not in state.facts or len(stage.intact()) < state.facts["parts"]:
        shutil.rmtree(stage.folder, ignore_errors=True)
        progress.begin([0], "running", 0)
        with state.timed(stage.folder.name):
            read_sources(recipe, stage.folder, lambda record: progress.show(progress))
        state.set("parts", len(stage.records()))
    progress.begin([0], "running", state.facts["parts"])
    for record in stage.records().values():
        progress.add(record, here=False)
    progress.end([0])
    return sorted(stage.records())


class _State:
    """``build.json``: what the folder holds, and how long it took."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path, self.facts = path, facts

    def set(self, name: str, value: Any) -> None:
        self.facts[name] = value
        write_atomically(self.path, json.dumps(self.facts, indent=2, ensure_ascii=False) + "\n")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = datetime.now(UTC)
        try:
            yield
        finally:
            seconds = self.facts["seconds"]
            took = seconds.get(name, 0.0) + (datetime.now(UTC) - began).total_seconds()
            self.set("seconds", seconds | {name: round(took, 2)})

    def finish(self) -> None:
        self.set("finished", datetime.now(UTC).isoformat(timespec="seconds"))


def _claim(recipe: BuildRecipe) -> _State:
    """The folder as that of this recipe and of these sources."""
    path, cure = recipe.folder / STATE_FILE, "choose another output, or --overwrite to begin anew"
    inputs = [{"source": place, **file} for place, one in enumerate(recipe.sources) for file in fingerprint(one)]
    digest = build_fingerprint(recipe)
    if path.exists():
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            same, unchanged = facts["recipe_sha256"] == digest, facts["inputs"] == inputs
        except (OSError, ValueError, KeyError, TypeError):
            raise TrifacetError(f"{path} is damaged; {cure}") from None
        if not same:
            raise TrifacetError(f"{recipe.folder} holds the build of another recipe; {cure}")
        if not unchanged:
            raise TrifacetError(f"the sources have changed since {recipe.folder} was begun; {cure}")
        state = _State(path, facts)
    else:
        state = _State(path, {"name": recipe.name, "recipe_sha256": digest, "inputs": inputs, "seconds": {}})
        state.set("started", datetime.now(UTC).isoformat(timespec="seconds"))
    write_atomically(recipe.folder / "recipe.yaml", dump_build_recipe(recipe))
    return state


def build_fingerprint(recipe: BuildRecipe) -> str:
    """SHA-256 of all that decides what is built: not where it goes, nor how fast, nor what it may cost."""
    values = recipe.model_dump(mode="json", exclude={"output", "budget", "answers", "network", "audit"})
    decides = ("model", "reparse", "max_tokens", "image_side")
    values["models"] = {name: {key: one[key] for key in decides} for name, one in values["models"].items()}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _clear(folder: Path) -> None:
    """Remove what a build writes; the answers of models, which were paid for, stay."""
    if not (folder / STATE_FILE).exists():
        return
    for name in WRITTEN:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (*(name for name in FILES if name != "answers.sqlite"), STATE_FILE):
        (folder / name).unlink(missing_ok=True)
