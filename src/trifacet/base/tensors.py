"""Dataclasses of tensors that move between devices as one.

Invariant: moving changes no value; what holds no tensor is handed on as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor


class OfTensors:
    """A dataclass whose fields are tensors, dicts of tensors, others of its kind, or plain values."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """The same with its tensors on ``device``; accelerate's loaders ask for it by this name."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """The same in page-locked memory; torch's loaders ask for it by this name."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        def changed(value: Any) -> Any:
            if isinstance(value, Tensor):
                return change(value)
            if isinstance(value, OfTensors):
                return value._each(change)
            return {key: changed(part) for key, part in value.items()} if isinstance(value, dict) else value

        fields: Any = dataclasses.fields(self)  # type: ignore[arg-type]
        return type(self)(**{field.name: changed(getattr(self, field.name)) for field in fields})
