"""How far training has moved a model: what its log and its own texts say. Invariant: rows are read, no model is asked.

A row of ``samples.jsonl`` is one post at one step: ``step``, ``id``, ``text`` (greedy), ``at_limit`` (only the limit of
new tokens ended it); and for alignments ``drawn`` (a text drawn at temperature 1), ``drawn_tokens``, ``logp`` and
``reference_logp`` (nats of the drawn text; None where they are not known), ``scored`` (whether it can have them).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trifacet.metrics import texts

Row = Mapping[str, Any]


class Drop(NamedTuple):
    """When chosen responses fell beyond the limit: first step, and nats per token in the last line of the log."""

    step: int
    last: float


def chosen_drop(log: Iterable[Row], limit: float | None) -> Drop | None:
    """Whether chosen responses became less likely than under the reference by more than ``limit`` nats per token."""
    known = [(int(row["step"]), float(row["log_ratio/chosen"])) for row in log if "log_ratio/chosen" in row]
    beyond = [step for step, value in known if limit is not None and value < -limit]
    return Drop(beyond[0], known[-1][1]) if beyond else None


@dataclass(frozen=True)
class Divergence:
    """KL(policy || reference) in nats per text, from texts that the policy drew.

    ``k1`` is the mean of log pi - log pi_ref, ``error`` its standard error; ``k3`` is the mean of r - 1 - log r with
    r = pi_ref / pi, which is never negative. Both are unbiased (J. Schulman, "Approximating KL divergence", 2020).
    ``per_token`` is k1 over the drawn tokens.
    """

    k1: float
    k3: float
    error: float
    per_token: float
    texts: int


@dataclass(frozen=True)
class Look:
    """What the model's own texts were like at one step."""

    step: int
    texts: int
    words: float
    repetition: float
    at_limit: float
    divergence: Divergence | None
    degenerate: str | None


def looks(rows: Iterable[Row]) -> list[Look]:
    """One ``Look`` per step, in order."""
    by_step: dict[int, list[Row]] = {}
    for row in rows:
        by_step.setdefault(int(row["step"]), []).append(row)
    return [_look(step, by_step[step]) for step in sorted(by_step)]


def _look(step: int, rows: Sequence[Row]) -> Look:
    written = [str(row["text"]) for row in rows]
    at_limit = sum(bool(row["at_limit"]) for row in rows)
    return Look(
        step,
        len(rows),
        statistics.fmean(map(texts.length, written)),
        statistics.fmean(map(texts.repetition, written)),
        at_limit / len(rows),
        divergence(rows),
        texts.degenerate(written, at_limit),
    )


def divergence(rows: Iterable[Row]) -> Divergence | None:
    """KL to the reference, or None where no row has both scores."""
    known = [row for row in rows if row.get("logp") is not None and row.get("reference_logp") is not None]
    if not known:
        return None
    k1 = [float(row["logp"]) - float(row["reference_logp"]) for row in known]
    k3 = [math.expm1(min(-ratio, 700.0)) + ratio for ratio in k1]  # beyond, a float has no room for it
    tokens = sum(int(row["drawn_tokens"]) for row in known)
    error = statistics.stdev(k1) / math.sqrt(len(k1)) if len(k1) > 1 else math.nan
    return Divergence(statistics.fmean(k1), statistics.fmean(k3), error, sum(k1) / max(tokens, 1), len(known))
