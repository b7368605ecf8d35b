"""Whether an aligned checkpoint differs from the one it came from, weight by weight.

Invariant: one tensor of each side is in memory at a time, whatever the size of the checkpoints; a LoRA adapter counts
as the weights that it makes of its base.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from trifacet.base import seals
from trifacet.base.errors import TrifacetError
from trifacet.models.adapters import ADAPTER, ADAPTER_WEIGHTS, bases_of
from trifacet.models.soundness import refuse_infinite, refuse_integers, stored_in

_DIGITS = re.compile(r"\.\d+\.")
# One name for a weight, whichever release of transformers, or PEFT, wrote it.
_SPELLINGS = (
    (re.compile(r"^base_model\.model\."), ""),
    (re.compile(r"^model\.(?=language_model|visual|vision|multi_modal|mm_|image_newline|connector|text_model)"), ""),
    (re.compile(r"^language_model\.lm_head\."), "lm_head."),
    (re.compile(r"^language_model\.model\."), "language_model."),
    (re.compile(r"^vision_tower\.vision_model\."), "vision_tower."),
)


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
    """The weights of a folder or hub id by name, read one at a time; an adapter's are its base's with its changes."""

    def __init__(self, source: str | Path) -> None:
        self.folder = _local(str(source))
        seals.refuse_damaged(self.folder)
        self._adapter: dict[str, Any] | None = None
        self._base: Checkpoint | None = None
        self._files = _weight_files(self.folder)
        self._places = {canonical(name): (file, name) for file in self._files for name in _names(file)}
        if (self.folder / ADAPTER).is_file():
            self._adapter = _adapter_settings(self.folder)
            self._base = Checkpoint(bases_of(self.folder)[0])

    def names(self) -> list[str]:
        """The weights' names, spelt in one way."""
        if self._base is None:
            return sorted(self._places)
        saved = {name for name in self._places if ".lora_" not in name}
        return sorted({*self._base.names(), *saved})

    def tensor(self, name: str) -> Tensor:
        """The weight ``name`` on the CPU, an adapter's update added in float32."""
        if self._base is None or self._adapter is None:
            return self._stored(name)
        if name in self._places:  # trained whole, as a copy that belongs to the adapter
            return self._stored(name)
        whole = self._base.tensor(name)
        module = name.removesuffix(".weight")
        down, up = f"{module}.lora_A.weight", f"{module}.lora_B.weight"
        if down not in self._places:
            return whole
        scale = self._adapter["lora_alpha"] / self._adapter["r"]
        return whole.float() + scale * (self._stored(up).float() @ self._stored(down).float())

    def _stored(self, name: str) -> Tensor:
        file, spelling = self._places[name]
        with safe_open(file, framework="pt") as handle:
            tensor: Tensor = handle.get_tensor(spelling)
        refuse_infinite(tensor, f"{file}: weight {spelling}")
        return tensor


def canonical(name: str) -> str:
    """``name`` as all releases of transformers would spell it here."""
    for pattern, plain in _SPELLINGS:
        name = pattern.sub(plain, name)
    return name


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
    here, there = set(before.names()), set(after.names())
    both = sorted(here & there)
    if not both:
        raise TrifacetError(f"{base} and {aligned} have no weight in common; give two checkpoints of one model")
    changes = []
    for number, name in enumerate(both, start=1):
        changes.append(_change(name, before.tensor(name), after.tensor(name)))
        if on_progress:
            on_progress(number, len(both))
    return CheckpointDifference(changes, sorted(here - there), sorted(there - here))


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


def _weight_files(folder: Path) -> list[Path]:
    adapter = folder / ADAPTER_WEIGHTS
    files = [adapter] if adapter.is_file() else sorted(folder.glob("*.safetensors"))
    if not files:
        raise TrifacetError(f"{folder}: holds no safetensors; give the folder of a checkpoint")
    return files


def _names(file: Path) -> list[str]:
    try:
        stored = stored_in(file)
    except (SafetensorError, OSError) as error:
        raise TrifacetError(f"{file}: cannot be read as safetensors ({error}); copy the checkpoint again") from None
    refuse_integers(stored)
    return [one.name for one in stored]


def _adapter_settings(folder: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrifacetError(f"{folder / ADAPTER}: cannot be read ({error}); copy the adapter again") from None
    special = [key for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern") if settings.get(key)]
    if settings.get("peft_type") != "LORA" or special:
        what = special[0] if special else f"peft_type {settings.get('peft_type')}"
        raise TrifacetError(f"{folder}: an adapter with {what} cannot be compared; merge it into its base first")
    for key in ("r", "lora_alpha"):
        if not isinstance(settings.get(key), int | float) or not settings[key] > 0:
            raise TrifacetError(f"{folder / ADAPTER}: {key} is {settings.get(key)!r}; it takes a number above 0")
    return settings
