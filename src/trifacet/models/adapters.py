"""LoRA adapters in PEFT's format: whose they are, how they are put on a model, and how they are merged into it.

Invariant: every tensor of an adapter has its place in the model, and every place that its settings ask for a tensor,
whichever release of transformers named them; else it is refused. A merged model computes what the adapted one does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from trifacet.base.errors import TrifacetError, first_line
from trifacet.models.soundness import file_of, no_larger_than, refuse_integers, refuse_odd_files, stored_in

ADAPTER = "adapter_config.json"  # what a folder has that holds a LoRA adapter and not a whole model
ADAPTER_WEIGHTS = "adapter_model.safetensors"
BASE = "base_model_name_or_path"  # the setting that names what an adapter stands on
_PREFIX = "base_model.model."  # of PEFT's keys
_ALONE = (  # settings that count on the model as it was, change it, or look at other adapters
    "use_dora", "trainable_token_indices", "ensure_weight_tying", "kasa_config", "arrow_config", "monteclora_config"
)  # fmt: skip
_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")  # of LoRA weights; by others the base is changed too
_UNREAD = ("target_parameters", "alora_invocation_tokens", "layer_replication")  # settings; none of our families' own
_MODULE = re.compile(r"(?P<module>.+?)(\.base_layer)?\.(lora_|token_adapter\.|[^.]+$)")  # in an adapter's key
_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]  # what is fetched of a hub's adapter


def adapter_at(source: str | Path) -> Path | None:
    """The folder of an adapter, fetched if it is a hub's; None of what is none, or cannot be looked up."""
    if os.path.isdir(source):  # noqa: PTH112 - a name that no file can have is none
        return Path(source) if os.path.isfile(os.path.join(source, ADAPTER)) else None  # noqa: PTH113, PTH118
    from huggingface_hub import snapshot_download

    try:
        if file_of(str(source), ADAPTER) is None:
            return None
        return Path(snapshot_download(str(source), allow_patterns=_FILES))
    except (OSError, ValueError):  # the loader says why
        return None


def bases_of(adapter: Path) -> list[str]:
    """The checkpoints that an adapter stands on, as the folders say: its base, that one's if it is an adapter too ...

    Raises:
        TrifacetError: a folder does not say it, or the adapters stand on each other in a circle.
    """
    found: list[str] = []
    seen, folder = {adapter.resolve()}, adapter
    while True:
        file = folder / ADAPTER
        refuse_odd_files(str(folder))
        base = read_config(folder)[BASE]
        if not isinstance(base, str) or not base:
            raise TrifacetError(f"{file}: base_model_name_or_path is {base!r}; name the folder or hub id of its base")
        if Path(base).is_absolute() and not Path(base).exists():
            raise TrifacetError(f"{file}: base_model_name_or_path is {base}, which is not there; correct the path")
        found.append(base)
        below = adapter_at(base)
        if below is None:
            return found
        folder = below
        if folder.resolve() in seen:
            raise TrifacetError(f"{file}: base_model_name_or_path leads in a circle, to {base}; name a model")
        seen.add(folder.resolve())


