"""Which tokens of a chosen and a rejected response differ, and how much each token counts.

Invariant: weights depend on token ids, the row's own segments and the settings alone, so policy and reference weigh a
response alike. Source: DDPO (RLHF-V, arXiv 2312.00849): the log-prob of a response is the sum over unchanged tokens
plus gamma times that over changed ones, divided by the number of the first plus gamma times that of the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.settings.section import Section

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Spans = list[tuple[int, int]]
SEGMENTS = "segments"  # the column in which a row says what was corrected


class ChangedTokens(Section):
    """Tokens that differ between the chosen and the rejected responses count more (DDPO)."""

    gamma: float = Field(5.0, ge=1, le=1_000_000, description="weight of a changed token; the others have 1")
    normalised: bool = Field(
        True, description="divide a response's log-prob by the sum of its weights, as DDPO's paper does"
    )
    source: Literal["auto", "segments", "diff"] = Field(
        "auto",
        description="what tells them: the row's own segments (a row without them is refused), a comparison of token "
        "ids, or auto: segments where a row has them",
    )
    shortest_match: int = Field(
        3,
        ge=1,
        le=1000,
        description="diff: a run of fewer equal tokens between two changes counts as changed; DDPO's code has 3",
    )


@dataclass(frozen=True)
class Changes:
    """How the tokens of one sample's responses are weighed; ``segments`` are (chosen, rejected) texts, if any count."""

    settings: ChangedTokens
    segments: tuple[tuple[str, str], ...] | None = None

    def changed(self, ids_VL: Sequence[Ints]) -> list[Bools]:
        """By comparison: of each version, the chosen one first, which tokens are changed; of the chosen one those that
        differ from any rejected version.
        """
        chosen, *rejected = ids_VL
        masks = [np.zeros(len(chosen), dtype=bool)]
        for other in rejected:
            mine, theirs = changed_tokens(chosen, other, self.settings.shortest_match)
            masks[0] |= mine
            masks.append(theirs)
        return masks

    def weights(self, changed_L: Bools) -> Floats:
        """The weight of each token of a response."""
        weights_L = np.where(changed_L, self.settings.gamma, 1.0)
        return (weights_L / weights_L.sum() if self.settings.normalised else weights_L).astype(np.float32)


def changed_tokens(one_L: Ints, other_L: Ints, shortest_match: int = 1) -> tuple[Bools, Bools]:
    """Which tokens of each are outside the runs that both share in order.

    What both begin and end with is never changed; a run of fewer than ``shortest_match`` equal tokens between is.
    Unlike in DDPO's released code, what was only added or only left out counts as changed too.
    """
    one, other = one_L.tolist(), other_L.tolist()
    shorter = min(len(one), len(other))
    start = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    left = shorter - start
    end = next((at for at in range(left) if one[-1 - at] != other[-1 - at]), left)
    masks = tuple(np.arange(size) >= start for size in (len(one), len(other)))
    for mask in masks:
        mask[len(mask) - end :] = False
    middle = SequenceMatcher(None, one[start : len(one) - end], other[start : len(other) - end])
    for match in middle.get_matching_blocks():
        if match.size >= shortest_match:
            for mask, at in zip(masks, (match.a, match.b), strict=True):
                mask[start + at : start + at + match.size] = False
    return masks[0], masks[1]


def segments_of(extra: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    """The (chosen, rejected) texts of a row's column ``segments``; None where it has none.

    Raises:
        DataError: the column is something else.
    """
    given = extra.get(SEGMENTS)
    if given is None:
        return None
    fix = 'write a list of {"chosen": text, "rejected": text}, in order; either text may be empty'
    if not isinstance(given, list):
        raise DataError(f"is not a list ({type(given).__name__})", fix=fix, field=SEGMENTS)
    found: list[tuple[str, str]] = []
    for number, one in enumerate(given, start=1):
        chosen, rejected = (one.get("chosen", ""), one.get("rejected", "")) if isinstance(one, dict) else (None, None)
        if not (isinstance(chosen, str) and isinstance(rejected, str) and (chosen or rejected)):
            raise DataError(f"entry {number} says no text of either side", fix=fix, field=SEGMENTS)
        found.append((chosen, rejected))
    return tuple(found)


def segment_spans(text: str, segments: Sequence[str]) -> Spans:
    """Where in ``text`` the segments stand, each behind the one before; empty ones are left out.

    Raises:
        DataError: one is not there.
    """
    spans: Spans = []
    at = 0
    for number, segment in enumerate(segments, start=1):
        if not segment:
            continue
        start = text.find(segment, at)
        if start < 0:
            problem = f"entry {number} ({segment[:40]!r}) is not in its response, behind the entries before it"
            raise DataError(problem, fix="write segments as they stand in the response, in order", field=SEGMENTS)
        at = start + len(segment)
        spans.append((start, at))
    return spans
