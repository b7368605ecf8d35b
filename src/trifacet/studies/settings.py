"""The file of a study: base recipe, axes, seeds, measures, claims, and the paper's own numbers.

Invariant: a study that loads has cells whose recipes are whole, and claims over cells and measures that it has.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from trifacet.base.errors import TrifacetError
from trifacet.settings.reading import explain_invalid, merged, read_values
from trifacet.settings.section import Section, Seed
from trifacet.studies.statements import Statement, read_statement

KNOWN = Path(__file__).resolve().parent / "known"
MOST_CELLS, MOST_SEEDS, MOST_CLAIMS = 500, 200, 200


def _cell_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,80}", name):
        raise ValueError(f"{name!r} cannot name a cell; use letters, digits and . _ + -")
    return name


CellName = Annotated[str, AfterValidator(_cell_name)]  # names a folder, and stands in claims


class Change(Section):
    """What a cell changes in the base recipe, and which of its models is measured."""

    set: dict[str, Any] = Field(default_factory=dict, description="recipe keys, dotted, and their values")
    stage: str | None = Field(None, description="the model that is measured: base, sft or an alignment")


class Axis(Section):
    """One way in which cells differ: a recipe key with its values, or levels with several keys each."""

    key: str | None = Field(None, description="a recipe key, dotted")
    values: list[Any] | None = Field(None, description="its values; each names a level")
    levels: dict[CellName, Change] = Field(
        default_factory=dict, description="levels by name, instead of key and values"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Axis:
        if bool(self.levels) == (self.key is not None) or (self.key is None) != (self.values is None):
            raise ValueError("give key and values, or levels")
        if not (self.levels or self.values):
            raise ValueError("has no values; give at least one")
        return self

    def changes(self) -> dict[str, Change]:
        """The levels by name."""
        if self.levels:
            return dict(self.levels)
        found: dict[str, Change] = {}
        for value in self.values or ():
            name = _cell_name(f"{value:g}" if isinstance(value, float) else str(value))
            if name in found:
                raise ValueError(f"{name!r} stands there twice")
            found[name] = Change(set={str(self.key): value})
        return found


class Claim(Section):
    """A claim over cells, with the words and the place of the paper that makes it."""

    statement: str = Field(description="such as full > dpo in cider, no-image < full in grounding by 2")
    text: str | None = Field(None, description="what the paper says, in plain words")
    source: str | None = Field(None, description="where: a table, a section")

    @model_validator(mode="before")
    @classmethod
    def _of_words(cls, given: Any) -> Any:
        return {"statement": given} if isinstance(given, str) else given


class Paper(Section):
    """The paper's own numbers."""

    source: str = Field(description="which paper, and where in it")
    values: dict[str, dict[str, Annotated[float, Field(ge=-1e9, le=1e9)]]] = Field(
        default_factory=dict, description="by cell and measure"
    )
    note: str | None = Field(None, description="what has to be known to read them")


class Budget(Section):
    """What a budget changes: the recipe, the seeds."""

    base: str | dict[str, Any] | None = Field(None, description="another base recipe, in place of the study's")
    set: dict[str, Any] = Field(default_factory=dict, description="recipe keys, dotted, and their values")
    seeds: list[Seed] | None = Field(None, min_length=1, max_length=MOST_SEEDS, description="other seeds")
    hours: dict[str, Annotated[float, Field(ge=0, le=1e9)]] = Field(
        default_factory=dict, description="hours of a GPU that one work of a kind is stated to take, such as sft: 30"
    )


class Study(Section):
    """Cells that differ in stated ways, on the same seeds, and what is claimed of them."""

    name: CellName = Field(description="name of the study")
    title: str | None = Field(None, description="one line on what it asks")
    output: str = Field(description="folder of the study; a budget has a folder of its own in it")
    base: str | dict[str, Any] = Field(description="the recipe: a file, or values; extends is relative to the study")
    stage: str | None = Field(None, description="the model that is measured where a cell does not say")
    axes: dict[CellName, Axis] = Field(default_factory=dict, description="their cross product gives cells")
    cells: dict[CellName, Change] = Field(default_factory=dict, description="further cells, one by one")
    seeds: list[Seed] = Field(min_length=1, max_length=MOST_SEEDS, description="every cell is run with each of them")
    split: Literal["test", "validation"] = Field("test", description="the posts that are described and scored")
    measures: list[str] = Field(min_length=1, max_length=50, description="metrics, as scores.json names them")
    against: str | None = Field(None, description="cell that the others are held against (null: the first)")
    claims: list[Claim] = Field(default_factory=list, max_length=MOST_CLAIMS, description="what is to be told of them")
    paper: Paper | None = Field(None, description="the paper's own numbers")
    budgets: dict[CellName, Budget] = Field(default_factory=dict, description="by name, such as small and paper")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice; give each once")
        if not (self.axes or self.cells):
            raise ValueError("has no cells; give axes, cells or both")
        return self


