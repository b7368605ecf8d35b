"""A build from its recipe to its output: stages one after another, each part once.

Invariant: the output is a function of the recipe and the sources. Killed at any moment and started again, a build goes
on with what is sealed and ends as one that was never killed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from trifacet.base.claims import Claim
from trifacet.base.digests import sha256_of
from trifacet.base.extras import require
from trifacet.base.files import write_atomically
from trifacet.base.workers import cluster_at
from trifacet.building import output
from trifacet.building.asking import Asker, ask_parts
from trifacet.building.counts import BuildProgress, StepProgress
from trifacet.building.folder import RECIPE, claimed, refuse_other_versions
from trifacet.building.keeping import damages, tally
from trifacet.building.losses import refuse_loss
from trifacet.building.output import tell
from trifacet.building.plan import StagePlan, plan_stages, stages_of, tools_of
from trifacet.building.reading import read_sources
from trifacet.building.recipe import BuildRecipe
from trifacet.building.stage_folder import DECISIONS, DECISIONS_SEAL, Record, StageFolder, write_table
from trifacet.building.step import READ, WRITE, Signatures
from trifacet.building.steps import STEPS
from trifacet.building.workers import Job, do_parts
from trifacet.llm.books import Books
from trifacet.llm.interrupts import run_until_kept

Show = Callable[[BuildProgress], None]


def run_build(
    recipe: BuildRecipe,
    *,
    overwrite: bool = False,
    ray: str | None = None,
    workers: int | None = None,
    show: Show = lambda progress: None,
    only: frozenset[int] | None = None,
    asker: Asker | None = None,
) -> dict[str, Any]:
    """Build the data sets of ``recipe``; continues what was interrupted.

    Args:
        recipe: the recipe.
        overwrite: delete what an earlier build of another recipe left in the output folder.
        ray: address of a Ray cluster, see ``base.workers.cluster_at``.
        workers: processes (None: one for each core; on a cluster: one for each of its cores).
        show: called whenever something has changed.
        only: numbers of the rows to take (None: all); for trials, with ``overwrite``.
        asker: how models are asked, if not in earnest.

    Returns:
        The manifest.

    Raises:
        TrifacetError: the folder is another build's, a source cannot be read or has changed, an endpoint fails, the
            budget is reached, a step has lost more of its rows than the recipe allows.
    """
    with claimed(recipe, overwrite=overwrite) as claim:
        progress = progress_of(recipe, show)
        if manifest := _finished(recipe, claim):
            for stage in stages_of(recipe):
                for record in stage.records().values():
                    progress.add(record, here=False)
            return manifest
        refuse_other_versions(claim)
        for chosen in recipe.steps:
            require(chosen.step.packages, f"step {chosen.name!r}")
        cores = cluster_at(ray).cores if ray else os.cpu_count() or 1
        with ExitStack() as closing:
            books = closing.enter_context(Books(recipe.answers_file, recipe.budget)) if recipe.models else None
            build = _Build(recipe, claim, progress, books, asker or Asker(), workers or cores, ray is not None)
            return build.run(only)


def _finished(recipe: BuildRecipe, claim: Claim) -> dict[str, Any] | None:
    """The manifest of a build that is finished and, as far as can be seen at once, whole; else a line says what is not.

    Every byte of the sets is looked at, the size of everything else.
    """
    manifest = output.finished(recipe.folder)
    if manifest is None:
        return None
    if damage := next(damages(recipe, claim.facts, manifest, whole=False), None):
        tell(recipe.folder, damage)
        return None
    if (now := tally(recipe.folder)) != claim.facts.get("pictures"):
        claim.set("pictures", now)
    return manifest


def progress_of(recipe: BuildRecipe, show: Show) -> BuildProgress:
    """The progress of a build that has not begun."""
    names = [READ, *(chosen.name for chosen in recipe.steps), WRITE]
    return BuildProgress([StepProgress(index, name) for index, name in enumerate(names)], show)


class _Build:
    """One run of a build, in this process."""

    def __init__(
        self,
        recipe: BuildRecipe,
        claim: Claim,
        progress: BuildProgress,
        books: Books | None,
        asker: Asker,
        workers: int,
        on_cluster: bool,
    ) -> None:
        self.recipe, self.claim, self.progress, self.books = recipe, claim, progress, books
        self.asker, self.tools, self.on_cluster = asker, tools_of(recipe, workers), on_cluster
        self.parts: list[int] = []

    def run(self, only: frozenset[int] | None) -> dict[str, Any]:
        """All stages, then the output; returns the manifest."""
        stages = stages_of(self.recipe)
        self._read(stages[0], only)
        source = stages[0]
        for plan in plan_stages(self.recipe):
            with self.claim.timed(plan.folder.name):
                self._do_stage(plan, source.folder)
            source = StageFolder(plan.folder)
        recipe_seal = {name: seal for name, seal in self.claim.sealed.items() if name == RECIPE}
        self.claim.set("sealed", recipe_seal)  # the pages that follow are of another output
        with self.claim.timed("output"):
            read = {name: self.claim.facts[name] for name in ("inputs", "outside")}
            manifest = output.write_output(self.recipe, source, self.parts, self.tools, read, stages, self.progress)
        self.claim.set("pictures", tally(self.recipe.folder))
        self.claim.finish()
        return manifest

    def _read(self, stage: StageFolder, only: frozenset[int] | None) -> None:
        """Read the sources, unless they were read."""
        facts = self.claim.facts
        if facts.get("parts") is None or len(stage.intact()) < facts["parts"]:
            self.claim.set("parts", None)  # a kill in between must not leave a half as the whole
            shutil.rmtree(stage.folder, ignore_errors=True)
            self.progress.begin([0], "running", 0)
            with self.claim.timed(stage.folder.name):
                read_sources(self.recipe, stage.folder, lambda record: self.progress.show(self.progress), only)
            self.claim.set("parts", len(stage.records()))
        self.progress.begin([0], "running", facts["parts"])
        records = stage.records()
        for record in records.values():
            self.progress.add(record, here=False)
        self.progress.end([0])
        refuse_loss(self.recipe, self.progress.steps[0])
        self.parts = sorted(records)

    def _do_stage(self, plan: StagePlan, source: Path) -> None:
        """Those parts of a stage that are not sealed."""
        stage, links = StageFolder(plan.folder), plan.links
        if plan.looks_at_all:
            links = (replace(links[0], decisions=self._decisions(plan, source)), *links[1:])
        self.progress.begin(plan.indices, "running", len(self.parts))
        sealed = stage.intact()
        for record in sealed.values():
            self.progress.add(record, here=False)
        missing = [part for part in self.parts if part not in sealed]

        def done(record: Record) -> None:
            stage.add("parts", record)
            self.progress.add(record)

        job = Job(source, stage.folder, links, self.tools)
        if plan.asks and missing:
            self._ask(job, missing, done)
        else:
            for record in do_parts(job, missing, on_cluster=self.on_cluster):
                done(record)
        self.progress.end(plan.indices)
        for index in plan.indices:
            refuse_loss(self.recipe, self.progress.steps[index])

    def _ask(self, job: Job, missing: list[int], done: Callable[[Record], None]) -> None:
        (link,), books = job.links, self.books
        assert books is not None  # the recipe has the model that the step names

        def row_done() -> None:
            self.progress.asked(link.index, books.tallies)

        try:
            run_until_kept(ask_parts(job, self.recipe, self.asker, books, missing, row_done, done))
        finally:
            rows = [row for row in books.rows() if row["step"] == link.name]
            self.claim.set("asked", self.claim.facts.get("asked", {}) | {link.name: rows})

    def _decisions(self, plan: StagePlan, source: Path) -> Path:
        """What a step that sees all rows decided: signatures in workers, then the decision here, once."""
        stage, link = StageFolder(plan.folder), plan.links[0]
        path, seal = plan.folder / DECISIONS, plan.folder / DECISIONS_SEAL
        if seal.exists() and seal.read_bytes() == (sha256_of(path) or "").encode():
            return path
        self.progress.begin([link.index], "signing", len(self.parts))
        sealed = stage.intact("signatures")
        self.progress.signed(link.index, len(sealed))
        missing = [part for part in self.parts if part not in sealed]
        job = Job(source, stage.folder, (link,), self.tools, sign=True)
        for record in do_parts(job, missing, on_cluster=self.on_cluster):
            stage.add("signatures", record)
            self.progress.signed(link.index)
        self.progress.begin([link.index], "deciding", 1)
        step: Any = STEPS[link.name]
        signatures = Signatures(tuple(stage.path("signatures", part) for part in self.parts))
        with self.claim.timed(plan.folder.name, "seconds_of_decisions"):
            _, digest = write_table(path, step.decide(signatures, link.parameters, self.tools))
            write_atomically(seal, digest)
        return path
