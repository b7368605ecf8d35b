"""A small CLIPSeg that finds the things of the demo's world by their words: the way from word to mask on something that
works, trained from true masks in minutes.

    python -m trifacet.demo.locator FOLDER

Invariant: what is written loads with transformers alone (``CLIPSegProcessor``, ``CLIPSegForImageSegmentation``) and
depends on (sizes, steps, seed) only; the pictures it learns from are in no split of the world.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from trifacet.demo.facts import COLOURS, SHAPES, scene_generator
from trifacet.demo.things import Things, draw_things, mask_of, render_things
from trifacet.models.checkpoint import quiet
from trifacet.preferences.rejected.masks import Mask

_BATCH = 32  # pictures of a step
_WORDS = 2  # prompts of a picture: one of a thing that is there, one of none
_PICTURES = 6000  # drawn once; more steps than these fill pass over them again
_PEAK_RATE = 2e-3
_COVERED = 0.2  # share of a patch that a thing covers at least, for the patch to show it
_SCALE = 10.0  # of similarities, -1 to 1, as logits
_SPECIAL = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
_FORMS = ("{thing}", "a {thing}", "the {thing}", "{colour} {thing}", "a {colour} {thing}")


@dataclass(frozen=True)
class LocatorSize:
    """Widths and layers; ``steps`` optimiser steps of 32 pictures with two prompts each."""

    width: int = 64
    layers: int = 3
    heads: int = 4
    image_size: int = 64
    patch_size: int = 8
    steps: int = 500


def make_locator(folder: Path, seed: int, size: LocatorSize = LocatorSize()) -> Path:
    """Train a CLIPSeg on pictures of the world and save it with its processor.

    Args:
        folder: where the checkpoint goes (safetensors).
        seed: seed of weights, pictures and words.
        size: widths, layers, steps.

    Returns:
        ``folder``.
    """
    tokenizer = world_tokenizer(_LONGEST)
    processor = CLIPSegProcessor(image_processor=image_processor(size.image_size), tokenizer=tokenizer)

    def made() -> CLIPSegForImageSegmentation:
        model = CLIPSegForImageSegmentation(_config(size, tokenizer))
        _train(model, tokenizer, size, seed)
        return model

    return save_made(made, processor, folder, seed)


def save_made(made: Callable[[], PreTrainedModel], processor: ProcessorMixin, folder: Path, seed: int) -> Path:
    """Make a model with random numbers of its own and save it with its processor.

    Args:
        made: makes and trains it.
        processor: its processor.
        folder: where both go (safetensors).
        seed: of the random numbers.

    Returns:
        ``folder``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = made()
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


def _train(
    model: CLIPSegForImageSegmentation, tokenizer: PreTrainedTokenizerFast, size: LocatorSize, seed: int
) -> None:
    scenes = [draw_things(scene_generator(seed, "locator", k)) for k in range(min(_PICTURES, size.steps * _BATCH))]
    pixels_NCHW = normalised([render_things(scene, size.image_size) for scene in scenes])
    heads = nn.ModuleList(nn.Linear(size.width, len(values) + 1) for values in (SHAPES, COLOURS))
    labels_N2P = torch.from_numpy(np.stack([_patches(scene, size) for scene in scenes]))
    trained = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=_PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=max(size.steps, 20))
    model.train()
    for step in range(size.steps):
        batch = [at % len(scenes) for at in range(step * _BATCH, (step + 1) * _BATCH)]
        asked = [one for at in batch for one in _asked(scenes[at], scene_generator(seed, "words", step * 10**6 + at))]
        true_masks = [_truth(scenes[at], shape, size.image_size) for at, shape in _each(batch, asked)]
        truth_NHW = torch.from_numpy(np.stack(true_masks))
        hidden = model.clip.vision_model(pixels_NCHW[batch], output_hidden_states=True).hidden_states
        words_NW = _embedded(model, tokenizer, [text for text, _ in asked])
        logits_NHW = _logits(model, hidden, words_NW)
        patches = sum(
            F.cross_entropy(head(hidden[-1][:, 1:]).flatten(0, 1), labels_N2P[batch, k].flatten())
            for k, head in enumerate(heads)
        ) + _words_at_patches(model, hidden[-1], words_NW, truth_NHW, size)
        masks = F.binary_cross_entropy_with_logits(logits_NHW, truth_NHW) + _dice(logits_NHW.sigmoid(), truth_NHW)
        optimizer.zero_grad()
        (masks + patches).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
    model.zero_grad()
    model.eval()


