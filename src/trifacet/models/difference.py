"""Whether an aligned checkpoint differs from the one it came from, weight by weight.

Invariant: a weight is known by its place in the loaded model, whatever its file calls it; one tensor of each side is in
memory at a time, whatever the size of the checkpoints; a LoRA adapter counts as the weights that it makes of its base.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from trifacet.base import seals
from trifacet.base.errors import TrifacetError
from trifacet.models.adapters import adapter_at, bases_of, innermost, put_on
from trifacet.models.checkpoint import reading
from trifacet.models.soundness import Stored, no_larger_than, refuse_infinite, refuse_integers, stored_in

WEIGHTS = ".safetensors"
_DIGITS = re.compile(r"\.\d+\.")


@dataclass(frozen=True)
class Change:
    """How one weight changed: ``relative`` is |aligned - base| / |base| (Frobenius norms), ``largest`` one element's.

    ``moved`` is the share of elements that differ. A base of zeros that became something else has ``relative`` inf.
    """

    name: str
    elements: int
    moved: float
    relative: float
    largest: float
    squared: float
    base_squared: float

    @property
    def part(self) -> str:
        """The weight's name with its layer left out, such as ``language_model.layers.*.mlp.up_proj.weight``."""
        return _DIGITS.sub(".*.", self.name)


@dataclass(frozen=True)
class CheckpointDifference:
    """All weights of two checkpoints; names that only one of them has are listed."""

    changes: list[Change]
    only_base: list[str]
    only_aligned: list[str]

    @property
    def changed(self) -> list[Change]:
        """The weights that differ at all."""
        return [change for change in self.changes if change.moved]

    @property
    def relative(self) -> float:
        """|aligned - base| / |base| over all weights together."""
        squared = math.fsum(change.squared for change in self.changes)
        return _relative(squared, math.fsum(change.base_squared for change in self.changes))


class Checkpoint:
    """The weights of a folder or hub id, by the names that they have in the loaded model, read one at a time.

    An adapter's are those that it makes of its base's, by PEFT's own merging, a module at a time.
    """

    def __init__(self, source: str | Path) -> None:
        adapter = adapter_at(source)
        self.folder = adapter or _local(str(source))
        seals.refuse_damaged(self.folder)
        self._base = Checkpoint(bases_of(adapter)[0]) if adapter else None
        self._places: dict[str, tuple[Path, str]] = {}
        self._wrapped: dict[str, nn.Module] = {}  # what the adapter has at a module's place
        self._whole: dict[str, Tensor] = {}  # what the adapter has of weights themselves
        self._made: tuple[str, dict[str, Tensor]] = ("", {})  # the last module that was merged
        with reading(str(self.folder)):
            if self._base is None:
                self.model, stored = _hollow_model(self.folder)
                self._places = _places(self.model, stored)
                pairs = self.model.all_tied_weights_keys
                both = [*pairs.items(), *((other, own) for own, other in pairs.items())]
                self.shared = {one: other for one, other in both if other in self._places and one not in self._places}
            else:
                self.model = put_on(copy.deepcopy(self._base.model), self.folder).get_base_model()
                self._wrapped = _wrappers(self.model)
                named = self.model.named_parameters(remove_duplicate=False)
                self._whole = {name: weight.detach() for name, weight in named if not _is_hollow(weight)}
                self.shared = {} if self._parts_embeddings() else self._base.shared

    def _parts_embeddings(self) -> bool:
        ends = (self.model.get_input_embeddings(), self.model.get_output_embeddings())
        return any(end in self._wrapped.values() for end in ends)

    def names(self) -> set[str]:
        """The weights' names; of two that are one both."""
        return self._base.names() if self._base else {*self._places, *self.shared}

    def tensor(self, name: str) -> Tensor:
        """The weight ``name`` on the CPU, with an adapter's update in float32."""
        if self._base is None:
            file, spelling = self._places[name if name in self._places else self.shared[name]]
            with safe_open(file, framework="pt") as handle:
                tensor: Tensor = handle.get_tensor(spelling)
            refuse_infinite(tensor, f"{file}: weight {spelling}")
            return tensor
        place = next((place for place in self._wrapped if name.startswith(f"{place}.")), None)
        if place is None:
            return self._whole[name] if name in self._whole else self._base.tensor(name)
        if self._made[0] != place:
            self._made = (place, self._merged(place, self._base))
        return self._made[1][name]

    def _merged(self, place: str, base: Checkpoint) -> dict[str, Tensor]:
        module: Any = copy.deepcopy(self._wrapped[place])
        for name, weight in innermost(module).named_parameters():
            if _is_hollow(weight):
                weight.data = base.tensor(f"{place}.{name}").float()
        if hasattr(module, "unload_and_optionally_merge_module"):
            whole = module.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
        else:
            module.merge()
            whole = module.get_base_layer()
        return {f"{place}.{name}": weight.detach() for name, weight in whole.named_parameters()}