@dataclass(frozen=True)
class LoadedStudy:
    """A study at one budget.

    ``values`` are those of the base recipe, what the budget changes included; ``given`` of the command line, for
    commands that begin others.
    """

    study: Study
    file: Path
    budget: str
    values: Mapping[str, Any]
    changes: Mapping[str, Any]
    seeds: tuple[int, ...]
    hours: Mapping[str, float]
    given: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The output folder: that of the budget, where the study has budgets."""
        return Path(self.study.output) / self.budget if self.budget else Path(self.study.output)

    def statements(self, cells: Sequence[str]) -> list[Statement]:
        """The claims, read. Raises TrifacetError with file and number of the first that cannot be."""
        found = []
        for number, claim in enumerate(self.study.claims, start=1):
            try:
                found.append(read_statement(claim.statement, cells, self.study.measures))
            except TrifacetError as error:
                raise TrifacetError(f"{self.file}: claim {number}: {error}") from None
        return found


def known_studies() -> dict[str, Path]:
    """The studies that come with the package, by name."""
    return {path.stem: path for path in sorted(KNOWN.glob("*.yaml"))}


def load_study(named: str, budget: str | None = None, overrides: Sequence[str] = ()) -> LoadedStudy:
    """A study by name or file.

    Args:
        named: a file, or the name of a study that comes with the package.
        budget: one of its budgets (None: small where it has that, else its first, else none).
        overrides: ``key=value`` for keys of the study.

    Raises:
        TrifacetError: no such study or budget, bad YAML, an unknown key or a value that does not fit.
    """
    file = _file_of(named)
    values = read_values(file, overrides)
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        raise TrifacetError(f"{file}: {explain_invalid(error, Study)}") from None
    name = _budget_of(study, budget, file)
    chosen = study.budgets[name] if name else Budget()
    base = _base_values(study.base if chosen.base is None else chosen.base, file)
    seeds = tuple(chosen.seeds or study.seeds)
    if len(set(seeds)) < len(seeds):
        raise TrifacetError(f"{file}: budgets.{name}.seeds: a seed stands there twice; give each once")
    if study.paper and (unknown := sorted({m for row in study.paper.values.values() for m in row} - {*study.measures})):
        raise TrifacetError(
            f"{file}: paper.values: measure {unknown[0]!r} is none of the study's; it has {', '.join(study.measures)}"
        )
    return LoadedStudy(study, file, name, base, chosen.set, seeds, chosen.hours, tuple(overrides))


def _file_of(named: str) -> Path:
    known = known_studies()
    if named in known:
        return known[named]
    if "/" in named or named.endswith((".yaml", ".yml")):
        return Path(named)
    near = difflib.get_close_matches(named, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise TrifacetError(f"no study {named!r}; {hint}; or give a YAML file")


def _budget_of(study: Study, budget: str | None, file: Path) -> str:
    if budget is None:
        return "small" if "small" in study.budgets else next(iter(study.budgets), "")
    if budget not in study.budgets:
        has = ", ".join(study.budgets) or "none"
        raise TrifacetError(f"{file}: no budget {budget!r}; the study has {has}")
    return budget


def _base_values(base: str | Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The values of the base recipe."""
    try:
        if isinstance(base, str):
            return read_values(file.parent / base)
        own = {key: value for key, value in base.items() if key != "extends"}
        parent = base.get("extends")
        if parent is None:
            return own
        if not isinstance(parent, str):
            raise TrifacetError("extends is the path of a recipe")
        return merged(read_values(file.parent / parent), own)
    except TrifacetError as error:
        raise TrifacetError(f"{file}: base: {error}") from None
