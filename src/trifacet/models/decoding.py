"""How a model of transformers writes.

Invariant: everything that shapes the text is set here; of the checkpoint only the end tokens are taken over.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from transformers import GenerationConfig

from trifacet.engine.family import core


def decoding(
    model: Any,
    tokenizer: Any,
    *,
    temperature: float,
    longest: int,
    ends: Collection[int] = (),
    reserved: Collection[int] = (),
    beams: int = 1,
    candidates: int = 1,
) -> GenerationConfig:
    """Greedy or by beams at temperature 0, else drawn from the whole distribution.

    Args:
        model: its end tokens end a text, as the tokenizer's and those of ``ends`` do.
        tokenizer: the model's.
        temperature: of the sampling.
        longest: most tokens of a text.
        ends: further ids that end a text.
        reserved: ids that no text holds, nor the padding then.
        beams: as in ``GenerationConfig``.
        candidates: texts for each prompt.
    """
    told = getattr(model.generation_config, "eos_token_id", None)
    end_ids = ({told} if isinstance(told, int) else set(told or [])) | {tokenizer.eos_token_id, *ends} - {None}
    pad = next(one for one in (tokenizer.pad_token_id, tokenizer.eos_token_id, *sorted(end_ids)) if one is not None)
    sampling = temperature > 0
    return GenerationConfig(
        num_beams=beams,
        num_return_sequences=candidates,
        do_sample=sampling,
        temperature=temperature if sampling else 1.0,
        top_k=0 if sampling else 50,  # 50 is transformers' "not set"
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        length_penalty=1.0,
        early_stopping=False,
        max_new_tokens=longest,
        min_length=0,
        suppress_tokens=sorted({*reserved, pad} - end_ids) if reserved else [],
        eos_token_id=sorted(end_ids),
        pad_token_id=pad,
    )


def generate(model: Any, config: GenerationConfig, **inputs: Any) -> Any:
    """``model.generate`` by ``config`` alone: what this leaves open is not the checkpoint's to fill in."""
    inner = core(model)
    own, inner.generation_config = inner.generation_config, GenerationConfig()
    try:
        return model.generate(generation_config=config, **inputs)
    finally:
        inner.generation_config = own


def length_of(new_L: list[int], ends: Collection[int]) -> int:
    """How many tokens there are before the first that ends the text."""
    return next((at for at, token in enumerate(new_L) if token in ends), len(new_L))
