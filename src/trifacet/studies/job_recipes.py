"""The recipes of a cell's jobs: the cell's own, cut down to what a job does, reading what earlier jobs have made.

Invariant: a job's recipe says nothing of study and cell but what decides what it leaves.
"""

from __future__ import annotations

from typing import Any

from trifacet.preferences.settings import Rejected
from trifacet.studies.cells import BASE, SFT, Cell
from trifacet.studies.works import Plan
from trifacet.training.recipe import Recipe


class JobRecipes:
    """One cell with one seed, in a plan that has the jobs so far.

    Args:
        plan: of all cells.
        plain: the base recipe, by which what cells share is made.
        cell: whose jobs.
        seed: of the cell's recipe.
        split: the posts that are described and scored.
    """

    def __init__(self, plan: Plan, plain: Recipe, cell: Cell, seed: int, split: str) -> None:
        self.plan, self.plain, self.cell, self.seed, self.split = plan, plain, cell, seed, split
        self.recipe = cell.recipe.model_copy(update={"seed": seed})

    def bare(self, model: Any, what: str) -> Recipe:
        """The recipe without stages and without what only alignments look at."""
        return self.recipe.model_copy(
            update={
                "name": what,
                "model": model,
                SFT: None,
                "align": {},
                "rejected": Rejected(),
                "regions": None,
                "generate": self.plain.generate,
            }
        )

    def of_cell(self, world: str | None, model: str) -> Recipe:
        path = self.recipe.model.model_copy(update={"tiny": None, "path": model})
        own: dict[str, Any] = {"model": path, "data": self.files(world), SFT: None, "align": {}}
        return self.recipe.model_copy(update={"name": self.cell.stage, **own})

    def held_as(self, path: str) -> Any:
        """The model section for a start: the paradigm is the base recipe's, since what trains stands in the stage."""
        update = {"tiny": None, "path": path, "paradigm": self.plain.model.paradigm}
        return self.recipe.model.model_copy(update=update)

    def base_path(self, world: str | None) -> str:
        """Where the base model is, or will be."""
        if self.recipe.model.tiny is None:
            return str(self.recipe.model.path)
        assert world is not None  # which makes it
        return self.model_of(world, BASE)

    def model_of(self, job: str, model: str) -> str:
        """The checkpoint of a model of a job; a base that is no job's own is where its recipe says."""
        recipe = self.plan.jobs[job].recipe
        if model == BASE and recipe.model.path is not None:
            return recipe.model.path
        return str(self.plan.jobs[job].folder / "models" / model / "model")

    def files(self, world: str | None) -> Any:
        """The data section that reads what a world's job has made."""
        data = self.recipe.data
        if data.world is None or world is None:
            return data
        names = {split: f"{split}.jsonl" for split in (SFT, "preference", "validation")}
        read = {"world": None, "root": str(self.plan.jobs[world].folder / "data"), "images": None, "format": "trifacet"}
        return data.model_copy(update={**names, **read, "test": f"{self.split}.jsonl"})
