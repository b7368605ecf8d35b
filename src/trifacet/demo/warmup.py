"""Warming up a tiny LLaVA: a real one starts from a trained CLIP and a trained language model, not from noise.

Three tasks at once stand for what those bring along: telling the attributes of a picture (CLIP), on the very layer that
the projector reads; a bare caption from the picture (the alignment of projector and language model); and reading (the
language model): to say of a post whom it is about, or of a list of things which colour one has.
In the world of tasks another post and a bare question stand between a picture and what is said of it: requests will.
Invariant: requests, alt-text and captions in sentences are never seen, nor any picture together with its post, and the
heads are dropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from trifacet.data.post_settings import Posts
from trifacet.demo import signs_texts
from trifacet.demo.facts import COLOURS, COUNTS, PLACES, SHAPES, SIGNS, Scene, scene_generator, things
from trifacet.demo.knobs import draw_knob_scene, drawn, nearness
from trifacet.demo.renderer import render_scene
from trifacet.demo.signs import KIND_OF, LINE, WORDS, Signed, draw_signed, render_signed
from trifacet.demo.things import Things, draw_things, render_things

if TYPE_CHECKING:
    from trifacet.data.settings import WorldKind

_ATTRIBUTES: dict[str, tuple[object, ...]] = {
    "colour": tuple(COLOURS),
    "shape": tuple(SHAPES),
    "count": tuple(COUNTS),
    "place": tuple(PLACES),
    "sign": (None, *SIGNS),
}
_COUNTED = ("things", "words")
_FOUND, _SAME = 0.25, 0.5  # of what is read of tasks
_ASKED = 0.6  # of the pictures of tasks: something is asked
_BATCH = 32  # pictures of a step
_PICTURES = 8000  # drawn once; more steps than these fill pass over them again
_PEAK_RATE = 1e-3
_RISE = 0.1  # share of the steps in which the learning rate rises
_SHORTEST = 20  # fewer steps follow the start of this schedule: a rise of less than one step divides by zero


class _Shown(NamedTuple):
    """A picture, the index of each attribute's value, a bare caption, and a text that stands before that."""

    image: Image.Image
    labels: list[int]
    caption: str
    before: str = ""


class _Lessons(Protocol):
    """What a world teaches: how many values each attribute has, pictures with their captions, and texts to read."""

    values: tuple[int, ...]
    readings: int  # of a step, at most one for each picture

    def where(self, patches: int) -> Tensor | None:
        """The weight of each of a square of patches for each attribute, (1, P, A); None: where to look is learned."""
        ...

    def picture(self, rng: np.random.Generator, size: int) -> _Shown:
        """A picture and what is said of it."""
        ...

    def reading(self, rng: np.random.Generator) -> tuple[str, str]:
        """A text that ends where something is asked, and the answer."""
        ...


class _OfPosts:
    """Colour, shape, number, place and sign of the things that a post is about, as the world's knobs draw them; whom a
    post is about.
    """

    values: tuple[int, ...] = tuple(map(len, _ATTRIBUTES.values()))
    readings = 16  # posts are long, and names are learned from few

    def __init__(self, posts: Posts | None = None) -> None:
        self.posts = posts or Posts()

    def where(self, patches: int) -> Tensor | None:
        return None

    def picture(self, rng: np.random.Generator, size: int) -> _Shown:
        scene = draw_knob_scene(rng, self.posts, apart=True)
        labels = [values.index(getattr(scene, name)) for name, values in _ATTRIBUTES.items()]
        return _Shown(render_scene(scene, size, nearness(self.posts)), labels, _caption(scene))

    def reading(self, rng: np.random.Generator) -> tuple[str, str]:
        scene, post = drawn(rng, self.posts)
        return post.text + " It is for", f" {scene.name}."


