"""The sizes at which the parts measure: those of the contest, or toys of the same kind."""

from __future__ import annotations

from dataclasses import replace

from contest.inputs import SHAPES, Shape
from gpu_parts.running import Setting

STEPS = ("gpu", "gpu-7b")  # all weights of 1.6 billion; adapters on 7 billion
# FlexAttention's kernels want heads of sixteen and more
_TOY = {
    "hidden_size": 64, "layers": 2, "heads": 4, "vision_hidden_size": 32, "vision_layers": 2, "vision_heads": 2,
    "image_size": 32, "patch_size": 8, "vocabulary": 400,
}  # fmt: skip


def shape_of(name: str, setting: Setting) -> Shape:
    """A shape of the contest on the setting's device; at toy size with the same weights trained in the same way."""
    shape = replace(SHAPES[name], device=setting.device)
    if not setting.small:
        return shape
    return replace(
        shape,
        name=f"{name}, at toy size",
        model=shape.model.model_copy(update=_TOY),
        context=8,
        response=5,
        batch=2,
        embedding=None,
        dtype=shape.dtype if setting.device == "cuda" or shape.lora else "float32",  # adapters: mixed precision too
        lora=shape.lora and shape.lora.model_copy(update={"rank": 4, "alpha": 8.0}),
        text={**shape.text, "intermediate_size": 176} if shape.text else {},
        at_once=1,
    )
