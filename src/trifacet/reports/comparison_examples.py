"""Samples on which compared models differ most, with their texts and pictures.

Invariant: they are picked by the size of the difference alone and in both directions; nobody chose them, and they are
not typical: the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trifacet.evaluation.comparing import Column, Comparison
from trifacet.evaluation.target import Target
from trifacet.reports.comparison_tables import number_text
from trifacet.reports.pictures import Picture, picture

PER_METRIC = 3  # samples in which a metric's values lie farthest apart
SHOWN = 24  # samples in all
LONGEST = 2000  # characters of a text
SIDE = 320  # pixels of a picture


@dataclass(frozen=True)
class Told:
    """A model's text with its values in the metrics that the sample is shown for; ``text`` is None where unknown."""

    model: str
    text: str | None
    values: list[tuple[str, str]]


@dataclass(frozen=True)
class Example:
    """One sample. ``reasons`` say in which metric which model is how far from which."""

    id: str
    reasons: list[str]
    picture: Picture | None
    context: str
    references: list[str]
    told: list[Told]


def examples(
    comparison: Comparison,
    texts: Mapping[str, Mapping[str, str]],
    samples: Mapping[str, Target],
    images: Path | None,
) -> list[Example]:
    """For each metric the samples with the largest differences of compared pairs, each sample once.

    Args:
        comparison: what was compared.
        texts: by model and sample.
        samples: what the texts are about.
        images: folder of their pictures; None shows none.
    """
    reasons: dict[str, list[tuple[Column, str]]] = {}
    for column in comparison.columns:
        if column.better == "neither" or not all(np.isin(comparison.measures[m, column.key].units, list(samples)).all()
                                                  for m in comparison.models):  # fmt: skip
            continue
        for unit, reason in _farthest(comparison, column):
            reasons.setdefault(unit, []).append((column, reason))
    chosen = list(reasons)[:SHOWN]
    return [_example(comparison, unit, reasons[unit], texts, samples[unit], images) for unit in chosen]


def _farthest(comparison: Comparison, column: Column) -> list[tuple[str, str]]:
    """(unit, reason) of the largest differences; a unit of several pairs is told of the largest."""
    found: dict[str, tuple[float, str]] = {}
    for one in comparison.differences:
        if one.column.key != column.key:
            continue
        ours, theirs = (comparison.measures[model, column.key] for model in (one.model, one.other))
        apart_U = ours.of_units() - theirs.of_units()
        size_U = np.where(np.isfinite(apart_U), np.abs(apart_U), 0.0)
        for row in np.argsort(-size_U, kind="stable")[:PER_METRIC].tolist():
            size = float(size_U[row])
            if size > found.get(ours.units[row], (0.0, ""))[0]:
                apart = number_text(float(apart_U[row]), _places(size), signed=True)
                found[ours.units[row]] = (size, f"{column.title}: {one.model} {apart} against {one.other}")
    ranked = sorted(found.items(), key=lambda item: -item[1][0])[:PER_METRIC]
    return [(unit, reason) for unit, (_, reason) in ranked]


def _example(
    comparison: Comparison,
    unit: str,
    reasons: list[tuple[Column, str]],
    texts: Mapping[str, Mapping[str, str]],
    sample: Target,
    images: Path | None,
) -> Example:
    told = []
    for model in comparison.models:
        values = []
        for column, _ in reasons:
            measure = comparison.measures[model, column.key]
            value = float(measure.of_units()[measure.units.index(unit)])
            values.append((column.title, number_text(value, _places(abs(value)))))
        text = texts.get(model, {}).get(unit)
        told.append(Told(model, None if text is None else _clipped(text), values))
    names = getattr(sample, "pictures", ())
    return Example(
        unit,
        [reason for _, reason in reasons],
        picture(images, names[0], side=SIDE) if images is not None and names else None,
        _clipped(str(getattr(sample, "context", ""))),
        [_clipped(text) for text in sample.references[:5]],
        told,
    )


def _places(size: float) -> int:
    return 1 if size >= 10 or size == 0 or not math.isfinite(size) else 2 if size >= 1 else 3


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters in all)"
