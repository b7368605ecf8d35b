"""Randomness that belongs to a sample. Invariant: a key gives the same draws in every process and on every machine."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def generator(*key: str | int) -> np.random.Generator:
    """A generator that depends on ``key`` alone: not on the order of calls, the process or Python's hash seed.

    The key is hashed as JSON, so that ("a", "bc") and ("ab", "c") are different keys, and 1 is not "1".
    """
    digest = hashlib.sha256(json.dumps(key).encode("utf-8")).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
