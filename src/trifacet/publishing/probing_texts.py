"""What a model says of given texts under pictures, asked through transformers alone.

Invariant: the same weights and processor give the same numbers wherever this is called: pictures and texts are made
here, nothing is drawn, and each text stands in a batch of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

SIZES = ((448, 224), (320, 330))  # width, height: multiples of all patches, and not
BEST = 10  # tokens
TEXTS = ("A red kite over a beach.", "Zwei Kinder essen Eis für 3,50 €, vor dem Tor steht „Ada“.")


@dataclass(frozen=True)
class Said:
    """What a model says of one text.

    Args:
        ids: tokens of prompt and text.
        prompt_tokens: how many of them are the prompt's, its picture included.
        logps: log-probs in nats of the text's tokens, under what stands before each.
        best: the likeliest first tokens of an answer with their log-probs, the best first.
    """

    ids: tuple[int, ...]
    prompt_tokens: int
    logps: tuple[float, ...]
    best: tuple[tuple[int, float], ...]


def picture(size: tuple[int, int]) -> Image.Image:
    """Soft waves and two hard edges: no part of it is like another."""
    across, down = (np.linspace(0, 1, side) for side in size)
    x, y = np.meshgrid(across, down)
    waves = [np.sin(7 * x + 3 * y), np.cos(5 * y - 2 * x), np.sin(11 * x * y)]
    pixels = (127.5 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)
    pixels[size[1] // 3 : size[1] // 2, size[0] // 4 : size[0] // 2] = (220, 40, 30)
    return Image.fromarray(pixels)


def prompt_of(processor: Any, request: str) -> str:
    """The text that asks for an answer to ``request`` about one picture."""
    content = [{"type": "image"}, {"type": "text", "text": request}]
    asked = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    return str(asked)


@torch.no_grad()
def said_of(model: Any, processor: Any, request: str) -> list[Said]:
    """What ``model`` says of each text under each picture."""
    asked = prompt_of(processor, request)
    return [said_under(picture(size), model, processor, asked, text) for size in SIZES for text in TEXTS]


@torch.no_grad()
def said_under(shown: Image.Image, model: Any, processor: Any, asked: str, text: str) -> Said:
    """What ``model`` says of one text after the prompt ``asked``, which has the place of one picture."""
    start = processor.tokenizer.bos_token
    special = not (start and asked.startswith(start))
    whole, prompt = (
        processor(images=[[shown]], text=[words], return_tensors="pt", add_special_tokens=special)
        for words in (asked + text, asked)
    )
    length, ids = prompt["input_ids"].shape[1], whole["input_ids"]
    logps = model(**whole.to(model.device), use_cache=False).logits.float().log_softmax(-1)[0].cpu()
    told = logps[length - 1 : -1].gather(1, ids[0, length:, None].cpu())[:, 0]
    first = model(**prompt.to(model.device), use_cache=False).logits[0, -1].float().log_softmax(-1).topk(BEST)
    best = tuple(zip(first.indices.tolist(), first.values.tolist(), strict=True))
    return Said(tuple(ids[0].tolist()), length, tuple(told.tolist()), best)


def largest_difference(some: Sequence[Said], others: Sequence[Said]) -> float | None:
    """Of any token's log-prob, in nats; None where the tokens are not the same."""
    if [one.ids for one in some] != [one.ids for one in others]:
        return None
    pairs = zip(some, others, strict=True)
    return max(abs(a - b) for one, other in pairs for a, b in zip(one.logps, other.logps, strict=True))
