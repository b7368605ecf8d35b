"""``trifacet evolve``: gate, rounds, trainings between them, and the alignment on the pairs of all rounds.

Invariant: what a run leaves depends on its recipe and on what that reads; killed at any moment and started again it
ends with the same bytes in every data file, and nothing is sampled, judged or paid for twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trifacet.base.claims import Claim
from trifacet.base.errors import TrifacetError
from trifacet.base.progress import Bar, console
from trifacet.base.workers import ALONE, Cluster, Workers, cluster_at
from trifacet.data.records import TestSample
from trifacet.evolving.cast import Cast
from trifacet.evolving.folder import claimed, is_sealed
from trifacet.evolving.gate import run_gate, samples_of_tasks
from trifacet.evolving.learning import BASE, Learning
from trifacet.evolving.parts import GATE, PAIRS, REPORT, Part
from trifacet.evolving.preparing import drawn_samples, refuse_impossible, settled
from trifacet.evolving.round_rows import RoundRows
from trifacet.evolving.round_samples import first_samples, read_samples, usable, write_parts
from trifacet.evolving.rounds import Told, hard_samples, join, round_folder
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.telling import in_words, listening


@dataclass(frozen=True)
class Evolved:
    """A run that is done.

    Attributes:
        folder: the output folder.
        pairs: the file of preference pairs of all rounds; None where there are none.
        model: the aligned model, or in iterative alignment the model that was kept; None where nothing was trained.
        report: the page.
        document: what the page shows.
    """

    folder: Path
    pairs: Path | None
    model: Path | None
    report: Path | None
    document: dict[str, Any]


def evolve(
    recipe: EvolveRecipe,
    *,
    overwrite: bool = False,
    on_progress: Told | None = None,
    ray: str | None = None,
    workers: int | None = None,
) -> Evolved:
    """The whole run; what is finished is not done again.

    Args:
        recipe: what is done.
        overwrite: begin anew; answers that were paid for stay.
        on_progress: told of (what, done, of how many), beside the bar on standard error.
        ray: address of a Ray cluster that does the parts of the rounds, see ``base.workers.cluster_at``.
        workers: how many parts are done at a time (None: as the recipe says; on a cluster as many as it has
            accelerators, if a model of ours plays a role and may use one, else as it has cores).

    Raises:
        TrifacetError: bad input, a folder of other work, a verifier below the gate's bounds, an endpoint that fails;
            what is finished stays.
    """
    refuse_impossible(recipe)
    who = Workers(workers or recipe.processes) if ray is None else _on_cluster(recipe, cluster_at(ray), workers)
    return run(recipe, overwrite=overwrite, on_progress=on_progress, workers=who)


def run(
    recipe: EvolveRecipe,
    *,
    overwrite: bool = False,
    on_progress: Told | None = None,
    amount: int | None = None,
    workers: Workers = ALONE,
) -> Evolved:
    """The same of ``amount`` samples that are drawn from all (None: all), without a look at whether it makes sense."""
    with claimed(recipe, overwrite=overwrite) as claim:
        return _Run(recipe, claim, on_progress, amount, workers).done()


def _on_cluster(recipe: EvolveRecipe, cluster: Cluster, workers: int | None) -> Workers:
    """Who does the parts on a cluster: a model of ours that may use an accelerator has one for itself."""
    ours = recipe.model.device != "cpu" and any(role.endpoint is None for _, role in recipe.roles)
    gpus = 1 if ours and cluster.gpus else 0
    return Workers(workers or (cluster.gpus if gpus else cluster.cores), on_cluster=True, gpus=gpus)


class _Run:
    """One call of ``evolve``: the folder is claimed, and steps are looked at in order."""

    def __init__(
        self, recipe: EvolveRecipe, claim: Claim, on_progress: Told | None, amount: int | None, workers: Workers
    ) -> None:
        self.claim, self.folder, self._on_progress, self._amount = claim, recipe.folder, on_progress, amount
        self._workers = workers
        if recipe.model.threads:
            torch.set_num_threads(recipe.model.threads)
        with claim.timed("data"):
            self.recipe = settled(recipe)
        self.learning = Learning(self.recipe, claim)

    def done(self) -> Evolved:
        """All that the recipe asks for."""
        learning = self.learning
        learning.refuse_unjudged()
        reached = []
        for number in range(1, self.recipe.rounds.count + 1):
            if not self._begin(number):
                break
            reached.append(number)
            with self.claim.timed(f"round {number}"):
                rows = RoundRows(self.recipe, self.claim, number, learning.models)
                told = rows.made(self._workers, self._on_progress)
            learning.train(number, told)
        pairs = self._all_pairs(reached)
        model = learning.aligned(pairs)
        learning.compared(reached, model)
        self.claim.finish()
        report, document = self._report()
        if model is None and self.recipe.judge is not None and learning.started["generator"][0] != BASE:
            model = Path(learning.started["generator"][1])
        return Evolved(self.folder, pairs, model, report, document)

    def _begin(self, number: int) -> bool:
        """Write the round's samples, and before the first ask the gate; False where no sample is left."""
        folder = round_folder(self.folder, number)
        with self.claim.timed("samples"):
            if number == 1 and self._amount is not None:
                drawn, of = drawn_samples(self.recipe, self._amount)
                index = write_parts(drawn, (), folder, self.recipe.part, of=of)
            elif number == 1:
                samples, unread = first_samples(self.recipe)
                index = write_parts(samples, unread, folder, self.recipe.part)
            else:
                before = round_folder(self.folder, number - 1)
                hard = self.recipe.rounds.hard_only and self.recipe.judge is None
                index = write_parts(hard_samples(before, hard_only=hard), (), folder, self.recipe.part)
        if number == 1:
            if index["unread"]:
                first = index["problems"][0]
                console.print(
                    f"{index['unread']} rows of {self.recipe.samples} are left out, row {first['row']} first: "
                    f"{first['problem']}",
                    soft_wrap=True,
                )
            if not index["rows"]:
                raise TrifacetError(f"samples: {self.recipe.samples} has no rows that can be used")
            self._gate(index["parts"])
        elif not index["rows"]:
            console.print(f"round {number}: every sample has an accepted answer, so that none is left", soft_wrap=True)
        return bool(index["rows"])

    def _gate(self, parts: int) -> None:
        settings = self.recipe.gate
        if self.recipe.judge is not None:
            return
        with self.claim.timed("gate"):
            referenced = self._referenced(parts)
            samples = samples_of_tasks(referenced, settings.samples, settings.task, self.recipe.seed)
            fine, _ = usable(samples, self.recipe, by_reference=True)
            with (
                Bar("gate: questions") as bar,
                listening(lambda steps: bar.update(steps[-1].done, steps[-1].total, in_words(steps))),
                Cast(self.recipe, self.learning.models) as cast,
            ):
                report = run_gate(fine, cast, self.recipe, self.folder)
            self.claim.seal(self.folder / GATE)
        if not report.passed:
            console.tell(("warning: ", "yellow"), "the verifier is below the gate's bounds; gate.otherwise: go on")

    def _referenced(self, parts: int) -> Iterator[TestSample]:
        for number in range(parts):
            yield from (one for one in read_samples(Part(round_folder(self.folder, 1), number, 1)) if one.references)

    def _all_pairs(self, reached: list[int]) -> Path | None:
        target = self.folder / PAIRS
        files = [round_folder(self.folder, number) / PAIRS for number in reached]
        if is_sealed(self.claim, target):
            return target if target.stat().st_size else None
        rows = join(files, target)
        self.claim.seal(target)
        return target if rows else None

    def _report(self) -> tuple[Path | None, dict[str, Any]]:
        from trifacet.evolving.document import evolve_document
        from trifacet.reports.evolving.page import write_evolve_page

        document = evolve_document(self.folder)
        report = write_evolve_page(document, self.folder)
        self.claim.seal(self.folder / REPORT)
        return report, document
