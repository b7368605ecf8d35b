"""The one way to read a checkpoint's configuration and weights, whatever the model is for.

Invariant: weights come from safetensors only, no code of a checkpoint runs unless the user asked, and a checkpoint
whose weights do not all fit the model is refused, so that none is drawn at random; nor is one whose weights are no
numbers.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig
from transformers.utils import logging as hf_logging

from trifacet.base.errors import TrifacetError, first_line
from trifacet.models.soundness import (
    no_larger_than,
    refuse_infinite_weights,
    refuse_integers,
    refuse_odd_files,
    refuse_odd_generation,
    stored_weights,
)

_COUNTED = r"\b(position_ids|relative_position_index)$"  # made by the code: older checkpoints hold them


def read_weights(
    kind: Any,
    source: str,
    *,
    config: Any = None,
    dtype: torch.dtype | str = "float32",
    device: torch.device | None = None,
    may_lack: str = "",
    may_add: str = "",
    trust_remote_code: bool = False,
    **options: Any,
) -> Any:
    """A model in evaluation mode.

    Args:
        kind: a class of transformers, such as ``CLIPModel`` or ``AutoModel``.
        source: hub id or folder.
        config: the model's, read here if it is not given.
        dtype: as ``from_pretrained`` takes it; ``auto`` is the checkpoint's own.
        device: the CPU by default.
        may_lack: pattern of names of weights that nobody reads here.
        may_add: pattern of names of weights that the model need not know, such as a head's.
        trust_remote_code: run code that comes with the checkpoint.
        options: further arguments of ``from_pretrained``.

    Raises:
        TrifacetError: no such checkpoint, no safetensors, another kind of model, weights that do not fit or are no
            numbers, or a generation configuration that cannot be used.
    """
    with reading(source):
        if config is None:
            config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        wanted = getattr(kind, "config_class", None)
        if wanted is not None and not isinstance(config, wanted):
            raise TrifacetError(f"{source} is a {config.model_type}, not a {wanted.model_type}; name such a model")
        stored, bounds = stored_weights(source), contextlib.ExitStack()
        if getattr(config, "quantization_config", None) is None:
            refuse_integers(stored)
            if stored:
                bounds.enter_context(no_larger_than(stored, Path(source, "config.json")))
        with bounds:
            model, info = kind.from_pretrained(
                source,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # they are reported then, and refused below
                output_loading_info=True,
                trust_remote_code=trust_remote_code,
                **options,
            )
    for what, keys, spared in (
        ("lacks", info["missing_keys"], may_lack),
        ("has unknown", info["unexpected_keys"], f"{_COUNTED}|{may_add}" if may_add else _COUNTED),
        ("has, of other shapes than config.json says, the", [key for key, *_ in info["mismatched_keys"]], ""),
    ):
        if wrong := sorted(key for key in keys if not (spared and re.search(spared, key))):
            some = ", ".join(wrong[:3]) + (" ..." if len(wrong) > 3 else "")
            raise TrifacetError(
                f"{source}: the checkpoint {what} weights {some} ({len(wrong)}); "
                "use a checkpoint that was saved whole by transformers"
            )
    model = model.eval().to(device or "cpu")
    refuse_infinite_weights(model, source, stored)
    refuse_odd_generation(model, source)
    return model


@contextlib.contextmanager
def reading(source: str, setting: str = "") -> Iterator[None]:
    """Whatever goes wrong with a checkpoint's files becomes a TrifacetError of one line; no progress is shown.

    ``setting``: the recipe's key that names the checkpoint, for the messages.
    """
    try:
        if os.path.isfile(source):  # noqa: PTH113
            raise TrifacetError(f"{source}: is a file; give the folder of a checkpoint")
        refuse_odd_files(source)
        with quiet():
            yield
    except TrifacetError as error:
        raise TrifacetError(f"{setting}: {error}") if setting else error from None
    except Exception as error:  # a loader fed with damaged files raises whatever it trips over
        raise TrifacetError(f"{setting}: {_why(source, error)}" if setting else _why(source, error)) from None


def _why(source: str, error: Exception) -> str:
    if source.count("/") > 1 and not os.path.exists(source):  # noqa: PTH110 - no hub id either
        return (
            f"{source}: cannot be loaded as a checkpoint: no such folder; give the folder or the hub id of a checkpoint"
        )
    if os.path.isdir(source) and (inside := _checkpoints_in(Path(source))):  # noqa: PTH112 - whatever the name
        return f"{source}: is the folder of a run, not of a checkpoint; give {' or '.join(map(str, inside[:3]))}"
    if os.path.isdir(source) and not Path(source, "config.json").exists():  # noqa: PTH112
        return f"{source}: cannot be loaded as a checkpoint: it has no config.json; give the folder of a checkpoint"
    message = first_line(error)
    if not os.path.exists(source):  # noqa: PTH110
        message = f"there is no such folder, and the hub gives nothing: {message}"
    if "safetensors" in message:
        message += "; convert the weights to safetensors with transformers' save_pretrained"
    place = Path(source, "config.json") if isinstance(error, StrictDataclassError) else source
    return f"{place}: cannot be loaded as a checkpoint: {message}"


def _checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints of a run, or of one of its stages, where ``folder`` is that and no checkpoint itself."""
    if (folder / "config.json").exists():
        return []
    places = (folder / "model", *sorted(folder.glob("*/model")), *sorted(folder.glob("models/*/model")))
    return [place for place in places if place.is_dir()]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and warnings of transformers and PEFT."""
    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT's, of an adapter's base that is an adapter
            yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
