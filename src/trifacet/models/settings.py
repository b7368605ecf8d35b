"""The recipe section of a model: which one, how it is held in memory, what of it is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trifacet.settings.section import Section, Unit


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
