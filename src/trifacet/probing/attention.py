"""Where the words of an answer look: shares of attention mass, layer by layer.

Invariant: no more than ``WEIGHTS_AT_ONCE`` attention weights exist at a time; each layer's are reduced to one number
per group as soon as they are there. What the model computes does not change by being watched.
Shape letters: H heads, Q queries (words of the answer), N tokens, G groups of tokens, D width of a head, Y layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from trifacet.engine.family import core
from trifacet.probing.forcing import GROUPS, RESPONSE, Forced

Floats = NDArray[np.float64]
WATCHED = "trifacet_watched"  # the name under which transformers finds this attention
WEIGHTS_AT_ONCE = 2**25  # 128 MB
SHARES = GROUPS[:RESPONSE]  # those that sum to 1


@dataclass
class Watch:
    """Whose attention is summed up: ``queries`` (Q,) over ``groups_N``; ``masses`` gets a (G,) row per layer."""

    queries: Tensor
    groups_N: Tensor
    masses: list[Floats] = field(default_factory=list)


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def watched_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in each layer: its usual attention, with a look at the weights of a few queries."""
    watch = _watch.get()
    if watch is not None:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        watch.masses.append(_masses(query[0], key, attention_mask, scale, watch))
    return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)


def _masses(query_HND: Tensor, key: Tensor, mask: Tensor | None, scale: float, watch: Watch) -> Floats:
    """The mean over heads and watched queries of the attention that each group gets, (G,)."""
    key_HND = repeat_kv(key, len(query_HND) // key.shape[1])[0].float()
    heads, tokens = key_HND.shape[:2]
    members_NG = torch.nn.functional.one_hot(watch.groups_N, len(GROUPS)).float()
    total_G = torch.zeros(len(GROUPS), dtype=torch.float64, device=key_HND.device)
    for rows_Q in watch.queries.split(max(WEIGHTS_AT_ONCE // (heads * tokens), 1)):
        scores_HQN = query_HND[:, rows_Q].float() @ key_HND.transpose(1, 2) * scale
        if mask is None:  # attention is plainly causal
            seen = torch.arange(tokens, device=rows_Q.device) <= rows_Q[:, None]
            scores_HQN.masked_fill_(~seen, -torch.inf)
        elif mask.dtype == torch.bool:
            scores_HQN.masked_fill_(~mask[0][:, rows_Q], -torch.inf)
        else:
            scores_HQN += mask[0][:, rows_Q]
        total_G += (scores_HQN.softmax(-1) @ members_NG).double().sum((0, 1))
    return (total_G / (heads * len(watch.queries))).cpu().numpy()


AttentionInterface.register(WATCHED, watched_forward)
AttentionMaskInterface.register(WATCHED, sdpa_mask)


@contextmanager
def watching(model: Any, forced: Forced) -> Iterator[Watch]:
    """A block in which forwards of the sequence ``forced`` add each layer's attention masses to the watch it gives."""
    whole = core(model)
    device = next(whole.parameters()).device
    watch = Watch(torch.from_numpy(forced.words_at).to(device), torch.from_numpy(forced.groups_L).to(device))
    before = whole.config.get_text_config()._attn_implementation
    whole.set_attn_implementation({"text_config": WATCHED})
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)
        whole.set_attn_implementation({"text_config": before})


@dataclass(frozen=True)
class Shares:
    """One sample's attention.

    ``shares_Y4``: per layer, the shares of image, context, prompt and first token in what does not stay within the
    answer; they sum to 1, and are nan in a layer whose window the answer fills. ``response_Y``: what stays in it.
    ``tokens_4``: the same shares, counted in tokens.
    """

    shares_Y4: Floats
    response_Y: Floats
    tokens_4: Floats

    @property
    def mean_4(self) -> Floats:
        """The mean over layers."""
        return np.nanmean(self.shares_Y4, axis=0)


def shares_of(masses_YG: Floats, forced: Forced) -> Shares:
    """From attention masses, whose rows sum to 1, to shares."""
    before_Y4 = masses_YG[:, :RESPONSE]
    outside_Y1 = before_Y4.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares_Y4 = np.where(outside_Y1 > 0, before_Y4 / outside_Y1, np.nan)
    counts_4 = np.bincount(forced.groups_L, minlength=len(GROUPS))[:RESPONSE].astype(np.float64)
    return Shares(shares_Y4, masses_YG[:, RESPONSE], counts_4 / counts_4.sum())
