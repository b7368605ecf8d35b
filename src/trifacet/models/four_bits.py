"""Weights of four bits under an adapter (QLoRA, arXiv 2305.14314: NF4, with scales that are quantised too).

Invariant: a model in four bits computes with the very numbers that ``rounded`` leaves in another copy of it, so that
an adapter that was trained over four bits is merged into the weights it was trained with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from trifacet.base.extras import needed_for
from trifacet.models.base import TransformersFamily

_HOW = {"quant_type": "nf4", "compress_statistics": True}


def in_four_bits(model: Any, family: TransformersFamily, device: torch.device) -> None:
    """Hold the language model's layers in four bits, but for its head and embeddings, and put all on ``device``.

    Raises:
        TrifacetError: bitsandbytes is not installed.
    """
    with needed_for("model.four_bit"):
        import bitsandbytes as bnb

    for parent, name, layer in list(_layers(model, family)):
        held = bnb.nn.Linear4bit(
            layer.in_features, layer.out_features, bias=False, compute_dtype=layer.weight.dtype, device="meta", **_HOW
        )
        held.weight = bnb.nn.Params4bit(layer.weight.detach(), requires_grad=False, **_HOW).to(device)
        held.bias = layer.bias
        held.support_avx512bf16_for_cpu = False  # a kernel for some CPUs that would compute in bfloat16 all the same
        setattr(parent, name, held)
    model.to(device)
    model.is_loaded_in_4bit = True  # by which PEFT knows it


def rounded(model: Any, family: TransformersFamily, dtype: torch.dtype) -> None:
    """Give the weights of the same layers the values that four bits leave of them, held as ``dtype`` before."""
    with needed_for("an adapter that was trained over four bits"):
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    for _, _, layer in _layers(model, family):
        bits, state = quantize_4bit(layer.weight.detach().to(dtype), **_HOW)
        layer.weight.data = dequantize_4bit(bits, state).to(layer.weight.dtype)


def _layers(model: Any, family: TransformersFamily) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """The linear layers of the language model with the modules that hold them; the head is none of them."""
    head = model.get_output_embeddings()
    for parent in family.parts(model)["language"].modules():
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Linear) and layer is not head:
                yield parent, name, layer
