"""The one model and the one set of pairs that every contestant of a run gets.

Invariant: what a contestant reads is on disk or in ``Inputs``; rejected versions come with the data, so no contestant
draws its own and all of them score the same sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, LlavaConfig, LlavaForConditionalGeneration

from trifacet.data.records import PreferenceSample
from trifacet.demo.tiny import make_tiny_llava, tiny_config, tiny_processor
from trifacet.models.loading import LoadedModel, load_model, load_processor
from trifacet.models.settings import Lora, TinyModel
from trifacet.preferences.facets import Facet

REQUEST, LABEL = "Write alt-text.", "Context:"
ONE_EACH = {Facet.IMAGE: 1, Facet.CONTEXT: 1, Facet.RESPONSE: 1}
BATCHES = 2  # different ones, so that no step repeats the one before


@dataclass(frozen=True)
class Shape:
    """Sizes of a run: the model, words of the post and of the response (a token each), samples per batch.

    ``embedding`` is the number of rows of the embedding where that is more than the tokenizer's tokens. ``lora``:
    adapters and the projector train, else all weights. ``made``: no file holds the weights; whoever needs them makes
    them on the device, the same ones from the same seed. ``text``: what else the language model's configuration says.
    ``at_once``: samples per forward of what keeps every sequence whole, where a batch of them would not fit (None: the
    batch). ``frozen``: the vision encoder does not train. ``bf16``: arithmetic in bfloat16 over weights of float32.
    """

    name: str
    model: TinyModel
    context: int
    response: int
    batch: int
    embedding: int | None = None
    dtype: str = "float32"
    device: str = "cpu"
    lora: Lora | None = None
    made: bool = False
    text: Mapping[str, Any] = field(default_factory=dict)
    at_once: int | None = None
    frozen: bool = False
    bf16: bool = False

    @property
    def mixed(self) -> bool:
        """Whether arithmetic is that of mixed precision, as with adapters, which are float32 over bfloat16."""
        return self.bf16 or (self.lora is not None and self.dtype == "bfloat16")

    @property
    def arithmetic(self) -> str:
        """The type in which matrices are multiplied."""
        return "bfloat16" if self.mixed else self.dtype


FOR_TEXTS = TinyModel(  # of long texts; a larger head would be most of the model
    hidden_size=384, layers=8, heads=6, vision_hidden_size=192, vision_layers=3, vision_heads=3,
    image_size=112, patch_size=14, vocabulary=8_000,
)  # fmt: skip
SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            "demo",
            TinyModel(hidden_size=128, vision_hidden_size=192, vision_layers=3, patch_size=16, vocabulary=800),
            context=30,
            response=10,
            batch=8,
        ),
        Shape(
            "small",
            TinyModel(
                hidden_size=512, layers=8, heads=8, vision_hidden_size=384, vision_layers=6, vision_heads=6,
                image_size=336, patch_size=14, vocabulary=32_064,
            ),
            context=60,
            response=25,
            batch=2,
            embedding=32_064,
        ),
        Shape(  # texts as long as where flash-pref 0.1.1 reports DPO
            "long-prompt",
            FOR_TEXTS,
            context=1024,
            response=64,
            batch=2,
            embedding=8_000,
        ),
        Shape(
            "long-response",
            FOR_TEXTS,
            context=256,
            response=1024,
            batch=2,
            embedding=8_000,
        ),
        Shape(
            "gpu",
            TinyModel(
                hidden_size=2048, layers=24, heads=16, vision_hidden_size=1024, vision_layers=24, vision_heads=16,
                image_size=336, patch_size=14, vocabulary=32_064,
            ),
            context=60,
            response=25,
            batch=8,
            embedding=32_064,
            dtype="bfloat16",
            device="cuda",
            made=True,
            at_once=2,
        ),
        Shape(
            "gpu-7b",  # as LLaVA-1.5-7B, trained as recipes/llava-1.5-7b-mcm-dpo-lora.yaml does
            TinyModel(
                hidden_size=4096, layers=32, heads=32, vision_hidden_size=1024, vision_layers=24, vision_heads=16,
                image_size=336, patch_size=14, vocabulary=32_064,
            ),
            context=60,
            response=25,
            batch=2,
            embedding=32_064,
            dtype="bfloat16",
            device="cuda",
            lora=Lora(rank=64, alpha=128),
            made=True,
            text={"intermediate_size": 11_008, "tie_word_embeddings": False},
            at_once=1,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """The folder of the checkpoint and the pictures, and the pairs: ``BATCHES`` batches of them."""

    folder: Path
    shape: Shape
    samples: tuple[PreferenceSample, ...]
    parameters: int

    def indices(self, number: int) -> list[int]:
        """The samples of batch ``number``; the batches follow one another over and over."""
        start = number % BATCHES * self.shape.batch
        return list(range(start, start + self.shape.batch))

    def smallest(self) -> int:
        """How many rejected versions the samples have of the facet that has fewest."""
        return min(len(sample.rejected(facet)) for sample in self.samples for facet in Facet)


def make_inputs(
    folder: Path, shape: Shape, versions: dict[Facet, int] | None = None, *, in_batch: bool = False
) -> Inputs:
    """A random model and pairs of random words and noise pictures.

    Args:
        folder: where the checkpoint and the pictures go.
        shape: sizes.
        versions: rejected versions of each facet; one of each by default.
        in_batch: rejected images and contexts are those of the next sample of the batch, not ones of their own.
    """
    versions = ONE_EACH | (versions or {})
    rng = np.random.default_rng(0)
    words = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrst"]

    def text(length: int) -> str:
        return " ".join(rng.choice(words, size=length))

    def picture(name: str) -> str:
        side = shape.model.image_size
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / name)
        return name

    frame = f"USER: \n{REQUEST}\n{LABEL}\n ASSISTANT:"  # learned too, so that it takes few tokens
    texts = [text(4000), "\n".join(words), *[frame] * 10]
    if shape.made:
        parameters = _described(folder, shape, texts)
    else:
        make_tiny_llava(shape.model, texts, folder, seed=0)
        parameters = _finish(folder, shape)
    samples = [
        PreferenceSample(
            id=str(number),
            image=picture(f"{number}.png"),
            context=text(shape.context),
            response=text(shape.response),
            rejected_responses=tuple(text(shape.response) for _ in range(versions[Facet.RESPONSE])),
            rejected_images=tuple(picture(f"{number}-{k}.png") for k in range(versions[Facet.IMAGE])),
            rejected_contexts=tuple(text(shape.context) for _ in range(versions[Facet.CONTEXT])),
        )
        for number in range(BATCHES * shape.batch)
    ]
    if in_batch:
        samples = [_from_neighbours(samples, number, shape.batch) for number in range(len(samples))]
    return Inputs(folder, shape, tuple(samples), parameters)


def _from_neighbours(samples: Sequence[PreferenceSample], number: int, batch: int) -> PreferenceSample:
    """The sample with the next samples of its batch as its rejected images and contexts."""
    start = number - number % batch
    sample = samples[number]

    def others(amount: int) -> list[PreferenceSample]:
        if amount >= batch:
            raise ValueError(f"a batch of {batch} has no {amount} other samples to take rejected versions from")
        return [samples[start + (number - start + step) % batch] for step in range(1, amount + 1)]

    return sample.model_copy(
        update={
            "rejected_images": tuple(other.image for other in others(len(sample.rejected_images))),
            "rejected_contexts": tuple(other.context for other in others(len(sample.rejected_contexts))),
        }
    )


def _finish(folder: Path, shape: Shape) -> int:
    """Give the checkpoint the embedding and the type that the shape asks for; the number of its weights."""
    model = LlavaForConditionalGeneration.from_pretrained(folder)
    if shape.embedding is not None:
        assert model.get_input_embeddings().weight.shape[0] <= shape.embedding
        torch.manual_seed(0)
        model.resize_token_embeddings(shape.embedding, mean_resizing=False)
    model.to(getattr(torch, shape.dtype)).save_pretrained(folder)
    if shape.embedding is not None:
        assert model.get_input_embeddings().weight.shape[0] == model.lm_head.weight.shape[0] == shape.embedding
    return sum(weight.numel() for weight in model.parameters())


def _described(folder: Path, shape: Shape, texts: Sequence[str]) -> int:
    """Write processor and configuration of a model whose weights are made where they are used; how many there are."""
    processor = tiny_processor(shape.model, texts)
    config = tiny_config(shape.model, processor.tokenizer)
    for key, value in {"vocab_size": shape.embedding or config.text_config.vocab_size, **shape.text}.items():
        setattr(config.text_config, key, value)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    with torch.device("meta"):
        return sum(weight.numel() for weight in AutoModelForImageTextToText.from_config(config).parameters())


def plain_model(inputs: Inputs) -> Any:
    """The transformers model of a run on its device, with the same weights each time."""
    shape = inputs.shape
    dtype = getattr(torch, shape.dtype)
    if not shape.made:
        model = LlavaForConditionalGeneration.from_pretrained(inputs.folder, dtype=dtype).to(shape.device)
        model.model.vision_tower.requires_grad_(not shape.frozen)
        return model
    config = LlavaConfig.from_pretrained(inputs.folder)
    torch.manual_seed(0)  # of all devices; two of one kind draw the same
    with torch.device(shape.device):
        return AutoModelForImageTextToText.from_config(config, dtype=dtype, attn_implementation="sdpa").eval()


def loaded_model(inputs: Inputs) -> LoadedModel:
    """The same as this project loads it."""
    if not inputs.shape.made:
        return load_model(inputs.folder, dtype=inputs.shape.dtype, device=inputs.shape.device)
    family = load_processor(inputs.folder)
    return LoadedModel(plain_model(inputs), family.processor, family)


def with_model(shape: Shape, **sizes: int) -> Shape:
    """``shape`` with other sizes of its model."""
    return replace(shape, model=shape.model.model_copy(update=sizes))
