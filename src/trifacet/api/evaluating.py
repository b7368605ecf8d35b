"""Scores and comparisons of texts in memory.

Invariant: every number is that of ``trifacet score`` and ``trifacet compare``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from trifacet.api.records import as_records
from trifacet.comparing import comparison
from trifacet.comparing.comparison import Comparison
from trifacet.comparing.contestants import Contestant
from trifacet.data.records import TestSample
from trifacet.metrics.lettering import with_lettering
from trifacet.metrics.scores import Profile, Scores, measures_of, own_metric, score_texts
from trifacet.metrics.target import Reference, Target
from trifacet.statistics.effects import Correction
from trifacet.statistics.measures import Measure
from trifacet.statistics.significance import LEVEL, RESAMPLES, SEED


def score(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]] | Sequence[TestSample | Mapping[str, Any]],
    *,
    profiles: Sequence[Profile] = ("paper",),
    metrics: Sequence[str | Callable[[Sequence[str], Sequence[Target]], Sequence[Measure]]] = (),
    images: str | Path | None = None,
) -> Scores:
    """Score texts: BLEU, METEOR, ROUGE-L, CIDEr, facts, words in pictures, alt-text checks, repetition and length.

    Args:
        predictions: the generated text by sample id.
        references: the reference texts by id; or test samples (records or values), whose posts and facts then count
            too. Ids have to be those of the predictions.
        profiles: whose definitions of the metrics: ``paper`` (MCM-DPO's script), ``coco`` (the COCO toolkit), or both.
        metrics: metrics of your own: functions, or ``package.module:name`` of one.
        images: the folder that the samples' image paths start from, to read the words in their pictures for the metrics
            of lettering; None: only what ``extra.lettering`` of samples says counts.

    Returns:
        ``metrics`` of the whole set, ``per_sample``, ``notes``.

    Raises:
        TrifacetError: ids that differ, a bad record, no such metric.
    """
    if isinstance(references, Mapping):
        targets: Sequence[Target] = [Reference(name, _texts(given)) for name, given in references.items()]
    else:
        targets = as_records(TestSample, references)
    if images is not None:
        targets = with_lettering(targets, Path(images))
    extras = [own_metric(metric) for metric in metrics]
    return score_texts(predictions, targets, profiles=profiles, extras=extras)


def compare(
    scores: Mapping[str, Scores],
    *,
    baseline: str | None = None,
    pairs: Literal["baseline", "all"] = "baseline",
    metrics: Sequence[str] = (),
    common: bool = False,
    correction: Correction = "holm",
    draws: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Comparison:
    """Compare models by their scores on the same samples: intervals, paired tests, effect sizes.

    Args:
        scores: by the models' names, from ``score``.
        baseline: the model that the others are held against; by default the first.
        pairs: every model against the baseline, or all pairs.
        metrics: only these.
        common: where samples differ, those that all have.
        correction: of p-values over the pairs of a metric.
        draws: of bootstrap and permutation test.
        level: of the intervals.
        seed: of all draws.

    Returns:
        ``cells`` (values with intervals) and ``differences`` (with ``p_corrected``, ``effect`` and ``verdict``).

    Raises:
        TrifacetError: no shared metric, an unknown metric or baseline, samples that differ.
    """
    settings = comparison.ComparisonSettings(
        draws=draws, level=level, seed=seed, correction=correction, pairs=pairs, baseline=baseline,
        metrics=tuple(metrics), common=common,
    )  # fmt: skip
    contestants = [Contestant(name, name, measures_of(one)) for name, one in scores.items()]
    notes = [f"{name}: {note}" for name, one in scores.items() for note in one.notes]
    return comparison.compare(contestants, settings, notes)


def _texts(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
