"""The recipe: one typed YAML file that says everything a run does.

Invariant: a recipe that loads is complete and free of unknown keys; nothing reads configuration from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Data, World
from trifacet.generation.settings import Generation
from trifacet.models.settings import Model
from trifacet.preferences.changed import ChangedTokens
from trifacet.preferences.objectives import MOST_WEIGHT, OBJECTIVES, Objective, redefined, resolve_objective
from trifacet.preferences.settings import Rejected, RejectedImage
from trifacet.regions.settings import Regions
from trifacet.settings.reading import explain_invalid, read_values
from trifacet.settings.section import MOST, Section, Seed
from trifacet.settings.yaml_values import as_yaml
from trifacet.training.curriculum import Curriculum


def _stage_name(name: str) -> str:
    if name in ("base", "sft") or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise ValueError(
            f"{name!r} cannot name an alignment; use letters, digits and . _ + -, and neither 'base' nor 'sft'"
        )
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]  # names a folder of the run


class Optimisation(Section):
    """The training loop's settings, the same for both stages; names as in transformers' TrainingArguments."""

    learning_rate: float = Field(2e-5, gt=0, le=MOST, description="peak learning rate")
    epochs: float = Field(1.0, gt=0, le=1_000_000, description="passes over the data (max_steps, if set, wins)")
    max_steps: int | None = Field(None, ge=1, le=MOST, description="number of optimiser steps instead of epochs")
    batch_size: int = Field(8, ge=1, le=100_000, description="samples per forward")
    accumulation: int = Field(
        1,
        ge=1,
        le=100_000,
        description="forwards per optimiser step, over all processes: N processes do a share of 1/N each",
    )
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"] = Field(
        "cosine", description="learning-rate schedule after the warm-up; constant has no warm-up"
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.0, ge=0, le=100, description="decoupled weight decay")
    max_grad_norm: float = Field(1.0, gt=0, le=MOST, description="gradients are clipped to this norm")
    gradient_checkpointing: bool = Field(False, description="trade time for memory")
    log_every: int = Field(10, ge=1, le=MOST, description="steps between two lines of the log")
    save_every: int | None = Field(
        None, ge=1, le=MOST, description="steps between two checkpoints (null: only at the end)"
    )
    tensorboard: bool = Field(False, description="also write TensorBoard files")
    report_to: list[Literal["tensorboard", "wandb", "trackio"]] = Field(
        default_factory=list,
        description="trackers that are told of every line of the log, by transformers' own integrations; their "
        "environment variables (WANDB_PROJECT, TRACKIO_PROJECT ...) decide where it goes",
    )
    eval_every: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="steps between two looks at the model's own texts, also before the first and after the last step "
        "(null: none)",
    )
    eval_samples: int = Field(
        8, ge=1, le=100_000, description="posts that it then describes: the first of the validation split"
    )


class Supervised(Optimisation):
    """Stage 1: imitate the users' alt-text."""

    vision: Literal["paradigm", "frozen", "trained"] = Field("paradigm", description="overrides model.paradigm")


class Align(Optimisation):
    """Stage 2: one alignment by one objective."""

    learning_rate: float = Field(5e-7, gt=0, le=MOST, description="peak learning rate")
    vision: Literal["paradigm", "frozen", "trained"] = Field("paradigm", description="overrides model.paradigm")
    objective: str | dict[str, Any] = Field(
        "mcm-dpo", description="a named objective, an objective of your own, or package.module:name of one in Python"
    )
    beta: float | None = Field(
        None, gt=0, le=1_000_000, description="strength of the pull to the reference (null: the objective's)"
    )
    weights: dict[str, Annotated[float, Field(ge=0, le=MOST_WEIGHT)]] | None = Field(
        None,
        description="other weights for the objective's terms, by term (mtpo: 0.1; 0 switches it off) or as MCM-DPO's "
        "paper groups them: lambda (rpo), alpha (vpo, cpo), gamma (vrpo, crpo, vcpo, mtpo), or as MFPO's names its "
        "losses: text (rpo), image (vpo), margin (anchor)",
    )
    offsets: dict[str, Annotated[float, Field(ge=-MOST_WEIGHT, le=MOST_WEIGHT)]] | None = Field(
        None,
        description="what pairs' margins and anchors' rewards have to exceed, by the same names (margin: 0.2 is eta of "
        "MFPO's paper, delta of mDPO's)",
    )
    changed_tokens: ChangedTokens | None = Field(
        None, description="let tokens in which chosen and rejected responses differ count more (null: all count alike)"
    )
    start: Literal["auto", "base", "sft"] = Field("auto", description="model to start from; auto: sft if there is one")
    reference: Literal["cache", "online"] = Field(
        "cache", description="cache: score the reference once, before training; online: keep it in memory"
    )
    limit: int | None = Field(None, ge=1, le=MOST, description="use the first N preference samples only")
    warn_chosen_drop: float | None = Field(
        0.5,
        gt=0,
        le=1_000,
        description="warn when chosen responses have become less likely than under the reference by more than this "
        "many nats per token (null: never)",
    )

    curriculum: Curriculum | None = Field(
        None, description="train on groups of samples by difficulty, one after the other (null: on all at once)"
    )

    @model_validator(mode="after")
    def _counts_once(self) -> Align:
        if self.curriculum and self.max_steps:
            raise ValueError("max_steps: a curriculum counts the passes of each phase; leave it out and set epochs")
        return self

    def resolved_objective(self) -> Objective:
        """The objective with this stage's beta, weights and offsets.

        Raises:
            TrifacetError: an unknown name, a bad definition, or no term of a name that is given.
        """
        objective = redefined(resolve_objective(self.objective), "weight", self.weights or {})
        objective = redefined(objective, "offset", self.offsets or {})
        return objective if self.beta is None else objective.model_copy(update={"beta": self.beta})