class _OfThings:
    """Which shape and colour is in each quarter of the picture, or none; which colour a listed thing has, or none."""

    values: tuple[int, ...] = (len(SHAPES) + 1, len(COLOURS) + 1) * 4
    readings = 16

    def where(self, patches: int) -> Tensor | None:
        return _quarters(patches, len(self.values))

    def picture(self, rng: np.random.Generator, size: int) -> _Shown:
        scene = draw_things(rng)
        labels = [0] * len(self.values)
        for thing in scene.things:
            at = 2 * (2 * int(thing.y > 0.5) + int(thing.x > 0.5))
            labels[at : at + 2] = list(SHAPES).index(thing.shape) + 1, list(COLOURS).index(thing.colour) + 1
        return _Shown(render_things(scene, size), labels, _listed(scene))

    def reading(self, rng: np.random.Generator) -> tuple[str, str]:
        scene = draw_things(rng)
        shape = str(rng.choice(list(SHAPES)))
        return f"{_listed(scene)}; {shape}:", f" {scene.colour_of(shape) or 'none'}."


class _OfSigns:
    """Which word of each kind is on the sign, or none; what is in each lower quarter, or nothing; which word of a kind
    a described sign has, or which colour a thing.
    """

    values: tuple[int, ...] = (*(len(words) + 1 for words in WORDS.values()), *(len(SHAPES) + 1, len(COLOURS) + 1) * 2)
    readings = 16

    def where(self, patches: int) -> Tensor | None:
        """Each kind of word in its line of the sign, the things in the lower quarters."""
        lines_1PL, lower_1PA = _lines(patches), _quarters(patches, 8)[..., 4:]
        return torch.cat([lines_1PL, lower_1PA], dim=-1)

    def picture(self, rng: np.random.Generator, size: int) -> _Shown:
        scene = draw_signed(rng)
        return _Shown(render_signed(scene, size), self._labels(scene), _told(scene))

    def _labels(self, scene: Signed) -> list[int]:
        labels = [0] * len(self.values)
        for at, (kind, words) in enumerate(WORDS.items()):
            if word := scene.word_of(kind):
                labels[at] = words.index(word) + 1
        for thing in scene.things.things:
            at = len(WORDS) + 2 * int(thing.x > 0.5)
            labels[at : at + 2] = list(SHAPES).index(thing.shape) + 1, list(COLOURS).index(thing.colour) + 1
        return labels

    def reading(self, rng: np.random.Generator) -> tuple[str, str]:
        scene = draw_signed(rng)
        asked = str(rng.choice([*WORDS, *SHAPES]))
        told = scene.word_of(asked) if asked in WORDS else scene.things.colour_of(asked)
        return f"{_told(scene)}; {asked}:", f" {told or 'none'}."


class _OfTasks(_OfSigns):
    """The pictures of signs, each behind another one's post and with a bare caption or a word about what is asked; of
    described ones besides whether two are the same, and one with a word exchanged.
    """

    readings = 32  # comparing is learned from many

    def picture(self, rng: np.random.Generator, size: int) -> _Shown:
        scene = draw_signed(rng)
        post = signs_texts.write_post(draw_signed(rng), rng).text
        asked = str(rng.choice([*WORDS, *SHAPES, *_COUNTED, "left"])) if rng.random() < _ASKED else ""
        said = _told(scene) if not asked else f" {_answer(scene, asked)}"
        return _Shown(render_signed(scene, size), self._labels(scene), said, f" {post} {asked}:")

    def reading(self, rng: np.random.Generator) -> tuple[str, str]:
        scene = draw_signed(rng)
        told, which = _told(scene), float(rng.random())
        if which < _FOUND:
            asked = str(rng.choice([*WORDS, *SHAPES, *_COUNTED, "left"]))
            return f"{told}; {asked}:", f" {_answer(scene, asked)}."
        at, new = _exchange(scene, rng)
        if which < _FOUND + _SAME:  # of one word or of all, as often
            one, other = (f" {at}", f" {new}") if rng.random() < 0.5 else (told, told.replace(at, new))
            is_same = rng.random() < 0.5
            return f"{one} :{one if is_same else other}; same:", f" {'yes' if is_same else 'no'}."
        return f"{told}; {at} is {new}:", f"{told.replace(at, new)}."


_LESSONS: dict[WorldKind, _Lessons] = {
    "posts": _OfPosts(),
    "things": _OfThings(),
    "signs": _OfSigns(),
    "tasks": _OfTasks(),
}


