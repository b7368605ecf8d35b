"""Watching attention: how much of it a few tokens lay on groups of tokens, layer by layer.

Invariant: no more than ``WEIGHTS_AT_ONCE`` attention weights exist at a time; each layer's are reduced to one number
per query and group as soon as they are there. What the model computes does not change by being watched.
Shape letters: H heads, Q queries (tokens that are watched), N tokens, G groups of tokens, D width of a head.
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

Floats = NDArray[np.float64]
WATCHED = "trifacet_watched"  # the name under which transformers finds this attention
WEIGHTS_AT_ONCE = 2**25  # 128 MB


@dataclass
class Watch:
    """Whose attention is summed up: ``queries_Q`` (places) over ``groups_N``, numbers below ``groups``.

    ``masses`` gets a (Q, G) array per layer: means over heads, whose rows sum to 1.
    """

    queries_Q: Tensor
    groups_N: Tensor
    groups: int
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
    """The mean over heads of the attention that each group gets from each watched query, (Q, G)."""
    key_HND = repeat_kv(key, len(query_HND) // key.shape[1])[0].float()
    heads, tokens = key_HND.shape[:2]
    members_NG = torch.nn.functional.one_hot(watch.groups_N, watch.groups).float()
    masses = []
    for rows_Q in watch.queries_Q.split(max(WEIGHTS_AT_ONCE // (heads * tokens), 1)):
        scores_HQN = query_HND[:, rows_Q].float() @ key_HND.transpose(1, 2) * scale
        if mask is None:  # attention is plainly causal
            seen = torch.arange(tokens, device=rows_Q.device) <= rows_Q[:, None]
            scores_HQN.masked_fill_(~seen, -torch.inf)
        elif mask.dtype == torch.bool:
            scores_HQN.masked_fill_(~mask[0][:, rows_Q], -torch.inf)
        else:
            scores_HQN += mask[0][:, rows_Q]
        masses.append((scores_HQN.softmax(-1) @ members_NG).double().mean(0))
    return torch.cat(masses).cpu().numpy()


AttentionInterface.register(WATCHED, watched_forward)
AttentionMaskInterface.register(WATCHED, sdpa_mask)


@contextmanager
def watching(model: Any, queries_Q: NDArray[np.int64], groups_N: NDArray[np.int64], groups: int) -> Iterator[Watch]:
    """A block in which forwards of one sequence add each layer's attention masses to the watch it gives.

    Args:
        model: a transformers model, or PEFT's wrapper of one.
        queries_Q: places of the tokens whose attention is watched, at least one.
        groups_N: the group of each token of the sequence.
        groups: how many groups there are.
    """
    whole = core(model)
    device = next(whole.parameters()).device
    watch = Watch(torch.from_numpy(queries_Q).to(device), torch.from_numpy(groups_N).to(device), groups)
    before = whole.config.get_text_config()._attn_implementation
    whole.set_attn_implementation({"text_config": WATCHED})
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)
        whole.set_attn_implementation({"text_config": before})
