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
from trifacet.studies.measures import refuse_unknown
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
    stage: str | None = Field(
        None,
        description="the model that is measured: base, sft, start (sft where there is one) or an alignment; "
        "of rounds base, round-N, aligned or student",
    )


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


class People(Section):
    """What people compare, blind: texts of two cells, of one seed."""

    pairs: list[Annotated[list[CellName], Field(min_length=2, max_length=2)]] = Field(
        min_length=1, max_length=20, description="cells, two by two; what is claimed is that the first is preferred"
    )
    limit: int | None = Field(None, ge=1, le=1_000_000, description="the first N posts only")
    seed: Seed | None = Field(None, description="whose texts are judged (null: the first seed)")


class Budget(Section):
    """What a budget changes: the recipe, the seeds, values of axes."""

    base: str | dict[str, Any] | None = Field(None, description="another base recipe, in place of the study's")
    set: dict[str, Any] = Field(default_factory=dict, description="recipe keys, dotted, and their values")
    axes: dict[CellName, Axis] | None = Field(None, description="axes in place of the study's of the same names")
    seeds: list[Seed] | None = Field(None, min_length=1, max_length=MOST_SEEDS, description="other seeds")
    hours: dict[str, Annotated[float, Field(ge=0, le=1e9)]] | None = Field(
        None,
        description="hours of a GPU that one work of a kind is stated to take, such as sft: 30, or of a stage: "
        "alignment/dpo: 18.4",
    )


class Study(Section):
    """Cells that differ in stated ways, on the same seeds, and what is claimed of them."""

    name: CellName = Field(description="name of the study")
    title: str | None = Field(None, description="one line on what it asks")
    output: str = Field(description="folder of the study; a budget has a folder of its own in it")
    store: str | None = Field(
        None, description="folder of runs that studies share, each done once (null: store, beside the output)"
    )
    base: str | dict[str, Any] = Field(
        description="the recipe: a file, or values; extends is relative to the study. A recipe of trifacet evolve may "
        "have start, the recipe of data and model that its rounds begin with, and others: by name, for a role's "
        "model or as student, what another model changes in start"
    )
    stage: str | None = Field(None, description="the model that is measured where a cell does not say")
    axes: dict[CellName, Axis] = Field(default_factory=dict, description="their cross product gives cells")
    cells: dict[CellName, Change] = Field(default_factory=dict, description="further cells, one by one")
    seeds: list[Seed] = Field(min_length=1, max_length=MOST_SEEDS, description="every cell is run with each of them")
    split: Literal["test", "validation"] = Field("test", description="the posts that are described and scored")
    measures: list[str] = Field(
        min_length=1,
        max_length=50,
        description="metrics, as scores.json names them; evolved/... of rounds, cost/... of a stage's training, "
        "probe/... of looks into the model; relative/... in per cent of the cell that others are held against",
    )
    against: str | None = Field(None, description="cell that the others are held against (null: the first)")
    claims: list[Claim] = Field(default_factory=list, max_length=MOST_CLAIMS, description="what is to be told of them")
    paper: Paper | None = Field(None, description="the paper's own numbers")
    people: People | None = Field(None, description="what people are asked (trifacet review)")
    budgets: dict[CellName, Budget] = Field(default_factory=dict, description="by name, such as small and paper")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice; give each once")
        if not (self.axes or self.cells):
            raise ValueError("has no cells; give axes, cells or both")
        refuse_unknown(self.measures)
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

    @property
    def store(self) -> Path:
        """The folder in which runs lie under their digests."""
        return Path(self.study.store or Path(self.study.output).parent / "store")

    def statements(self, cells: Sequence[str]) -> list[Statement]:
        """The claims, read; whom people compare is looked at too.

        Raises TrifacetError with file and number of the first that cannot be.
        """
        found = []
        for pair in self.study.people.pairs if self.study.people else ():
            if unknown := [name for name in pair if name not in cells]:
                raise TrifacetError(f"{self.file}: people.pairs: no cell {unknown[0]!r}; there are {', '.join(cells)}")
            if pair[0] == pair[1]:
                raise TrifacetError(f"{self.file}: people.pairs: {pair[0]!r} against itself; name two cells")
        for number, claim in enumerate(self.study.claims, start=1):
            try:
                found.append(read_statement(claim.statement, cells, self.study.measures))
            except TrifacetError as error:
                raise TrifacetError(f"{self.file}: claim {number}: {error}") from None
        return found


