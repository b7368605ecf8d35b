"""The families that can be loaded. Invariant: a checkpoint's ``model_type`` alone decides which one it is."""

from __future__ import annotations

from trifacet.models.base import TransformersFamily
from trifacet.models.gemma3 import Gemma3Family
from trifacet.models.idefics3 import Idefics3Family, SmolVLMFamily
from trifacet.models.internvl import InternVLFamily
from trifacet.models.llava import LlavaFamily
from trifacet.models.llava_next import LlavaNextFamily
from trifacet.models.qwen_vl import Qwen2VLFamily, Qwen3VLFamily, Qwen25VLFamily

FAMILIES: dict[str, type[TransformersFamily]] = {
    family.name: family
    for family in (
        LlavaFamily,
        LlavaNextFamily,
        Qwen2VLFamily,
        Qwen25VLFamily,
        Qwen3VLFamily,
        Idefics3Family,
        SmolVLMFamily,
        InternVLFamily,
        Gemma3Family,
    )
}
