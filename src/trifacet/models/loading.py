"""Loading and saving checkpoints by hub id or folder.

Invariant: weights come from safetensors only, no code of a checkpoint runs unless the user asked, and a checkpoint
whose weights do not all fit the model is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoProcessor, LlavaForConditionalGeneration
from transformers.utils import logging as hf_logging

from trifacet.engine.family import Family
from trifacet.errors import TrifacetError
from trifacet.files import replacing_folder
from trifacet.models.llava import LlavaFamily, one_tile_config, one_tile_processor

ADAPTER = "adapter_config.json"  # what a folder has that holds a LoRA adapter and not a whole model
SUPPORTED = {"llava": "LLaVA-1.5", "llava_next": "LLaVA-1.6, as one padded tile"}


@dataclass
class LoadedModel:
    """A model with its processor and the family through which the engine reaches it."""

    model: Any
    processor: Any
    family: Family


def load_model(
    path: str | Path, *, dtype: str = "float32", device: str = "auto", trust_remote_code: bool = False
) -> LoadedModel:
    """Load a checkpoint and its processor.

    Args:
        path: hub id or folder. A folder with a LoRA adapter loads its base model and merges the adapter into it.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` takes an accelerator if there is one.
        trust_remote_code: run code that comes with the checkpoint.

    Raises:
        TrifacetError: no such checkpoint, no processor, no safetensors, a family that is not supported, or weights
            that do not fit.
    """
    if Path(path, ADAPTER).is_file():
        return _load_adapter(Path(path), dtype=dtype, device=device, trust_remote_code=trust_remote_code)
    source = str(path)
    options = {"trust_remote_code": trust_remote_code}
    with _readable_errors(source):
        config = _config(source, options)
        processor = _processor(source, config, options)
        with _quiet():
            model, info = LlavaForConditionalGeneration.from_pretrained(
                source,
                config=config,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # they are reported then, and refused below
                attn_implementation="sdpa",
                output_loading_info=True,
            )
    _check_weights(source, info)
    model.to(pick_device(device))
    model.name_or_path = _lasting(source)
    return LoadedModel(model, processor, LlavaFamily(processor))


def load_processor(path: str | Path, *, trust_remote_code: bool = False) -> Family:
    """The family with its processor alone, without weights: for counting tokens. Raises as ``load_model`` does."""
    options = {"trust_remote_code": trust_remote_code}
    if Path(path, ADAPTER).is_file():
        return load_processor(_base_of(Path(path)), **options)
    with _readable_errors(str(path)):
        return LlavaFamily(_processor(str(path), _config(str(path), options), options))


def _config(source: str, options: dict[str, Any]) -> Any:
    config = AutoConfig.from_pretrained(source, **options)
    if config.model_type not in SUPPORTED:
        families = ", ".join(f"{key} ({what})" for key, what in SUPPORTED.items())
        raise TrifacetError(f"{source}: model family {config.model_type!r} is not supported; supported: {families}")
    window = getattr(config.text_config, "sliding_window", None)
    if window is not None and window < getattr(config.text_config, "max_position_embeddings", window):
        raise TrifacetError(f"{source}: sliding-window attention ({window} tokens) is not supported by the prefix trie")
    return one_tile_config(config) if config.model_type == "llava_next" else config


def _processor(source: str, config: Any, options: dict[str, Any]) -> Any:
    try:
        processor = AutoProcessor.from_pretrained(source, **options)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrifacetError(
            f"{source}: no usable processor ({_first_line(error)}); "
            "put processor_config.json, the tokenizer and the chat template of the base model beside the weights"
        ) from None
    if not hasattr(processor, "image_processor"):
        raise TrifacetError(f"{source}: holds a tokenizer but no image processor; add the base model's processor")
    return one_tile_processor(processor, config)


def _load_adapter(path: Path, **options: Any) -> LoadedModel:
    from peft import PeftModel

    loaded = load_model(_base_of(path), **options)
    with _readable_errors(str(path)):
        merged = PeftModel.from_pretrained(loaded.model, str(path), use_safetensors=True).merge_and_unload()
        merged.to(getattr(torch, options["dtype"]))
    merged.name_or_path = _lasting(str(path))  # an adapter that is trained on this model stands on this one
    return LoadedModel(merged, loaded.processor, loaded.family)


def _base_of(adapter: Path) -> str:
    """The checkpoint that an adapter's folder says it stands on; it may be an adapter itself."""
    try:
        return str(json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrifacetError(f"{adapter}: {ADAPTER} cannot be read ({_first_line(error)})") from None


def _lasting(source: str) -> str:
    """What to note as an adapter's base: a folder's whole path, so that it is found from any working directory."""
    return str(Path(source).resolve()) if Path(source).is_dir() else source


def _check_weights(source: str, info: dict[str, Any]) -> None:
    unexpected = {key for key in info["unexpected_keys"] if not key.endswith("image_newline")}
    for what, keys in (("lacks", info["missing_keys"]), ("has unknown", unexpected)):
        if keys:
            some = ", ".join(sorted(keys)[:3])
            raise TrifacetError(
                f"{source}: the checkpoint {what} weights {some}{' ...' if len(keys) > 3 else ''} ({len(keys)}); "
                "use a checkpoint that was saved whole by transformers"
            )
    if info.get("mismatched_keys"):
        raise TrifacetError(f"{source}: weights of other shapes than config.json says; use the config they belong to")


def pick_device(device: str) -> torch.device:
    """``auto`` is the accelerator if there is one, else the CPU. Raises TrifacetError for one that is not there."""
    if device != "auto":
        try:
            return torch.empty(0, device=device).device
        except (RuntimeError, AssertionError) as error:  # torch raises the latter where it was built without CUDA
            raise TrifacetError(f"model.device: {device!r} cannot be used ({_first_line(error)}); try auto") from None
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def save_model(model: Any, processor: Any, folder: Path, settings: dict[str, Any] | None = None) -> None:
    """Save weights (safetensors), processor and, where given, settings: complete under ``folder`` or not there.

    A model with LoRA saves its adapter.
    """
    with replacing_folder(folder, sync=True) as partial:
        try:
            with _quiet():
                model.save_pretrained(partial, safe_serialization=True)
                processor.save_pretrained(partial)
        except SafetensorError as error:
            raise OSError(str(error)) from None
        if settings is not None:
            (partial / "trifacet.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def weights_fingerprint(model: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all weights; the same weights give the same value anywhere."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name}|{weight.dtype}|{tuple(weight.shape)}|".encode())
        digest.update(memoryview(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    level = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT's, of an adapter's base that is an adapter
            yield
    finally:
        hf_logging.set_verbosity(level)


@contextlib.contextmanager
def _readable_errors(source: str) -> Iterator[None]:
    try:
        yield
    except TrifacetError:
        raise
    except Exception as error:  # a loader fed with damaged files raises whatever it trips over
        message = _first_line(error)
        if "safetensors" in message:
            message += "; convert the weights to safetensors with transformers' save_pretrained"
        raise TrifacetError(f"{source}: cannot be loaded as a checkpoint: {message}") from None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
