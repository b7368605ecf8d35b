"""What the votes of a review add up to: wins, ties and losses of A, agreement, and how each judge votes.

Invariant: only votes that count enter, a skipped sample is no vote, and every interval comes from resampling samples,
with all their votes, as a whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trifacet.review.order import ReviewOutcome
from trifacet.review.store import Store, Vote
from trifacet.statistics.agreement import MISSING, alpha_measure, percent_measure, why_no_alpha
from trifacet.statistics.effects import sign_test
from trifacet.statistics.measures import Array, Measure, ratio
from trifacet.statistics.significance import percentile_interval

OUTCOMES: tuple[ReviewOutcome, ...] = ("lose", "tie", "win")  # in the order of their rank
_SEED, _DRAWS, _LEVEL = 17, 10_000, 0.95


def summarise_review(store: Store, *, seed: int = _SEED, draws: int = _DRAWS) -> dict[str, Any]:
    """The document of ``trifacet review --summary``; docs/review.md says what each key means."""
    votes = store.votes()
    counting = [vote for vote in votes if vote.counts and vote.outcome is not None]
    judges = [judge.name for judge in store.judges()]
    units = tuple(dict.fromkeys(vote.sample for vote in counting))
    table_UJ = _table(counting, units, judges)
    counts_UV = np.stack([(table_UJ == value).sum(axis=1) for value in range(3)], axis=1).astype(np.float64)
    majority_UV = majority(counts_UV)
    sample = _Resampling(seed, draws)
    same = {entry.id for entry in store.samples if entry.same}
    return {
        "models": list(store.names),
        "samples": len(store.samples),
        "judged": len(units),
        "identical": len(same),
        "identical_judged": len(same & set(units)),
        "votes": len(counting),
        "majority": _outcomes(units, majority_UV, sample) | {"sign_test": _sign_test(majority_UV)},
        "all_votes": _outcomes(units, counts_UV, sample),
        "agreement": _agreement(units, table_UJ, sample),
        "first_position": _first_position(counting, units, sample),
        "judges": [_judge(name, votes) for name in judges],
        "pairs": _pairs(judges, table_UJ),
    }


class _Resampling(NamedTuple):
    """The same ``draws`` sets of samples, drawn with replacement, for every measure."""

    seed: int
    draws: int

    def described(self, measure: Measure) -> dict[str, Any]:
        """{"value", "low", "high"}; None where one is not defined."""
        value = measure.value
        found = percentile_interval(measure, draws=self.draws, level=_LEVEL, seed=self.seed)
        low, high = found or (None, None)
        return {"value": None if math.isnan(value) else value, "low": low, "high": high}


def _table(votes: Sequence[Vote], units: Sequence[str], judges: Sequence[str]) -> NDArray[np.int64]:
    """(U, J): the outcomes' numbers in ``OUTCOMES``, or MISSING."""
    row, column = {name: at for at, name in enumerate(units)}, {name: at for at, name in enumerate(judges)}
    table_UJ = np.full((len(units), len(judges)), MISSING, dtype=np.int64)
    for vote in votes:
        assert vote.outcome is not None
        table_UJ[row[vote.sample], column[vote.judge]] = OUTCOMES.index(vote.outcome)
    return table_UJ


def majority(counts_UV: Array) -> Array:
    """The outcome with more votes than each other, else a tie: a single 1 per sample.

    Both (U, V), an outcome's votes in the order of ``OUTCOMES``.
    """
    most_U1 = counts_UV.max(axis=1, keepdims=True, initial=0)
    leads_UV = counts_UV == most_U1
    alone_U1 = leads_UV.sum(axis=1, keepdims=True) == 1
    return np.where(alone_U1, leads_UV, np.array([[False, True, False]])).astype(np.float64)


def _outcomes(units: tuple[str, ...], counts_UV: Array, sample: _Resampling) -> dict[str, Any]:
    total_U = counts_UV.sum(axis=1)
    document: dict[str, Any] = {"n": int(total_U.sum())}
    for value in (2, 1, 0):
        measure = Measure(OUTCOMES[value], units, np.stack([counts_UV[:, value], total_U], axis=1), ratio)
        document[OUTCOMES[value]] = {"count": int(counts_UV[:, value].sum()), **_share(sample.described(measure))}
    return document


def _share(described: dict[str, Any]) -> dict[str, Any]:
    return {"share": described["value"], "low": described["low"], "high": described["high"]}


def _sign_test(majority_UV: Array) -> dict[str, Any]:
    losses, _, wins = (int(count) for count in majority_UV.sum(axis=0))
    return {"wins": wins, "losses": losses, "p": sign_test(wins, losses) if wins + losses else None}


def _agreement(units: tuple[str, ...], table_UJ: NDArray[np.int64], sample: _Resampling) -> dict[str, Any]:
    reason = why_no_alpha(table_UJ)
    shared = int(((table_UJ != MISSING).sum(axis=1) > 1).sum())
    document: dict[str, Any] = {"shared_samples": shared, "undefined": reason or None}
    for measure in (
        alpha_measure("nominal", units, table_UJ, 3),
        alpha_measure("ordinal", units, table_UJ, 3),
        percent_measure(units, table_UJ),
    ):
        document[measure.name] = sample.described(measure)
    return document


def _first_position(votes: Sequence[Vote], units: tuple[str, ...], sample: _Resampling) -> dict[str, Any]:
    sums_U2 = np.zeros((len(units), 2))
    row = {name: at for at, name in enumerate(units)}
    for vote in votes:
        if vote.choice != "tie":
            sums_U2[row[vote.sample]] += (vote.choice == "first", 1)
    return {"n": int(sums_U2[:, 1].sum()), **_share(sample.described(Measure("first", units, sums_U2, ratio)))}


def _judge(name: str, votes: Sequence[Vote]) -> dict[str, Any]:
    own = [vote for vote in votes if vote.judge == name]
    counting = [vote for vote in own if vote.counts]
    outcomes = Counter(vote.outcome for vote in counting)
    choices = Counter(vote.choice for vote in counting)
    chosen = choices["first"] + choices["second"]
    return {
        "judge": name,
        "answered": len(counting) - choices["skip"],
        "skipped": choices["skip"],
        "revised": len(own) - len(counting),
        "without_image": sum(not vote.saw for vote in counting),
        **{value: outcomes[value] for value in reversed(OUTCOMES)},
        "first_position": choices["first"] / chosen if chosen else None,
    }


def _pairs(judges: Sequence[str], table_UJ: NDArray[np.int64]) -> list[dict[str, Any]]:
    rows = []
    for one, other in combinations(range(len(judges)), 2):
        shared = (table_UJ[:, one] != MISSING) & (table_UJ[:, other] != MISSING)
        alike = int((shared & (table_UJ[:, one] == table_UJ[:, other])).sum())
        n = int(shared.sum())
        rows.append({"judges": [judges[one], judges[other]], "samples": n, "agreement": alike / n if n else None})
    return rows
