"""What the tiny checkpoints of ``tiny_families`` have in common: sizes, a tokenizer, a text model, sharper weights."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SIDE, PATCH = 32, 8  # of a tile and of a patch, in pixels
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
PARTS = (
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}"
)
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n" + PARTS + "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer_of(
    specials: list[str], texts: list[str], *, bos: str | None = None, starts=False, **named
) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer in which runs of line breaks are single tokens; ``named``: eos_token, image_token ..."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<pad>", *specials],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    breaks = ["\n" * count for count in (2, 3, 4) for _ in range(200)]
    tokenizer.train_from_iterator([*texts, *breaks], trainer)
    if starts:
        start = (bos, tokenizer.token_to_id(bos))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[start])
    own = {name: named.pop(name) for name in ("eos_token",) if name in named}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        extra_special_tokens=named,
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        **({"bos_token": bos} if bos else {}),
        **own,
    )


def text_config(tokenizer, **others) -> dict:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **others,
    }


def saved(model, processor, folder: Path) -> Path:
    """The checkpoint, its matrices large enough for texts and images to tell in the scores."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2:
                weight.normal_(std=0.1 if "embed" in name else weight.shape[-1] ** -0.5)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
