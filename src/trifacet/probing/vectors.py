"""The hidden states behind the figure of a model, on disk, so that several models can be drawn in one plane.

Invariant: a file holds numbers and names only (safetensors); what is read back is what was written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trifacet.base.errors import DataError
from trifacet.base.files import replacing
from trifacet.base.json_text import parse_json
from trifacet.base.opening import opened

LARGEST = 4_000_000_000  # bytes of a file that is read


WIDEST = 1e15  # of a number in it: sums of squares are numbers too


@dataclass(frozen=True)
class Vectors:
    """A model's name, sample ids, and the states (S, d), float32, of its own and of the reference texts."""

    model: str
    ids: tuple[str, ...]
    generated_Sd: NDArray[np.float32]
    reference_Sd: NDArray[np.float32]

    def of(self, ids: Sequence[str]) -> Vectors:
        """Those of these samples, in this order."""
        rows = {name: row for row, name in enumerate(self.ids)}
        at = [rows[name] for name in ids]
        return Vectors(self.model, tuple(ids), self.generated_Sd[at], self.reference_Sd[at])


def write_vectors(vectors: Vectors, path: Path) -> None:
    """Write whole or not at all."""
    named = {"model": vectors.model, "ids": json.dumps(vectors.ids)}
    with replacing(path) as temporary:
        save_file({"generated": vectors.generated_Sd, "reference": vectors.reference_Sd}, temporary, metadata=named)


def read_vectors(path: Path) -> Vectors:
    """What ``write_vectors`` wrote. Raises DataError for anything else."""
    try:
        with opened(path, most=LARGEST), safe_open(path, framework="numpy") as file:
            named = file.metadata() or {}
            ids = parse_json(named["ids"])
            generated_Sd, reference_Sd = file.get_tensor("generated"), file.get_tensor("reference")
        sound = (
            isinstance(ids, list)
            and all(isinstance(name, str) for name in ids)
            and generated_Sd.dtype == reference_Sd.dtype == np.float32
            and len(set(ids)) == len(ids)
            and generated_Sd.shape == reference_Sd.shape
            and generated_Sd.ndim == 2
            and len(generated_Sd) == len(ids) > 0
            and all(bool((np.abs(states) <= WIDEST).all()) for states in (generated_Sd, reference_Sd))
        )
        if sound:
            return Vectors(str(named["model"]), tuple(ids), generated_Sd, reference_Sd)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError):
        pass
    raise DataError("holds no vectors of a model", fix="give a file that trifacet probe --vectors wrote", file=path)
