"""A tiny random checkpoint of every family, with its real processor class and a chat template in its style.

Nothing is downloaded. Image processors are those that need no torchvision; where a processor wants a video processor
too, which does need it, the stand-in of ``trifacet.models.processors`` takes its place.
"""

import copy
import functools
from pathlib import Path

import torch
from tiny_parts import CHATML, PARTS, PATCH, SIDE, VISION, saved, text_config, tokenizer_of
from tiny_qwen import qwen2_5_vl, qwen2_vl, qwen3_vl
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    GotOcr2ImageProcessorPil,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    SiglipImageProcessorPil,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
    SmolVLMProcessor,
)

from trifacet.models.llava import VICUNA_TEMPLATE
from trifacet.models.loading import LoadedModel, load_model
from trifacet.models.processors import without_videos


def clip() -> CLIPVisionConfig:
    return CLIPVisionConfig(**VISION, image_size=SIDE, patch_size=PATCH)


def llava(folder: Path, texts: list[str], text=LlamaConfig, vision=None, **others) -> Path:
    """Over a Llama and CLIP, or with ``text`` another language model, with ``vision`` another encoder."""
    specials = ["<s>", "</s>", "<image>"]
    tokenizer = tokenizer_of(specials, texts, bos="<s>", starts=True, eos_token="</s>", image_token="<image>")
    images = LlavaImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    if vision is not None:
        images = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    strategy = "full" if vision else "default"  # CLIP's first feature is no patch's
    processor = LlavaProcessor(
        images, tokenizer, patch_size=PATCH, vision_feature_select_strategy=strategy,
        num_additional_image_tokens=0 if vision else 1, chat_template=VICUNA_TEMPLATE,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision or clip(), vision_feature_select_strategy=strategy,
        text_config=text(**text_config(tokenizer, **others)),
        image_token_index=processor.image_token_id, vision_feature_layer=-2,
    )  # fmt: skip
    return saved(LlavaForConditionalGeneration(config), processor, folder)


def llava_next(folder: Path, texts: list[str]) -> Path:
    specials = ["<s>", "</s>", "<image>"]
    tokenizer = tokenizer_of(specials, texts, bos="<s>", starts=True, eos_token="</s>", image_token="<image>")
    pinpoints = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE], [SIDE, 3 * SIDE]]
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=pinpoints
    )
    processor = LlavaNextProcessor(
        images, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=VICUNA_TEMPLATE,
    )  # fmt: skip
    config = LlavaNextConfig(
        vision_config=clip(), text_config=LlamaConfig(**text_config(tokenizer)), image_grid_pinpoints=pinpoints,
        image_token_index=processor.image_token_id, vision_feature_layer=-2,
    )  # fmt: skip
    return saved(LlavaNextForConditionalGeneration(config), processor, folder)


IDEFICS_TEMPLATE = (
    "START{% for message in messages %}{{ message['role'].capitalize() }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    + PARTS.replace("IMAGE", "<image>")
    + "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
IDEFICS_PLACES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
IDEFICS_IMAGE = {"size": {"longest_edge": 2 * SIDE}, "max_image_size": {"longest_edge": SIDE}}
IDEFICS_VISION = {**VISION, "image_size": SIDE, "patch_size": PATCH}


def idefics3(folder: Path, texts: list[str]) -> Path:
    """As the hub has it: places of tiles are plain text, and a turn ends with another token than the text."""
    specials = ["<bos>", "<eos>"]
    tokenizer = tokenizer_of(specials, texts, bos="<bos>", starts=True, eos_token="<eos>")
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]}
    )
    processor = Idefics3Processor(
        Idefics3ImageProcessorPil(**IDEFICS_IMAGE), tokenizer, image_seq_len=4,
        chat_template=IDEFICS_TEMPLATE.replace("START", "{{ bos_token }}"),
    )  # fmt: skip
    config = Idefics3Config(
        text_config=LlamaConfig(**text_config(tokenizer)), vision_config=IDEFICS_VISION, scale_factor=2,
        image_token_id=processor.image_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return saved(Idefics3ForConditionalGeneration(config), processor, folder)


def smolvlm(folder: Path, texts: list[str]) -> Path:
    around = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    specials = ["<|im_start|>", *around, *IDEFICS_PLACES]
    tokenizer = tokenizer_of(
        specials, texts, bos="<|im_start|>", eos_token="<end_of_utterance>", image_token="<image>",
        fake_image_token="<fake_token_around_image>", global_image_token="<global-img>",
    )  # fmt: skip
    settings = {"image_seq_len": 4, "chat_template": IDEFICS_TEMPLATE.replace("START", "<|im_start|>")}
    images = SmolVLMImageProcessorPil(**IDEFICS_IMAGE)
    processor = without_videos(SmolVLMProcessor, settings, image_processor=images, tokenizer=tokenizer)
    config = SmolVLMConfig(
        text_config=LlamaConfig(**text_config(tokenizer)), vision_config=IDEFICS_VISION, scale_factor=2,
        image_token_id=processor.image_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return saved(SmolVLMForConditionalGeneration(config), processor, folder)


def internvl(folder: Path, texts: list[str]) -> Path:
    specials = ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
    tokenizer = tokenizer_of(
        specials, texts, eos_token="<|im_end|>", start_image_token="<img>", end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    settings = {"image_seq_length": 4, "chat_template": CHATML.replace("IMAGE", "<IMG_CONTEXT>\n")}
    images = GotOcr2ImageProcessorPil(size={"height": SIDE, "width": SIDE}, max_patches=4)
    processor = without_videos(InternVLProcessor, settings, image_processor=images, tokenizer=tokenizer)
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        vision_config={**VISION, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        image_token_id=processor.image_token_id, downsample_ratio=0.5, image_seq_length=4,
    )  # fmt: skip
    return saved(InternVLForConditionalGeneration(config), processor, folder)


GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    + PARTS.replace("IMAGE", "<start_of_image>").replace("part['text']", "part['text'] | trim")
    + "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def gemma3(folder: Path, texts: list[str]) -> Path:
    """With layers that see twenty tokens only, fewer than a post has."""
    around = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = tokenizer_of(
        ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", *around], texts, bos="<bos>", starts=True,
        eos_token="<eos>", boi_token=around[0], eoi_token=around[1], image_token=around[2],
    )  # fmt: skip
    processor = Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer, image_seq_length=4,
        chat_template=GEMMA_TEMPLATE,
    )  # fmt: skip
    config = Gemma3Config(
        text_config=text_config(
            tokenizer, head_dim=12, query_pre_attn_scalar=12, sliding_window=20, num_hidden_layers=3,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        vision_config={**VISION, "image_size": SIDE, "patch_size": PATCH, "vision_use_head": False},
        image_token_index=tokenizer.image_token_id, boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id, mm_tokens_per_image=4,
    )  # fmt: skip
    return saved(Gemma3ForConditionalGeneration(config), processor, folder)


MAKERS = {
    maker.__name__: maker
    for maker in (llava, llava_next, qwen2_vl, qwen2_5_vl, qwen3_vl, idefics3, smolvlm, internvl, gemma3)
}


def make_family(name: str, folder: Path, texts: list[str]) -> Path:
    """The tiny checkpoint of the family ``name`` (its model_type) in ``folder``."""
    torch.manual_seed(7)
    return MAKERS[name](folder, texts)


@functools.cache
def _loaded(folder: Path) -> LoadedModel:
    return load_model(folder, image_tiles="any")


def load_copy(folder: Path) -> LoadedModel:
    """A family's checkpoint as if loaded anew, in a fifth of the time."""
    return copy.deepcopy(_loaded(folder))
