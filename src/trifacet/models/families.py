"""The families that can be loaded, and where the code of each is.

Invariant: a checkpoint's ``model_type`` alone decides which one it is; the table is read without torch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class KnownFamily:
    """What a user should know of a family.

    Args:
        what: the models it stands for.
        images: how it reads a picture: one tile of a fixed size, tiles of one size, or a grid of patches of any size.
        code: file of this room and class.
        note: what else to know of pictures, or of how the trie runs.
        trie: how the trie scores it.
    """

    what: str
    images: Literal["fixed size", "tiles", "any size"]
    code: tuple[str, str]
    note: str = ""
    trie: Literal["exact", "exact, by dense masks"] = "exact"

    def load(self) -> type[Any]:
        """Its ``TransformersFamily``; imports torch."""
        file, name = self.code
        family: type[Any] = getattr(importlib.import_module(f"trifacet.models.{file}"), name)
        return family


_PIXELS = "model.image_pixels bounds the size of a picture, and with it the tokens that it takes"
FAMILIES = {
    "llava": KnownFamily("LLaVA-1.5; LLaVA-1.6 weights as one padded tile", "fixed size", ("llava", "LlavaFamily")),
    "llava_next": KnownFamily(
        "LLaVA-1.6 (LLaVA-NeXT)",
        "tiles",
        ("llava_next", "LlavaNextFamily"),
        "as one padded tile by default; its tiles with model.image_tiles: any",
    ),
    "qwen2_vl": KnownFamily("Qwen2-VL", "any size", ("qwen_vl", "Qwen2VLFamily"), _PIXELS),
    "qwen2_5_vl": KnownFamily("Qwen2.5-VL", "any size", ("qwen_vl", "Qwen25VLFamily"), _PIXELS),
    "qwen3_vl": KnownFamily("Qwen3-VL", "any size", ("qwen_vl", "Qwen3VLFamily"), _PIXELS),
    "idefics3": KnownFamily("Idefics3", "tiles", ("idefics3", "Idefics3Family")),
    "smolvlm": KnownFamily("SmolVLM, SmolVLM2", "tiles", ("idefics3", "SmolVLMFamily")),
    "internvl": KnownFamily(
        "InternVL 2.5, 3 and 3.5, converted to transformers (-hf)", "tiles", ("internvl", "InternVLFamily")
    ),
    "gemma3": KnownFamily(
        "Gemma 3 from 4B on",
        "fixed size",
        ("gemma3", "Gemma3Family"),
        "tokens of one image see each other in both directions, and some layers see a window only",
        "exact, by dense masks",
    ),
}


def is_known(config: Any) -> bool:
    """Whether a checkpoint with this config, one of transformers, is of a family here."""
    if config.model_type not in FAMILIES:
        return False
    encoders = FAMILIES[config.model_type].load().encoders
    return not encoders or config.vision_config.model_type in encoders
