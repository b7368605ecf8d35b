"""A text forced through a model after its picture and post, and what each of the tokens stands for.

Invariant: ids, positions and mask are those of the plain model on this one sequence; each token belongs to one group.
Shape letters: L tokens of the sequence, d width of the hidden state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trifacet.data.records import TestSample
from trifacet.engine.attention import visible
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import Family, ImageInput, core
from trifacet.engine.forwards import left_out
from trifacet.engine.scoring import Encoded, collate
from trifacet.engine.trie import Path
from trifacet.preferences.facets import Cell

GROUPS = ("image", "context", "prompt", "first", "response")
IMAGE, CONTEXT, PROMPT, FIRST, RESPONSE = range(len(GROUPS))


@dataclass(frozen=True)
class Forced:
    """One sequence. ``groups_L`` has a number of ``GROUPS`` for each token, ``words_at`` are the answer's own tokens.

    * ``image``: the tokens that carry the vision encoder's features; what a processor puts around them is prompt.
    * ``context``: the post's words, without the label above them.
    * ``first``: the first token of all, on which models lay attention that they have no use for.
    * ``prompt``: everything else before the answer: request, label, the template's own tokens.
    * ``response``: the answer with its end token. ``words_at`` leaves the end token out.
    """

    path: Path
    images: tuple[ImageInput, ...]
    groups_L: NDArray[np.int64]
    words_at: NDArray[np.int64]


def force(
    encoder: SampleEncoder, sample: TestSample, text: str, images: Sequence[ImageInput], feature_id: int
) -> Forced:
    """The sequence of a sample with ``text`` as its answer; an over-long post is cut at its end, as in training.

    Args:
        encoder: renders and tokenises.
        sample: request and post.
        text: the answer; empty: the end token alone.
        images: those of the sample, in order.
        feature_id: the id of the tokens that carry image features (``image_token_id`` of the model's config).

    Raises:
        TrifacetError: images, request and answer do not fit, or the post is not found in the rendered text.
    """
    shown = list(range(len(images)))
    asked = encoder.asked(sample)
    (path,), cut = encoder.paths(asked, [sample.context], [text], images, [shown], [Cell()])
    ids, of_post = encoder.post_tokens(asked, sample.context, text, images=len(images), cut=cut)
    words_L = path.images_L < 0
    placeholders = encoder.family.placeholder_id if images else -1
    assert np.array_equal(path.tokens_L[words_L], ids[ids != placeholders]), "the two ways to the ids differ"
    groups_L = np.full(len(path.tokens_L), PROMPT)
    groups_L[np.flatnonzero(words_L)[of_post[ids != placeholders]]] = CONTEXT
    groups_L[~words_L & (path.tokens_L == feature_id)] = IMAGE
    groups_L[path.response_start :] = RESPONSE
    groups_L[0] = FIRST
    return Forced(path, tuple(images), groups_L, np.arange(path.response_start, len(path.tokens_L) - 1))


@torch.inference_mode()
def hidden_states(model: Any, family: Family, forced: Forced) -> Tensor:
    """The last layer's hidden states (L, d) of the sequence, as the language-model head reads them."""
    device = next(model.parameters()).device
    batch = collate([Encoded((forced.path,), forced.images)], family, pad_id=0, rows="path").to(device)
    features: list[Any] = []
    if forced.images:
        with left_out(family.unread(model)):
            features = family.features(model, **batch.images)
    mask = (
        batch.plain_BN  # longer than the window of its attention: the model makes its own masks
        if batch.plain_BN is not None
        else family.dense_masks(visible(batch.ends_BN), batch.images_BN, batch.position_ids)
    )
    order = [features[index] for index in batch.image_order.tolist()]
    return family.hidden(model, batch.input_ids, mask, batch.position_ids, order)[0]


def feature_id(model: Any) -> int:
    """The id of the tokens in whose place a model puts image features."""
    return int(core(model).config.image_token_id)
