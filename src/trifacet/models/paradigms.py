"""What trains: the paper's four paradigms, full fine-tuning or LoRA.

Invariant: after ``choose_trained`` the weights that require a gradient are exactly those of the table it returns.
"""

from __future__ import annotations

import copy
import re
import warnings
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from trifacet.base.errors import TrifacetError
from trifacet.engine.family import Family

_Stage = Literal["sft", "align"]
_VISION_TRAINED = {1: (False, False), 2: (False, True), 3: (True, False), 4: (True, True)}


@dataclass(frozen=True)
class LoraSettings:
    """Rank, scale numerator, input dropout, and a regular expression of the linear layers that get an adapter."""

    rank: int
    alpha: float
    dropout: float
    targets: str


@dataclass(frozen=True)
class TrainedPart:
    """One row of the table shown at the start: how a part trains and how many of its parameters do."""

    part: str
    how: Literal["frozen", "full", "LoRA", "part"]
    trained: int
    total: int
    left_out: int = 0  # layers of a frozen vision encoder that the LoRA targets match


def vision_trains(paradigm: int, stage: _Stage) -> bool:
    """Whether the vision encoder trains in this stage (MCM-DPO, four paradigms); projector and language model do."""
    return _VISION_TRAINED[paradigm][stage == "align"]


def choose_trained(
    model: Any, family: Family, *, train_vision: bool, lora: LoraSettings | None
) -> tuple[Any, list[TrainedPart]]:
    """Set ``requires_grad`` and add adapters.

    Returns:
        the model (wrapped by PEFT with LoRA) and the table of its parts.

    Raises:
        TrifacetError: nothing would train, or the LoRA targets match no layer.
    """
    model.requires_grad_(False)
    left_out = 0
    if lora is None:
        for name, part in family.parts(model).items():
            part.requires_grad_(name != "vision" or train_vision)
    else:
        encoder = set() if train_vision else set(family.parts(model)["vision"].modules())
        frozen = [name for name, module in model.named_modules() if module in encoder]
        model, left_out = _with_adapters(model, lora, family.copied(train_vision=train_vision), frozen)
    for module in family.unread(model):
        module.requires_grad_(False)
    table = [_row(name, part, left_out * (name == "vision")) for name, part in family.parts(model).items()]
    if not any(row.trained for row in table):
        raise TrifacetError("nothing would be trained; unfreeze a part by model.paradigm or widen model.lora.targets")
    return model, table


def _with_adapters(model: Any, lora: LoraSettings, copies: list[str], frozen: list[str]) -> tuple[Any, int]:
    """Adapters on the targets; projector and, where it trains, vision encoder as copies that belong to the adapter.

    So switching the adapter off gives the reference model, whatever trained. Modules that are ``frozen`` get none;
    how many of them the targets match is returned.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.tuners_utils import check_target_module_exists

    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        modules_to_save=copies,
        exclude_modules="|".join(map(re.escape, frozen)) or None,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a name in transformers that PEFT still uses
            adapted = get_peft_model(model, settings)
    except ValueError as error:
        raise TrifacetError(f"model.lora.targets: {str(error).splitlines()[0]}") from None
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()  # over a bfloat16 base too: small steps would be rounded away
    found = copy.copy(adapted.peft_config["default"])  # with the names of all linear layers, where they were asked for
    found.exclude_modules = None
    return adapted, sum(bool(check_target_module_exists(found, name)) for name in frozen)


def _row(name: str, part: nn.Module, left_out: int) -> TrainedPart:
    weights = [(key, weight) for key, weight in part.named_parameters() if ".original_module." not in f".{key}"]
    total = sum(weight.numel() for _, weight in weights)
    trained = [(key, weight.numel()) for key, weight in weights if weight.requires_grad]
    count = sum(size for _, size in trained)
    if not count:
        how: Literal["frozen", "full", "LoRA", "part"] = "frozen"
    elif all("lora_" in key for key, _ in trained):
        how = "LoRA"
    else:
        how = "full" if count == total else "part"
    return TrainedPart(name, how, count, total, left_out)
