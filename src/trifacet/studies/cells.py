"""The cells of a study: from axes and single cells to whole recipes.

Invariant: each cell has a recipe of its own that loads, measures one model of it, and is no other cell's twin. Seed and
output are the plan's, so that no cell can name them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from trifacet.base.digests import json_digest
from trifacet.base.errors import TrifacetError
from trifacet.evolving.parts import ALIGNED
from trifacet.evolving.settings import EvolveRecipe
from trifacet.settings.reading import explain_invalid, merged, overridden
from trifacet.studies.settings import MOST_CELLS, Change, LoadedStudy
from trifacet.training.recipe import Recipe, make_recipe

BASE, SFT, STUDENT = "base", "sft", "student"
START, OTHERS = "start", "others"  # of rounds: the recipe that makes data and model, and what other models change in it
_PLACE = {"name", "output", "seed", "seeds", "sweep"}
_OURS = ("name", "output", "seed", "seeds", "sweep")  # keys that a cell cannot set
_STUDY = ("name", "output", "seeds", "sweep")  # of the base recipe: the study has its own


@dataclass(frozen=True)
class Evolution:
    """Rounds of ``trifacet evolve`` from a cell's model.

    Attributes:
        recipe: of the rounds; model and data are those that the cell's own recipe leaves, where it ``begins`` with any.
        begins: whether the cell's own recipe makes data and model.
        others: recipes of other models by name: those that a role names, and the student, which learns of the pairs.
    """

    recipe: EvolveRecipe
    begins: bool
    others: Mapping[str, Recipe] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One way of doing it: its recipe, without a seed of its own, and the model of it that is measured."""

    name: str
    recipe: Recipe
    stage: str
    evolution: Evolution | None = None

    def values(self) -> dict[str, Any]:
        """All that decides what is measured, but for the seed; less defaults, so that keys may be added to recipes."""

        def told(recipe: Recipe | EvolveRecipe) -> dict[str, Any]:
            return recipe.model_dump(mode="json", exclude={*_PLACE, "processes"}, exclude_defaults=True)

        found = {**told(self.recipe), "measured": self.stage}
        if (evolution := self.evolution) is not None:
            found["evolve"] = told(evolution.recipe)
            found["others"] = {name: told(one) for name, one in evolution.others.items()}
        return found

    @property
    def digest(self) -> str:
        """Of ``values``."""
        return json_digest(self.values())


def plain_recipe(loaded: LoadedStudy) -> Recipe:
    """The base recipe as the budget has it, before any cell changes it; what cells share is made by it."""
    values = _with(loaded.values, loaded.changes, f"{loaded.file}: budgets.{loaded.budget}.set")
    return _start(loaded, values, "base") if evolves(values) else _recipe(loaded, values, "base")


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
    if evolves(values):
        return _evolving(loaded, name, values, stage)
    where, align = f"{loaded.file}: cell {name!r}", values.get("align") or {}
    if not isinstance(align, dict):
        raise TrifacetError(f"{where}: align is a mapping of alignments by name")
    if stage is None:
        there = [one for one, settings in align.items() if settings is not None]
        if len(there) > 1:
            raise TrifacetError(f"{where}: which model is measured? say stage, one of {', '.join([BASE, SFT, *there])}")
        stage = there[0] if there else SFT if values.get(SFT) else BASE
    if stage == START:
        stage = SFT if values.get(SFT) else BASE
    if stage not in (BASE, SFT) and align.get(stage) is None:
        raise TrifacetError(f"{where}: stage: no alignment {stage!r}; the recipe has {', '.join(align) or 'none'}")
    if stage == SFT and values.get(SFT) is None:
        raise TrifacetError(f"{where}: stage: the recipe has no sft section")
    kept = {} if stage in (BASE, SFT) else {stage: align[stage]}
    starts_at_base = any(isinstance(one, dict) and one.get("start") == BASE for one in kept.values())
    sft = None if stage == BASE or starts_at_base else values.get(SFT)
    recipe = _recipe(loaded, {**values, "align": kept, SFT: sft}, f"cell {name!r}", name)
    return Cell(name, recipe, stage)


def evolves(values: Mapping[str, Any]) -> bool:
    """Whether these are values of a recipe for ``trifacet evolve``."""
    return "samples" in values


def _evolving(loaded: LoadedStudy, name: str, values: Mapping[str, Any], stage: str | None) -> Cell:
    """A cell of rounds, and of what they begin with."""
    what = f"cell {name!r}"
    start = _start(loaded, values, what, name)
    own = {key: value for key, value in values.items() if key not in (*_STUDY, START, OTHERS)}
    if START in values:
        if start.sft is None and start.data.world is None and start.model.tiny is None:
            raise TrifacetError(f"{loaded.file}: {what}: start makes nothing; give it a world, model.tiny or sft")
        own["model"] = {**(own.get("model") or {}), "path": START, "tiny": None}
    recipe = _evolve_recipe(loaded, own, what)
    others = values.get(OTHERS) or {}
    if not isinstance(others, dict) or (others and START not in values):
        raise TrifacetError(f"{loaded.file}: {what}: others: give by name what other models change in start")
    there = [BASE, *(f"round-{number}" for number in range(1, recipe.rounds.count + 1))]
    there += [ALIGNED] if recipe.align is not None else []
    there += [STUDENT] if recipe.align is not None and STUDENT in others else []
    stage = stage or (there[-1] if there[-1] != STUDENT else ALIGNED)
    if stage not in there:
        raise TrifacetError(f"{loaded.file}: {what}: stage: no model {stage!r}; there are {', '.join(there)}")
    used = {one.model for _, one in recipe.roles} | {stage}
    made = {
        one: _start(loaded, {**values, START: merged(values[START], change)}, f"{what}: others.{one}", name)
        for one, change in others.items()
        if one in used
    }
    return Cell(name, start, stage, Evolution(recipe, START in values, made))


def _start(loaded: LoadedStudy, values: Mapping[str, Any], what: str, cell: str = "") -> Recipe:
    """The recipe of what rounds begin with: values of their own, or the model and the data of the rounds."""
    if (given := values.get(START)) is None:
        return _recipe(loaded, {key: values[key] for key in ("model", "data") if key in values}, what, cell)
    return _recipe(loaded, {**given, "align": {}}, f"{what}: start", cell)


def _evolve_recipe(loaded: LoadedStudy, values: Mapping[str, Any], what: str) -> EvolveRecipe:
    try:
        recipe = EvolveRecipe.model_validate({**values, "name": loaded.study.name, "output": "evolved"})
    except ValidationError as error:
        raise TrifacetError(f"{loaded.file}: {what}: {explain_invalid(error, EvolveRecipe)}") from None
    if recipe.data.world is not None:
        raise TrifacetError(f"{loaded.file}: {what}: data.world: rounds begin with data; give the world to start")
    if recipe.data.test is None:
        raise TrifacetError(f"{loaded.file}: {what}: nothing to measure on; set data.test to a file of test samples")
    return recipe


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
