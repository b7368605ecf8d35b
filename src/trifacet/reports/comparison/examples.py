"""Samples on which compared models differ most, with their texts and pictures.

Invariant: they are picked by the size of the difference alone and in both directions; nobody chose them, and they are
not typical: the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trifacet.base.bidi import isolated
from trifacet.base.errors import DataError
from trifacet.comparing.comparison import Column, Comparison
from trifacet.lettering.request import quoted
from trifacet.metrics.lettering import lettering_of
from trifacet.metrics.target import Target
from trifacet.reports.comparison.tables import number_text
from trifacet.web.pictures import Picture, picture

PER_METRIC = 3  # samples in which a metric's values lie farthest apart
_SHOWN = 24  # samples in all
_LONGEST = 2000  # characters of a text
_MOST_READ = 400  # characters of the words that stand in a picture
SIDE = 320  # pixels of a picture


@dataclass(frozen=True)
class _Told:
    """A model's text with its values in the metrics that the sample is shown for; ``text`` is None where unknown."""

    model: str
    text: str | None
    values: list[tuple[str, str]]


@dataclass(frozen=True)
class _Example:
    """One sample. ``reasons`` say, a line for each pair, in which metrics the model is how far from the other.

    ``read`` are the lines that stand in its picture (None: nothing is known of them).
    """

    id: str
    reasons: list[str]
    picture: Picture | None
    context: str
    references: list[str]
    told: list[_Told]
    read: Sequence[str] | None


def examples(
    comparison: Comparison,
    texts: Mapping[str, Mapping[str, str]],
    samples: Mapping[str, Target],
    images: Path | None,
) -> list[_Example]:
    """For each metric the samples with the largest differences of compared pairs, each sample once.

    Args:
        comparison: what was compared.
        texts: by model and sample.
        samples: what the texts are about.
        images: folder of their pictures; None shows none.
    """
    reasons: dict[str, list[_Reason]] = {}
    for column in comparison.columns:
        if column.better == "neither" or not all(np.isin(comparison.measures[m, column.key].units, list(samples)).all()
                                                  for m in comparison.models):  # fmt: skip
            continue
        for unit, reason in _farthest(comparison, column):
            reasons.setdefault(unit, []).append(reason)
    chosen = list(reasons)[:_SHOWN]
    return [_example(comparison, unit, reasons[unit], texts, samples[unit], images) for unit in chosen]


@dataclass(frozen=True)
class _Reason:
    """Why a sample is shown: ``apart`` in ``column``, between the models of ``pair``."""

    column: Column
    pair: str
    apart: float


def _farthest(comparison: Comparison, column: Column) -> list[tuple[str, _Reason]]:
    """(unit, reason) of the largest differences; a unit of several pairs is told of the largest."""
    found: dict[str, _Reason] = {}
    for one in comparison.differences:
        if one.column.key != column.key:
            continue
        ours, theirs = (comparison.measures[model, column.key] for model in (one.model, one.other))
        pair = f"{isolated(one.model)} against {isolated(one.other)}"
        apart_U = ours.of_units() - theirs.of_units()
        size_U = np.where(np.isfinite(apart_U), np.abs(apart_U), 0.0)
        for row in np.argsort(-size_U, kind="stable")[:PER_METRIC].tolist():
            before = found.get(ours.units[row])
            if size_U[row] > (abs(before.apart) if before else 0.0):
                found[ours.units[row]] = _Reason(column, pair, float(apart_U[row]))
    return sorted(found.items(), key=lambda item: -abs(item[1].apart))[:PER_METRIC]


def _lines(reasons: Sequence[_Reason]) -> list[str]:
    said: dict[str, list[str]] = {}
    for one in reasons:
        apart = number_text(one.apart, _places(abs(one.apart)), signed=True)
        said.setdefault(one.pair, []).append(f"{isolated(one.column.title)} {apart}")
    return [f"{pair}: {', '.join(metrics)}" for pair, metrics in said.items()]


def _example(
    comparison: Comparison,
    unit: str,
    reasons: Sequence[_Reason],
    texts: Mapping[str, Mapping[str, str]],
    sample: Target,
    images: Path | None,
) -> _Example:
    told = []
    for model in comparison.models:
        values = []
        for reason in reasons:
            measure = comparison.measures[model, reason.column.key]
            value = float(measure.of_units()[measure.units.index(unit)])
            values.append((reason.column.title, value_text(value)))
        text = texts.get(model, {}).get(unit)
        told.append(_Told(model, None if text is None else clipped(text), values))
    names = getattr(sample, "pictures", ())
    return _Example(
        unit,
        _lines(reasons),
        picture(images, names[0], side=SIDE) if images is not None and names else None,
        clipped(str(getattr(sample, "context", ""))),
        [clipped(text) for text in sample.references[:5]],
        told,
        _read(sample),
    )


def _read(sample: Target) -> Sequence[str] | None:
    try:
        lettering = lettering_of(sample)
    except DataError:  # told where it was scored
        return None
    return None if lettering is None else quoted(lettering, _MOST_READ).lines


def _places(size: float) -> int:
    return 1 if size >= 10 or size == 0 or not math.isfinite(size) else 2 if size >= 1 else 3


def value_text(value: float) -> str:
    """A single value with as many digits as its size bears."""
    return number_text(value, _places(abs(value)))


def clipped(text: str, longest: int = _LONGEST) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters in all)"
