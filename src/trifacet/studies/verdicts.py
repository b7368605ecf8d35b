"""What became of the claims: each holds, does not hold, or cannot be told.

A claim over several cells holds where each part does (the intersection-union principle: its p-value is that of its
weakest part); it does not hold where one part is shown to be false (Bonferroni over its parts). p-values are two-sided
and corrected over the study's claims by Holm. Invariant: "does not hold" needs evidence as "holds" does; what no test
tells, or what is of one seed, cannot be told.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from trifacet.statistics.effects import corrected
from trifacet.statistics.over_seeds import LEVEL, Estimate
from trifacet.studies.outcomes import Outcomes
from trifacet.studies.statements import Statement

Verdict = Literal["holds", "does not hold", "cannot be told"]
FEWEST = 2  # seeds


@dataclass(frozen=True)
class Part:
    """One difference that a claim is about, in the claim's direction: what is claimed is that it exceeds the margin.

    Of a claim of equality the difference is cell less other.
    """

    cell: str
    other: str
    estimate: Estimate | None


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    ``smallest``: the effect beyond the margin that this study finds with a power of .8, of its weakest part, at the
    level of the hardest step of Holm's correction. ``why``: in words, where the verdict needs some.
    """

    statement: Statement
    parts: tuple[Part, ...]
    verdict: Verdict
    p: float | None
    p_corrected: float | None
    smallest: float | None
    seeds: tuple[int, ...]
    why: str


def judge(statements: Sequence[Statement], outcomes: Outcomes, seeds: Sequence[int], *, crossed: bool) -> list[Judged]:
    """The verdict on each statement."""
    tested = [_tested(one, outcomes, seeds, crossed=crossed) for one in statements]
    p_values = corrected([None if two is None else min(two) for _, _, two in tested], "holm")
    count = sum(two is not None for _, _, two in tested)
    unknown = {one.measure for one in statements if not outcomes.is_measured(one.measure)}
    return [
        _judged(statement, parts, there, two, p, len(seeds), (1 - LEVEL) / max(count, 1), unknown)
        for statement, (parts, there, two), p in zip(statements, tested, p_values, strict=True)
    ]


def _tested(
    statement: Statement, outcomes: Outcomes, seeds: Sequence[int], *, crossed: bool
) -> tuple[tuple[Part, ...], tuple[int, ...], tuple[float, float] | None]:
    """The parts, the seeds in which all of its cells are, and the p-values of "it holds" and "it does not hold"."""
    there = tuple(outcomes.seeds_of([statement.cell, *statement.others], statement.measure, seeds))
    parts = []
    for other in statement.others:
        pair = (other, statement.cell) if statement.sign == "<" else (statement.cell, other)
        parts.append(Part(*pair, outcomes.difference(*pair, statement.measure, there, crossed=crossed)))
    found = [_p_values(statement, part.estimate) for part in parts]
    known = [one for one in found if one is not None]
    if len(known) < len(parts) or len(there) < FEWEST:
        return tuple(parts), there, None
    holds = min(1.0, 2 * max(one[0] for one in known))
    fails = min(1.0, 2 * len(known) * min(one[1] for one in known))
    return tuple(parts), there, (holds, fails)


def _p_values(statement: Statement, estimate: Estimate | None) -> tuple[float, float] | None:
    """One-sided p-values for one part: that of the claim, and that of its contrary."""
    if estimate is None:
        return None
    margin = statement.margin
    above, below = estimate.p_above(margin), estimate.p_below(margin)
    if above is None or below is None:
        return None
    if statement.sign != "=":
        return above, below
    above_lower, below_lower = estimate.p_above(-margin), estimate.p_below(-margin)
    assert above_lower is not None and below_lower is not None
    return max(above_lower, below), min(above, below_lower)


def _judged(
    statement: Statement,
    parts: tuple[Part, ...],
    there: tuple[int, ...],
    two: tuple[float, float] | None,
    p: float | None,
    asked: int,
    alpha: float,
    unknown: Set[str],
) -> Judged:
    estimates = [part.estimate for part in parts if part.estimate is not None]
    found = [one.smallest_found(alpha) for one in estimates] if len(there) >= FEWEST else []
    smallest = max((one for one in found if one is not None), default=None)
    if two is None or p is None:
        none = f"no run has the measure {statement.measure}" if statement.measure in unknown else ""
        few = {0: none or "no seed has all of its cells", 1: "only one seed has all of its cells"}
        why = few.get(
            len(there), "a difference is the same in every seed and sample, so that nothing tells how sure it is"
        )
        return Judged(statement, parts, "cannot be told", None, None, smallest, there, why)
    why = f"{len(there)} of {asked} seeds" if len(there) < asked else ""
    if p <= 1 - LEVEL:
        verdict: Verdict = "holds" if two[0] <= two[1] else "does not hold"
    else:
        verdict = "cannot be told"
        weakest = min(estimates, key=lambda one: one.value)
        beyond = abs(weakest.value - statement.margin) if statement.sign != "=" else None
        if beyond is not None and smallest is not None and beyond < smallest:
            what = f"{beyond:.3g} beyond the margin" if statement.margin else f"a difference of {beyond:.3g}"
            small = f"{what} is smaller than what this study could have found ({smallest:.3g})"
            why = "; ".join(filter(None, (why, small)))
    return Judged(statement, parts, verdict, min(two), p, smallest, there, why)