class _Heads(nn.Module):
    """A classifier per attribute over a learned average of the patches, or over the one that the lessons say."""

    def __init__(self, width: int, values: tuple[int, ...], where_1PA: Tensor | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, len(values))
        self.classify = nn.ModuleList(nn.Linear(width, count) for count in values)
        self.where_1PA = where_1PA

    def forward(self, features_BPW: Tensor) -> list[Tensor]:
        normed_BPW = self.norm(features_BPW)
        if self.where_1PA is not None:
            weights_BPA = self.where_1PA.expand(len(normed_BPW), -1, -1)
        else:
            weights_BPA = self.weigh(normed_BPW).softmax(dim=1)
        pooled_BAW = torch.einsum("bpa,bpw->baw", weights_BPA, normed_BPW)
        return [classify(pooled_BAW[:, k]) for k, classify in enumerate(self.classify)]


def _lines(patches: int) -> Tensor:
    """The mean over the patches of each line that a sign has room for, (1, P, L)."""
    side = math.isqrt(patches)
    middle_S = (torch.arange(side) + 0.5) / side
    line_P = (middle_S / LINE).long().repeat_interleave(side)
    inside_PL = (line_P[:, None] == torch.arange(len(WORDS))).float()
    return (inside_PL / inside_PL.sum(dim=0).clamp(min=1))[None]


def _quarters(patches: int, attributes: int) -> Tensor:
    """The mean over each quarter of a square of patches, (1, P, A); neighbouring attributes share a quarter."""
    at_S = torch.arange(math.isqrt(patches)) * 2 // math.isqrt(patches)
    quarter_P = (2 * at_S[:, None] + at_S[None, :]).flatten()
    quarter_A = torch.arange(attributes) * 4 // attributes
    inside_PA = (quarter_P[:, None] == quarter_A[None, :]).float()
    return (inside_PA / inside_PA.sum(dim=0))[None]


@dataclass(frozen=True)
class WarmUp:
    """The last tenth of the steps: share of right attributes, and nats per token of captions and of names read."""

    attributes: float
    captions: float
    reading: float


@dataclass(frozen=True)
class _Pictures:
    """Pixels as CLIP's processor normalises them, the index of each attribute's value, what stands behind the pictures,
    and the captions at their places in that; both padded with 0.
    """

    pixels_NCHW: Tensor
    labels_NA: Tensor
    texts_NT: Tensor
    captions_NT: Tensor


def warm_up(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    steps: int,
    seed: int,
    world: WorldKind = "posts",
    posts: Posts | None = None,
) -> WarmUp:
    """Train ``model`` in place on the three tasks.

    Args:
        model: a LLaVA with square pictures of its vision encoder's ``image_size``.
        tokenizer: its tokenizer.
        steps: optimiser steps, each of 32 pictures and 16 posts (of tasks 32).
        seed: seed of the pictures and the posts, which belong to splits of their own.
        world: whose pictures and texts.
        posts: the knobs of the world of posts (None: at their defaults).
    """
    lessons, size = _OfPosts(posts) if world == "posts" else _LESSONS[world], model.config.vision_config.image_size
    pictures = _pictures(lessons, min(steps * _BATCH, _PICTURES), size, tokenizer, seed)
    readings_NT, asked_N = _readings(lessons, len(pictures.pixels_NCHW), tokenizer, seed)
    patches = (size // model.config.vision_config.patch_size) ** 2
    heads = _Heads(model.config.vision_config.hidden_size, lessons.values, lessons.where(patches))
    trained = [*model.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=_PEAK_RATE, weight_decay=0.0)
    planned = max(steps, _SHORTEST)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=planned, pct_start=_RISE)
    seen = []
    model.train()
    for step in range(steps):
        batch = torch.arange(step * _BATCH, (step + 1) * _BATCH) % len(pictures.pixels_NCHW)
        attributes, captions, right = _look(model, heads, pictures, batch)
        read = batch[: lessons.readings]
        reading = _read(model, readings_NT[read], asked_N[read])
        optimizer.zero_grad()
        (attributes + captions + reading).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        seen.append((right, captions.item(), reading.item()))
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
    words_BTD = inner.get_input_embeddings()(pictures.texts_NT[batch])
    row_BLD = torch.cat([inner.multi_modal_projector(features_BPW), words_BTD[:, :-1]], dim=1)
    states_BLD = inner.language_model(inputs_embeds=row_BLD).last_hidden_state
    states_BTD = states_BLD[:, features_BPW.shape[1] - 1 :]  # the last patch predicts the first word
    captions = F.cross_entropy(model.lm_head(states_BTD).flatten(0, 1), captions_BT.flatten(), ignore_index=0)
    return torch.stack(losses).sum(), captions, right


