"""Loading and saving vision-language models by hub id or folder.

Invariant: what was saved here is loaded with the same weights and reads images as it was trained to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from trifacet.base import seals
from trifacet.base.errors import TrifacetError, first_line
from trifacet.base.files import replacing_folder
from trifacet.models.adapters import ADAPTER_WEIGHTS, adapter_at, bases_of, merged, put_on
from trifacet.models.asking import ImagePixels, ImageTiles, WayOfAsking
from trifacet.models.base import TransformersFamily
from trifacet.models.checkpoint import quiet, read_weights, reading
from trifacet.models.families import FAMILIES
from trifacet.models.first_request import ask_once, write_once
from trifacet.models.four_bits import in_four_bits, rounded
from trifacet.models.llava import one_tile_config
from trifacet.models.processors import lacking_part, read_processor, try_template_of, with_own_parts
from trifacet.models.soundness import refuse_infinite_weights, stored_in

WEIGHTS = ".safetensors"  # how files of weights end


@dataclass
class LoadedModel:
    """A model with its processor, the family through which the engine reaches it, and how it was asked to read."""

    model: Any
    processor: Any
    family: TransformersFamily
    image_tiles: ImageTiles = "one"
    image_pixels: ImagePixels | None = None


def load_model(
    path: str | Path,
    *,
    dtype: str = "float32",
    device: str = "auto",
    image_tiles: ImageTiles | None = None,
    image_pixels: ImagePixels | None = None,
    trust_remote_code: bool = False,
    four_bit: bool = False,
    merge: bool = True,
    before_merging: Callable[[LoadedModel], None] | None = None,
) -> LoadedModel:
    """Load a checkpoint and its processor.

    Args:
        path: hub id or folder. A folder with a LoRA adapter loads its base model and merges the adapter into it.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` takes an accelerator if there is one.
        image_tiles: how LLaVA-1.6 reads a picture: as ``one`` padded tile, or in tiles of ``any`` resolution. By
            default as the checkpoint says that it was trained here, else as one.
        image_pixels: smallest and largest number of pixels to which a family with images of any size scales a picture.
            By default as the checkpoint says.
        trust_remote_code: run code that comes with the checkpoint.
        four_bit: hold the language model's layers in four bits: to train an adapter over them.
        merge: merge an adapter into its base also over four bits, which rounds anew, as a new training needs it; to
            write texts leave the adapter as it is. Without four bits an adapter is always merged.
        before_merging: is given an adapter on its base, before it is merged.

    Raises:
        TrifacetError: no such checkpoint, no processor, no safetensors, a family that is not supported, weights that
            do not fit, or a file that is not as it was saved here.
    """
    adapter = adapter_at(path)
    folder = adapter or Path(path)
    seals.refuse_damaged(folder)
    asked = WayOfAsking.read(folder)
    tiles, pixels = image_tiles or asked.image_tiles, image_pixels or asked.image_pixels
    if adapter:
        return _load_adapter(
            str(path),
            adapter,
            dtype=dtype,
            device=device,
            image_tiles=tiles,
            image_pixels=pixels,
            trust_remote_code=trust_remote_code,
            four_bit=four_bit,
            merge=merge,
            before_merging=before_merging,
        )
    source = str(path)
    options = {"trust_remote_code": trust_remote_code}
    with reading(source):
        config = _config(source, options, tiles)
        family = _family(source, config, pixels, options)
    model = read_weights(
        AutoModelForImageTextToText,
        source,
        config=config,
        dtype=getattr(torch, dtype),
        device=torch.device("cpu") if four_bit else pick_device(device),
        may_add="image_newline$",  # of LLaVA-1.6, read as one tile
        trust_remote_code=trust_remote_code,
        attn_implementation="sdpa",
    )
    with quiet():
        write_once(source, family, model)
    if four_bit:
        in_four_bits(model, family, pick_device(device))
    model.name_or_path = _lasting(source)
    return LoadedModel(model, family.processor, family, tiles, pixels)


def load_processor(
    path: str | Path,
    *,
    image_tiles: ImageTiles | None = None,
    image_pixels: ImagePixels | None = None,
    trust_remote_code: bool = False,
) -> TransformersFamily:
    """The family with its processor alone, without weights: for counting tokens. Raises as ``load_model`` does."""
    options = {"trust_remote_code": trust_remote_code}
    adapter = adapter_at(path)
    folder = adapter or Path(path)
    seals.refuse_damaged(folder, lambda name: not name.endswith(WEIGHTS))
    asked = WayOfAsking.read(folder)
    tiles, pixels = image_tiles or asked.image_tiles, image_pixels or asked.image_pixels
    if adapter:
        base = load_processor(bases_of(adapter)[0], image_tiles=tiles, image_pixels=pixels, **options)
        with reading(str(adapter)):
            return _of_adapter(adapter, base, pixels)
    with reading(str(path)):
        return _family(str(path), _config(str(path), options, tiles), pixels, options)


def _config(source: str, options: dict[str, Any], tiles: ImageTiles) -> Any:
    config = AutoConfig.from_pretrained(source, **options)
    if config.model_type not in FAMILIES:
        families = ", ".join(f"{key} ({family.what})" for key, family in FAMILIES.items())
        raise TrifacetError(f"{source}: model family {config.model_type!r} is not supported; supported: {families}")
    encoders, seen = FAMILIES[config.model_type].load().encoders, config.vision_config.model_type
    if encoders and seen not in encoders:
        known = " and ".join(sorted(encoders))
        raise TrifacetError(f"{source}: {config.model_type} over {seen} is not supported; over {known} it is")
    return one_tile_config(config) if config.model_type == "llava_next" and tiles == "one" else config


def _family(source: str, config: Any, pixels: ImagePixels | None, options: dict[str, Any]) -> TransformersFamily:
    return _ready(source, _processor(source, config, options), config, pixels)


def _ready(source: str, processor: Any, config: Any, pixels: ImagePixels | None) -> TransformersFamily:
    """The family of a checkpoint, once its processor has shown that it suits ``config``."""
    kind = FAMILIES[config.model_type].load()
    family = kind(kind.adapted_processor(processor, config), config)
    if family.processor.chat_template is None:
        raise TrifacetError(
            f"{source}: no chat template; put the chat_template.jinja of the base model beside the weights"
        )
    if pixels:
        family.scale_between(*pixels)
    try_template_of(source, family.processor, pictures=True)
    ask_once(source, family)
    return family


def _processor(source: str, config: Any, options: dict[str, Any]) -> Any:
    try:
        processor = read_processor(source, config, **options)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrifacetError(
            f"{source}: no usable processor ({lacking_part(source) or first_line(error)}); "
            "put processor_config.json, the tokenizer and the chat template of the base model beside the weights"
        ) from None
    if not hasattr(processor, "image_processor"):
        raise TrifacetError(f"{source}: holds a tokenizer but no image processor; add the base model's processor")
    return processor


def _load_adapter(
    source: str,
    path: Path,
    *,
    four_bit: bool,
    merge: bool,
    before_merging: Callable[[LoadedModel], None] | None,
    **options: Any,
) -> LoadedModel:
    """An adapter over four bits is merged into the base as it was rounded, or stays on a base in four bits."""
    over, device = WayOfAsking.read(path).four_bit, options["device"]
    stays, rounds_anew = four_bit and not merge, four_bit and merge
    if rounds_anew:
        options["device"] = "cpu"
    loaded = load_model(bases_of(path)[0], four_bit=stays, **options)
    with reading(str(path)):
        family = _of_adapter(path, loaded.family, loaded.image_pixels)
        if over and not stays:
            rounded(loaded.model, family, getattr(torch, over))
        model = put_on(loaded.model, path)
        if before_merging is not None:
            before_merging(LoadedModel(model, family.processor, family, loaded.image_tiles, loaded.image_pixels))
        model = model if stays else merged(model, getattr(torch, options["dtype"]))
        refuse_infinite_weights(model, str(path), stored_in(path / ADAPTER_WEIGHTS))
    if rounds_anew:
        in_four_bits(model, family, pick_device(device))
    model.name_or_path = _lasting(source)  # an adapter that is trained on this model stands on this one
    return LoadedModel(model, family.processor, family, loaded.image_tiles, loaded.image_pixels)


def _of_adapter(path: Path, family: TransformersFamily, pixels: ImagePixels | None) -> TransformersFamily:
    """The family of an adapter's base, with the tokenizer, chat template and image processor that lie with it."""
    processor = with_own_parts(path, family.processor)
    return family if processor is None else _ready(str(path), processor, family.config, pixels)


def _lasting(source: str) -> str:
    """What to note as an adapter's base: a folder's whole path, so that it is found from any working directory."""
    return str(Path(source).resolve()) if os.path.isdir(source) else source  # noqa: PTH112


def pick_device(device: str, key: str = "model.device") -> torch.device:
    """``auto`` is the accelerator if there is one, else the CPU.

    Raises:
        TrifacetError: naming ``key``, for one that is not there.
    """
    if device != "auto":
        try:
            given = torch.empty(0, device=device).device
            if given.type == "meta":
                raise TrifacetError(f"{key}: 'meta' holds no numbers; try auto")
            return given
        except (RuntimeError, AssertionError) as error:  # torch raises the latter where it was built without CUDA
            raise TrifacetError(f"{key}: {device!r} cannot be used ({first_line(error)}); try auto") from None
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def save_model(
    model: Any,
    processor: Any,
    folder: Path,
    asking: WayOfAsking | None = None,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Save weights (safetensors), processor and, if given, the way of asking: sealed under ``folder`` or not there.

    A model with LoRA saves its adapter. ``weights`` are the model's own by name, where it holds but shards of them.
    """
    with replacing_folder(folder, sync=True) as partial:
        try:
            with quiet():
                model.save_pretrained(partial, safe_serialization=True, state_dict=weights)
                processor.save_pretrained(partial)
        except SafetensorError as error:
            raise OSError(str(error)) from None
        if asking is not None:
            asking.write(partial)
        seals.seal_folder(partial)


def weights_fingerprint(model: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all weights; the same weights give the same value anywhere."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name}|{weight.dtype}|{tuple(weight.shape)}|".encode())
        digest.update(memoryview(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()
