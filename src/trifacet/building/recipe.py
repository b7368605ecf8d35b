"""The recipe of a build: sources, steps in order, models, output.

Invariant: a recipe that loads names known steps with valid parameters, in an order in which each finds what it needs.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from trifacet.base.errors import TrifacetError
from trifacet.base.images import MAX_PIXELS
from trifacet.building.settings import Network, Output, Source
from trifacet.building.step import READ, WRITE, AskStep, Step
from trifacet.building.steps import STEPS
from trifacet.llm.settings import Model
from trifacet.settings.reading import explain_invalid, read_values
from trifacet.settings.section import MOST, Section, Seed
from trifacet.settings.yaml_values import as_yaml


class Chosen(Section):
    """One step of the recipe: its name and its parameters, of the type that the step has."""

    name: str
    parameters: SerializeAsAny[Any]

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """``name``, or ``{name: parameters}`` with one key, as a recipe spells it."""
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError("write a step's name, or 'name: {parameter: value}'")
        ((name, parameters),) = value.items()
        if name not in STEPS:
            near = difflib.get_close_matches(str(name), STEPS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known steps are {', '.join(STEPS)}"
            raise ValueError(f"unknown step {name!r}; {hint}")
        if not isinstance(parameters or {}, dict):
            known = list(STEPS[name].parameters.model_fields)
            given = (
                f"write parameters by name, as in '{name}: {{{known[0]}: ...}}'" if known else "it has no parameters"
            )
            raise ValueError(f"{name}: {given}")
        try:
            return {"name": name, "parameters": STEPS[name].parameters.model_validate(parameters or {})}
        except ValidationError as error:
            raise ValueError(f"{name}: {explain_invalid(error, STEPS[name].parameters)}") from None

    @property
    def step(self) -> Step:
        """What the name stands for."""
        return STEPS[self.name]


class BuildRecipe(Section):
    """From raw posts to supervised, preference and test sets."""

    name: str = Field("build", description="shown in reports")
    output: str = Field("builds/{name}", description="folder of the result; {name} is the recipe's")
    seed: Seed = Field(17, description="seed of everything that is drawn")
    sources: list[Source] = Field(min_length=1, description="where the posts come from, in order")
    steps: list[Chosen] = Field(description="what is done to them, in order")
    models: dict[str, Model] = Field(default_factory=dict, description="language models, by a name of yours")
    budget: float | None = Field(
        None, ge=0, le=MOST, description="stop cleanly before spending more, in the prices' currency"
    )
    answers: str | None = Field(None, description="file that keeps the models' answers (null: <output>.answers.sqlite)")
    network: Network = Field(default_factory=Network)
    write: Output = Field(default_factory=Output)
    max_pixels: int = Field(
        MAX_PIXELS, ge=1, le=MOST, description="largest image in pixels, against decompression bombs"
    )
    part_rows: int = Field(
        4096, ge=1, le=10_000_000, description="rows handled and kept at a time: smaller saves memory"
    )
    max_dropped: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="largest share of its rows that a step may lose, by the step's name; of others half, then we stop",
    )
    audit: str | None = Field(None, description="field of 'extra' that names a fault planted to test this recipe")

    @model_validator(mode="after")
    def _named_folder(self) -> BuildRecipe:
        if self.folder.name in ("", ".."):  # answers and trials lie beside it, under its name
            raise ValueError(f"output: {self.output!r} names no folder; write one such as builds/posts")
        return self

    @model_validator(mode="after")
    def _of_steps(self) -> BuildRecipe:
        known = [READ, *(chosen.name for chosen in self.steps), WRITE]
        for name in self.max_dropped:
            if name not in known:
                raise ValueError(f"max_dropped: {name!r} is no step of this recipe; its steps are {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> BuildRecipe:
        given: set[str] = set()
        for number, chosen in enumerate(self.steps, start=1):
            for fact in sorted(chosen.step.needs(chosen.parameters) - given):
                givers = " or ".join(repr(name) for name, step in STEPS.items() if fact in step.gives)
                raise ValueError(f"step {number}, {chosen.name!r}, needs {fact}: put {givers} before it")
            given |= chosen.step.gives
            if isinstance(chosen.step, AskStep):
                if not self.models:
                    raise ValueError(
                        f"step {number}, {chosen.name!r}, asks a language model: name one under 'models', "
                        "as in docs/language-models.md"
                    )
                self.model_named(chosen.parameters.model)
            if (writer := getattr(chosen.parameters, "writer", None)) is not None:
                self.model_named(writer)
        return self

    def model_named(self, name: str | None) -> tuple[str, Model]:
        """The model of this name, or the only one; raises ValueError where that says nothing."""
        if name is None and len(self.models) == 1:
            return next(iter(self.models.items()))
        known = ", ".join(self.models) or "none are given"
        if name is None:
            raise ValueError(f"a step that asks a language model has to say which: 'model' is one of {known}")
        if name not in self.models:
            raise ValueError(f"model {name!r} is not one of 'models' ({known})")
        return name, self.models[name]

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.output.replace("{name}", self.name))

    @property
    def answers_file(self) -> Path:
        """Where answers are kept: beside the output, so that neither ``--overwrite`` nor a dry run loses them."""
        return Path(self.answers) if self.answers else self.folder.with_name(f"{self.folder.name}.answers.sqlite")


def load_build_recipe(path: str | Path, overrides: Sequence[str] = ()) -> BuildRecipe:
    """The build recipe of a YAML file with ``key=value`` overrides applied.

    Raises:
        TrifacetError: no such file, bad YAML, an unknown key or step, a value that does not fit, steps out of order.
    """
    values = read_values(path, overrides)
    if "model" in values and "sources" not in values:
        raise TrifacetError(f"{path}: a recipe of a training run; give it to 'trifacet run'")
    try:
        return BuildRecipe.model_validate(values)
    except ValidationError as error:
        raise TrifacetError(f"{path}: {explain_invalid(error, BuildRecipe)}") from None


def dump_build_recipe(recipe: BuildRecipe) -> str:
    """The whole recipe as YAML, every default written out; it loads again."""
    values = recipe.model_dump(mode="json")
    values["steps"] = [{step["name"]: step["parameters"]} for step in values["steps"]]
    return as_yaml(values)
