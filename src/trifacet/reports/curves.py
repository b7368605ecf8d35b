"""Training curves: from the lines of a log to charts and the table that says the same in numbers.

Invariant: values are drawn as logged, neither smoothed nor cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from trifacet.reports.gather import ModelRun, number
from trifacet.reports.plots import Line, line_chart, swatch

LOSS, MARGIN, ACCURACY = "loss", "rewards/margins", "rewards/accuracies"
METRICS = {"Loss": LOSS, "Margin": MARGIN, "Accuracy": ACCURACY}
WHOLE = "whole loss"


@dataclass(frozen=True)
class Chart:
    """A chart with its heading and one sentence on how to read it."""

    title: str
    hint: str
    svg: Markup


@dataclass(frozen=True)
class Row:
    """The legend's line for one curve: its swatch, what its term compares, where each metric began and ended.

    A cell is "" where the metric was not logged.
    """

    label: str
    compares: str
    swatch: Markup
    cells: list[str]


@dataclass(frozen=True)
class Stage:
    """All curves of one training stage; ``outcome`` sums it up as (metric, from where to where)."""

    name: str
    charts: list[Chart]
    columns: list[str]
    rows: list[Row]
    steps: int
    outcome: list[tuple[str, str]]


@dataclass(frozen=True)
class _Curve:
    """One colour, dash and marker in all charts of a stage; ``keys`` says where the log has each metric."""

    label: str
    keys: dict[str, str]


def stage(model: ModelRun, chart_id: str) -> Stage | None:
    """The curves of ``model``, or None where it logged no loss. ``chart_id`` is unique in the page."""
    log = [row for row in model.log if number(row.get("step")) is not None]
    if not any(LOSS in row for row in log):
        return None
    keys = dict.fromkeys(key for row in log for key in row)
    terms = list(
        dict.fromkeys(key.removeprefix(f"{m}/") for m in METRICS.values() for key in keys if key.startswith(f"{m}/"))
    )
    aligned = any(key.startswith(MARGIN) for key in keys)  # an objective of likelihoods alone has no margin
    curves = _curves(terms) if aligned else [_Curve("loss", {LOSS: LOSS})]
    compares = _comparisons(model.done)
    rows = [
        Row(
            curve.label,
            compares.get(curve.label, ""),
            swatch(style, f"{chart_id}-key-{style}"),
            [_way(log, curve.keys.get(metric, "")) for metric in METRICS.values()],
        )
        for style, curve in enumerate(curves)
    ]
    return Stage(
        model.name,
        _alignment_charts(log, curves, chart_id) if aligned else _supervised_charts(log, chart_id),
        list(METRICS) if aligned else [],
        rows,
        max(int(row["step"]) for row in log),
        [(title, way) for title, key in METRICS.items() if (way := _way(log, key))],
    )


def _curves(terms: list[str]) -> list[_Curve]:
    """The whole loss and each term; where there is but one term, the two would be the same curve.

    The log's plain margin and accuracy are the response's (see ``losses.lead_term``): its term's curve again.
    """
    if len(terms) <= 1:
        return [_Curve(terms[0] if terms else WHOLE, {metric: metric for metric in METRICS.values()})]
    parts = [_Curve(term, {metric: f"{metric}/{term}" for metric in METRICS.values()}) for term in terms]
    return [_Curve(WHOLE, {LOSS: LOSS}), *parts]


def _comparisons(done: Mapping[str, Any]) -> dict[str, str]:
    """In words what each term of the stage's objective compares, by the term's name."""
    objective = done.get("objective")
    terms = objective.get("terms") if isinstance(objective, Mapping) else None
    said = {WHOLE: "all terms, weighted"}
    for term in terms or []:
        match term:
            case {"kind": "pair", "name": name, "preferred": "chosen", "over": over}:
                said[name] = f"chosen over rejected {over}".replace("+", " + ")
            case {"kind": "pair", "name": name, "preferred": preferred, "over": over}:
                said[name] = f"rejected {preferred} over rejected {over}".replace("rejected chosen", "chosen")
            case {"kind": "anchor", "name": name, "corner": corner}:
                said[name] = f"keeps up the reward of {corner}"
            case {"kind": "nll", "name": name, "corner": corner}:
                said[name] = f"likelihood of {corner}"
    return said


def _alignment_charts(log: list[dict[str, Any]], curves: list[_Curve], chart_id: str) -> list[Chart]:
    def per_term(metric: str) -> list[Line]:
        lines = [_line(log, curve.keys.get(metric, ""), curve.label, style) for style, curve in enumerate(curves)]
        return [line for line in lines if line.steps]

    rewards = [_line(log, "rewards/chosen", "chosen", 2), _line(log, "rewards/rejected", "rejected", 1)]
    return [
        _chart("Loss", "Lower: the model tells chosen from rejected more surely.", per_term(LOSS), f"{chart_id}-loss"),
        _chart(
            "Reward margin",
            "Above 0: chosen is preferred more than before.",
            per_term(MARGIN),
            f"{chart_id}-margin",
            level=0.0,
        ),
        _chart(
            "Accuracy",
            "Share of pairs with a margin above 0; the thin line is chance.",
            per_term(ACCURACY),
            f"{chart_id}-acc",
            level=0.5,
        ),
        _chart(
            "Reward of each side",
            "Chosen should not sink far below the thin line, the reference.",
            [line for line in rewards if line.steps],
            f"{chart_id}-sides",
            level=0.0,
            named=True,
        ),
    ]


def _supervised_charts(log: list[dict[str, Any]], chart_id: str) -> list[Chart]:
    charts = [
        _chart("Loss", "Lower: the texts surprise the model less.", [_line(log, LOSS, "loss", 0)], f"{chart_id}-loss")
    ]
    for title, hint, key in (
        ("Learning rate", "How large the steps were.", "learning_rate"),
        ("Gradient norm", "Spikes are batches that pulled hard.", "grad_norm"),
    ):
        line = _line(log, key, title.lower(), 0)
        if line.steps:
            charts.append(_chart(title, hint, [line], f"{chart_id}-{key.replace('_', '-')}"))
    return charts


def _line(log: list[dict[str, Any]], key: str, label: str, style: int) -> Line:
    points = [(float(row["step"]), number(row.get(key))) for row in log if key in row]
    known = [(step, value) for step, value in points if value is not None]
    return Line(label, [step for step, _ in known], [value for _, value in known], style)


def _chart(
    title: str, hint: str, lines: Sequence[Line], chart_id: str, *, level: float | None = None, named: bool = False
) -> Chart:
    said = "; ".join(f"{line.label} from {short(line.values[0])} to {short(line.values[-1])}" for line in lines)
    last = max((line.steps[-1] for line in lines), default=0)
    alternative = f"{title} over {last:.0f} steps: {said}." if said else f"{title}: nothing logged."
    return Chart(title, hint, line_chart(lines, alternative=alternative, chart_id=chart_id, level=level, named=named))


def _way(log: list[dict[str, Any]], key: str) -> str:
    values = _line(log, key, "", 0).values
    return f"{short(values[0])} → {short(values[-1])}" if values else ""


def short(value: float) -> str:
    """The number in as few digits as still tell it from its neighbours."""
    if not math.isfinite(value):
        return "not a number"
    size = abs(value)
    if size and not 0.001 <= size < 10_000:
        return f"{value:.1e}"
    return f"{value:.3f}" if 0 < size < 0.1 else f"{value:.2f}"
