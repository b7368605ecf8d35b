"""A LLaVA of a few million parameters with random weights, for demos and tests.

Invariant: what is written loads with transformers alone (``AutoProcessor`` and ``LlavaForConditionalGeneration``) and
depends on (settings, texts, seed) only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from trifacet.demo.warmup import warm_up
from trifacet.models.checkpoint import quiet

if TYPE_CHECKING:
    from trifacet.data.post_settings import Posts
    from trifacet.data.settings import WorldKind
    from trifacet.models.settings import TinyModel

BOS, EOS, UNKNOWN, PADDING, _IMAGE = "<s>", "</s>", "<unk>", "<pad>", "<image>"
FEATURE_LAYER = -2  # what LLaVA's projector reads; the encoder's last layer goes unused
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %} "
    "{% elif message['role'] == 'user' %}USER: "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %} "
    "{% else %}ASSISTANT: "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{{ eos_token }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def make_tiny_llava(
    spec: TinyModel,
    texts: Iterable[str],
    folder: Path,
    seed: int,
    world: WorldKind = "posts",
    posts: Posts | None = None,
) -> Path:
    """Make the model and its processor and save both.

    Args:
        spec: sizes; with ``warmup_steps`` the model is first warmed up on the demo world's pictures.
        texts: what the tokenizer's vocabulary is learned from: requests, posts and responses.
        folder: where the checkpoint goes (safetensors).
        seed: seed of the weights and of the warm-up.
        world: whose pictures the warm-up shows.
        posts: the knobs of the world of posts (None: at their defaults).

    Returns:
        ``folder``.
    """
    processor = tiny_processor(spec, texts)
    tokenizer = processor.tokenizer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(tiny_config(spec, tokenizer))
        if spec.warmup_steps:
            warm_up(model, tokenizer, spec.warmup_steps, seed, world, posts)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


def tiny_processor(spec: TinyModel, texts: Iterable[str]) -> LlavaProcessor:
    """The processor alone, with a tokenizer that is learned from ``texts``."""
    return LlavaProcessor(
        image_processor=LlavaImageProcessorPil(
            size={"shortest_edge": spec.image_size},
            crop_size={"height": spec.image_size, "width": spec.image_size},
            do_pad=True,  # pictures that are not square lose nothing to the crop
        ),
        tokenizer=train_tokenizer(texts, spec.vocabulary),
        patch_size=spec.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # CLIP's class token, which "default" then drops
        image_token=_IMAGE,
        chat_template=CHAT_TEMPLATE,
    )


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most ``vocabulary`` tokens; any text can be encoded and decoded unchanged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[BOS, EOS, UNKNOWN, PADDING, _IMAGE],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        pad_token=PADDING,
        extra_special_tokens={"image_token": _IMAGE},
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )


def tiny_config(spec: TinyModel, tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    """The model's configuration."""
    vision = CLIPVisionConfig(
        hidden_size=spec.vision_hidden_size,
        intermediate_size=4 * spec.vision_hidden_size,
        num_hidden_layers=spec.vision_layers,
        num_attention_heads=spec.vision_heads,
        image_size=spec.image_size,
        patch_size=spec.patch_size,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden_size,
        intermediate_size=8 * spec.hidden_size // 3 // 8 * 8,  # SwiGLU at the cost of a plain block of four widths
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        max_position_embeddings=2048,
        initializer_range=spec.hidden_size**-0.5,  # .02 suits wide models; at this width attention would start out flat
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,  # a name that is read can be written: copying is learned from few samples
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE),
        image_seq_length=(spec.image_size // spec.patch_size) ** 2,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