class Sweep(Section):
    """Every align stage with every learning rate; the best by one metric on the validation split is kept."""

    learning_rates: list[Annotated[float, Field(gt=0, le=MOST)]] = Field(
        description="the grid, the same for every stage"
    )
    metric: str = Field("grounding", description="metric on the validation split that decides, higher is better")


class Recipe(Section):
    """A whole run."""

    name: str = Field(description="name of the run, shown in the report")
    output: str = Field(description="folder of the run; belongs to this recipe alone")
    seed: Seed = Field(17, description="seed of everything that is drawn")
    model: Model
    data: Data
    rejected: Rejected = Rejected()
    regions: Regions | None = Field(
        None, description="where key words are in the pictures, for strategies that change these regions"
    )
    sft: Supervised | None = Field(None, description="stage 1; left out: start from the model as it is")
    align: dict[StageName, Align] = Field(default_factory=dict, description="stage 2: alignments by name")
    generate: Generation = Generation()
    sweep: Sweep | None = Field(None, description="choose the align stages' learning rates")
    seeds: list[Seed] | None = Field(None, description="repeat the run with these seeds and report the spread")

    @field_validator("align", mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        """An alignment that another recipe or ``--set`` has made null is none."""
        return {name: one for name, one in given.items() if one is not None} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        """What would otherwise be found out after hours of training."""
        if (self.sft or self.align) and self.model.dtype == "float16":
            raise ValueError(
                "model.dtype: float16 is too narrow to train in; set bfloat16, or float32 with mixed_precision: true"
            )
        stages = [stage for stage in (self.sft, *self.align.values()) if stage]
        if self.model.memory and any(stage.gradient_checkpointing for stage in stages):
            raise ValueError(
                "model.memory says how many layers are made again, gradient_checkpointing that all are; set one of them"
            )
        if self.rejected.resample and any(stage.reference == "cache" for stage in self.align.values()):
            raise ValueError(
                "rejected.resample draws other rejected versions in each epoch, so reference scores cannot be cached; "
                "set reference: online for each alignment, or resample: false"
            )
        if self.rejected.image.made_by().needs_lettering and self.regions and not self.regions.file:
            locator = self.regions.locator.name if self.regions.locator else "given"
            if locator != "words":
                raise ValueError(
                    f"rejected.image.strategy: {self.rejected.image.strategy} replaces words that stand in the "
                    f"picture, and locator {locator} does not say which; set regions.locator.name: words"
                )
        if self.sweep and not (self.data.world or self.data.validation):
            raise ValueError("a sweep chooses on held-out posts; set data.validation to a file of test samples")
        return self

    @property
    def stages(self) -> list[str]:
        """The names of its stages, in the order in which they train."""
        return [*(["sft"] if self.sft else []), *self.align]

    def refuse_unknown(self, names: Sequence[str]) -> None:
        """Raises TrifacetError where a stage of these names is not in the recipe, or there are none."""
        if not names:
            raise TrifacetError("the recipe has no 'align' section; add one such as align: {dpo: {objective: dpo}}")
        if "sft" in names and self.sft is None:
            raise TrifacetError("the recipe has no 'sft' section; add one or run `trifacet align`")
        if unknown := [name for name in names if name not in self.stages]:
            has = ", ".join(self.align) or "none"
            raise TrifacetError(f"the recipe has no alignment {unknown[0]!r}; it has {has}")

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.output)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a file with ``key=value`` overrides applied.

    A recipe may extend another (``extends: other.yaml``, relative to itself): mappings merge, all else replaces.
    Top-level keys that begin with ``x-`` are for YAML anchors and are ignored.

    Raises:
        TrifacetError: no such file, bad YAML, an unknown key or a value that does not fit.
    """
    values = read_values(path, overrides)
    if {"sources", "steps"} <= values.keys():
        raise TrifacetError(f"{path}: a recipe of a build; give it to 'trifacet build'")
    try:
        return make_recipe(values)
    except TrifacetError as error:
        raise TrifacetError(f"{path}: {error}") from None


def make_recipe(values: Mapping[str, Any]) -> Recipe:
    """The recipe of plain values; what it names of the user's own code is imported here.

    An own objective becomes its definition: it is data, so that the run's ``recipe.yaml`` and fingerprint hold its
    terms, and nobody who reads them needs the code.

    Raises:
        TrifacetError: an unknown key, or a value that does not fit.
    """
    try:
        recipe = Recipe.model_validate(dict(values))
    except ValidationError as error:
        raise TrifacetError(explain_invalid(error, Recipe)) from None
    from trifacet.data.formats import use_format  # pyarrow, for which a mistyped key need not wait

    try:
        use_format(recipe.data.format)
    except TrifacetError as error:
        raise TrifacetError(f"data.format: {error}") from None
    align = {}
    for name, stage in recipe.align.items():
        try:
            objective = stage.resolved_objective()
            if stage.curriculum and stage.curriculum.reference == "previous" and not objective.needs_reference:
                raise TrifacetError(
                    f"curriculum.reference: objective {objective.name!r} has no reference; set fixed, or leave it out"
                )
            align[name] = stage.model_copy(update={"objective": _as_data(stage.objective)})
        except TrifacetError as error:
            raise TrifacetError(f"align.{name}: {error}") from None
    return recipe.model_copy(update={"align": align})


def _as_data(objective: str | dict[str, Any]) -> str | dict[str, Any]:
    """The same, but for what names an object of the user's own: that is written out."""
    named = objective if isinstance(objective, str) else objective.get("base", "sft")
    return objective if named in OBJECTIVES else resolve_objective(objective).model_dump(mode="json")


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as YAML, every default written out."""
    return as_yaml(recipe.model_dump(mode="json"))


def recipe_fingerprint(recipe: Recipe) -> str:
    """SHA-256 of all that decides a run's results; the output folder does not.

    Nor do ``data.on_bad_row`` (what was made without meeting a bad row is the same either way, and a stage that was
    begun with other samples refuses to go on by itself) and who is told of the log. Keys that are younger than the
    first runs count where they say something: runs that were begun before go on.
    """
    values = recipe.model_copy(update={"output": ""}).model_dump(mode="json")
    values["data"]["on_bad_row"] = "stop"
    younger = [key for key in ("filter", "top_p") if getattr(recipe.generate, key) == getattr(Generation(), key)]
    values["generate"] = {key: value for key, value in values["generate"].items() if key not in younger}
    values["model"] |= {"keep_features": bool(recipe.model.keep_features), "memory": 0}  # sizes decide on no number
    silent = [("four_bit", False), ("attention", "auto"), ("keep_features", False), ("memory", 0)]
    values["model"] = {key: value for key, value in values["model"].items() if (key, value) not in silent}
    for key in ("soft_edge", "share", "perturbation", "similarity"):
        if values["rejected"]["image"][key] == RejectedImage.model_fields[key].default:
            del values["rejected"]["image"][key]
    if recipe.regions is None:
        del values["regions"]
    elif recipe.regions.locator is not None:
        values["regions"]["locator"] = recipe.regions.locator.without_younger()
    if recipe.data.lettering == "leave":
        for key in ("lettering", "lettering_label", "lettering_characters", "reading"):
            del values["data"][key]
    if recipe.data.world:
        for key in ("kind", "prompts", "wrong", "posts"):
            if getattr(recipe.data.world, key) == World.model_fields[key].default:
                del values["data"]["world"][key]
    for stage in filter(None, (values["sft"], *values["align"].values())):
        del stage["report_to"]
    for stage in values["align"].values():
        for key in [key for key in ("weights", "offsets", "changed_tokens", "curriculum") if stage[key] is None]:
            del stage[key]
        stage["objective"] = _as_it_was(stage["objective"])
    return text_digest(as_yaml(values))


def _as_it_was(objective: str | dict[str, Any]) -> str | dict[str, Any]:
    """A stage's objective without the keys that are younger than the first runs, where they say nothing."""
    if isinstance(objective, str):
        return objective
    return {key: value for key, value in objective.items() if (key, value) != ("beside", False)}
