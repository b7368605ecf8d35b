"""Where the words of an answer look: shares of attention mass, layer by layer.

Invariant: shares are of what does not stay within the answer, and sum to 1.
Shape letters: Q words of the answer, G groups of tokens, Y layers.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifacet.engine.watching import Floats, Watch
from trifacet.engine.watching import watching as watching_tokens
from trifacet.probing.forcing import GROUPS, RESPONSE, Forced

SHARES = GROUPS[:RESPONSE]  # those that sum to 1


def watching(model: Any, forced: Forced) -> AbstractContextManager[Watch]:
    """A block in which forwards of the sequence ``forced`` are watched: its words over ``GROUPS``."""
    return watching_tokens(model, forced.words_at, forced.groups_L, len(GROUPS))


def masses_of(watch: Watch) -> Floats:
    """The mean over the watched words, (Y, G)."""
    return np.stack([masses_QG.mean(axis=0) for masses_QG in watch.masses])


@dataclass(frozen=True)
class Shares:
    """One sample's attention.

    ``shares_Y4``: per layer, the shares of image, context, prompt and first token in what does not stay within the
    answer; they sum to 1, and are nan in a layer whose window the answer fills. ``response_Y``: what stays in it.
    ``tokens_4``: the same shares, counted in tokens.
    """

    shares_Y4: Floats
    response_Y: Floats
    tokens_4: Floats

    @property
    def mean_4(self) -> Floats:
        """The mean over layers."""
        return np.nanmean(self.shares_Y4, axis=0)


def shares_of(masses_YG: Floats, forced: Forced) -> Shares:
    """From attention masses, whose rows sum to 1, to shares."""
    before_Y4 = masses_YG[:, :RESPONSE]
    outside_Y1 = before_Y4.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares_Y4 = np.where(outside_Y1 > 0, before_Y4 / outside_Y1, np.nan)
    counts_4 = np.bincount(forced.groups_L, minlength=len(GROUPS))[:RESPONSE].astype(np.float64)
    return Shares(shares_Y4, masses_YG[:, RESPONSE], counts_4 / counts_4.sum())
