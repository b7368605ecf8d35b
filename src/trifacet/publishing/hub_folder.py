"""Weights and processor in the files and names in which hubs have them, so that other programs load them.

Invariant: the tokenizer's files are byte for byte those of the source; weights are safetensors with nothing left out,
and computed in float32 before they are rounded once.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig
from transformers.core_model_loading import revert_weight_conversion

from trifacet.base.errors import TrifacetError
from trifacet.models.adapters import ADAPTER, ADAPTER_WEIGHTS, BASE, read_config
from trifacet.models.asking import WayOfAsking
from trifacet.models.checkpoint import quiet
from trifacet.models.loading import LoadedModel
from trifacet.models.soundness import file_of, stored_weights
from trifacet.publishing.links import refuse_links_out

TOKENIZER = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt",
)  # fmt: skip
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")  # a tokenizer is where one of these lies
_OTHERS = ("video_preprocessor_config.json",)  # kept as they are
_BARE_TOWER = re.compile(r"^((?:model\.)?vision_tower)\.(embeddings|encoder|pre_layrnorm|post_layernorm|head)\b")
_PREFIXED_TOWERS = {"clip_vision_model", "siglip_vision_model"}  # in hubs with vision_model before their names
_TEXT_ARCHITECTURES = {  # as the hub's checkpoints say it, and llama.cpp's converter needs it
    "idefics3": "VLlama3ForCausalLM",
    "smolvlm": "VLlama3ForCausalLM",
}
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}  # as safetensors spells them


def stored_dtype(source: str) -> str:
    """The type in which the weights of a checkpoint lie: that of most of them."""
    held = stored_weights(source)
    counts = {name: sum(one.elements for one in held if one.dtype == kind) for kind, name in DTYPES.items()}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else "float32"


def round_weights(model: Any, dtype: str) -> None:
    """Have all weights in ``dtype``; not the buffers, which transformers keeps in float32."""
    for weight in model.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))


def write_model(model: Any, folder: Path, *, shard: str) -> None:
    """Weights, ``config.json`` and ``generation_config.json``.

    Args:
        model: without adapters.
        folder: is made.
        shard: largest size of a file of weights, such as ``5GB``.
    """
    weights = model.state_dict()
    tower = getattr(model.config.vision_config, "model_type", "")
    names = revert_weight_conversion(model, weights) if tower in _PREFIXED_TOWERS else ()
    if any(_BARE_TOWER.match(name) for name in names):  # as transformers 5 names them in new models
        weights = {_BARE_TOWER.sub(r"\1.vision_model.\2", name): weight for name, weight in weights.items()}
    text = model.config.get_text_config()
    if model.config.model_type in _TEXT_ARCHITECTURES:
        text.architectures = [_TEXT_ARCHITECTURES[model.config.model_type]]
    try:
        with quiet():
            model.save_pretrained(folder, state_dict=weights, max_shard_size=shard)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def write_processor(loaded: LoadedModel, sources: Sequence[str], folder: Path, asking: WayOfAsking) -> None:
    """Processor, chat template, the source's tokenizer, and how the model is asked (``trifacet.json``).

    Args:
        loaded: the model.
        sources: folders or hub ids, the nearest first: the first with a tokenizer gives it.
        folder: is there.
        asking: of what is written.
    """
    with quiet():
        loaded.processor.save_pretrained(folder)
        loaded.processor.image_processor.save_pretrained(folder)  # preprocessor_config.json, for older loaders
    for name in TOKENIZER:
        (folder / name).unlink(missing_ok=True)
    held = next((one for one in sources if any(file_of(one, name) for name in _VOCABULARIES)), None)
    if held is None:
        raise TrifacetError(f"{sources[0]}: no tokenizer; put the files of the base model's beside the weights")
    for name in (*TOKENIZER, *_OTHERS):
        if (file := file_of(held, name)) is not None:
            refuse_links_out(file.parent)  # of a hub's id: in its cache
            shutil.copyfile(file, folder / name)
    asking.model_copy(update={"image_tiles": loaded.image_tiles, "image_pixels": loaded.image_pixels}).write(folder)


def lacking(folder: Path) -> list[str]:
    """Which of the files that loaders look for are not there, and what ``config.json`` does not say."""
    needed = ("config.json", "processor_config.json", "preprocessor_config.json", "chat_template.jinja")
    missing = [name for name in needed if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        missing.append("tokenizer.json")
    if not missing and not AutoConfig.from_pretrained(folder).architectures:
        missing.append("architectures in config.json")
    return missing


def write_adapter(adapter: Path, folder: Path, base: str) -> None:
    """An adapter's weights and settings, as PEFT reads them, with ``base`` as the name of what it stands on."""
    shutil.copyfile(adapter / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS)
    told = read_config(adapter) | {BASE: base}
    (folder / ADAPTER).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
