"""Whether chosen texts are longer than rejected ones over all pairs of a round, and the cut-off that balances them.

Of pairs in which the side that is longer on the whole is longest, by the difference of the lengths over the longer of
the two, so many are left out that both sides have the same mean length: RLAIF-V's cut-off (arXiv 2405.17220). Ours: it
is made only where the difference is more than chance, and leaves at least half of the pairs.

Invariant: which pairs are left out follows from the lengths of all pairs of the round and from nothing else, and from
the document of the round (``balanced``) for each pair alone. Memory holds two numbers of a pair.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trifacet.base.files import replacing
from trifacet.base.opening import opened
from trifacet.evolving.settings import Pairs

FEWEST = 20  # pairs from which lengths say something of all
_SURE = 2.0  # standard errors of the mean difference
_MOST = 0.5  # of the pairs that may be left out


def balanced(files: Iterable[Path], target: Path, settings: Pairs) -> dict[str, Any]:
    """Write the pairs of a round's parts one behind the other, less those that make one side longer.

    Args:
        files: rows of pairs, a part each.
        target: where they go.
        settings: ``pairs.length_matched`` off: nothing is left out.

    Returns:
        longer: "chosen" or "rejected", the side that is longer on the whole (None: neither, or nothing is balanced);
        at: the relative difference above which a pair is left out (None: none is);
        left_out: how many were;
        difference, after: characters by which chosen texts are longer in the mean, of all pairs and of those that stay
        (None without any).
    """
    paths = list(files)
    differences, relative = array("d"), array("d")
    for row, _ in _rows(paths):
        difference, longest = _lengths(row)
        differences.append(difference)
        relative.append(difference / longest)
    told = cut_of(np.array(differences), np.array(relative), wanted=settings.length_matched)
    with replacing(target) as temporary, temporary.open("wb") as out:
        for row, line in _rows(paths):
            if not is_left_out(row, told):
                out.write(line)
    return told


def cut_of(differences_N: np.ndarray, relative_N: np.ndarray, *, wanted: bool = True) -> dict[str, Any]:
    """What ``balanced`` returns, from lengths of chosen less rejected texts, and the same over the longer one's."""
    count = len(differences_N)
    mean = float(differences_N.mean()) if count else None
    told: dict[str, Any] = {"longer": None, "at": None, "left_out": 0, "difference": mean, "after": mean}
    if not wanted or mean is None or count < FEWEST:
        return told
    if abs(mean) <= _SURE * float(differences_N.std(ddof=1)) / count**0.5:
        return told
    sign = 1.0 if mean > 0 else -1.0
    order = np.argsort(-sign * relative_N, kind="stable")
    sorted_N = sign * relative_N[order]
    left = float(differences_N.sum()) - np.concatenate([[0.0], np.cumsum(differences_N[order])])[:-1]
    means = np.abs(left / np.arange(count, 0, -1))  # after the first 0, 1, 2 ... were left out
    # pairs that differ alike go together, and only those in which the longer side is longer
    cuts = [0, *(np.flatnonzero(np.diff(sorted_N) < 0) + 1)]
    cuts = [cut for cut in cuts if cut <= _MOST * count and (cut == 0 or sorted_N[cut - 1] > 0)]
    best = min(cuts, key=lambda cut: (means[cut], cut))
    told["longer"] = "chosen" if sign > 0 else "rejected"
    if best:
        kept = differences_N[order[best:]]
        told |= {"at": float(sorted_N[best]), "left_out": int(best), "after": float(kept.mean())}
    return told


def is_left_out(row: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a pair (a row of preference data) is left out, by the ``lengths`` of its round's document."""
    if told.get("at") is None:
        return False
    difference, longest = _lengths(row)
    return (difference if told["longer"] == "chosen" else -difference) / longest > told["at"]


def _lengths(row: Mapping[str, Any]) -> tuple[int, int]:
    """How many characters more the chosen text has than the rejected one, and the longer one's."""
    chosen, rejected = len(row["response"]), len(row["rejected_responses"][0])
    return chosen - rejected, max(chosen, rejected, 1)


def _rows(files: Iterable[Path]) -> Iterator[tuple[dict[str, Any], bytes]]:
    for file in files:
        with opened(file) as source:
            for line in source:
                yield json.loads(line), line
