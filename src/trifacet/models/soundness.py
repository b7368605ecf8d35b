"""Whether a checkpoint's files can be what they say: regular files, numbers, types of weights, ids of tokens.

Invariant: what is refused here is named by file and key, in one line; headers and tensors are looked at once each.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from transformers.generation import GenerationMode
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from trifacet.base.errors import TrifacetError, first_line

_LARGEST_TEXT = 200_000_000  # bytes of a file that is read whole, a tokenizer's for one
_LARGEST_NUMBER = torch.finfo(torch.float32).max
_MORE_WEIGHTS, _MORE_ELEMENTS = 1000, 2**26  # that a model and its buffers may have beyond four times its file's
_COUNTS = {"position_ids", "token_type_ids", "num_batches_tracked", "relative_position_index"}  # no weights
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_GONE = {  # ways of writing for which transformers would run code of the hub, and the keys that ask for them
    GenerationMode.CONTRASTIVE_SEARCH: "penalty_alpha",
    GenerationMode.DOLA_GENERATION: "dola_layers",
    GenerationMode.GROUP_BEAM_SEARCH: "num_beam_groups",
    GenerationMode.CONSTRAINED_BEAM_SEARCH: "force_words_ids or constraints",
}
_REPAIR = "copy the checkpoint again, or use another"


class Stored(NamedTuple):
    """A tensor in a file of weights: its name there, its type in safetensors' own words, and its elements."""

    file: Path
    name: str
    dtype: str
    elements: int


def file_of(source: str, name: str) -> Path | None:
    """A file of a folder or hub id, if it has one; of a hub id it is fetched. Raises as transformers does."""
    found = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
    return Path(found) if found else None


def refuse_odd_files(source: str) -> None:
    """No file of a folder keeps the reader waiting or is endless, and every number can be one of the model's.

    Raises:
        TrifacetError: naming the file, and the key.
    """
    if not os.path.isdir(source):  # noqa: PTH112 - a name that no file can have is none
        return
    for path in sorted(Path(source).iterdir()):
        try:
            told = path.stat()
        except OSError as error:
            raise TrifacetError(f"{path}: cannot be read ({error.strerror}); {_REPAIR}") from None
        if not stat.S_ISREG(told.st_mode) and not stat.S_ISDIR(told.st_mode):
            raise TrifacetError(f"{path}: is no regular file; {_REPAIR}")
        if path.suffix in {".json", ".jinja", ".txt"} and told.st_size > _LARGEST_TEXT:
            raise TrifacetError(f"{path}: is larger than {_LARGEST_TEXT // 10**6} MB; {_REPAIR}")
        if path.suffix == ".jinja":
            _refuse_other_bytes(path)
        if path.name.endswith("config.json"):
            _refuse_odd_numbers(path)


def _refuse_other_bytes(path: Path) -> None:
    try:
        path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TrifacetError(f"{path}: cannot be read as text in UTF-8 ({first_line(error)}); {_REPAIR}") from None


def _refuse_odd_numbers(path: Path) -> None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrifacetError(f"{path}: cannot be loaded as JSON ({first_line(error)}); {_REPAIR}") from None
    for key, value in _numbers(values, ""):
        if not abs(value) <= _LARGEST_NUMBER:
            shown = str(value) if isinstance(value, float) else "a number of hundreds of digits"
            raise TrifacetError(f"{path}: {key or 'its value'} is {shown}, which no weight can hold; {_REPAIR}")


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, key)
    elif isinstance(value, int | float):
        yield key, value


def stored_weights(source: str) -> list[Stored]:
    """What the safetensors of a folder or hub id hold, from their headers alone; nothing where there are none.

    Raises:
        TrifacetError: the index names what is no file of the checkpoint.
        Exception: whatever safetensors and transformers trip over.
    """
    return [one for file in _weight_files(source) for one in stored_in(file)]


def stored_in(file: Path) -> list[Stored]:
    """What one file of safetensors holds."""
    with safe_open(file, framework="pt") as handle:
        slices = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118 - it is no dict
        return [Stored(file, name, str(one.get_dtype()), math.prod(one.get_shape())) for name, one in slices.items()]


