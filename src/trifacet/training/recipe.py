"""The recipe: one typed YAML file that says everything a run does.

Invariant: a recipe that loads is complete and free of unknown keys; nothing reads configuration from elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from trifacet.objectives import Objective, resolve_objective

Split = Literal["sft", "preference", "validation", "test"]
Unit = Annotated[float, Field(ge=0, le=1)]


def _stage_name(name: str) -> str:
    if name in ("base", "sft") or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise ValueError(
            f"{name!r} cannot name an alignment; use letters, digits and . _ + -, and neither 'base' nor 'sft'"
        )
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]  # names a folder of the run


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class TinyModel(Section):
    """A LLaVA with random weights and a BPE tokenizer trained on the run's own data: for demos and tests."""

    hidden_size: int = Field(192, description="width of the language model")
    layers: int = Field(4, description="layers of the language model")
    heads: int = Field(4, description="attention heads of the language model")
    vision_hidden_size: int = Field(128, description="width of the vision encoder")
    vision_layers: int = Field(4, description="layers of the vision encoder")
    vision_heads: int = Field(4, description="attention heads of the vision encoder")
    image_size: int = Field(64, description="side of the square image in pixels")
    patch_size: int = Field(8, description="side of one patch in pixels")
    vocabulary: int = Field(2000, description="size of the BPE vocabulary, at most")
    warmup_steps: int = Field(
        0,
        ge=0,
        description="steps of warm-up on the demo world: attributes, captions, posts (0: random weights)",
    )


class Lora(Section):
    """Low-rank adapters instead of full fine-tuning; the reference is the model with the adapter off."""

    rank: int = Field(64, ge=1, description="rank of the update")
    alpha: float = Field(128, gt=0, description="scale: the update is multiplied by alpha / rank")
    dropout: Unit = Field(0.0, description="dropout on the adapter's input")
    targets: str = Field(
        r".*(language_model|text_model).*\.(q|k|v|o|gate|up|down)_proj",
        description="regular expression of the linear layers that get an adapter",
    )


