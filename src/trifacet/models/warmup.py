"""Warming up a tiny vision encoder: a real LLaVA starts from a trained CLIP, so the demo's does not start from noise.

Invariant: the encoder learns from pictures and their attributes alone, on the very layer that the projector reads; posts,
names and alt-text are never seen, and the heads are dropped.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from trifacet.world.facts import COLOURS, COUNTS, PLACES, SHAPES, SIGNS, draw_scene, generator
from trifacet.world.renderer import render

_ATTRIBUTES: dict[str, tuple[object, ...]] = {
    "colour": tuple(COLOURS),
    "shape": tuple(SHAPES),
    "count": tuple(COUNTS),
    "place": tuple(PLACES),
    "sign": (None, *SIGNS),
}
_BATCH = 32
_PICTURES = 8000  # drawn once; more steps than these fill pass over them again
_PEAK_RATE = 1e-3
_RISE = 0.1  # share of the steps in which the learning rate rises


class _Heads(nn.Module):
    """A classifier per attribute over a learned average of the patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, len(_ATTRIBUTES))
        self.classify = nn.ModuleList(nn.Linear(width, len(values)) for values in _ATTRIBUTES.values())

    def forward(self, features_BPW: Tensor) -> list[Tensor]:
        normed_BPW = self.norm(features_BPW)
        weights_BPA = self.weigh(normed_BPW).softmax(dim=1)
        pooled_BAW = torch.einsum("bpa,bpw->baw", weights_BPA, normed_BPW)
        return [classify(pooled_BAW[:, k]) for k, classify in enumerate(self.classify)]


def warm_up_vision(vision: CLIPVisionModel, layer: int, steps: int, seed: int) -> float:
    """Train ``vision`` in place to tell the attributes of the demo world's pictures.

    Args:
        vision: the encoder; its ``config.image_size`` is the pictures' side in pixels.
        layer: the hidden state that is read, as in ``LlavaConfig.vision_feature_layer``; the class token is dropped.
        steps: optimiser steps of 32 pictures.
        seed: seed of the pictures; they belong to a split of their own.

    Returns:
        The last step's share of right answers over all attributes.
    """
    pixels_NCHW, labels_NA = _pictures(min(steps * _BATCH, _PICTURES), vision.config.image_size, seed)
    heads = _Heads(vision.config.hidden_size)
    trained = [*vision.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=_PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=steps, pct_start=_RISE)
    right = 0.0
    vision.train()
    for step in range(steps):
        batch = torch.arange(step * _BATCH, (step + 1) * _BATCH) % len(pixels_NCHW)
        outputs = vision(pixels_NCHW[batch], output_hidden_states=True)
        guesses = heads(outputs.hidden_states[layer][:, 1:])
        losses = [F.cross_entropy(guess_BV, labels_NA[batch, k]) for k, guess_BV in enumerate(guesses)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        answers_BA = torch.stack([guess_BV.argmax(dim=-1) for guess_BV in guesses], dim=1)
        right = (answers_BA == labels_NA[batch]).float().mean().item()
    vision.zero_grad()
    vision.eval()
    return right


def _pictures(amount: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """``amount`` rendered pictures as CLIP's processor would normalise them, and the index of each attribute's value."""
    pixels_NHWC = np.empty((amount, size, size, 3), dtype=np.float32)
    labels_NA = np.empty((amount, len(_ATTRIBUTES)), dtype=np.int64)
    for index in range(amount):
        scene = draw_scene(generator(seed, "warmup", index))
        pixels_NHWC[index] = np.asarray(render(scene, size), dtype=np.float32) / 255
        labels_NA[index] = [values.index(getattr(scene, name)) for name, values in _ATTRIBUTES.items()]
    pixels_NHWC -= np.asarray(OPENAI_CLIP_MEAN, dtype=np.float32)
    pixels_NHWC /= np.asarray(OPENAI_CLIP_STD, dtype=np.float32)
    return torch.from_numpy(pixels_NHWC.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels_NA)