def put_on(model: Any, folder: Path, name: str = "default", names: ModuleNames | None = None) -> Any:
    """``model`` wrapped by PEFT, with the adapter of ``folder`` on it in float32.

    Args:
        model: a model of transformers, or one that this has wrapped already: the adapter comes beside those on it and
            is not switched on.
        folder: of the adapter.
        name: by which PEFT knows it.
        names: of the modules of the model as it was without adapters, where it has some.

    Raises:
        TrifacetError: no safetensors, another kind of adapter, or keys that are left over, missing or of other shapes.
    """
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

    file = _weights_file(folder)
    _refuse_other_kinds(folder / ADAPTER)
    held = stored_in(file)
    refuse_integers(held)
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = True
    names = names or ModuleNames(model)
    tensors = {names.now(key.removeprefix(_PREFIX)): tensor for key, tensor in load_file(file).items()}
    _aim(config, names, tensors, file)
    with no_larger_than(held, folder / ADAPTER):
        if isinstance(model, PeftModel):
            adapted = model
            adapted.add_adapter(name, config)
        else:
            adapted = PeftModel(model, config, adapter_name=name)
    asked = {
        key.removeprefix(_PREFIX): tensor
        for key, tensor in get_peft_model_state_dict(adapted, adapter_name=name, save_embedding_layers=False).items()
    }
    places = {*asked, *(key.removeprefix(_PREFIX) for key in adapted.state_dict())}
    tensors = {_under_base_layer(key, places): tensor for key, tensor in tensors.items()}
    _refuse_keys(file, "lacks", set(asked) - set(tensors), f"for which {ADAPTER} asks")
    _refuse_keys(file, "has", set(tensors) - places, "for which the model has no place")
    odd = {key for key, tensor in asked.items() if tensor.shape != tensors[key].shape}
    _refuse_keys(file, "has", odd, "of another shape than the model and its settings say")
    device = next(model.parameters()).device
    weights = {_PREFIX + key: tensor.to(device, torch.float32) for key, tensor in tensors.items()}
    unknown = set_peft_model_state_dict(adapted, weights, adapter_name=name, low_cpu_mem_usage=True).unexpected_keys
    _refuse_keys(file, "has", set(unknown), "for which the model has no place")
    return adapted.eval()


def merged(adapted: Any, dtype: torch.dtype) -> Any:
    """The model with its adapter merged into its weights, these in ``dtype``; tied embeddings may part."""
    model = adapted.get_base_model()
    configs = (model.config, model.config.get_text_config())
    tied = any(getattr(config, "tie_word_embeddings", False) for config in configs)
    ends = model.get_input_embeddings(), model.get_output_embeddings()
    embed, head = map(innermost, ends)
    if head.weight is embed.weight and (embed, head) != ends:  # what is merged into the one is not the other's
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    model = adapted.merge_and_unload()
    for weight in model.parameters():  # not the buffers: rotary frequencies stay in float32, as transformers has them
        weight.data = weight.data.to(dtype)
    if tied:
        embed, head = model.get_input_embeddings(), model.get_output_embeddings()
        same = torch.equal(embed.weight, head.weight)
        if same:
            head.weight = embed.weight
        for config in configs:
            config.tie_word_embeddings = same
        model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=True)
    return model


def _weights_file(folder: Path) -> Path:
    """Of an adapter. Raises TrifacetError where there is none: PEFT would read a pickle."""
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        raise TrifacetError(f"{folder}: has no {ADAPTER_WEIGHTS}; convert the adapter to safetensors")
    return file


def innermost(module: Any) -> Any:
    """The model's own layer below PEFT's wrappers."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    while isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
        module = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module.original_module
    return module


def switched(adapted: Any, names: Sequence[str]) -> None:
    """Have ``adapted`` compute with these of its adapters, which stand on one another in this order, and no others.

    Each adds its LoRA; of whole copies of a module that of the last one counts.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer):
            module.set_adapter(list(names), inference_mode=True)
        elif isinstance(module, ModulesToSaveWrapper):
            module.set_adapter([name for name in names if name in module.modules_to_save][-1:], inference_mode=True)


def lie_beside(folders: Iterable[Path], names: ModuleNames) -> bool:
    """Whether adapters may be on one model: plain LoRA and whole copies of modules, none of which holds another's part.

    ``names``: of the model's modules.
    """
    reach = []
    for folder in folders:
        config = read_config(folder)
        if config.get("bias", "none") != "none" or any(config.get(key) for key in _ALONE):
            return False
        if config.get("init_lora_weights", True) not in _STARTS:
            return False
        copied = tuple(f".{one}" for one in config.get("modules_to_save") or ())
        copies = {name for name in names.modules if copied and f".{name}".endswith(copied)}
        stored = (names.now(one.name.removeprefix(_PREFIX)) for one in stored_in(_weights_file(folder)))
        reach.append((copies, {name.partition(".lora_")[0] for name in stored if ".lora_" in name} | copies))
    return not any(
        part.startswith(f"{copy}.")
        for copies, mine in reach
        for copy in copies
        for _, others in reach
        if others is not mine
        for part in others
    )


