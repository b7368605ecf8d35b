"""LLaVA-1.5, and LLaVA-1.6 weights in one-tile mode: one square picture, padded, n x n patches, no row separators.

Invariant: an image always takes the same number of tokens, and position ids count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import LlavaConfig, LlavaProcessor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from trifacet.engine.family import ImageInput, core
from trifacet.models.base import PictureGrid, TransformersFamily

VICUNA_TEMPLATE = (  # the conversation format that LLaVA-1.5 and 1.6 were trained with
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}"
    "{% if message['role'] == 'user' %} {% else %}</s>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


_CLIP = "clip_vision_model"  # the encoder of LLaVA-1.5 and 1.6; its first feature is not a patch's
ENCODERS = frozenset({_CLIP, "siglip_vision_model"})


class LlavaFamily(TransformersFamily):
    """The ``Family`` of LLaVA with a fixed number of tokens per image."""

    name = "llava"
    encoders = ENCODERS

    @classmethod
    def adapted_processor(cls, processor: Any, config: LlavaConfig) -> LlavaProcessor:
        return one_tile_processor(processor, config)

    def picture_grid(self, image: ImageInput, size: tuple[int, int]) -> PictureGrid:
        grid = tile_grid(self.config)
        if not getattr(self.processor.image_processor, "do_pad", False):
            return grid
        longer = max(size)
        across, down = (grid.columns * side / longer for side in size)
        left, upper = (((longer - side) // 2) * grid.columns / longer for side in size)  # as the processor centres it
        return grid._replace(box=(left, upper, left + across, upper + down))

    def unread(self, model: nn.Module) -> list[nn.Module]:
        return unread_layers(core(model))


def unread_layers(model: Any) -> list[nn.Module]:
    """What of a CLIP-like vision tower comes after the last layer that ``vision_feature_layer`` names."""
    vision, layer = model.model.vision_tower, model.config.vision_feature_layer
    layers = vision.encoder.layers
    states = len(layers) + 1  # the embeddings' output comes first
    last = max(index % states for index in ([layer] if isinstance(layer, int) else layer))
    return [*layers[last:], vision.post_layernorm, *([vision.head] if hasattr(vision, "head") else [])]


def tile_grid(config: Any) -> PictureGrid:
    """The features of one square tile, which the picture takes whole."""
    side = config.vision_config.image_size // config.vision_config.patch_size
    return PictureGrid.filled(side, side)


def other_features(config: Any) -> int:
    """How many features of the vision encoder are no patch's."""
    return int(config.vision_config.model_type == _CLIP)


def square_image_processor(side: int, mean: Sequence[float], std: Sequence[float]) -> LlavaImageProcessorPil:
    """The whole picture, padded to a square with the mean colour and scaled to ``side`` pixels."""
    return LlavaImageProcessorPil(
        do_pad=True,
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=list(mean),
        image_std=list(std),
    )


def one_tile_processor(processor: Any, config: LlavaConfig) -> LlavaProcessor:
    """The processor of a LLaVA-1.5 or 1.6 checkpoint, CLIP's image part replaced by the one-tile, padded way."""
    vision = config.vision_config
    images = processor.image_processor
    if vision.model_type == _CLIP:
        images = square_image_processor(vision.image_size, images.image_mean, images.image_std)
    return LlavaProcessor(
        image_processor=images,
        tokenizer=processor.tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        chat_template=processor.chat_template or VICUNA_TEMPLATE,
        image_token=processor.image_token,
        num_additional_image_tokens=other_features(config),  # the class token, which "default" drops again
    )


def one_tile_config(config: Any) -> LlavaConfig:
    """The LLaVA configuration that holds LLaVA-1.6 weights, less the separator that only several tiles need."""
    side = config.vision_config.image_size // config.vision_config.patch_size
    return LlavaConfig(
        vision_config=config.vision_config,
        text_config=config.text_config,
        image_token_index=config.image_token_id,
        projector_hidden_act=config.projector_hidden_act,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        vision_feature_layer=config.vision_feature_layer,
        image_seq_length=side * side,
        multimodal_projector_bias=config.multimodal_projector_bias,
        tie_word_embeddings=config.tie_word_embeddings,
    )
