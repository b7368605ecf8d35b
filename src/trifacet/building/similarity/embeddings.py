"""Pictures and texts as a CLIP-family model of the user's sees them.

Invariant: vectors have length 1 and are kept in float16, with 64 signs of random projections of each by which near ones
are found (M. Charikar, STOC 2002).
"""

from __future__ import annotations

from functools import cache
from math import acos, ceil, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.building.similarity.spool import BLOCK, Spool

_Ints = NDArray[np.int64]
_BATCH = 32  # pictures or texts at a time


class Encoder(NamedTuple):
    """A model with its processor."""

    model: Any
    processor: Any


@cache
def load_encoder(source: str) -> Encoder:
    """The model of a folder or hub id, on the accelerator if there is one; once per process.

    Raises:
        TrifacetError: it cannot be loaded, lacks weights, or is not a model of both pictures and texts.
    """
    from transformers import AutoModel, AutoProcessor

    from trifacet.models.checkpoint import read_weights, reading
    from trifacet.models.loading import pick_device
    from trifacet.models.processors import refuse_odd_normalisation, try_tokenizer_of

    with reading(source, "near-duplicates.model"):
        try_tokenizer_of(source)
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=False)
        refuse_odd_normalisation(source, getattr(processor, "image_processor", None))
        model = read_weights(AutoModel, source, device=pick_device("auto"))
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise TrifacetError(
            f"near-duplicates.model: {source!r} is a {type(model).__name__}; use one of the CLIP family (CLIP, SigLIP)"
        )
    return Encoder(model, processor)


def embed_pictures(encoder: Encoder, images: list[Image.Image]) -> NDArray[np.float32]:
    """[n, width] vectors of length 1."""
    return _embed(encoder, encoder.model.get_image_features, lambda part: {"images": part}, images)


def embed_texts(encoder: Encoder, texts: list[str]) -> NDArray[np.float32]:
    """[n, width] vectors of length 1; of a long text the beginning that the model reads."""
    # padded to the full length, as SigLIP wants it, and so that a vector does not depend on its neighbours' length
    how = {"padding": "max_length", "truncation": True, "max_length": _longest(encoder)}
    return _embed(encoder, encoder.model.get_text_features, lambda part: {"text": part, **how}, texts)


def columns_of(vectors: NDArray[np.float32], there: NDArray[np.bool_], name: str) -> dict[str, pa.Array]:
    """Columns ``NAME_code`` and ``NAME_vector`` (bytes of float16) of all rows, null but for those that are there."""
    codes, values = np.zeros(len(there), np.uint64), [None] * len(there)
    if there.any():
        bits = vectors @ _planes(vectors.shape[1]) > 0
        codes[there] = np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)[:, 0]
        for place, vector in zip(np.flatnonzero(there), vectors.astype(np.float16), strict=True):
            values[place] = vector.tobytes()
    return {f"{name}_code": pa.array(codes, mask=~there), f"{name}_vector": pa.array(values, pa.binary())}


def code_distance(cosine: float) -> int:
    """Bits by which codes of vectors with this cosine differ, three standard deviations added."""
    share = acos(cosine) / pi
    return ceil(64 * share + 3 * sqrt(64 * share * (1 - share)))


def cosines(spool: Spool, first: _Ints, second: _Ints) -> NDArray[np.float64]:
    """[n]: cosine of the vectors at the places."""
    found = [np.empty(0)]
    for start in range(0, len(first), BLOCK):
        one, other = (spool.matrix(places[start : start + BLOCK]).astype(np.float64) for places in (first, second))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)  # 1 but for rounding to float16
        found.append((one * other).sum(axis=1) / np.maximum(lengths, 1e-9))
    return np.concatenate(found)


def _embed(encoder: Encoder, function: Any, inputs: Any, things: list[Any]) -> NDArray[np.float32]:
    import torch

    vectors = []
    with torch.inference_mode():
        for start in range(0, len(things), _BATCH):
            ready = encoder.processor(**inputs(things[start : start + _BATCH]), return_tensors="pt")
            output = function(**{key: value.to(encoder.model.device) for key, value in ready.items()})
            vector = getattr(output, "pooler_output", output)
            vectors.append(torch.nn.functional.normalize(vector.float(), dim=-1).cpu().numpy())
    return np.concatenate(vectors) if vectors else np.empty((0, 1), np.float32)


def _longest(encoder: Encoder) -> int:
    text = getattr(encoder.model.config, "text_config", encoder.model.config)
    return int(text.max_position_embeddings)


@cache
def _planes(width: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((width, 64)).astype(np.float32)
