"""The cells of a study: from axes and single cells to whole recipes.

Invariant: each cell has a recipe of its own that loads, measures one model of it, and is no other cell's twin. Seed and
output are the plan's, so that no cell can name them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.base.errors import TrifacetError
from trifacet.settings.reading import overridden
from trifacet.studies.settings import MOST_CELLS, Change, LoadedStudy
from trifacet.training.recipe import Recipe, make_recipe

BASE, SFT = "base", "sft"
_OURS = ("name", "output", "seed", "seeds", "sweep")  # keys that a cell cannot set
_STUDY = ("name", "output", "seeds", "sweep")  # of the base recipe: the study has its own


@dataclass(frozen=True)
class Cell:
    """One way of doing it: its recipe, without a seed of its own, and the model of it that is measured."""

    name: str
    recipe: Recipe
    stage: str

    @property
    def digest(self) -> str:
        """Of all that decides what is measured, but for the seed."""
        values = self.recipe.model_dump(mode="json", exclude={"name", "output", "seed"})
        return json_digest([values, self.stage])


def plain_recipe(loaded: LoadedStudy) -> Recipe:
    """The base recipe as the budget has it, before any cell changes it; what cells share is made by it."""
    return _recipe(loaded, _with(loaded.values, loaded.changes, f"{loaded.file}: budgets.{loaded.budget}.set"), "base")


def cells_of(loaded: LoadedStudy) -> list[Cell]:
    """The cells in the order of the file: the product of the axes, then those that stand alone.

    Raises:
        TrifacetError: with file and cell: an unknown key, axes or cells that clash, a model that is not there.
    """
    study, file = loaded.study, loaded.file
    base = _with(loaded.values, loaded.changes, f"{file}: budgets.{loaded.budget}.set")
    if base.get("sweep"):
        raise TrifacetError(f"{file}: base: a study takes its learning rates as given; take sweep out of the recipe")
    found: dict[str, Cell] = {}
    twins: dict[str, str] = {}
    for name, change in _changes(loaded):
        if name in found:
            raise TrifacetError(f"{file}: two cells are called {name!r}; give one of them another name")
        where = f"{file}: cell {name!r}"
        for key in change.set:
            if key.partition(".")[0] in _OURS:
                raise TrifacetError(f"{where}: {key} is the study's own; a cell cannot set it")
        cell = _cell(loaded, name, _with(base, change.set, where), change.stage or study.stage)
        if twin := twins.get(cell.digest):
            raise TrifacetError(f"{where} is the same as cell {twin!r}; take one of them out")
        twins[cell.digest] = name
        found[name] = cell
        if len(found) > MOST_CELLS:
            raise TrifacetError(f"{file}: more than {MOST_CELLS} cells; take fewer values")
    if study.against is not None and study.against not in found:
        raise TrifacetError(f"{file}: against: no cell {study.against!r}; there are {', '.join(found)}")
    loaded.statements(list(found))
    for name in study.paper.values if study.paper else ():
        if name not in found:
            raise TrifacetError(f"{file}: paper.values: no cell {name!r}; there are {', '.join(found)}")
    return list(found.values())


def _changes(loaded: LoadedStudy) -> Iterator[tuple[str, Change]]:
    study = loaded.study
    axes: list[dict[str, Change]] = []
    for name, axis in study.axes.items():
        try:
            axes.append(axis.changes())
        except ValueError as error:
            raise TrifacetError(f"{loaded.file}: axes.{name}: {error}") from None
    if axes:
        _refuse_clash(loaded, dict(zip(study.axes, axes, strict=True)))
        for levels in itertools.product(*(one.items() for one in axes)):
            together = Change(
                set={key: value for _, one in levels for key, value in one.set.items()},
                stage=next((one.stage for _, one in reversed(levels) if one.stage), None),
            )
            yield "+".join(name for name, _ in levels), together
    yield from study.cells.items()


def _refuse_clash(loaded: LoadedStudy, axes: Mapping[str, Mapping[str, Change]]) -> None:
    """Raise TrifacetError where two axes set the same key, or one a key within what the other sets."""
    keys = {name: sorted({key for one in levels.values() for key in one.set}) for name, levels in axes.items()}
    for (one, ours), (other, theirs) in itertools.combinations(keys.items(), 2):
        for mine, yours in itertools.product(ours, theirs):
            if f"{mine}.".startswith(f"{yours}.") or f"{yours}.".startswith(f"{mine}."):
                raise TrifacetError(
                    f"{loaded.file}: axes {one!r} and {other!r} clash: both set {min(mine, yours, key=len)}; give "
                    "such cells one by one, below cells"
                )


def _with(values: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    try:
        return overridden(values, [f"{key}={json.dumps(value)}" for key, value in changes.items()])
    except TrifacetError as error:
        raise TrifacetError(f"{where}: {str(error).removeprefix('--set ')}") from None


def _cell(loaded: LoadedStudy, name: str, values: Mapping[str, Any], stage: str | None) -> Cell:
    """The cell with the stages that lead to its model, and no others."""
    where, align = f"{loaded.file}: cell {name!r}", values.get("align") or {}
    if not isinstance(align, dict):
        raise TrifacetError(f"{where}: align is a mapping of alignments by name")
    if stage is None:
        there = [one for one, settings in align.items() if settings is not None]
        if len(there) > 1:
            raise TrifacetError(f"{where}: which model is measured? say stage, one of {', '.join([BASE, SFT, *there])}")
        stage = there[0] if there else SFT if values.get(SFT) else BASE
    if stage not in (BASE, SFT) and align.get(stage) is None:
        raise TrifacetError(f"{where}: stage: no alignment {stage!r}; the recipe has {', '.join(align) or 'none'}")
    if stage == SFT and values.get(SFT) is None:
        raise TrifacetError(f"{where}: stage: the recipe has no sft section")
    kept = {} if stage in (BASE, SFT) else {stage: align[stage]}
    starts_at_base = any(isinstance(one, dict) and one.get("start") == BASE for one in kept.values())
    sft = None if stage == BASE or starts_at_base else values.get(SFT)
    recipe = _recipe(loaded, {**values, "align": kept, SFT: sft}, f"cell {name!r}", name)
    return Cell(name, recipe, stage)


def _recipe(loaded: LoadedStudy, values: Mapping[str, Any], what: str, cell: str = "") -> Recipe:
    own = {key: value for key, value in values.items() if key not in _STUDY}
    study = loaded.study
    named = f"{study.name}: {cell}" if cell else study.name
    try:
        recipe = make_recipe({**own, "name": named, "output": str(loaded.folder)})
    except TrifacetError as error:
        raise TrifacetError(f"{loaded.file}: {what}: {error}") from None
    if study.split == "validation" and recipe.data.world is None:
        if recipe.data.validation is None:
            raise TrifacetError(f"{loaded.file}: {what}: split validation needs data.validation; set it to a file")
        data = recipe.data.model_copy(update={"test": recipe.data.validation})
        recipe = recipe.model_copy(update={"data": data})
    elif recipe.data.world is None and recipe.data.test is None:
        raise TrifacetError(f"{loaded.file}: {what}: nothing to measure on; set data.test to a file of test samples")
    return recipe


def names_of(cells: Sequence[Cell]) -> list[str]:
    """Their names."""
    return [cell.name for cell in cells]
