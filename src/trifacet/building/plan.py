"""Which stages a recipe's steps make, and where they lie.

Invariant: steps keep the recipe's order; a stage is what is done to a part in one go.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trifacet.building.recipe import BuildRecipe
from trifacet.building.sources import image_root
from trifacet.building.stage_folder import StageFolder
from trifacet.building.step import DOWNLOADED, MADE, READ, WRITE, AskStep, GlobalStep, Tools
from trifacet.building.steps import STEPS
from trifacet.building.workers import ChainLink


@dataclass(frozen=True)
class StagePlan:
    """Steps that are done in one go over each part: a chain in workers, or one that asks."""

    folder: Path
    links: tuple[ChainLink, ...]

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
    groups: list[list[ChainLink]] = []
    for index, chosen in enumerate(recipe.steps, start=1):
        link = ChainLink(index, chosen.name, chosen.parameters)
        before = STEPS[groups[-1][0].name] if groups else None
        alone = isinstance(chosen.step, AskStep | GlobalStep) or before is None or isinstance(before, AskStep)
        if alone:
            groups.append([link])
        else:
            groups[-1].append(link)
    folder = recipe.folder / "stages"
    return [StagePlan(folder / f"{group[0].index:02d}-{group[0].name}", tuple(group)) for group in groups]


def stages_of(recipe: BuildRecipe) -> list[StageFolder]:
    """The folders of all stages, from reading to writing: what ``--explain`` and the reports read."""
    folder = recipe.folder / "stages"
    last = StageFolder(folder / f"{len(recipe.steps) + 1:02d}-{WRITE}")
    return [StageFolder(folder / f"00-{READ}"), *(StageFolder(plan.folder) for plan in plan_stages(recipe)), last]


def tools_of(recipe: BuildRecipe, workers: int) -> Tools:
    """What steps may use."""
    roots = {str(place): image_root(source).resolve() for place, source in enumerate(recipe.sources)}
    roots |= {name: recipe.folder.resolve() / "work" / name for name in (DOWNLOADED, MADE)}
    for name in (DOWNLOADED, MADE):
        roots[name].mkdir(parents=True, exist_ok=True)
    return Tools(recipe.seed, recipe.folder.resolve(), roots, workers, recipe.max_pixels, recipe.network)
