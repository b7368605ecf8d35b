"""What transformers makes alike in all of its vision-language models: the part of ``Family`` that families share.

Invariant: the features of all images go in as the encoder's finished output, so the language model is reached by ids,
mask and positions alone. A family's file says only where it differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from trifacet.base.errors import TrifacetError
from trifacet.engine.family import ImageInput, core
from trifacet.models.families import FAMILIES


class PictureGrid(NamedTuple):
    """Where the whole picture stands among the features of an image.

    From feature ``start`` on ``rows`` x ``columns`` of them, row after row; ``box`` (left, upper, right, lower) is the
    part of this grid, counted in features, that the picture takes; the rest of it is padding.
    """

    start: int
    rows: int
    columns: int
    box: tuple[float, float, float, float]

    @classmethod
    def filled(cls, rows: int, columns: int, start: int = 0) -> PictureGrid:
        """A grid that the picture takes whole."""
        return cls(start, rows, columns, (0.0, 0.0, float(columns), float(rows)))


class TransformersFamily:
    """The ``Family`` of a model whose parts hang below ``model.model`` and whose head is ``model.lm_head``.

    Args:
        processor: of the checkpoint, as ``adapted_processor`` leaves it; its ``replace_image_token`` writes the run of
            tokens that one image takes.
        config: of the checkpoint.
    """

    name: str  # the model_type of config.json
    encoders: ClassVar[frozenset[str]] = frozenset()  # vision encoders that it knows, where not all
    needs_dense_mask: bool = False
    handles_sliding_window: ClassVar[bool] = False  # its dense masks know the window
    vision: ClassVar[str] = "vision_tower"  # names of the parts below model.model
    projector: ClassVar[str] = "multi_modal_projector"
    language: ClassVar[str] = "language_model"

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor, self.config = processor, config
        images = processor.image_processor
        self.image_mean, self.image_std = tuple(images.image_mean), tuple(images.image_std)
        sliding = getattr(config.get_text_config(), "sliding_window", None)
        self.window: int | None = None if self.handles_sliding_window else sliding
        self._runs: dict[tuple[int, ...], NDArray[np.int64]] = {}

    @classmethod
    def adapted_processor(cls, processor: Any, config: Any) -> Any:
        """The checkpoint's processor as this family needs it; a chat template may lie with its tokenizer alone."""
        if processor.chat_template is None:
            processor.chat_template = processor.tokenizer.chat_template
        return processor

    @property
    def placeholder_id(self) -> int:
        return int(self.processor.image_token_id)

    @property
    def reserved_ids(self) -> frozenset[int]:
        size, added = self.config.get_text_config().vocab_size, self.processor.tokenizer.added_tokens_decoder
        return frozenset({self.placeholder_id, *(token for token in added if token >= size)})  # with no embedding

    def token_ids_of(self, *tokens: str) -> list[int]:
        """Ids of single tokens; one that the vocabulary lacks is left out."""
        tokenizer = self.processor.tokenizer
        known = tokenizer.get_vocab()
        return [known[token] for token in tokens if token in known]

    def prepared(self, text: str) -> str:
        return text

    def read(self, image: Image.Image) -> ImageInput:
        return ImageInput(self.processed(image)["pixel_values"])

    def processed(self, image: Image.Image) -> Any:
        """What the image processor makes of one picture, asked as the whole processor asks it."""
        asked = getattr(self.processor, "images_kwargs", {})
        return self.processor.image_processor(images=image, return_tensors="pt", **asked)

    def scale_between(self, smallest: int, largest: int) -> None:
        """Scale pictures to at least and at most so many pixels from now on.

        Raises:
            TrifacetError: a picture's size does not decide on the size at which this family reads it.
        """
        raise TrifacetError(
            "model.image_pixels is for models that read a picture at any size, which "
            f"{FAMILIES[self.name].what} is not; leave it out"
        )

    def frames(self, image: ImageInput) -> Tensor:
        return image.pixel_values

    def with_frames(self, image: ImageInput, frames: Tensor) -> ImageInput:
        return replace(image, pixel_values=frames)

    def image_tokens(self, image: ImageInput) -> NDArray[np.int64]:
        if image.layout not in self._runs:
            text = self.processor.replace_image_token(self.as_processed(image), 0)
            ids = self.processor.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            self._runs[image.layout] = np.asarray(ids, dtype=np.int64)
        return self._runs[image.layout]

    def picture_grid(self, image: ImageInput, size: tuple[int, int]) -> PictureGrid | None:
        """Where a picture of ``size`` (width, height) stands among the features of ``image``; None: not known here."""
        return None

    def as_processed(self, image: ImageInput) -> dict[str, Any]:
        """What the processor must know of an image to write its run of tokens; ``layout`` alone decides on it."""
        return {"pixel_values": image.pixel_values}

    def positions(self, tokens_L: NDArray[np.int64], images: Sequence[ImageInput]) -> NDArray[np.int64]:
        return np.arange(len(tokens_L))

    def collate(self, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        return {"pixel_values": torch.cat([image.pixel_values for image in images])} if images else {}

    def features(self, model: nn.Module, **images: Tensor) -> list[Any]:
        inner = core(model).model
        inputs = {key: value.to(inner.dtype) if value.is_floating_point() else value for key, value in images.items()}
        return list(inner.get_image_features(**inputs, return_dict=True).pooler_output)

    def encoded(self, image_features: Sequence[Any]) -> dict[str, Any]:
        if not image_features:
            return {}
        return {"image": BaseModelOutputWithPooling(pooler_output=list(image_features))}

    def told(self, ids_BL: Tensor, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        return {}

    def dense_masks(self, visible_BNN: Tensor, images_BN: Tensor, position_ids: Tensor) -> Any:
        return visible_BNN[:, None]

    def grown_masks(self, seen_RQC: Tensor, key_RC: Tensor, query_RQ: Tensor) -> Any:
        return seen_RQC[:, None]

    def hidden(
        self,
        model: nn.Module,
        input_ids_BN: Tensor,
        attention_mask: Any,
        position_ids: Tensor,
        image_features: Sequence[Any],
        cache: Any = None,
    ) -> Tensor:
        output = core(model).model(
            input_ids=input_ids_BN,
            attention_mask=attention_mask,
            position_ids=position_ids,
            mm_encoder_outputs=self.encoded(image_features) or None,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return output.last_hidden_state

    def logits(self, model: nn.Module, hidden: Tensor) -> Tensor:
        return core(model).lm_head(hidden)

    def parts(self, model: nn.Module) -> dict[str, nn.Module]:
        whole = core(model)
        return {
            "vision": getattr(whole.model, self.vision),
            "projector": getattr(whole.model, self.projector),
            "language": nn.ModuleList([getattr(whole.model, self.language), whole.lm_head]),
        }

    def layers(self, model: nn.Module) -> list[nn.Module]:
        return list(getattr(core(model).model, self.language).layers)

    def token_wise(self, model: nn.Module) -> list[nn.Module]:
        last = dict(self.layers(model)[-1].named_modules())
        return [last[name] for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp") if name in last]

    def copied(self, *, train_vision: bool) -> list[str]:
        return [self.projector, self.vision] if train_vision else [self.projector]

    def unread(self, model: nn.Module) -> list[nn.Module]:
        return []


class TiledFamily(TransformersFamily):
    """A family that cuts an image into tiles of one size, each of which takes as many tokens as any other."""

    def collate(self, images: Sequence[ImageInput]) -> dict[str, Tensor]:
        tiles = torch.tensor([len(image.pixel_values) for image in images])
        return {**super().collate(images), "tiles": tiles} if images else {}

    def features(self, model: nn.Module, **images: Tensor) -> list[Any]:
        tiles = images.pop("tiles").tolist()
        return list(torch.cat(super().features(model, **images)).unflatten(0, (sum(tiles), -1)).split(tiles))