def _read(model: LlavaForConditionalGeneration, tokens_BT: Tensor, asked_B: Tensor) -> Tensor:
    """Loss per token of the answer, from the text before it; 0 is padding, at the right."""
    states_BTD = model.model.language_model(input_ids=tokens_BT).last_hidden_state[:, :-1]
    target_BT = tokens_BT[:, 1:]
    is_answer_BT = (torch.arange(1, tokens_BT.shape[1]) >= asked_B[:, None]) & (target_BT != 0)
    return F.cross_entropy(model.lm_head(states_BTD[is_answer_BT]), target_BT[is_answer_BT])


def _readings(lessons: _Lessons, amount: int, tokenizer: PreTrainedTokenizerFast, seed: int) -> tuple[Tensor, Tensor]:
    """Texts that end in the answer to what they ask (0: padding), and where that answer begins."""
    rows, starts = [], []
    for index in range(amount):
        text, answer = lessons.reading(scene_generator(seed, "reading", index))
        asked = tokenizer(text).input_ids
        rows.append(asked + tokenizer(answer, add_special_tokens=False).input_ids)
        starts.append(len(asked))
    return _padded(rows), torch.tensor(starts)


def _padded(rows: list[list[int]]) -> Tensor:
    tokens_NT = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for index, row in enumerate(rows):
        tokens_NT[index, : len(row)] = torch.tensor(row)
    return tokens_NT


def _pictures(lessons: _Lessons, amount: int, size: int, tokenizer: PreTrainedTokenizerFast, seed: int) -> _Pictures:
    pixels_NHWC = np.empty((amount, size, size, 3), dtype=np.float32)
    labels_NA = np.empty((amount, len(lessons.values)), dtype=np.int64)
    before, captions = [], []
    for index in range(amount):
        shown = lessons.picture(scene_generator(seed, "warmup", index), size)
        labels_NA[index] = shown.labels
        pixels_NHWC[index] = np.asarray(shown.image, dtype=np.float32) / 255
        before.append(tokenizer(shown.before, add_special_tokens=False).input_ids)
        captions.append(tokenizer(shown.caption, add_special_tokens=False).input_ids)
    pixels_NHWC -= np.asarray(OPENAI_CLIP_MEAN, dtype=np.float32)
    pixels_NHWC /= np.asarray(OPENAI_CLIP_STD, dtype=np.float32)
    return _Pictures(
        torch.from_numpy(pixels_NHWC.transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(labels_NA),
        _padded([[*first, *then] for first, then in zip(before, captions, strict=True)]),
        _padded([[0] * len(first) + then for first, then in zip(before, captions, strict=True)]),
    )


def _caption(scene: Scene) -> str:
    """The attributes in a row, without a sentence around them."""
    more = "".join(f", {one.colour} {one.shape}" for one in scene.others)
    return f" {COUNTS[scene.count]} {scene.colour} {things(scene.shape, scene.count)}{more} {PLACES[scene.place]}"


def _listed(scene: Things) -> str:
    """The things in a row, without a sentence around them."""
    return " " + ", ".join(f"{thing.colour} {thing.shape}" for thing in scene.things)


def _answer(scene: Signed, asked: str) -> str:
    """What a picture has of a kind of word, a shape, what is counted, or on the left; "none"."""
    things = scene.things.things
    if asked in _COUNTED:
        return ("none", "one", "two", "three")[len(things if asked == "things" else scene.words)]
    if asked == "left":
        return things[0].shape
    return (scene.word_of(asked) if asked in WORDS else scene.things.colour_of(asked)) or "none"


def _exchange(scene: Signed, rng: np.random.Generator) -> tuple[str, str]:
    """A word or a colour of the picture, and another one of its kind."""
    words = [*scene.words, *(thing.colour for thing in scene.things.things)]
    at = words[int(rng.integers(len(words)))]
    kind = WORDS[KIND_OF[at]] if at in KIND_OF else tuple(COLOURS)
    return at, str(rng.choice([one for one in kind if one != at]))


def _told(scene: Signed) -> str:
    """Things and sign in a row."""
    return ", sign ".join(filter(None, (_listed(scene.things), " ".join(scene.words))))
