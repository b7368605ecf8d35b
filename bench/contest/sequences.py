"""The sequences behind a batch, written out one by one, and the least arithmetic that they need.

Invariant: nothing of the engine is used here. Texts become tokens through the model's own processor and chat template,
so these sequences check the contestants and do not follow them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from contest.inputs import LABEL, REQUEST
from trifacet.data.records import PreferenceSample
from trifacet.engine.family import core
from trifacet.preferences.facets import FACETS, Cell
from trifacet.preferences.objectives import Objective


@dataclass(frozen=True)
class Sequence:
    """One cell of one sample: its whole text, the part of it before the response, and its picture."""

    sample: str
    cell: Cell
    text: str
    prompt: str
    image: str

    @property
    def key(self) -> str:
        """Names the sequence in what the contestants report of it."""
        return f"{self.sample}/{','.join(map(str, self.cell))}"


def user_text(context: str) -> str:
    """The user's words: the request, then the post below its label."""
    return f"{REQUEST}\n{LABEL}\n{context}"


def cells_for(objective: Objective, sample: PreferenceSample) -> list[Cell]:
    """The cells that the objective needs of a sample with the rejected versions that it has."""
    wanted = objective.rejected_facets
    return objective.cells({facet: len(sample.rejected(facet)) if facet in wanted else 0 for facet in FACETS})


def written_out(processor: Any, sample: PreferenceSample, cell: Cell) -> Sequence:
    """The sequence of one cell, by the processor's chat template."""
    image = (sample.image, *sample.rejected_images)[cell.image]
    context = (sample.context, *sample.rejected_contexts)[cell.context]
    response = (sample.response, *sample.rejected_responses)[cell.response]
    assert image is not None  # ``make_inputs`` gives every sample one
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": user_text(context)}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": response}]}
    prompt = processor.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    text = processor.apply_chat_template([user, answer], tokenize=False)
    assert text.startswith(prompt)
    return Sequence(sample.id, cell, text, prompt, image)


def tensors(processor: Any, sequences: list[Sequence], folder: Path) -> dict[str, torch.Tensor]:
    """A padded batch as transformers makes it, with ``labels`` that are -100 outside the responses."""
    pictures = []
    for sequence in sequences:
        with Image.open(folder / sequence.image) as picture:
            pictures.append(picture.convert("RGB"))
    options = {"add_special_tokens": False, "return_tensors": "pt"}
    batch = dict(
        processor(text=[s.text for s in sequences], images=pictures, padding=True, padding_side="right", **options)
    )
    prompts = processor(text=[sequence.prompt for sequence in sequences], images=pictures, add_special_tokens=False)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    for row, prompt_ids in enumerate(prompts["input_ids"]):
        labels[row, : len(prompt_ids)] = -100
    return {**batch, "labels": labels}


@dataclass(frozen=True)
class Need:
    """What the sequences of a batch need, per sample: tokens one by one, distinct tokens, and FLOPs of a step."""

    total_tokens: float
    distinct_tokens: float
    flops: float


def least_work(model: Any, processor: Any, sequences: list[Sequence], samples: int) -> Need:
    """The matrix multiplications of a step in which every distinct prefix is computed once, per sample.

    A forward takes 2 x (weights of the linear layers) x (tokens that pass them) FLOPs, and attention 4 x (width) for
    each pair of tokens that see each other, in each layer: the language model on distinct prefixes (tokens of the whole
    batch that share everything before them), the head on their response tokens, the vision encoder up to the layer
    that is read, and the projector, on each distinct image. A step takes three times the forward: the backward
    multiplies once for the inputs' gradients and once for the weights'. It leaves out the latter where weights are
    frozen, the former where nothing before them trains.
    """
    model = core(model)
    text, vision = model.config.text_config, model.config.vision_config
    places = model.config.image_seq_length
    total, distinct, pairs, read = _prefixes(processor, sequences, model.config.image_token_id, places)
    parts = model.model
    seeing = any(weight.requires_grad for weight in parts.vision_tower.parameters())
    language = 2 * _products(parts.language_model) * distinct
    language += 3 * 4 * text.hidden_size * text.num_hidden_layers * pairs
    head = 2 * _products(model.lm_head) * read
    patches = (vision.image_size // vision.patch_size) ** 2 + 1  # the class token is one more
    layers = parts.vision_tower.encoder.layers
    layers = layers[: len(layers) + 1 + model.config.vision_feature_layer]  # counted from the end, the input included
    times = 3 if seeing else 1
    image = 2 * (_products(layers, into=seeing) + times * 3 * vision.patch_size**2 * vision.hidden_size) * patches
    image += times * 4 * vision.hidden_size * len(layers) * patches**2
    image += 2 * _products(parts.multi_modal_projector, into=seeing) * places
    step = language + head + image * len({sequence.image for sequence in sequences})
    return Need(total / samples, distinct / samples, step / samples)


def _prefixes(processor: Any, sequences: list[Sequence], image_token: int, places: int) -> tuple[int, ...]:
    """Of the sequences: tokens, distinct prefixes, pairs of tokens in these that see each other, response tokens."""
    pictures = {name: -1 - number for number, name in enumerate(sorted({sequence.image for sequence in sequences}))}

    def tokens(text: str, image: str) -> list[int]:
        ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        at = ids.index(image_token)
        return ids[:at] + [pictures[image]] * places + ids[at + 1 :]

    depths: dict[tuple[int, int], tuple[int, int]] = {}  # (number of the parent, last token) -> number, tokens
    read: set[int] = set()
    total = 0
    for sequence in sequences:
        row, start = tokens(sequence.text, sequence.image), len(tokens(sequence.prompt, sequence.image))
        total += len(row)
        node = 0
        for depth, token in enumerate(row, start=1):
            node, _ = depths.setdefault((node, token), (len(depths) + 1, depth))
            if depth > start:
                read.add(node)
    return total, len(depths), sum(depth for _, depth in depths.values()), len(read)


def _products(module: nn.Module, *, into: bool = True) -> int:
    """Weights of the linear layers in a module, each as often as a step multiplies by it.

    ``into``: gradients go on to what comes before. Copies that PEFT keeps aside do nothing.
    """
    layers = [
        part.weight
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and "original_module" not in name.split(".")
    ]
    return sum(weight.numel() * (1 + into + weight.requires_grad) for weight in layers)