def _embedded(model: CLIPSegForImageSegmentation, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Tensor:
    """What the decoder is told of texts, (N, W)."""
    words_NW: Tensor = model.clip.get_text_features(
        **tokenizer(list(texts), padding=True, return_tensors="pt")
    ).pooler_output
    return words_NW


def _logits(model: CLIPSegForImageSegmentation, hidden: Sequence[Tensor], words_NW: Tensor) -> Tensor:
    """What the model's own forward gives, which keeps its encoders frozen, with gradients: from the pictures' states
    by layer and the same number of words a picture.
    """
    each = len(words_NW) // len(hidden[0])
    seen = tuple(hidden[layer + 1].repeat_interleave(each, dim=0) for layer in model.extract_layers)
    logits: Tensor = model.decoder(seen, words_NW).logits
    return logits


def _words_at_patches(
    model: CLIPSegForImageSegmentation, states_BPW: Tensor, words_NW: Tensor, truth_NHW: Tensor, size: LocatorSize
) -> Tensor:
    """CLIP's own comparison, patch by patch: a patch is like a word whose thing covers a fifth of it."""
    seen_BPW = F.normalize(
        model.clip.visual_projection(model.clip.vision_model.post_layernorm(states_BPW[:, 1:])), dim=-1
    )
    seen_NPW = seen_BPW.repeat_interleave(len(words_NW) // len(seen_BPW), dim=0)
    alike_NP = _SCALE * torch.einsum("npw,nw->np", seen_NPW, F.normalize(words_NW, dim=-1)) - _SCALE / 2
    covered_NP = F.avg_pool2d(truth_NHW[:, None], size.patch_size).flatten(1) >= _COVERED
    return F.binary_cross_entropy_with_logits(alike_NP, covered_NP.float())


def _patches(scene: Things, size: LocatorSize) -> np.ndarray:
    """Shape and colour of what covers each patch most, (2, patches); 0 where nothing covers a fifth of it."""
    side = size.image_size // size.patch_size
    labels_2P = np.zeros((2, side * side), dtype=np.int64)
    for thing in scene.things:
        mask = mask_of(thing, size.image_size).reshape(side, size.patch_size, side, size.patch_size)
        covered = mask.mean(axis=(1, 3)).flatten() >= _COVERED
        labels_2P[:, covered] = [[list(SHAPES).index(thing.shape) + 1], [list(COLOURS).index(thing.colour) + 1]]
    return labels_2P


def _asked(scene: Things, rng: np.random.Generator) -> Iterator[tuple[str, str | None]]:
    """Prompts with the shape that each is of; None where there is no such thing, by its word or by its colour alone:
    every other one.
    """
    for number in range(_WORDS):
        form = _FORMS[int(rng.integers(len(_FORMS)))]
        thing = scene.things[int(rng.integers(len(scene.things)))]
        if number % 2 == 0:
            yield form.format(thing=thing.shape, colour=thing.colour), thing.shape
        elif "{colour}" in form and rng.random() < 0.5:
            others = [colour for colour in COLOURS if colour != thing.colour]
            yield form.format(thing=thing.shape, colour=others[int(rng.integers(len(others)))]), None
        else:
            absent = scene.absent[int(rng.integers(len(scene.absent)))]
            yield form.format(thing=absent, colour=thing.colour), None


def _each(batch: Sequence[int], asked: Sequence[tuple[str, str | None]]) -> Iterator[tuple[int, str | None]]:
    for number, (_, shape) in enumerate(asked):
        yield batch[number // _WORDS], shape


def _truth(scene: Things, shape: str | None, size: int) -> np.ndarray:
    mask: Mask = np.zeros((size, size), np.bool_)
    for thing in scene.things:
        if thing.shape == shape:
            mask = mask_of(thing, size)
    return mask.astype(np.float32)


def _dice(shares_NHW: Tensor, truth_NHW: Tensor) -> Tensor:
    """1 less the soft Dice overlap, the mean over those of whose thing there is something."""
    there = truth_NHW.flatten(1).any(dim=1)
    both = (shares_NHW * truth_NHW)[there].flatten(1).sum(dim=1)
    either = (shares_NHW + truth_NHW)[there].flatten(1).sum(dim=1)
    return (1 - (2 * both + 1) / (either + 1)).mean()


def normalised(pictures: Sequence[Image.Image]) -> Tensor:
    """RGB pictures of one size as CLIP's processor normalises them, (N, 3, H, W)."""
    pixels_NHWC = np.stack([np.asarray(picture, dtype=np.float32) for picture in pictures]) / 255
    pixels_NHWC = (pixels_NHWC - np.float32(OPENAI_CLIP_MEAN)) / np.float32(OPENAI_CLIP_STD)
    return torch.from_numpy(pixels_NHWC.transpose(0, 3, 1, 2).copy())


def world_tokenizer(longest: int, more: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """Whole words of the world and ``more``; what else there is, is unknown. Texts have ``longest`` tokens at most."""
    words = ["a", "an", "the", *COLOURS, *SHAPES, *SHAPES.values(), *more]
    vocabulary = {word: number for number, word in enumerate([*_SPECIAL.values(), *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(_SPECIAL[name], vocabulary[_SPECIAL[name]]) for name in ("bos_token", "eos_token")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, **_SPECIAL)


_LONGEST = 16  # tokens of a prompt


def image_processor(size: int) -> Any:
    """CLIP's normalisation of squares of ``size`` pixels, without torchvision."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return ViTImageProcessorPil(
        size={"height": size, "width": size}, image_mean=list(OPENAI_CLIP_MEAN), image_std=list(OPENAI_CLIP_STD)
    )


def encoders(size: LocatorSize, tokenizer: PreTrainedTokenizerFast, text_layers: int) -> dict[str, Any]:
    """What a configuration of CLIP or CLIPSeg says of its two encoders."""
    common: dict[str, Any] = {
        "hidden_size": size.width, "intermediate_size": 4 * size.width, "num_attention_heads": size.heads,
    }  # fmt: skip
    text = {
        **common,
        "vocab_size": len(tokenizer),
        "num_hidden_layers": text_layers,
        "max_position_embeddings": tokenizer.model_max_length,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {
        **common, "num_hidden_layers": size.layers, "image_size": size.image_size, "patch_size": size.patch_size,
    }  # fmt: skip
    return {"text_config": text, "vision_config": vision, "projection_dim": size.width}


def _config(size: LocatorSize, tokenizer: PreTrainedTokenizerFast) -> CLIPSegConfig:
    return CLIPSegConfig(
        **encoders(size, tokenizer, 1),
        extract_layers=list(range(1, size.layers)),
        reduce_dim=size.width // 2,
        decoder_num_attention_heads=size.heads,
        decoder_intermediate_size=2 * size.width,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--steps", type=int, default=LocatorSize.steps)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(make_locator(options.folder, options.seed, LocatorSize(steps=options.steps)))


if __name__ == "__main__":
    main()
