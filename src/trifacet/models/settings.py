"""The recipe section of a model: which one, how it is held in memory, what of it is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trifacet.settings.section import MOST, Section, Size, Unit

ImagePixels = tuple[Annotated[int, Field(ge=1, le=MOST)], Annotated[int, Field(ge=1, le=MOST)]]
_MOST_PATCHES = 10_000  # of a tiny model's picture, each a token


class TinyModel(Section):
    """A LLaVA with random weights and a BPE tokenizer trained on the run's own data: for demos and tests."""

    hidden_size: int = Field(192, ge=8, le=16_384, description="width of the language model")
    layers: int = Field(4, ge=1, le=256, description="layers of the language model")
    heads: int = Field(4, ge=1, le=256, description="attention heads of the language model")
    vision_hidden_size: int = Field(128, ge=8, le=16_384, description="width of the vision encoder")
    vision_layers: int = Field(4, ge=1, le=256, description="layers of the vision encoder")
    vision_heads: int = Field(4, ge=1, le=256, description="attention heads of the vision encoder")
    image_size: int = Field(64, ge=8, le=4096, description="side of the square image in pixels")
    patch_size: int = Field(8, ge=1, le=4096, description="side of one patch in pixels")
    vocabulary: int = Field(2000, ge=1, le=1_000_000, description="size of the BPE vocabulary, at most")
    warmup_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="steps of warm-up on the demo world: attributes, captions, posts (0: random weights)",
    )

    @model_validator(mode="after")
    def _divisible(self) -> TinyModel:
        if self.hidden_size % (2 * self.heads):
            raise ValueError("hidden_size is a multiple of twice the heads: each turns pairs of numbers")
        if self.vision_hidden_size % self.vision_heads:
            raise ValueError("vision_hidden_size is a multiple of vision_heads")
        if not 1 <= (self.image_size // self.patch_size) ** 2 <= _MOST_PATCHES:
            raise ValueError(f"a picture of image_size is cut into 1 to {_MOST_PATCHES} patches of patch_size")
        return self


class Lora(Section):
    """Low-rank adapters instead of full fine-tuning; the reference is the model with the adapter off."""

    rank: int = Field(64, ge=1, le=65_536, description="rank of the update")
    alpha: float = Field(
        128,
        gt=0,
        le=1_000_000,
        description="scale: the update is multiplied by alpha / rank (left out: twice the rank)",
    )
    dropout: Unit = Field(0.0, description="dropout on the adapter's input")
    targets: str = Field(
        r".*(language_model|text_model).*\.(q|k|v|o|gate|up|down)_proj",
        description="regular expression of the linear layers that get an adapter",
    )

    @model_validator(mode="before")
    @classmethod
    def _alpha_follows_rank(cls, values: Any) -> Any:
        rank = values.get("rank") if isinstance(values, dict) and "alpha" not in values else None
        return {**values, "alpha": 2 * rank} if isinstance(rank, int | float) else values


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
        None, ge=1, le=512, description="CPU threads (null: torch's choice); tiny models are faster with one"
    )
    device: str = Field("auto", description="auto (an accelerator if there is one), cpu, cuda ...")
    image_tiles: Literal["one", "any"] | None = Field(
        None,
        description="LLaVA-1.6: one padded tile as in the paper, or tiles of any resolution (null: as the checkpoint "
        "was trained here, else one)",
    )
    image_pixels: ImagePixels | None = Field(
        None,
        description="Qwen-VL: smallest and largest number of pixels to which a picture is scaled, 28 x 28 of them a "
        "token, with Qwen3-VL 32 x 32 (null: as the checkpoint says)",
    )
    lora: Lora | None = Field(None, description="LoRA settings; null trains all weights that the paradigm allows")
    four_bit: bool = Field(
        False,
        description="QLoRA: hold the language model's frozen layers in four bits (NF4, by bitsandbytes) under the "
        "adapters of lora",
    )
    paradigm: Literal[1, 2, 3, 4] = Field(
        4,
        description="vision encoder in stage 1 / stage 2: 1 frozen/frozen, 2 frozen/trained, 3 trained/frozen, 4 both "
        "(left out with lora: 1, since what trains of the encoder trains in full)",
    )
    keep_features: Size = Field(
        0,
        description="disk, such as 20GiB, on which a frozen vision encoder's features of pictures are kept, so that "
        "each is encoded once for reference, policy and all epochs (0: none)",
    )
    memory: Size = Field(
        0,
        description="what a training may take of a GPU, or of this machine, such as 12GiB: as many layers as need be "
        "are made again going backwards (0: none)",
    )
    trie: bool = Field(True, description="score all corners in one forward; false: one by one, as a check or fallback")
    attention: Literal["auto", "dense", "flex", "segments"] = Field(
        "auto",
        description="attention over a trie: dense (under a mask), flex (FlexAttention, a GPU) or segments (in blocks, "
        "on the CPU); auto is segments on the CPU, else dense",
    )
    trust_remote_code: bool = Field(False, description="run code that comes with the checkpoint: only if you trust it")

    @model_validator(mode="before")
    @classmethod
    def _frozen_vision_with_lora(cls, values: Any) -> Any:
        lora = isinstance(values, dict) and values.get("lora") is not None and "paradigm" not in values
        return {**values, "paradigm": 1} if lora else values

    @model_validator(mode="after")
    def _consistent(self) -> Model:
        if (self.path is None) == (self.tiny is None):
            raise ValueError("set exactly one of model.path and model.tiny")
        if self.four_bit and (self.lora is None or self.mixed_precision):
            raise ValueError(
                "model.four_bit holds frozen weights under adapters; set model.lora, and a dtype without "
                "mixed_precision"
            )
        if self.mixed_precision and self.dtype != "float32":
            raise ValueError("model.mixed_precision keeps the weights in float32; set model.dtype: float32")
        if self.image_pixels and self.image_pixels[0] > self.image_pixels[1]:
            raise ValueError("model.image_pixels is [smallest, largest] number of pixels, such as [50176, 602112]")
        return self
