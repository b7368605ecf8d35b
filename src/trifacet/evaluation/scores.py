"""All scores of one model's texts: the paper profile, the facts, repetition and length.

Invariant: texts and samples are matched by id, all of them, or nothing is scored.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trifacet.errors import DataError
from trifacet.evaluation import paper, texts
from trifacet.evaluation.grounding import ground


class Target(Protocol):
    """What scoring needs of a test sample; ``records.TestSample`` has it."""

    @property
    def id(self) -> str: ...

    @property
    def references(self) -> Sequence[str]: ...

    @property
    def extra(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Scores:
    """The scores of one model.

    ``metrics`` are means over the samples that have the metric, in a fixed order; None: not computed, and ``notes``
    says why. ``per_sample`` has the same metrics for each sample, less those it lacks. The paper profile and grounding
    are x 100, repetition is a share (0 to 1), length is in words. ``degenerate`` is the reason or None.
    """

    metrics: dict[str, float | None]
    per_sample: dict[str, dict[str, float]]
    notes: list[str] = field(default_factory=list)
    degenerate: str | None = None


def score_texts(hypotheses: Mapping[str, str], samples: Sequence[Target], *, at_limit: int = 0) -> Scores:
    """Score the text of each sample.

    The paper profile knows one reference: a sample's first. A sample without a reference has no paper metrics but
    counts for everything else.

    Args:
        hypotheses: the generated text by sample id.
        samples: the test set.
        at_limit: how many texts ended only because the limit of new tokens was reached (see ``texts.degenerate``).

    Raises:
        DataError: for ids that are doubled, missing or too many, and for malformed facts.
    """
    _match_ids(hypotheses, samples)
    rows: dict[str, dict[str, float]] = {sample.id: {} for sample in samples}
    notes = _paper(hypotheses, samples, rows)
    for sample in samples:
        text, row = hypotheses[sample.id], rows[sample.id]
        try:
            facts = ground(text, sample.extra).values
        except DataError as error:
            raise DataError(f"sample {sample.id!r}: {error}") from None
        row.update({name: 100.0 * value for name, value in facts.items()})
        row["repetition"] = texts.repetition(text)
        row["length"] = float(texts.length(text))
    reason = texts.degenerate(list(hypotheses.values()), at_limit)
    if reason:
        notes.append(f"the texts degenerated: {reason}")
    return Scores(_means(rows.values()), rows, notes, reason)


def _paper(hypotheses: Mapping[str, str], samples: Sequence[Target], rows: dict[str, dict[str, float]]) -> list[str]:
    """Put the paper profile into ``rows``; returns what a reader of the numbers must know."""
    scored = [sample for sample in samples if sample.references]
    if not scored:
        return ["no sample has a reference: BLEU, METEOR, ROUGE-L and CIDEr are not computed"]
    result = paper.paper_scores([hypotheses[sample.id] for sample in scored], [s.references[0] for s in scored])
    for sample, row in zip(scored, result.rows, strict=True):
        rows[sample.id].update(row)
    notes = list(result.notes)
    several = sum(len(sample.references) > 1 for sample in scored)
    if several:
        notes.append(f"{several} of {len(samples)} samples have several references; the paper profile takes the first")
    if len(scored) < len(samples):
        notes.append(f"{len(samples) - len(scored)} of {len(samples)} samples have no reference and no paper metrics")
    empty = sum(not hypotheses[sample.id].strip() for sample in scored)
    if empty:
        notes.append(f"{empty} of {len(samples)} texts are empty and score 0")
    return notes


def _match_ids(hypotheses: Mapping[str, str], samples: Sequence[Target]) -> None:
    if not samples:
        raise DataError("there is no sample to score", fix="give a test set of at least one sample")
    counts = Counter(sample.id for sample in samples)
    problems = {
        "the references have twice": [name for name, count in counts.items() if count > 1],
        "the predictions lack": [name for name in counts if name not in hypotheses],
        "the references do not have": [name for name in hypotheses if name not in counts],
    }
    found = [f"{what} {_named(ids)}" for what, ids in problems.items() if ids]
    if found:
        raise DataError("; ".join(found), fix="give one text for each sample of the test set, and no other")


def _named(ids: list[str], shown: int = 5) -> str:
    listed = ", ".join(repr(name) for name in ids[:shown])
    more = f" and {len(ids) - shown} more" if len(ids) > shown else ""
    return f"{len(ids)} id{'s' if len(ids) > 1 else ''}: {listed}{more}"


def _means(rows: Iterable[dict[str, float]]) -> dict[str, float | None]:
    """Paper metrics first (None where no row has them), then what else the rows have, repetition and length last."""
    columns: dict[str, list[float]] = {name: [] for name in paper.METRICS}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    for last in ("grounding", "repetition", "length"):
        if last in columns:
            columns[last] = columns.pop(last)
    return {name: math.fsum(values) / len(values) if values else None for name, values in columns.items()}
