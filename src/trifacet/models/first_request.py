"""The first request to a checkpoint, made when it is loaded: what its files do not agree on shows then, in one line.

Invariant: what passes can be asked for a picture's text and answers with numbers; nothing of the model is changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from trifacet.base.errors import TrifacetError, first_line
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.models.asking import WayOfAsking
from trifacet.models.base import TransformersFamily
from trifacet.models.decoding import decoding, generate
from trifacet.models.families import FAMILIES
from trifacet.models.processors import processor_place, template_place
from trifacet.models.soundness import is_token

_LARGEST_SIDE, _LARGEST_AREA = 2**13, 2**26  # pixels to which a picture may be scaled
_POST = "A post, 'so' to \"say\", & its <marks>.\nÉn två."
_ANSWER = "An answer: 'it' has \"some\" & <marks> too.\nÀ deux."
_SHOWN = 300  # characters of a text in a message, its last


def ask_once(source: str, family: TransformersFamily) -> None:
    """Render, tokenize and read a picture, as far as that goes without weights.

    Raises:
        TrifacetError: naming file and key where template, tokenizer, image processor and config.json do not agree.
    """
    config, processor = family.config, family.processor
    encoder, size = WayOfAsking().encoder(family), config.get_text_config().vocab_size
    config_file = Path(source, "config.json")
    for token in ("bos", "eos", "pad"):
        told = getattr(processor.tokenizer, f"{token}_token_id")
        if told is not None and not is_token(told, size):
            place = Path(source, "tokenizer_config.json")
            raise TrifacetError(f"{place}: {token}_token has the id {told}, and config.json says that there are {size}")
    layers = getattr(config, "vision_feature_layer", 0)
    states = getattr(config.vision_config, "num_hidden_layers", 0) + 1  # the embeddings' output comes first
    for layer in [layers] if isinstance(layers, int) else layers or ():
        if not -states <= layer < states:
            raise TrifacetError(f"{config_file}: vision_feature_layer is {layer}, and there are {states - 1} layers")
    try:
        ids_L = encoder.token_ids([encoder.rendered(None, _POST, images=1)])[0]
        encoder.images_at(ids_L, 1)
        for images in (1, 0):
            try_answer(encoder, images)
        ids = {*ids_L.tolist(), encoder.end_id} - {family.placeholder_id}
    except TrifacetError as error:
        raise TrifacetError(f"{template_place(source)}: {error}") from None
    added = processor.tokenizer.added_tokens_decoder  # which texts never hold, as a family reserves them
    ids |= {number for number in processor.tokenizer.get_vocab().values() if number not in added}
    if not all(is_token(token, size) for token in ids):
        place = Path(source, "tokenizer.json")
        raise TrifacetError(f"{place}: has the id {max(ids)}, and config.json says that there are {size}")
    images = processor.image_processor
    largest = _LARGEST_AREA if FAMILIES[family.name].images == "any size" else _LARGEST_SIDE
    for key in ("size", "crop_size", "pad_size", "max_image_size"):
        sides = dict(getattr(images, key, None) or {})
        if any(side is not None and not 0 < side <= largest for side in sides.values()):
            raise TrifacetError(f"{processor_place(source)}: {key} is {sides}; pictures are scaled to 1 to {largest}")
    try:
        seen = _picture(family)
        run = family.image_tokens(seen)
    except Exception as error:  # a processor fed with odd settings raises whatever it trips over
        raise TrifacetError(
            f"{processor_place(source)}: it reads no picture ({first_line(error)}); use that of the base model"
        ) from None
    if not torch.isfinite(seen.pixel_values).all():
        keys = "rescale_factor, image_mean and image_std"
        raise TrifacetError(f"{processor_place(source)}: {keys} make no numbers of a picture; use the base model's")
    if config.image_token_id not in run:
        key = "image_token_index" if "image_token_index" in config.to_dict() else "image_token_id"
        raise TrifacetError(
            f"{config_file}: {key} is {config.image_token_id!r}, which is not what the processor writes for a picture; "
            f"that is {family.placeholder_id}"
        )


def try_answer(encoder: SampleEncoder, images: int) -> None:
    """See that what is learned of a sample is its answer and one end, after the text that asks for it.

    Raises:
        TrifacetError: showing the text that asks and the text with the answer.
    """
    asks = encoder.rendered(None, _POST, images=images)
    whole = encoder.rendered(None, _POST, _ANSWER, images=images)
    before, answer, after = whole.removeprefix(asks).partition(_ANSWER)
    asks_alone = encoder.tokenizer(asks, add_special_tokens=False, verbose=False)["input_ids"]
    problem = None
    if encoder.user_text(None, _POST) not in asks:
        problem = "does not hand on request and post as they are"
    elif not whole.startswith(asks):
        problem = "asks for an answer otherwise than the text with an answer begins"
    elif not answer:
        problem = "does not hand on the answer as it is"
    elif before.strip():
        problem = f"has {before.strip()!r} between the text that asks and the answer, where it would be learned"
    elif after.strip() not in encoder.ends:
        problem = f"ends an answer with {after.strip()!r} and not with one token"
    elif encoder.token_ids([asks])[0][-len(asks_alone) :].tolist() != asks_alone:
        problem = "meets a tokenizer that ends every text (add_eos_token of tokenizer_config.json), also one that asks"
    if problem:
        raise TrifacetError(
            f"the chat template {problem}; use that of the base model. It asks by {_end_of(asks)} and learns from "
            f"{_end_of(whole)}"
        )


def _end_of(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"...{text[-_SHOWN:]!r}"


def write_once(source: str, family: TransformersFamily, model: Any) -> None:
    """Have a model write one token.

    Raises:
        TrifacetError: it fails, or what it computes are no numbers.
    """
    try:
        _write_once(source, family, model)
    except TrifacetError:
        raise
    except Exception as error:  # a model fed with what is another's raises whatever it trips over
        raise TrifacetError(
            f"{source}: cannot be loaded as a checkpoint: its first request fails ({first_line(error)}); config.json, "
            "weights and processor are not of one model"
        ) from None


def _write_once(source: str, family: TransformersFamily, model: Any) -> None:
    encoder, seen = WayOfAsking().encoder(family), _picture(family)
    path, _ = encoder.prompt_path(None, _POST, [seen])
    ids_BL = torch.from_numpy(path.tokens_L)[None]
    config = decoding(model, encoder.tokenizer, temperature=0, longest=1)
    config.return_dict_in_generate = config.output_logits = True
    with torch.no_grad():  # in inference mode a model might keep tensors that no training can use
        collated = {name: value.to(model.device) for name, value in family.collate([seen]).items()}
        told = {name: value.to(model.device) for name, value in family.told(ids_BL, [seen]).items()}
        written = generate(
            model,
            config,
            input_ids=ids_BL.to(model.device),
            attention_mask=torch.ones_like(ids_BL).to(model.device),
            mm_encoder_outputs=family.encoded(family.features(model, **collated)),
            **told,
        )
    if not torch.isfinite(written.logits[0]).all():
        kind = str(model.dtype).removeprefix("torch.")
        raise TrifacetError(
            f"{source}: the model's first token has no numbers to choose from; in {kind} it overflows, or its "
            "config.json is not what it was trained with"
        )


def _picture(family: TransformersFamily) -> ImageInput:
    return family.read(Image.new("RGB", (64, 48), (128, 128, 128)))  # some pad what is not square
