"""What a forward need not do, and need not keep for its backward pass.

Invariant: no number changes; modules get their own forwards back when the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

Forward = Callable[..., Any]
_PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default}


@contextmanager
def _replaced(modules: Sequence[nn.Module], wrap: Callable[[Forward], Forward]) -> Iterator[None]:
    before = [vars(module).get("forward") for module in modules]  # of a module, where one was put there already
    for module in modules:
        module.forward = wrap(module.forward)
    try:
        yield
    finally:
        for module, forward in zip(modules, before, strict=True):
            del module.forward
            if forward is not None:
                module.forward = forward


def left_out(modules: Sequence[nn.Module]) -> Any:
    """A block in which modules hand on what they are given: for those whose work nobody reads."""
    return _replaced(modules, lambda forward: lambda given, *_, **__: given)


def keeping_products(modules: Sequence[nn.Module]) -> Any:
    """A block in which modules keep the results of matrix products alone; what is cheap is made again going backwards.

    For feed-forward networks: activations and products of gates are half of what they would keep.
    """
    return _replaced(
        modules,
        lambda forward: partial(checkpoint, forward, use_reentrant=False, context_fn=_contexts),
    )


def made_again(modules: Sequence[nn.Module]) -> Any:
    """A block in which modules keep what they are given alone; all else is made again going backwards."""
    return _replaced(modules, lambda forward: partial(checkpoint, forward, use_reentrant=False))


def _contexts() -> Any:
    return create_selective_checkpoint_contexts(_policy)


def _policy(context: Any, operation: Any, *_: Any, **__: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _PRODUCTS else CheckpointPolicy.PREFER_RECOMPUTE


def feed_forward(model: nn.Module) -> list[nn.Module]:
    """The feed-forward networks of all layers, by the name that transformers gives them everywhere."""
    return [module for name, module in model.named_modules() if name.rpartition(".")[2] == "mlp"]
