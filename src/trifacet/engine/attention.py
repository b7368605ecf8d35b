"""Attention over a trie that leaves out whole blocks of tokens that cannot see each other.

Invariant: the result, forward and backward, is that of attention under the dense mask of the trie.

In the depth-first row a run of tokens without a branch is seen by itself, causally, and by the run of its descendants,
in full. So attention is a handful of plain blocks over slices of the row, whose partial results are merged by their
log-sum-exps (as in FlashAttention's split over keys); in the backward pass each block needs only the merged output and
log-sum-exp. Small subtrees are one block with a mask: many tiny blocks would cost more than the pairs they leave out.
Shape letters: B rows, H heads, N tokens of a row, D width of a head.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_mask
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SEGMENTS = "trifacet_segments"  # the name under which transformers finds this attention
FLEX = "trifacet_flex"
MASKED_BLOCK = 192  # tokens: subtrees up to this size are one block with a mask
FLEX_BLOCK = 128  # tokens: side of a block of FlexAttention's mask, torch's own choice


class Block(NamedTuple):
    """Queries [q0, q1) over keys [k0, k1): causal, under ``mask`` (added to the scores), or in full."""

    q0: int
    q1: int
    k0: int
    k1: int
    causal: bool
    mask: Tensor | None


class BlockPlan(NamedTuple):
    """``own`` blocks hold every token once, with those beside it; ``across`` ones are descendants over an ancestor."""

    own: list[Block]
    across: list[Block]


def visible(ends_BN: Tensor) -> Tensor:
    """The dense mask of tries: (B, N, N), true where token i sees token j."""
    index_N = torch.arange(ends_BN.shape[-1], device=ends_BN.device)
    return (index_N[None, None, :] <= index_N[None, :, None]) & (index_N[None, :, None] < ends_BN[:, None, :])


def flex_block_mask(ends_BN: Tensor) -> BlockMask:
    """The same as a block mask of FlexAttention.

    Which blocks hold pairs that see each other follows from the least and the largest end of each block of keys, so no
    matrix of tokens x tokens is built (torch's ``create_block_mask`` builds one), on whichever device it is.
    """

    def sees(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (k <= q) & (q < ends_BN[b, k])

    width = ends_BN.shape[1]
    blocks = -(-width // FLEX_BLOCK)
    beyond = blocks * FLEX_BLOCK - width
    first_K = torch.arange(blocks, device=ends_BN.device) * FLEX_BLOCK
    keys_BKn = torch.nn.functional.pad(ends_BN, (0, beyond)).unflatten(1, (blocks, FLEX_BLOCK))  # no query sees padding
    before_QK = first_K[None, :] < first_K[:, None]
    some_BQK = before_QK & (keys_BKn.amax(-1)[:, None, :] > first_K[:, None])
    some_BQK = some_BQK | torch.eye(blocks, dtype=torch.bool, device=ends_BN.device)  # a token sees itself
    queries_end_Q = first_K + FLEX_BLOCK
    whole_BQK = before_QK & (keys_BKn.amin(-1)[:, None, :] >= queries_end_Q[:, None])  # never of a block cut short
    return BlockMask.from_kv_blocks(
        *_in_order(some_BQK & ~whole_BQK),
        *_in_order(whole_BQK),
        BLOCK_SIZE=FLEX_BLOCK,
        mask_mod=sees,
        seq_lengths=(width, width),
    )


def _in_order(chosen_BQK: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys are chosen for each block of queries, and the chosen ones' numbers, then the others'."""
    chosen_B1QK = chosen_BQK[:, None].to(torch.int32)
    numbers = torch.argsort(chosen_B1QK, dim=-1, descending=True, stable=True)
    return chosen_B1QK.sum(-1, dtype=torch.int32), numbers.to(torch.int32)


@lru_cache(maxsize=64)
def plan_blocks(ends: bytes, masked_block: int = MASKED_BLOCK) -> BlockPlan:
    """The blocks of a row; ``ends`` are the bytes of its int64 ``ends_N``."""
    ends_N = np.frombuffer(ends, dtype=np.int64)
    plan = BlockPlan([], [])
    forests = [(0, len(ends_N))]
    while forests:
        start, stop = forests.pop()
        small = start  # where the small subtrees begin that are not in a block yet
        at = start
        while at < stop:
            end = int(ends_N[at])
            if end - at > masked_block:
                _add_masked(plan, ends_N, small, at)
                run = at + _run_length(ends_N[at:end])
                _add_run(plan, at, run, masked_block)
                if run < end:
                    plan.across.append(Block(run, end, at, run, causal=False, mask=None))
                    forests.append((run, end))
                small = end
            elif end - small > masked_block:
                _add_masked(plan, ends_N, small, at)
                small = at
            at = end
        _add_masked(plan, ends_N, small, stop)
    return plan


def _run_length(ends_N: np.ndarray) -> int:
    """Tokens up to the first branch or leaf: each is the only child of the one before."""
    breaks = ends_N[1:] != ends_N[:-1]
    return int(breaks.argmax()) + 1 if breaks.any() else len(ends_N)


def _add_run(plan: BlockPlan, start: int, stop: int, most: int) -> None:
    """A run in pieces, each over those before it: torch's kernel leaves out what is not causal by 512 keys alone."""
    pieces = -(-(stop - start) // most)
    edges = [start + (stop - start) * piece // pieces for piece in range(pieces + 1)]
    for begin, end in itertools.pairwise(edges):
        plan.own.append(Block(begin, end, begin, end, causal=True, mask=None))
        if begin > start:
            plan.across.append(Block(begin, end, start, begin, causal=False, mask=None))


def _add_masked(plan: BlockPlan, ends_N: np.ndarray, start: int, stop: int) -> None:
    if start == stop:
        return
    seen = visible(torch.from_numpy(ends_N[None, start:stop] - start))[0]
    causal = bool((ends_N[start:stop] == stop).all())
    mask = None if causal else torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)
    plan.own.append(Block(start, stop, start, stop, causal, mask))


class SegmentAttention(torch.autograd.Function):
    """Attention of (B, H, N, D) tensors under the tries ``ends_BN``, on the CPU, in blocks.

    It computes in float32, whatever it is given: torch's kernel is no faster in bfloat16, and slower with masks.
    """

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        query, key, value = (one.float() for one in given[:3])
        ends_BN, scale = given[3:]
        out = _like(query)
        logsumexp = torch.empty(query.shape[:3], dtype=torch.float32)
        for row, plan in enumerate(_plans(ends_BN)):
            for block in plan.own:
                part, part_lse = _forward(query[row], key[row], value[row], block, scale)
                out[row, :, block.q0 : block.q1] = part
                logsumexp[row, :, block.q0 : block.q1] = part_lse
            for block in plan.across:
                part, part_lse = _forward(query[row], key[row], value[row], block, scale)
                known, known_lse = out[row, :, block.q0 : block.q1], logsumexp[row, :, block.q0 : block.q1]
                known.lerp_(part, torch.sigmoid(part_lse - known_lse).unsqueeze(-1))
                torch.logaddexp(known_lse, part_lse, out=known_lse)
        out = out.to(given[0].dtype)
        ctx.save_for_backward(*given[:3], out, logsumexp, ends_BN)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        *given, logsumexp, ends_BN = ctx.saved_tensors
        query, key, value, out, gradient = (one.float() for one in (*given, gradients[0]))
        totals = [_like(one) for one in (query, key, value)]
        for row, plan in enumerate(_plans(ends_BN)):
            for block in (*plan.own, *plan.across):
                queries, keys = slice(block.q0, block.q1), slice(block.k0, block.k1)
                parts = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                    gradient[row : row + 1, :, queries],
                    query[row : row + 1, :, queries],
                    key[row : row + 1, :, keys],
                    value[row : row + 1, :, keys],
                    out[row : row + 1, :, queries],
                    logsumexp[row : row + 1, :, queries],
                    0.0,
                    block.causal,
                    attn_mask=block.mask,
                    scale=ctx.scale,
                )
                for total, part, where in zip(totals, parts, (queries, keys, keys), strict=True):
                    if block.q0 == block.k0:  # the block that holds these tokens with those beside them comes first
                        total[row : row + 1, :, where] = part
                    else:
                        total[row : row + 1, :, where] += part
        return (*(total.to(one.dtype) for total, one in zip(totals, given, strict=False)), None, None)


def _like(tensor_BHND: Tensor) -> Tensor:
    """Empty, with the heads of a token side by side in memory, as the projections before and after have them."""
    return torch.empty_like(tensor_BHND.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)


def _plans(ends_BN: Tensor) -> list[BlockPlan]:
    return [plan_blocks(ends_N.tobytes()) for ends_N in ends_BN.numpy()]


def _forward(query: Tensor, key: Tensor, value: Tensor, block: Block, scale: float) -> tuple[Tensor, Tensor]:
    part, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query[None, :, block.q0 : block.q1],
        key[None, :, block.k0 : block.k1],
        value[None, :, block.k0 : block.k1],
        0.0,
        block.causal,
        attn_mask=block.mask,
        scale=scale,
    )
    return part[0], logsumexp[0]


