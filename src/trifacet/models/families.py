"""The families that can be loaded. Invariant: a checkpoint's ``model_type`` alone decides which one it is."""

from __future__ import annotations

from trifacet.models.base import TransformersFamily
from trifacet.models.gemma3 import Gemma3Family
from trifacet.models.idefics3 import Idefics3Family, SmolVLMFamily
from trifacet.models.internvl import InternVLFamily
from trifacet.models.llava import LlavaFamily
from trifacet.models.llava_next import LlavaNextFamily

FAMILIES: dict[str, type[TransformersFamily]] = {
    family.name: family
    for family in (
        LlavaFamily,
        LlavaNextFamily,
        Idefics3Family,
        SmolVLMFamily,
        InternVLFamily,
        Gemma3Family,
    )
}
