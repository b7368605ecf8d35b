"""The recipe of a build: sources, steps in order, models, output.

Invariant: a recipe that loads names known steps with valid parameters, in an order in which each finds what it needs.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from trifacet.building.step import AskStep, Step
from trifacet.building.steps import STEPS
from trifacet.errors import TrifacetError
from trifacet.images import MAX_PIXELS
from trifacet.training.recipe import Section
from trifacet.training.recipe_file import explain_invalid, read_values

SourceFormat = Literal["auto", "table", "twitter", "trifacet", "mcm-dpo", "trl", "ms-swift", "llama-factory"]


class Columns(Section):
    """Which columns of a table hold what; null where there is none."""

    id: str | None = Field("id", description="the row's id; a row without one is called after its file and row")
    image: str | None = Field("image", description="path or URL of the image, or a list of them")
    context: str | None = Field("context", description="text of the post")
    alt: str | None = Field("alt", description="the user's alt-text")
    prompt: str | None = Field("prompt", description="a request of the row's own")


class Source(Section):
    """Where raw posts come from."""

    path: str = Field(description="a file (JSONL, JSON, CSV, TSV, Parquet; .gz too), a folder of such files, or a glob")
    format: SourceFormat = Field("auto", description="what its rows are; auto looks at the first")
    images: str | None = Field(None, description="folder that image paths are relative to (null: that of the file)")
    columns: Columns = Field(default_factory=Columns, description="columns of a table")
    label: str = Field("Context:", description="line between request and post, where one text holds both")
    limit: int | None = Field(None, ge=1, description="read so many rows at most")


class Network(Section):
    """How images are downloaded."""

    allow_private: bool = Field(False, description="also fetch from private and loopback addresses")
    max_bytes: int = Field(20_000_000, ge=1, description="largest download")
    timeout: float = Field(20.0, gt=0, description="seconds for one download from first to last byte")
    redirects: int = Field(3, ge=0, description="redirects to follow, each checked like the first address")
    tries: int = Field(3, ge=1, description="attempts, for what may pass: time-outs, 429, 5xx, broken connections")
    per_host: float = Field(4.0, gt=0, description="requests a second to one host, over all workers")
    concurrency: int = Field(32, ge=1, description="downloads at the same time in one worker")
    user_agent: str = Field("trifacet (alt-text data set; images only)", description="how we say who asks")

    def decides(self) -> dict[str, Any]:
        """What decides which rows get an image; all else is pace and patience."""
        return self.model_dump(include={"allow_private", "max_bytes", "redirects"})


class Price(Section):
    """What a model costs, in the currency of your choice, for a million tokens."""

    input: float = Field(0.0, ge=0, description="a million tokens of prompts")
    output: float = Field(0.0, ge=0, description="a million tokens of answers")


class Model(Section):
    """A language model behind an OpenAI-compatible endpoint, or one of this machine."""

    base_url: str = Field(description="such as http://127.0.0.1:8000/v1; local: transformers in this process")
    model: str = Field(description="the name that the endpoint knows it by; local: folder or hub id of a chat model")
    key_env: str = Field("OPENAI_API_KEY", description="environment variable that holds the key; unset: none is sent")
    concurrency: int = Field(16, ge=1, description="requests at the same time")
    requests_per_minute: float | None = Field(None, gt=0, description="at most so many requests a minute")
    tokens_per_minute: float | None = Field(None, gt=0, description="at most so many tokens a minute, both ways")
    timeout: float = Field(120.0, gt=0, description="seconds for one answer")
    tries: int = Field(8, ge=1, description="attempts where the endpoint fails, with growing pauses; then we stop")
    reparse: int = Field(3, ge=0, description="further attempts where an answer cannot be parsed; then it is counted")
    max_tokens: int = Field(512, ge=1, description="longest answer")
    image_side: int | None = Field(768, ge=16, description="longest side of images sent, in pixels (null: send none)")
    price: Price = Field(default_factory=Price)


class Output(Section):
    """What is written."""

    shard_rows: int = Field(10_000, ge=1, description="rows per Parquet shard")
    images: Literal["files", "embedded"] = Field(
        "files", description="files under images/ (hard links where the disk allows), or bytes inside the shards"
    )
    extra: list[str] | None = Field(
        None, description="fields beyond ours that are written, such as none of a user's name: [] (null: all of them)"
    )


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
    seed: int = Field(17, description="seed of everything that is drawn")
    sources: list[Source] = Field(min_length=1, description="where the posts come from, in order")
    steps: list[Chosen] = Field(description="what is done to them, in order")
    models: dict[str, Model] = Field(default_factory=dict, description="language models, by a name of yours")
    budget: float | None = Field(None, ge=0, description="stop cleanly before spending more, in the prices' currency")
    answers: str | None = Field(None, description="file that keeps the models' answers (null: <output>.answers.sqlite)")
    network: Network = Field(default_factory=Network)
    write: Output = Field(default_factory=Output)
    max_pixels: int = Field(MAX_PIXELS, ge=1, description="largest image in pixels, against decompression bombs")
    part_rows: int = Field(4096, ge=1, description="rows handled and kept at a time: smaller saves memory")
    audit: str | None = Field(None, description="field of 'extra' that names a fault planted to test this recipe")

    @model_validator(mode="after")
    def _named_folder(self) -> BuildRecipe:
        if self.folder.name in ("", ".."):  # answers and trials lie beside it, under its name
            raise ValueError(f"output: {self.output!r} names no folder; write one such as builds/posts")
        return self

    @model_validator(mode="after")
    def _no_secrets(self) -> BuildRecipe:
        for name, model in self.models.items():
            parts = urlsplit(model.base_url)
            if "@" in parts.netloc or parts.query:
                raise ValueError(
                    f"models.{name}.base_url holds a password or a key, and the recipe is copied into manifest and "
                    f"report; put the key into the environment variable {model.key_env}"
                )
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
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