def segment_attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in each layer.

    A mask of integers (B, 1, 1, N) is the ``ends`` of tries; any other mask is one of generation or of a plain forward
    and goes the usual way.
    """
    if attention_mask is None or attention_mask.dtype != torch.int64:
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    ends_BN = attention_mask[:, 0, 0]
    if dropout:
        dense = visible(ends_BN)[:, None]
        return sdpa_attention_forward(module, query, key, value, dense, dropout, scaling, **kwargs)
    groups = query.shape[1] // key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key = query.to(value.dtype), key.to(value.dtype)  # in mixed precision rotations leave float32 behind
    out = SegmentAttention.apply(query, repeat_kv(key, groups), repeat_kv(value, groups), ends_BN, scale)
    return out.transpose(1, 2), None


def block_mask_attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in each layer where tries go by FlexAttention, which is compiled on a GPU.

    Any mask that is no block mask is one of generation or of a plain forward and goes the usual way. On a CPU torch has
    no backward pass of it, and nothing is compiled.
    """
    if not isinstance(attention_mask, BlockMask):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    if dropout:
        rows, width = query.shape[0], query.shape[2]
        dense = create_mask(attention_mask.mask_mod, rows, None, width, width, str(query.device))
        return sdpa_attention_forward(module, query, key, value, dense, dropout, scaling, **kwargs)
    query, key = query.to(value.dtype), key.to(value.dtype)  # in mixed precision rotations leave float32 behind
    plainly = torch.compiler.set_stance("force_eager") if query.device.type == "cpu" else nullcontext()
    with plainly:
        out, _ = flex_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    return out, None


AttentionInterface.register(SEGMENTS, segment_attention_forward)
AttentionMaskInterface.register(SEGMENTS, sdpa_mask)
AttentionInterface.register(FLEX, block_mask_attention_forward)
AttentionMaskInterface.register(FLEX, sdpa_mask)
