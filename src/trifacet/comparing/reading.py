"""A comparison back from what ``comparison_document.document`` made of it.

Invariant: what comes out is whole, every cell of every model and metric, so that whoever shows it need not ask; only
``measures``, which no document holds, is empty.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, FiniteFloat, ValidationError

from trifacet.base.errors import DataError
from trifacet.comparing.comparison import (
    Column,
    Comparison,
    ComparisonSettings,
    DifferenceVerdict,
    MeasuredCell,
    MetricDifference,
)
from trifacet.statistics.effects import Correction, Effect
from trifacet.statistics.keys import OWN, Key
from trifacet.statistics.measures import Better
from trifacet.statistics.significance import Chance


class _Settings(BaseModel):
    draws: int
    level: FiniteFloat
    seed: int
    interval: Literal["bca", "percentile"]
    pairs: Literal["baseline", "all"]
    correction: Correction


class _Value(BaseModel):
    value: FiniteFloat | None
    interval: tuple[FiniteFloat, FiniteFloat] | None
    unofficial: str


class _Metric(BaseModel):
    profile: str
    metric: str
    better: Better
    units: int
    values: dict[str, _Value]


class _Difference(BaseModel):
    profile: str
    metric: str
    model: str
    other: str
    difference: FiniteFloat | None
    interval: tuple[FiniteFloat, FiniteFloat] | None
    p: FiniteFloat | None
    exact: bool
    p_corrected: FiniteFloat | None
    p_corrected_over_metrics: FiniteFloat | None
    verdict: DifferenceVerdict
    units_with_values: int
    wins: int | None
    ties: int | None
    losses: int | None
    superiority: FiniteFloat | None
    d_z: FiniteFloat | None
    cliffs_delta: FiniteFloat | None


class _Document(BaseModel):
    models: list[str]
    baseline: str
    settings: _Settings
    metrics: list[_Metric]
    differences: list[_Difference]
    notes: list[str]


def read_comparison(document: Any, file: Path) -> Comparison:
    """The comparison that ``document`` holds.

    Args:
        document: what ``comparison_document.document`` gave, from ``file``.
        file: named in errors.

    Raises:
        DataError: a key is missing or holds something else.
    """
    try:
        return _comparison(_Document.model_validate(document))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, ("comparison", *first["loc"])))
        raise DataError(f"is damaged ({first['msg']})", fix="run again", file=file, field=field) from None
    except KeyError as error:
        raise DataError(f"is damaged (no {error})", fix="run again", file=file, field="comparison") from None


def _comparison(read: _Document) -> Comparison:
    """Raises KeyError where a model or a metric is named that is not there."""
    columns = {
        (one.profile, one.metric): Column(one.profile, one.metric, one.better, one.units) for one in read.metrics
    }
    cells: dict[tuple[str, Key], MeasuredCell] = {}
    for metric in read.metrics:
        for model in (*read.models, read.baseline):
            value = metric.values[model]
            unofficial = "" if metric.profile in OWN else value.unofficial
            cells[model, (metric.profile, metric.metric)] = MeasuredCell(_nan(value.value), value.interval, unofficial)
    told = read.settings
    return Comparison(
        models=tuple(read.models),
        baseline=read.baseline,
        columns=tuple(columns.values()),
        cells=cells,
        differences=tuple(_difference(one, columns[one.profile, one.metric]) for one in read.differences),
        measures={},
        settings=ComparisonSettings(
            draws=told.draws,
            level=told.level,
            seed=told.seed,
            correction=told.correction,
            pairs=told.pairs,
            method=told.interval,
            baseline=read.baseline,
        ),
        notes=tuple(read.notes),
    )


def _difference(one: _Difference, column: Column) -> MetricDifference:
    size = Effect(one.units_with_values, one.d_z, one.cliffs_delta, one.wins, one.ties, one.losses, one.superiority)
    return MetricDifference(
        model=one.model,
        other=one.other,
        column=column,
        value=_nan(one.difference),
        interval=one.interval,
        chance=Chance(one.p, one.exact),
        p_corrected=one.p_corrected,
        p_over_all=one.p_corrected_over_metrics,
        effect=size,
        verdict=one.verdict,
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