def _weight_files(source: str) -> list[Path]:
    if single := file_of(source, SAFE_WEIGHTS_NAME):
        return [single]
    index = file_of(source, SAFE_WEIGHTS_INDEX_NAME)
    if index is None:
        return []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        plain = all(Path(name).name == name for name in names)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TrifacetError(f"{index}: cannot be loaded ({first_line(error)}); {_REPAIR}") from None
    files = [file_of(source, name) for name in names] if plain else [None]
    if None in files:
        raise TrifacetError(f"{index}: weight_map names what is no file of the checkpoint; {_REPAIR}")
    return [file for file in files if file]


def refuse_integers(stored: list[Stored]) -> None:
    """Raise TrifacetError for a weight of an integer type; what counts positions or batches may have one."""
    for file, name, dtype, _ in stored:
        counts = name.rpartition(".")[2] in _COUNTS
        if not counts and not dtype.startswith(("F", "BF")):
            raise TrifacetError(f"{file}: weight {name} has the type {dtype} and not a floating one; {_REPAIR}")


def refuse_infinite(tensor: Tensor, place: str) -> None:
    """Raise TrifacetError if a tensor of a floating type holds NaN or infinity."""
    if not is_finite(tensor):
        raise TrifacetError(f"{place} holds NaN or infinity; {_REPAIR}")


def is_finite(tensor: Tensor) -> bool:
    """Whether all elements are numbers, looked at in one pass and without a copy."""
    if not tensor.numel() or tensor.dtype not in _FLOATS:
        return True
    return bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


def refuse_infinite_weights(model: nn.Module, source: str, stored: list[Stored]) -> None:
    """Raise TrifacetError if a weight is NaN or infinite: as it is stored, or in the type in which it was loaded."""
    broken = next((name for name, weight in model.named_parameters() if not is_finite(weight.detach())), None)
    if broken is None:
        return
    for file, name, _, _ in stored:
        with safe_open(file, framework="pt") as handle:
            refuse_infinite(handle.get_tensor(name), f"{file}: weight {name}")
    raise TrifacetError(f"{source}: weight {broken} is too large for its type here; use bfloat16 or float32")


@contextmanager
def no_larger_than(stored: list[Stored], config: Path) -> Iterator[None]:
    """A model that is made in the block has about as many weights as are stored: it is refused while it grows.

    ``config``: the file that says what is made.
    """
    left = [4 * len(stored) + _MORE_WEIGHTS, 4 * sum(one.elements for one in stored) + _MORE_ELEMENTS]

    def add(module: nn.Module, name: str, weight: Tensor | None) -> None:
        left[0] -= 1
        left[1] -= 0 if weight is None else weight.numel()
        if min(left) < 0:
            raise TrifacetError(f"{config}: asks for a far larger model than the weights are; {_REPAIR}")

    hooks = [
        torch_module.register_module_parameter_registration_hook(add),
        torch_module.register_module_buffer_registration_hook(add),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def refuse_odd_generation(model: Any, source: str) -> None:
    """The end tokens are ids of the vocabulary, and the way of writing is one that ``generate`` still has.

    Raises:
        TrifacetError: naming the key of generation_config.json.
    """
    config = getattr(model, "generation_config", None)
    if config is None:
        return
    place = Path(source, "generation_config.json")
    told, size = config.eos_token_id, model.config.get_text_config().vocab_size
    for token in told if isinstance(told, list | tuple) else [told]:
        if token is not None and not is_token(token, size):
            raise TrifacetError(f"{place}: eos_token_id is {token!r}, which is none of the vocabulary's {size} ids")
    try:
        mode = config.get_generation_mode()
    except Exception as error:  # of values that are compared with numbers
        raise TrifacetError(f"{place}: cannot be used ({first_line(error)}); {_REPAIR}") from None
    if mode in _GONE:
        raise TrifacetError(f"{place}: {_GONE[mode]} asks for {mode.value}, which generate refuses; take the key out")


def is_token(value: Any, vocabulary: int) -> bool:
    """Whether a value is an id of a vocabulary of this size."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < vocabulary