class Model(Section):
    """Which model a run starts from, and how it is held in memory."""

    path: str | None = Field(None, description="hub id or folder of a checkpoint (safetensors only)")
    tiny: TinyModel | None = Field(None, description="make a tiny LLaVA instead of loading one")
    dtype: Literal["float32", "bfloat16", "float16"] = Field("float32", description="type of the weights in memory")
    mixed_precision: bool = Field(
        False,
        description="weights in float32, arithmetic in bfloat16; in weights of bfloat16 small steps are rounded away",
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads (null: torch's choice); tiny models are faster with one"
    )
    device: str = Field("auto", description="auto (an accelerator if there is one), cpu, cuda ...")
    image_tiles: Literal["one", "any"] | None = Field(
        None,
        description="LLaVA-1.6: one padded tile as in the paper, or tiles of any resolution (null: as the checkpoint "
        "was trained here, else one)",
    )
    image_pixels: tuple[int, int] | None = Field(
        None,
        description="Qwen-VL: smallest and largest number of pixels to which a picture is scaled, 28 x 28 of them a "
        "token, with Qwen3-VL 32 x 32 (null: as the checkpoint says)",
    )
    lora: Lora | None = Field(None, description="LoRA settings; null trains all weights that the paradigm allows")
    paradigm: Literal[1, 2, 3, 4] = Field(
        4,
        description="vision encoder in stage 1 / stage 2: 1 frozen/frozen, 2 frozen/trained, 3 trained/frozen, 4 both",
    )
    trie: bool = Field(True, description="score all corners in one forward; false: one by one, as a check or fallback")
    trust_remote_code: bool = Field(False, description="run code that comes with the checkpoint: only if you trust it")

    @model_validator(mode="after")
    def _consistent(self) -> Model:
        if (self.path is None) == (self.tiny is None):
            raise ValueError("set exactly one of model.path and model.tiny")
        if self.mixed_precision and self.dtype != "float32":
            raise ValueError("model.mixed_precision keeps the weights in float32; set model.dtype: float32")
        if self.image_pixels and not 0 < self.image_pixels[0] <= self.image_pixels[1]:
            raise ValueError("model.image_pixels is [smallest, largest] number of pixels, such as [50176, 602112]")
        return self


class World(Section):
    """The demo's own world of rendered posts; written to <output>/data before the first stage."""

    sft: int = Field(8000, ge=1, description="supervised samples, with the faults of real users")
    preference: int = Field(1500, ge=1, description="preference pairs with clean chosen texts")
    validation: int = Field(150, ge=1, description="held-out posts for choosing hyper-parameters")
    test: int = Field(200, ge=1, description="held-out posts for the report")


class Data(Section):
    """Where the samples are and how the request is put."""

    root: str = Field(".", description="folder that image paths and data files are relative to")
    images: str | dict[Split, str] | None = Field(
        None, description="folder of the images, relative to root (null: root itself), or a folder per split"
    )
    format: Literal["auto", "trifacet", "mcm-dpo", "trl", "ms-swift", "llama-factory"] = Field(
        "auto", description="format of the files; auto looks at the first row"
    )
    sft: str | None = Field(None, description="file of supervised samples (a preference file serves too: its chosen)")
    preference: str | None = Field(None, description="file of preference samples")
    validation: str | None = Field(None, description="file of test samples that a sweep chooses by")
    test: str | None = Field(None, description="file of test samples to describe and score")
    world: World | None = Field(None, description="make the demo's posts instead of reading files")
    prompt: str = Field(
        "Write alt-text for the image, given its context.", description="the request; the post follows after a label"
    )
    context_label: str = Field("Context:", description="label before the post; both are left out when it is empty")
    max_length: int = Field(2048, ge=8, description="longest sequence in tokens; longer posts are cut at their end")
    max_pixels: int = Field(50_000_000, ge=1, description="largest image in pixels, against decompression bombs")
    workers: int = Field(0, ge=0, description="processes that read images and build batches ahead of the training")
    on_bad_row: Literal["stop", "skip"] = Field(
        "stop", description="stop at a row or image that cannot be used, or skip it: decodes every image beforehand"
    )


class RejectedImage(Section):
    """How the rejected image is made where the data give none."""

    strategy: Literal["diffusion", "blackness", "crop", "rotation", "randomness", "small-crop"] = Field(
        "diffusion", description="what is done to the chosen image"
    )
    t: int = Field(700, ge=0, le=1000, description="diffusion: number of noise steps of 1,000")
    versions: int = Field(1, ge=1, description="rejected images per sample; terms are averaged over them")


class RejectedContext(Section):
    """How the rejected context is made where the data give none."""

    strategy: Literal["other-sample"] = Field("other-sample", description="the context of another sample")
    versions: int = Field(1, ge=1, description="rejected contexts per sample; terms are averaged over them")


class Rejected(Section):
    """Rejected versions, fixed by (seed, sample id, strategy)."""

    image: RejectedImage = RejectedImage()
    context: RejectedContext = RejectedContext()
    resample: bool = Field(False, description="draw anew each epoch; rules the reference cache out")
    in_batch: bool = Field(
        False,
        description="take other samples' contexts and (strategy randomness) images from the batch: computed once there",
    )


class Optimisation(Section):
    """The training loop's settings, the same for both stages; names as in transformers' TrainingArguments."""

    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate")
    epochs: float = Field(1.0, gt=0, description="passes over the data (max_steps, if set, wins)")
    max_steps: int | None = Field(None, ge=1, description="number of optimiser steps instead of epochs")
    batch_size: int = Field(8, ge=1, description="samples per forward")
    accumulation: int = Field(
        1, ge=1, description="forwards per optimiser step, over all processes: N processes do a share of 1/N each"
    )
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"] = Field(
        "cosine", description="learning-rate schedule after the warm-up; constant has no warm-up"
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    gradient_checkpointing: bool = Field(False, description="trade time for memory")
    log_every: int = Field(10, ge=1, description="steps between two lines of the log")
    save_every: int | None = Field(None, ge=1, description="steps between two checkpoints (null: only at the end)")
    tensorboard: bool = Field(False, description="also write TensorBoard files")
    eval_every: int | None = Field(
        None,
        ge=1,
        description="steps between two looks at the model's own texts, also before the first and after the last step "
        "(null: none)",
    )
    eval_samples: int = Field(8, ge=1, description="posts that it then describes: the first of the validation split")


class Supervised(Optimisation):
    """Stage 1: imitate the users' alt-text."""

    vision: Literal["paradigm", "frozen", "trained"] = Field("paradigm", description="overrides model.paradigm")


class Align(Optimisation):
    """Stage 2: one alignment by one objective."""

    learning_rate: float = Field(5e-7, gt=0, description="peak learning rate")
    vision: Literal["paradigm", "frozen", "trained"] = Field("paradigm", description="overrides model.paradigm")
    objective: str | dict[str, Any] = Field("mcm-dpo", description="a named objective, or an objective of your own")
    beta: float | None = Field(None, gt=0, description="strength of the pull to the reference (null: the objective's)")
    start: Literal["auto", "base", "sft"] = Field("auto", description="model to start from; auto: sft if there is one")
    reference: Literal["cache", "online"] = Field(
        "cache", description="cache: score the reference once, before training; online: keep it in memory"
    )
    limit: int | None = Field(None, ge=1, description="use the first N preference samples only")
    warn_chosen_drop: float | None = Field(
        0.5,
        gt=0,
        description="warn when chosen responses have become less likely than under the reference by more than this "
        "many nats per token (null: never)",
    )

    def resolved_objective(self) -> Objective:
        """The objective with this stage's beta. Raises TrifacetError for an unknown name or a bad definition."""
        objective = resolve_objective(self.objective)
        return objective if self.beta is None else objective.model_copy(update={"beta": self.beta})


class Generation(Section):
    """How texts are written; the defaults are the paper's: three beams, no sampling, at most 256 new tokens."""

    beams: int = Field(3, ge=1, description="beams; 1 is greedy")
    temperature: float = Field(0.0, ge=0, description="0: no sampling")
    max_new_tokens: int = Field(256, ge=1, description="longest text in tokens")
    batch_size: int = Field(8, ge=1, description="posts per batch, sorted by length")
    limit: int | None = Field(None, ge=1, description="describe the first N test samples only")
    filter: Literal["errors", "warnings"] | None = Field(
        None,
        description="give no text rather than one with an error of the [alt-text checks](lint.md), or with any finding",
    )


class Sweep(Section):
    """Every align stage with every learning rate; the best by one metric on the validation split is kept."""

    learning_rates: list[float] = Field(description="the grid, the same for every stage")
    metric: str = Field("grounding", description="metric on the validation split that decides, higher is better")


class Recipe(Section):
    """A whole run."""

    name: str = Field(description="name of the run, shown in the report")
    output: str = Field(description="folder of the run; belongs to this recipe alone")
    seed: int = Field(17, description="seed of everything that is drawn")
    model: Model
    data: Data
    rejected: Rejected = Rejected()
    sft: Supervised | None = Field(None, description="stage 1; left out: start from the model as it is")
    align: dict[StageName, Align] = Field(default_factory=dict, description="stage 2: alignments by name")
    generate: Generation = Generation()
    sweep: Sweep | None = Field(None, description="choose the align stages' learning rates")
    seeds: list[int] | None = Field(None, description="repeat the run with these seeds and report the spread")

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        """What would otherwise be found out after hours of training."""
        if (self.sft or self.align) and self.model.dtype == "float16":
            raise ValueError(
                "model.dtype: float16 is too narrow to train in; set bfloat16, or float32 with mixed_precision: true"
            )
        if self.rejected.resample and any(stage.reference == "cache" for stage in self.align.values()):
            raise ValueError(
                "rejected.resample draws other rejected versions in each epoch, so reference scores cannot be cached; "
                "set reference: online for each alignment, or resample: false"
            )
        if self.sweep and not (self.data.world or self.data.validation):
            raise ValueError("a sweep chooses on held-out posts; set data.validation to a file of test samples")
        return self

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.output)