def _hollow_model(folder: Path) -> tuple[Any, list[Stored]]:
    """The model of a checkpoint without memory for its weights: what is read of them is not a number."""
    config = AutoConfig.from_pretrained(folder)
    kind = getattr(transformers, next(iter(config.architectures or [""])), None)
    if kind is None:
        raise TrifacetError(f"{folder / 'config.json'}: architectures names no model of transformers")
    stored = [one for file in sorted(folder.glob(f"*{WEIGHTS}")) for one in stored_in(file)]
    if not stored:
        raise TrifacetError(f"{folder}: holds no safetensors; give the folder of a checkpoint")
    refuse_integers(stored)
    with torch.device("meta"), no_larger_than(stored, folder / "config.json"):
        model = kind._from_config(config)
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            hollow = torch.full((), math.nan).expand(weight.shape)
            module.register_parameter(name, nn.Parameter(hollow, requires_grad=False))
    return model, stored


def _is_hollow(weight: Tensor) -> bool:
    return weight.numel() > 0 and bool(weight[(0,) * weight.ndim].isnan())


def _places(model: Any, stored: list[Stored]) -> dict[str, tuple[Path, str]]:
    """File and name there of each weight by its name in the model, as transformers finds it when it loads one."""
    transforms, known, places = get_model_conversion_mapping(model), model.state_dict(), {}
    renamings = [one for one in transforms if isinstance(one, WeightRenaming)]
    converters = [one for one in transforms if isinstance(one, WeightConverter)]
    for file, name, _, _ in stored:
        own, converter = rename_source_key(name, renamings, converters, model.base_model_prefix, known)
        if converter is not None:
            raise TrifacetError(f"{file}: weight {name} is several of the model's; save it by transformers first")
        places[own] = (file, name)
    return places


def _wrappers(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that PEFT has put in others' places, the outermost alone."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if innermost(module) is not module and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return found


def compare_checkpoints(
    base: str | Path, aligned: str | Path, on_progress: Callable[[int, int], None] | None = None
) -> CheckpointDifference:
    """Compare two checkpoints.

    Where ``aligned`` is stored in a narrower type than ``base``, the base is rounded to it first: rounding is no
    training.

    Raises:
        TrifacetError: no checkpoint there, no safetensors, weights that are no numbers, or an adapter of another kind
            than LoRA.
    """
    before, after = Checkpoint(base), Checkpoint(aligned)
    here, there = before.names(), after.names()
    both = sorted(here & there - (before.shared.keys() & after.shared.keys()))
    if not both:
        raise TrifacetError(f"{base} and {aligned} have no weight in common; give two checkpoints of one model")
    changes = []
    for number, name in enumerate(both, start=1):
        changes.append(_change(_shown(name), before.tensor(name), after.tensor(name)))
        if on_progress:
            on_progress(number, len(both))
    return CheckpointDifference(changes, sorted(map(_shown, here - there)), sorted(map(_shown, there - here)))


def _shown(name: str) -> str:
    return name.removeprefix("model.")  # under which all but the head is


def _change(name: str, base: Tensor, aligned: Tensor) -> Change:
    if base.shape != aligned.shape:
        size = base.float().square().sum().item()
        return Change(name, aligned.numel(), 1.0, math.inf, math.inf, size, size)
    if aligned.element_size() < base.element_size():
        base = base.to(aligned.dtype)
    base, aligned = base.float(), aligned.float()
    delta = aligned - base
    squared, base_squared = (value.double().square().sum().item() for value in (delta, base))
    moved = delta.count_nonzero().item() / max(delta.numel(), 1)
    largest = delta.abs().max().item() if delta.numel() else 0.0
    return Change(name, delta.numel(), moved, _relative(squared, base_squared), largest, squared, base_squared)


def _relative(squared: float, base_squared: float) -> float:
    from_zeros = math.inf if squared else 0.0
    return math.sqrt(squared / base_squared) if base_squared else from_zeros


def by_part(changes: list[Change]) -> Iterator[tuple[str, int, int, float, float]]:
    """(part, weights changed, weights, relative change, largest change), the layers of a part together."""
    parts: dict[str, list[Change]] = {}
    for change in changes:
        parts.setdefault(change.part, []).append(change)
    for part, members in parts.items():
        whole = CheckpointDifference(members, [], [])
        yield part, len(whole.changed), len(members), whole.relative, max(change.largest for change in members)


def _local(source: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(source, allow_patterns=["*.safetensors", "*.json"]))
    except (OSError, ValueError, HFValidationError):
        raise TrifacetError(f"{source}: no folder, and no checkpoint of the hub that can be reached") from None
