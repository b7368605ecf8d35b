"""LLaVA-1.5, and LLaVA-1.6 weights in one-tile mode: one square picture, padded, n x n patches, no row separators.

Invariant: an image always takes the same number of tokens, and position ids count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import LlavaConfig, LlavaProcessor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from trifacet.engine.family import ImageInput, core

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


class LlavaFamily:
    """The ``Family`` of LLaVA with a fixed number of tokens per image."""

    name = "llava"
    needs_dense_mask = False

    def __init__(self, processor: LlavaProcessor) -> None:
        self.processor = processor
        images = processor.image_processor
        self.image_mean, self.image_std = tuple(images.image_mean), tuple(images.image_std)
        side = images.crop_size["height"] // processor.patch_size
        self._image_tokens = np.full(side * side, self.placeholder_id, dtype=np.int64)

    @property
    def placeholder_id(self) -> int:
        return int(self.processor.image_token_id)

    def prepared(self, text: str) -> str:
        return text

    def read(self, image: Image.Image) -> ImageInput:
        return ImageInput(self.processor.image_processor(images=image, return_tensors="pt")["pixel_values"])

    def frames(self, image: ImageInput) -> Tensor:
        return image.pixel_values

    def with_frames(self, image: ImageInput, frames: Tensor) -> ImageInput:
        return replace(image, pixel_values=frames)

    def image_tokens(self, image: ImageInput) -> NDArray[np.int64]:
        return self._image_tokens

    def positions(self, tokens_L: NDArray[np.int64], images: Sequence[ImageInput]) -> NDArray[np.int64]:
        return np.arange(len(tokens_L))

    def collate(self, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        return {"pixel_values": torch.cat([image.pixel_values for image in images])} if images else {}

    def features(self, model: nn.Module, **images: Tensor) -> list[Any]:
        llava = core(model)
        pixels = images["pixel_values"].to(llava.dtype)
        return list(llava.get_image_features(pixel_values=pixels, return_dict=True).pooler_output)

    def dense_masks(self, visible_BNN: Tensor, images_BN: Tensor, position_ids: Tensor) -> Any:
        return visible_BNN[:, None]

    def hidden(
        self,
        model: nn.Module,
        input_ids_BN: Tensor,
        attention_mask: Any,
        position_ids: Tensor,
        image_features: Sequence[Any],
    ) -> Tensor:
        encoded = {"image": BaseModelOutputWithPooling(pooler_output=list(image_features))} if image_features else None
        return (
            core(model)
            .model(
                input_ids=input_ids_BN,
                attention_mask=attention_mask,
                position_ids=position_ids,
                mm_encoder_outputs=encoded,
                use_cache=False,
            )
            .last_hidden_state
        )

    def logits(self, model: nn.Module, hidden: Tensor) -> Tensor:
        return core(model).lm_head(hidden)

    def parts(self, model: nn.Module) -> dict[str, Any]:
        llava = core(model)
        language = nn.ModuleList([llava.model.language_model, llava.lm_head])
        return {
            "vision": llava.model.vision_tower,
            "projector": llava.model.multi_modal_projector,
            "language": language,
        }

    def unread(self, model: nn.Module) -> list[nn.Module]:
        llava = core(model)
        vision, layer = llava.model.vision_tower, llava.config.vision_feature_layer
        layers = vision.encoder.layers
        states = len(layers) + 1  # the embeddings' output comes first
        last = max(index % states for index in ([layer] if isinstance(layer, int) else layer))
        return [*layers[last:], vision.post_layernorm]


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
    """The processor of a LLaVA-1.5 or 1.6 checkpoint, its image part replaced by the one-tile, padded way."""
    vision = config.vision_config
    source = processor.image_processor
    return LlavaProcessor(
        image_processor=square_image_processor(vision.image_size, source.image_mean, source.image_std),
        tokenizer=processor.tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        chat_template=processor.chat_template or VICUNA_TEMPLATE,
        image_token=processor.image_token,
        num_additional_image_tokens=1,  # the class token, which "default" drops again
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