def read_config(folder: Path) -> dict[str, Any]:
    """What an adapter says of itself. Raises TrifacetError where it cannot be read."""
    try:
        held = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        held[BASE]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrifacetError(f"{folder}: {ADAPTER} cannot be read ({first_line(error)})") from None
    return held


class ModuleNames:
    """A model's modules, as this release of transformers names them and as earlier ones did."""

    def __init__(self, model: Any) -> None:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightRenaming

        def renamings(**options: Any) -> list[Any]:
            return [one for one in get_model_conversion_mapping(model, **options) if isinstance(one, WeightRenaming)]

        self.modules = {name for name, _ in model.named_modules() if name}
        self.head = {name for name, module in model.named_modules() if module is model.get_output_embeddings()}
        self._renamings = renamings()
        backwards = [(one.scope_prefix, one.reverse_transform()) for one in renamings(add_legacy=False)[::-1]]
        # As now; as at first; and as in between, when only the inner parts had other names.
        self.spellings: list[Callable[[str], str]] = [
            lambda name: name,
            lambda name: _renamed(name, (one for _, one in backwards)),
            lambda name: _renamed(name, (one for scope, one in backwards if scope)),
        ]

    def now(self, key: str) -> str:
        """An adapter's key by the module's present name."""
        found = _MODULE.match(key)
        return key if found and found["module"] in self.modules else _renamed(key, self._renamings)


def _renamed(key: str, renamings: Iterable[Any]) -> str:
    for renaming in renamings:
        key, _ = renaming.rename_source_key(key)
    return key


def _aim(config: Any, names: ModuleNames, keys: Iterable[str], file: Path) -> None:
    """Have ``config`` match the modules for which there are tensors, if it matched them as they were once named.

    Raises:
        TrifacetError: under no names they are the same.
    """
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key

    shared = names.head if config.ensure_weight_tying else set()  # has the embeddings' adapter then, said once or twice
    held = {key.partition(".lora_")[0] for key in keys if ".lora_" in key} - shared
    if not held:
        raise TrifacetError(f"{file}: has no tensors lora_A and lora_B; copy the adapter again")
    closest: set[str] | None = None
    for spelt in names.spellings:
        wanted = {name for name in names.modules - shared if check_target_module_exists(config, spelt(name))}
        if wanted == held:
            break
        if closest is None or len(wanted ^ held) < len(closest ^ held):
            closest = wanted
    else:
        assert closest is not None  # there are spellings
        _refuse_keys(file, "lacks", {f"{name}.lora_A" for name in closest - held}, f"for which {ADAPTER} asks")
        _refuse_keys(file, "has", {f"{name}.lora_A" for name in held - closest}, f"for which {ADAPTER} does not ask")
    if spelt is names.spellings[0]:
        return
    for patterns, default in ((config.rank_pattern, config.r), (config.alpha_pattern, config.lora_alpha)):
        told = {name: patterns.get(get_pattern_key(patterns, spelt(name)), default) for name in held}
        patterns.clear()
        patterns.update({re.escape(name): value for name, value in told.items() if value != default})
    config.target_modules = "|".join(map(re.escape, sorted(held)))
    config.exclude_modules = None


def _under_base_layer(key: str, places: set[str]) -> str:
    """Where the tensor of a wrapped layer is, by releases of PEFT that left the wrapper out."""
    module, _, last = key.rpartition(".")
    wrapped = f"{module}.base_layer.{last}"
    return wrapped if key not in places and wrapped in places else key


def _refuse_other_kinds(file: Path) -> None:
    settings = json.loads(file.read_text(encoding="utf-8"))
    if settings.get("peft_type") != "LORA":
        raise TrifacetError(f"{file}: peft_type is {settings.get('peft_type')!r}; only LORA is read")
    for key in _UNREAD:
        if settings.get(key):
            raise TrifacetError(f"{file}: {key} is not read; merge the adapter into its base with PEFT")


def _refuse_keys(file: Path, what: str, keys: set[str], why: str) -> None:
    if keys:
        some = ", ".join(sorted(keys)[:3]) + (" ..." if len(keys) > 3 else "")
        raise TrifacetError(f"{file}: {what} {some} ({len(keys)}), {why}; use the adapter with the model it is for")
