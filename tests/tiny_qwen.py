"""The tiny checkpoints of Qwen's three families, for ``tiny_families``."""

from pathlib import Path

from tiny_parts import CHATML, PATCH, saved, text_config, tokenizer_of
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)

from trifacet.models.processors import without_videos

QWEN_TOKENS = [
    "<|im_end|>", "<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip
QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    + CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
)
QWEN_VISION = {"depth": 3, "num_heads": 2, "patch_size": PATCH}


def qwen_processor(kind, texts: list[str]):
    """One to sixteen tokens of 16 x 16 pixels for an image."""
    tokenizer = tokenizer_of(QWEN_TOKENS, texts, eos_token="<|im_end|>")
    images = Qwen2VLImageProcessorPil(
        patch_size=PATCH, size={"shortest_edge": (2 * PATCH) ** 2, "longest_edge": 16 * (2 * PATCH) ** 2}
    )
    return without_videos(kind, {"chat_template": QWEN_TEMPLATE}, image_processor=images, tokenizer=tokenizer)


def qwen_ids(tokenizer) -> dict[str, int]:
    return {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{name}|>".replace("image", "image_pad"))
        for name in ("image", "vision_start", "vision_end")
    } | {"video_token_id": tokenizer.convert_tokens_to_ids("<|video_pad|>")}


def qwen_text(tokenizer, **others) -> dict:
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2], **others}
    return text_config(tokenizer, head_dim=12, rope_parameters=rope)


def qwen2_vl(folder: Path, texts: list[str]) -> Path:
    processor = qwen_processor(Qwen2VLProcessor, texts)
    config = Qwen2VLConfig(
        text_config=qwen_text(processor.tokenizer), vision_config={**QWEN_VISION, "embed_dim": 32, "hidden_size": 48},
        **qwen_ids(processor.tokenizer),
    )  # fmt: skip
    return saved(Qwen2VLForConditionalGeneration(config), processor, folder)


def qwen2_5_vl(folder: Path, texts: list[str]) -> Path:
    """With windows of two by two tokens, smaller than an image."""
    processor = qwen_processor(Qwen2_5_VLProcessor, texts)
    vision = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 48}
    config = Qwen2_5_VLConfig(
        text_config=qwen_text(processor.tokenizer),
        vision_config={**QWEN_VISION, **vision, "window_size": 4 * PATCH, "fullatt_block_indexes": [1]},
        **qwen_ids(processor.tokenizer),
    )  # fmt: skip
    return saved(Qwen2_5_VLForConditionalGeneration(config), processor, folder)


def qwen3_vl(folder: Path, texts: list[str]) -> Path:
    """With features of two of its vision layers for two layers of the language model."""
    processor = qwen_processor(Qwen3VLProcessor, texts)
    vision = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 48}
    config = Qwen3VLConfig(
        text_config=qwen_text(processor.tokenizer, mrope_interleaved=True),
        vision_config={**QWEN_VISION, **vision, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]},
        **qwen_ids(processor.tokenizer),
    )  # fmt: skip
    return saved(Qwen3VLForConditionalGeneration(config), processor, folder)
