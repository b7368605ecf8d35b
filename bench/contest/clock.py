"""Where the time of a step goes: vision encoder, language model, head, reference, update.

Invariant: every moment between ``start`` and ``stop`` belongs to exactly one region, so shares add up to one. Regions
are entered where a module's forward begins or where the gradient of its output is ready: the backward then works on
that module until the gradient of the next one's output is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trifacet.engine.family import core

HEAD, LANGUAGE, VISION, REFERENCE, UPDATE = "head", "language", "vision", "reference", "update"
REGIONS = (VISION, LANGUAGE, HEAD, REFERENCE, UPDATE)


def synchronised(device: str) -> float:
    """Seconds of the monotonic clock, when the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock:
    """Attributes time to regions. What is in no module's region is the head's: log-probs, loss, and their backward."""

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device
        self._regions = [HEAD]
        self._since = 0.0
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin with the head's region."""
        self._regions = [HEAD]
        self._since = synchronised(self._device)

    def stop(self) -> dict[str, float]:
        """Seconds per region since ``start``; removes the hooks."""
        self._tick()
        for undo in reversed(self._undo):
            undo()
        return {region: self.seconds[region] for region in REGIONS}

    def switch(self, region: str) -> None:
        """From here on it is ``region``."""
        self._tick()
        self._regions[-1] = region

    def _tick(self) -> None:
        now = synchronised(self._device)
        self.seconds[self._regions[-1]] += now - self._since
        self._since = now

    def _enter(self, region: str) -> None:
        self._tick()
        self._regions.append(REFERENCE if self._regions[-1] == REFERENCE else region)  # all within it is part of it

    def _leave(self) -> None:
        self._tick()
        self._regions.pop()

    def on_gradient(self, tensor: Tensor, region: str) -> None:
        """Once the gradient of ``tensor`` is there, the backward is in ``region``."""
        if tensor.requires_grad:
            tensor.register_hook(lambda gradient: self.switch(region))

    def watch(self, module: nn.Module, region: str, output: Callable[[Any], Tensor] | None = None) -> None:
        """Time the module's forward and, where ``output`` finds the tensor in what it returns, its backward."""

        def leave(module: nn.Module, given: Any, returned: Any) -> None:
            self._leave()
            if output is not None:
                self.on_gradient(output(returned), region)

        before = module.register_forward_pre_hook(lambda module, given: self._enter(region))
        self._undo += [before.remove, module.register_forward_hook(leave).remove]

    def watch_reference(self, contestant: Any) -> None:
        """Time the reference that runs in a step: a model of its own, or the policy while its adapter is off."""
        if contestant.reference_model is not None:
            self.watch(contestant.reference_model, REFERENCE)
        elif contestant.online_reference:
            self._watch_adapter_off(contestant.model)

    def _watch_adapter_off(self, model: Any) -> None:
        own, switched_off = vars(model).get("disable_adapter"), model.disable_adapter

        @contextmanager
        def timed() -> Iterator[None]:
            self._enter(REFERENCE)
            try:
                with switched_off():
                    yield
            finally:
                self._leave()

        def undo() -> None:
            del model.disable_adapter
            if own is not None:
                model.disable_adapter = own

        model.disable_adapter = timed
        self._undo.append(undo)

    def watch_llava(self, model: Any) -> None:
        """Time the parts of a LLaVA; the vision encoder's backward begins where the projector's does."""
        parts = core(model).model
        self.watch(parts.vision_tower, VISION)
        self.watch(parts.multi_modal_projector, VISION, lambda output: output)
        self.watch(parts.language_model, LANGUAGE, lambda output: output.last_hidden_state)