def known_studies() -> dict[str, Path]:
    """The studies that come with the package, by name; what they extend lies in a folder of its own."""
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
    values = read_values(file, overrides, placed=_placed)
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        raise TrifacetError(f"{file}: {explain_invalid(error, Study)}") from None
    name = _budget_of(study, budget, file)
    chosen = study.budgets[name] if name else Budget()
    if chosen.axes:
        if unknown := sorted(chosen.axes.keys() - study.axes.keys()):
            raise TrifacetError(f"{file}: budgets.{name}.axes: the study has no axis {unknown[0]!r}")
        study = study.model_copy(update={"axes": study.axes | chosen.axes})
    base = _base_values(study.base if chosen.base is None else chosen.base, file)
    seeds = tuple(chosen.seeds or study.seeds)
    if len(set(seeds)) < len(seeds):
        raise TrifacetError(f"{file}: budgets.{name}.seeds: a seed stands there twice; give each once")
    if study.paper and (unknown := sorted({m for row in study.paper.values.values() for m in row} - {*study.measures})):
        raise TrifacetError(
            f"{file}: paper.values: measure {unknown[0]!r} is none of the study's; it has {', '.join(study.measures)}"
        )
    return LoadedStudy(study, file, name, base, chosen.set, seeds, chosen.hours or {}, tuple(overrides))


def _file_of(named: str) -> Path:
    known = known_studies()
    if named in known:
        return known[named]
    if "/" in named or named.endswith((".yaml", ".yml")):
        return Path(named)
    near = difflib.get_close_matches(named, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise TrifacetError(f"no study {named!r}; {hint}; or give a YAML file")


def _placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A file's own values, with paths of recipes that hold in a study that extends it too."""

    def placed(base: Any) -> Any:
        if isinstance(base, str):
            return str((folder / base).absolute())
        if not isinstance(base, dict):
            return base
        found = dict(base)
        if isinstance(base.get("extends"), str):
            found["extends"] = str((folder / base["extends"]).absolute())
        if "start" in base:  # of rounds of trifacet evolve
            found["start"] = placed(base["start"])
        return found

    def with_base(section: Any) -> Any:
        return (
            {**section, "base": placed(section["base"])} if isinstance(section, dict) and "base" in section else section
        )

    found: dict[str, Any] = with_base(values)
    if isinstance(budgets := found.get("budgets"), dict):
        found = {**found, "budgets": {name: with_base(budget) for name, budget in budgets.items()}}
    return found


def _budget_of(study: Study, budget: str | None, file: Path) -> str:
    if budget is None:
        return "small" if "small" in study.budgets else next(iter(study.budgets), "")
    if budget not in study.budgets:
        has = ", ".join(study.budgets) or "none"
        raise TrifacetError(f"{file}: no budget {budget!r}; the study has {has}")
    return budget


def _base_values(base: str | Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The values of a recipe: of a file's, or of these, which may have ``extends``."""
    try:
        if isinstance(base, str):
            return read_values(file.parent / base)
        own = {key: value for key, value in base.items() if key != "extends"}
        if own.get("start") is not None:  # of rounds of trifacet evolve
            own["start"] = _base_values(own["start"], file)
        parent = base.get("extends")
        if parent is None:
            return own
        if not isinstance(parent, str):
            raise TrifacetError("extends is the path of a recipe")
        return merged(read_values(file.parent / parent), own)
    except TrifacetError as error:
        raise TrifacetError(f"{file}: base: {error}") from None
