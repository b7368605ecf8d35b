"""A small CLIP that tells pictures of the demo's world by what is said of them: what CLIPScore, the drop of similarity
and the locator ``lowest-similarity`` need of a model, on pictures whose truth is known, trained in minutes.

    python -m trifacet.demo.clip FOLDER

Invariant: what is written loads with transformers alone (``CLIPProcessor``, ``CLIPModel``) and depends on (sizes,
steps, seed) and the machine's arithmetic only; it learns from pictures and texts alone, no mask; the pictures are in
no split of the world.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

from trifacet.demo.facts import scene_generator
from trifacet.demo.locator import LocatorSize, encoders, image_processor, normalised, save_made, world_tokenizer
from trifacet.demo.things import Things, draw_things, render_things
from trifacet.demo.things_texts import caption, seen

_BATCH = 128  # pairs of a step, each the others' negatives
_PICTURES = 6000  # drawn once; more steps than these fill pass over them again, with other texts
_PEAK_RATE = 2e-3
_SHARPEST = 100.0  # CLIP's bound on its scale
_LONGEST = 24  # tokens of a caption of four things after CLIPScore's words
_BEFORE = "A photo depicts "  # CLIPScore's words, before half of the texts
_MORE_WORDS = ("and", ",", ".", "photo", "depicts")


@dataclass(frozen=True)
class ClipSize(LocatorSize):
    """Widths and layers; ``steps`` optimiser steps of 128 pictures with one text each."""

    text_layers: int = 2
    steps: int = 400


def make_clip(folder: Path, seed: int, size: ClipSize = ClipSize()) -> Path:
    """Train a CLIP on pictures of the world and their texts and save it with its processor.

    Args:
        folder: where the checkpoint goes (safetensors).
        seed: seed of weights, pictures and texts.
        size: widths, layers, steps.

    Returns:
        ``folder``.
    """
    tokenizer = world_tokenizer(_LONGEST, _MORE_WORDS)
    processor = CLIPProcessor(image_processor=image_processor(size.image_size), tokenizer=tokenizer)

    def made() -> CLIPModel:
        model = CLIPModel(CLIPConfig(**encoders(size, tokenizer, size.text_layers)))
        _train(model, tokenizer, size, seed)
        return model

    return save_made(made, processor, folder, seed)


def _train(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, size: ClipSize, seed: int) -> None:
    """CLIP's symmetric InfoNCE (arXiv 2103.00020, figure 3): each picture finds its text in the batch, each text its
    picture.
    """
    scenes = [draw_things(scene_generator(seed, "clip", k)) for k in range(min(_PICTURES, size.steps * _BATCH))]
    pixels_NCHW = normalised([render_things(scene, size.image_size) for scene in scenes])
    optimizer = torch.optim.AdamW(model.parameters(), lr=_PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=max(size.steps, 20))
    own_B = torch.arange(_BATCH)
    model.train()
    for step in range(size.steps):
        rng = scene_generator(seed, "texts", step)
        batch = [at % len(scenes) for at in range(step * _BATCH, (step + 1) * _BATCH)]
        texts = [said(scenes[at], rng) for at in batch]
        given = tokenizer(texts, padding=True, return_tensors="pt")
        alike_BB = model(pixel_values=pixels_NCHW[batch], **given).logits_per_image
        loss = (F.cross_entropy(alike_BB, own_B) + F.cross_entropy(alike_BB.T, own_B)) / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=float(np.log(_SHARPEST)))
    model.zero_grad()
    model.eval()


def said(scene: Things, rng: np.random.Generator) -> str:
    """A true text: every other one the whole caption, else one thing ("a red kite"); half of them after "A photo
    depicts".
    """
    named = seen(scene)
    colour, shape = named[int(rng.integers(len(named)))]
    text = caption(named) if rng.random() < 0.5 else f"a {colour} {shape}"
    return _BEFORE + text if rng.random() < 0.5 else text


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--steps", type=int, default=ClipSize.steps)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(make_clip(options.folder, options.seed, ClipSize(steps=options.steps)))


if __name__ == "__main__":
    main()
