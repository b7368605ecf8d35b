"""Vectors of words: by the policy's own input embeddings, or by a text encoder of the user's.

Invariant: a word's vector depends on the word and the model, not on the words beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trifacet.base.errors import TrifacetError
from trifacet.regions.keywords.settings import KeyWords

Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # n texts -> [n, width]
_BATCH = 32
_BEFORE = "the "  # words in the middle of a text are other tokens than those at its beginning
_UNREAD = r"\bpooler\."


def open_embedder(settings: KeyWords, model: Any = None, tokenizer: Any = None) -> Embed | None:
    """What the settings ask for; None where embeddings have no say.

    Args:
        settings: the section.
        model: the policy, for ``embeddings: policy``.
        tokenizer: the policy's.

    Raises:
        TrifacetError: the policy is asked for and not given, or a text encoder cannot be loaded.
    """
    if settings.embeddings == "none" or settings.method != "mfpo" or settings.mfpo.gamma == 0:
        return None
    if settings.embeddings != "policy":
        return text_embedder(settings.embeddings)
    if model is None or tokenizer is None:
        raise TrifacetError(
            "regions.words.embeddings: 'policy' needs the model that is to be aligned; name it (--model), or set "
            "words.embeddings to a text encoder, or to none, which ranks by place alone"
        )
    return policy_embedder(model, tokenizer)


def policy_embedder(model: Any, tokenizer: Any) -> Embed:
    """The mean of the input embeddings of a text's tokens, as they are in the middle of a text.

    Args:
        model: any with ``get_input_embeddings``, adapted or not.
        tokenizer: its tokenizer.

    Raises:
        TrifacetError: the tokenizer does not say where in a text its tokens stand.
    """
    import torch

    if not getattr(tokenizer, "is_fast", False):
        raise TrifacetError(
            "regions.words.embeddings: 'policy' needs a fast tokenizer (tokenizer.json); name a text encoder, or none"
        )

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 1), np.float32)
        table = model.get_input_embeddings()
        device = next(table.parameters()).device
        vectors = np.zeros((len(texts), int(table.weight.shape[1])), np.float32)
        whole = [_BEFORE + text for text in texts]
        read = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        for place, (text, pairs) in enumerate(
            zip(whole, map(zip, read["input_ids"], read["offset_mapping"]), strict=True)
        ):
            ids = [
                one
                for one, (start, end) in pairs
                if end > len(_BEFORE) and not text[start:end].isspace() and end > start
            ]
            if ids:
                vectors[place] = table(torch.tensor(ids, device=device)).float().mean(dim=0).cpu().numpy()
        return vectors

    return embed


def text_embedder(source: str, device: str = "auto") -> Embed:
    """A text encoder: the text side of a CLIP-family model, or of any other the mean over its tokens' last states.

    Args:
        source: hub id or folder.
        device: as in ``pick_device``.

    Raises:
        TrifacetError: as ``read_weights``; or the model is no encoder of texts.
    """
    from transformers import AutoModel

    from trifacet.models.checkpoint import read_weights, reading
    from trifacet.models.loading import pick_device
    from trifacet.models.processors import read_tokenizer

    with reading(source, "regions.words.embeddings"):
        model = read_weights(AutoModel, source, device=pick_device(device), may_lack=_UNREAD, may_add=_UNREAD)
        tokenizer = read_tokenizer(source)
    pairs = hasattr(model, "get_text_features")
    if tokenizer.pad_token is None or not (pairs or model.main_input_name == "input_ids"):
        raise TrifacetError(
            f"regions.words.embeddings: {source!r} is no encoder of texts; use one of the CLIP or BERT family"
        )
    longest = _longest(model, tokenizer)
    # SigLIP was trained on padded texts; a mean over tokens leaves padding out
    how = {"padding": "max_length" if pairs else True, "truncation": True, "max_length": longest}
    import torch

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = []
        for start in range(0, len(texts), _BATCH):
            read = tokenizer(list(texts[start : start + _BATCH]), return_tensors="pt", **how).to(model.device)
            if pairs:
                output = model.get_text_features(**read)
                vector = getattr(output, "pooler_output", output)
            else:
                states = model(**read).last_hidden_state.float()
                there = read["attention_mask"].unsqueeze(-1)
                vector = (states * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
            vectors.append(vector.float().cpu().numpy())
        return np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)

    return embed


def _longest(model: Any, tokenizer: Any) -> int:
    config = getattr(model.config, "text_config", model.config)
    return min(int(getattr(config, "max_position_embeddings", 512)), int(tokenizer.model_max_length))
