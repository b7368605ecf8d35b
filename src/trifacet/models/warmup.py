"""Warming up a tiny LLaVA: a real one starts from a trained CLIP and a trained language model, not from noise.

Three tasks at once stand for what those bring along: telling the attributes of a picture (CLIP), on the very layer that
the projector reads; a bare caption from the picture (the alignment of projector and language model); and going on with a
sequence that has been seen before (the copying that every language model knows).
Invariant: posts, names, requests and alt-text are never seen, and the heads are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from trifacet.world.facts import COLOURS, COUNTS, PLACES, SHAPES, SIGNS, Scene, draw_scene, generator, things
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
_REPEATED = 12  # tokens that come twice, after and before
_BETWEEN = 12  # at most so many tokens that do not


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


@dataclass(frozen=True)
class WarmUp:
    """The last tenth of the steps: share of right answers over all attributes; nats per token of the other two tasks."""

    attributes: float
    captions: float
    repeats: float


@dataclass(frozen=True)
class _Pictures:
    """``pixels_NCHW`` as CLIP's processor normalises them, the index of each attribute's value, captions (0: padding)."""

    pixels_NCHW: Tensor
    labels_NA: Tensor
    captions_NT: Tensor


def warm_up(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> WarmUp:
    """Train ``model`` in place on the three tasks.

    Args:
        model: a LLaVA with square pictures of its vision encoder's ``image_size``.
        tokenizer: its tokenizer.
        steps: optimiser steps, each of 32 pictures and 32 repeated sequences.
        seed: seed of the pictures, which belong to a split of their own, and of the sequences.
    """
    pictures = _pictures(min(steps * _BATCH, _PICTURES), model.config.vision_config.image_size, tokenizer, seed)
    heads = _Heads(model.config.vision_config.hidden_size)
    trained = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=_PEAK_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=steps, pct_start=_RISE)
    rng = np.random.default_rng([seed, 1])
    ordinary = [k for k in range(len(tokenizer)) if k not in set(tokenizer.all_special_ids)]
    seen = []
    model.train()
    for step in range(steps):
        batch = torch.arange(step * _BATCH, (step + 1) * _BATCH) % len(pictures.pixels_NCHW)
        attributes, captions, right = _look(model, heads, pictures, batch)
        repeats = _repeat(model, ordinary, rng)
        optimizer.zero_grad()
        (attributes + captions + repeats).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        seen.append((right, captions.item(), repeats.item()))
    model.zero_grad()
    model.eval()
    return WarmUp(*np.mean(seen[-max(1, steps // 10) :], axis=0).tolist())


def _look(
    model: LlavaForConditionalGeneration, heads: _Heads, pictures: _Pictures, batch: Tensor
) -> tuple[Tensor, Tensor, float]:
    """Loss of the attributes (summed), loss of the captions (per token), share of right attributes."""
    inner = model.model
    hidden = inner.vision_tower(pictures.pixels_NCHW[batch], output_hidden_states=True).hidden_states
    features_BPW = hidden[model.config.vision_feature_layer][:, 1:]
    guesses = heads(features_BPW)
    losses = [F.cross_entropy(guess_BV, pictures.labels_NA[batch, k]) for k, guess_BV in enumerate(guesses)]
    answers_BA = torch.stack([guess_BV.argmax(dim=-1) for guess_BV in guesses], dim=1)
    right = (answers_BA == pictures.labels_NA[batch]).float().mean().item()

    captions_BT = pictures.captions_NT[batch]
    words_BTD = inner.get_input_embeddings()(captions_BT)
    row_BLD = torch.cat([inner.multi_modal_projector(features_BPW), words_BTD[:, :-1]], dim=1)
    states_BLD = inner.language_model(inputs_embeds=row_BLD).last_hidden_state
    states_BTD = states_BLD[:, features_BPW.shape[1] - 1 :]  # the last patch predicts the first word
    captions = F.cross_entropy(model.lm_head(states_BTD).flatten(0, 1), captions_BT.flatten(), ignore_index=0)
    return torch.stack(losses).sum(), captions, right


def _repeat(model: LlavaForConditionalGeneration, ordinary: list[int], rng: np.random.Generator) -> Tensor:
    """Loss per token on the second showing of random tokens, with more or fewer other tokens in between."""
    between = int(rng.integers(_BETWEEN + 1))
    once_BT = rng.choice(ordinary, size=(_BATCH, _REPEATED + between))
    tokens_BT = torch.from_numpy(np.concatenate([once_BT, once_BT[:, :_REPEATED]], axis=1))
    states_BTD = model.model.language_model(input_ids=tokens_BT).last_hidden_state
    # the first repeated token cannot be foreseen; from the second on, each follows what followed before
    logits_BTV = model.lm_head(states_BTD[:, -_REPEATED:-1])
    return F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, -_REPEATED + 1 :].flatten())


def _pictures(amount: int, size: int, tokenizer: PreTrainedTokenizerFast, seed: int) -> _Pictures:
    pixels_NHWC = np.empty((amount, size, size, 3), dtype=np.float32)
    labels_NA = np.empty((amount, len(_ATTRIBUTES)), dtype=np.int64)
    captions = []
    for index in range(amount):
        scene = draw_scene(generator(seed, "warmup", index))
        pixels_NHWC[index] = np.asarray(render(scene, size), dtype=np.float32) / 255
        labels_NA[index] = [values.index(getattr(scene, name)) for name, values in _ATTRIBUTES.items()]
        captions.append(_caption(scene))
    pixels_NHWC -= np.asarray(OPENAI_CLIP_MEAN, dtype=np.float32)
    pixels_NHWC /= np.asarray(OPENAI_CLIP_STD, dtype=np.float32)
    rows = tokenizer(captions, add_special_tokens=False).input_ids
    captions_NT = np.zeros((amount, max(map(len, rows))), dtype=np.int64)
    for index, row in enumerate(rows):
        captions_NT[index, : len(row)] = row
    return _Pictures(
        torch.from_numpy(pixels_NHWC.transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(labels_NA),
        torch.from_numpy(captions_NT),
    )


def _caption(scene: Scene) -> str:
    """The attributes in a row, without a sentence around them."""
    return f" {COUNTS[scene.count]} {scene.colour} {things(scene.shape, scene.count)} {PLACES[scene.place]}"
