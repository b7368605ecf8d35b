"""How a model of this machine writes: greedily, with beams, or drawn from the whole distribution.

Invariant: all that shapes a text is set here; nothing is taken over from the checkpoint but its end tokens.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from transformers import GenerationConfig


def generation_config(
    model: Any,
    tokenizer: Any,
    *,
    temperature: float,
    max_new_tokens: int,
    beams: int = 1,
    returned: int = 1,
    ends: Collection[int] = (),
    never: Collection[int] = (),
) -> GenerationConfig:
    """What ``model.generate`` is given.

    Args:
        model: the model, whose own end tokens end a text too.
        tokenizer: of the model.
        temperature: 0: no sampling.
        max_new_tokens: longest text.
        beams: 1 is greedy.
        returned: texts per prompt.
        ends: further ids that end a text.
        never: ids that no text holds; those that end it stay possible.
    """
    own = getattr(model.generation_config, "eos_token_id", None)
    end_ids = {own} if isinstance(own, int) else set(own or [])
    end_ids |= {tokenizer.eos_token_id, *ends} - {None}
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id, min(end_ids, default=None))
    sampling = temperature > 0
    return GenerationConfig(
        num_beams=beams,
        num_return_sequences=returned,
        do_sample=sampling,
        temperature=temperature if sampling else 1.0,
        top_k=0 if sampling else 50,  # 50 is transformers' "not set"
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        length_penalty=1.0,
        early_stopping=False,
        max_new_tokens=max_new_tokens,
        min_length=0,
        suppress_tokens=sorted(set(never) - end_ids) or None,
        eos_token_id=sorted(end_ids),
        pad_token_id=next((token for token in known if token is not None), None),
    )


def length_of(new_L: list[int], ends: Collection[int]) -> int:
    """How many tokens there are before the first that ends the text."""
    return next((at for at, token in enumerate(new_L) if token in ends), len(new_L))
