"""Training curves: from the lines of a log to charts and the table that says the same in numbers.

Invariant: values are drawn as logged, neither smoothed nor cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup

from trifacet.evaluation.run_folder import ModelRun, number
from trifacet.reports.charts import Chart, chart, short
from trifacet.reports.plots import Line, swatch
from trifacet.reports.run.phases import Phases, borders, phases
from trifacet.reports.run.watched import Watched, changed, rejected_told, watched
from trifacet.training.drift import chosen_drop

LOSS, MARGIN, ACCURACY = "loss", "rewards/margins", "rewards/accuracies"
METRICS = {"Loss": LOSS, "Margin": MARGIN, "Accuracy": ACCURACY}
BALANCE = {"Text minus image": "rewards/text_minus_image", "Text over image": "rewards/text_over_image"}
WHOLE = "whole loss"
_ROUNDING = 1e-6  # what is less is told as 0: margins begin at float32's rounding of it


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
    """All curves of one training stage; ``outcome`` sums it up as (metric, from where to where).

    ``warnings`` are what the stage, or its log so far, gives reason to say; ``changed`` says how far the saved model is
    from its start, ``regions`` how many samples have key regions; ``watched`` is what the model wrote meanwhile.
    """

    name: str
    charts: list[Chart]
    columns: list[str]
    rows: list[Row]
    steps: int
    outcome: list[tuple[str, str]]
    warnings: list[str]
    changed: str
    regions: str
    watched: Watched | None
    phases: Phases | None


@dataclass(frozen=True)
class _Curve:
    """One colour, dash and marker in all charts of a stage; ``keys`` says where the log has each metric."""

    label: str
    keys: dict[str, str]


def stage(model: ModelRun, chart_id: str, drop_limit: float | None = None) -> Stage | None:
    """The curves of ``model``, or None where it logged no loss.

    Args:
        model: its log and what else its training left.
        chart_id: unique in the page.
        drop_limit: nats per token by which chosen responses may sink before a stage that goes on is warned of.
    """
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
        _alignment_charts(log, curves, chart_id, _facet_terms(model.done))
        if aligned
        else _supervised_charts(log, chart_id),
        list(METRICS) if aligned else [],
        rows,
        max(int(row["step"]) for row in log),
        [(title, way) for title, key in {**METRICS, **BALANCE}.items() if (way := _way(log, key))],
        warnings_of(model, drop_limit),
        changed(model.done),
        rejected_told(model.done),
        watched(model.watched, f"{chart_id}-own"),
        phases(model.done),
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
            case {"kind": "list", "name": name, "facet": str(facet)}:
                said[name] = f"chosen over each rejected {facet}, these in their order"
            case {"kind": "list", "name": name, "order": list(order)}:
                said[name] = "in this order: " + ", ".join(map(str, order))
            case {"kind": "pair", "name": name, "preferred": preferred, "over": over}:
                said[name] = f"rejected {preferred} over rejected {over}".replace("rejected chosen", "chosen")
            case {"kind": "anchor", "name": name, "corner": corner}:
                said[name] = f"keeps up the reward of {corner}"
            case {"kind": "nll", "name": name, "corner": corner}:
                said[name] = f"likelihood of {corner}"
    return said


def _facet_terms(done: Mapping[str, Any]) -> dict[str, str]:
    """For text, image and context the term that rejects it alone, where the objective has one."""
    objective = done.get("objective")
    terms = objective.get("terms") if isinstance(objective, Mapping) else None
    found: dict[str, str] = {}
    for label, facet in (("text", "response"), ("image", "image"), ("context", "context")):
        for term in terms or []:
            match term:
                case {"kind": "pair", "name": name, "preferred": "chosen", "over": over} if over == facet:
                    found.setdefault(label, str(name))
        for term in terms or []:
            match term:
                case {"kind": "list", "name": name, "facet": ranked} if ranked == facet:
                    found.setdefault(label, str(name))
    return found


def _alignment_charts(
    log: list[dict[str, Any]], curves: list[_Curve], chart_id: str, facets: Mapping[str, str]
) -> list[Chart]:
    def per_term(metric: str) -> list[Line]:
        lines = [_line(log, curve.keys.get(metric, ""), curve.label, style) for style, curve in enumerate(curves)]
        return [line for line in lines if line.steps]

    def sides(metric: str) -> list[Line]:
        lines = [_line(log, f"{metric}/chosen", "chosen", 2), _line(log, f"{metric}/rejected", "rejected", 1)]
        return [line for line in lines if line.steps]

    draw = partial(chart, borders=borders(log))
    charts = [
        draw("Loss", "Lower: the model tells chosen from rejected more surely.", per_term(LOSS), f"{chart_id}-loss"),
        draw(
            "Reward margin",
            "Above 0: chosen is preferred more than before.",
            per_term(MARGIN),
            f"{chart_id}-margin",
            level=0.0,
        ),
        draw(
            "Accuracy",
            "Share of pairs with a margin above 0; the thin line is chance.",
            per_term(ACCURACY),
            f"{chart_id}-acc",
            level=0.5,
        ),
        draw(
            "Reward of each side",
            "Chosen should not sink far below the thin line, the reference.",
            sides("rewards"),
            f"{chart_id}-sides",
            level=0.0,
            named=True,
        ),
        draw(
            "Log-prob of each side",
            "Nats of a whole response. Both falling together: good texts are unlearned as well.",
            sides("logps"),
            f"{chart_id}-logps",
            named=True,
        ),
    ]
    if moved := sides("log_ratio"):
        charts.append(
            draw(
                "Moved from the reference",
                "Nats per token of given responses, so no KL. Chosen far below the thin line: too far.",
                moved,
                f"{chart_id}-moved",
                level=0.0,
                named=True,
            )
        )
    styles = {curve.label: style for style, curve in enumerate(curves)}
    by_facet = [_line(log, f"{MARGIN}/{term}", label, styles.get(term, 0)) for label, term in facets.items()]
    by_facet = [line for line in by_facet if line.steps]
    if len(by_facet) > 1:
        charts.append(
            draw(
                "Margin by facet",
                "Text rises and image stays at 0: the model judges texts without looking.",
                by_facet,
                f"{chart_id}-facets",
                level=0.0,
                named=True,
            )
        )
    return charts


def _supervised_charts(log: list[dict[str, Any]], chart_id: str) -> list[Chart]:
    charts = [
        chart("Loss", "Lower: the texts surprise the model less.", [_line(log, LOSS, "loss", 0)], f"{chart_id}-loss")
    ]
    for title, hint, key in (
        ("Learning rate", "How large the steps were.", "learning_rate"),
        ("Gradient norm", "Spikes are batches that pulled hard.", "grad_norm"),
    ):
        line = _line(log, key, title.lower(), 0)
        if line.steps:
            charts.append(chart(title, hint, [line], f"{chart_id}-{key.replace('_', '-')}"))
    return charts


def warnings_of(model: ModelRun, drop_limit: float | None) -> list[str]:
    """What the finished stage warned of; of one that goes on, what its log shows so far."""
    said = model.done.get("warnings")
    if isinstance(said, list):
        return [str(warning) for warning in said]
    drop = chosen_drop([row for row in model.log if number(row.get("log_ratio/chosen")) is not None], drop_limit)
    told = [str(one) for row in model.log if isinstance(row.get("warnings"), list) for one in row["warnings"]]
    if drop is None:
        return told
    return [
        *told,
        f"since step {drop.step} chosen responses have been more than {drop_limit:g} nats per token less likely than "
        f"under the reference, now by {-drop.last:.2f}",
    ]


def _line(log: list[dict[str, Any]], key: str, label: str, style: int) -> Line:
    points = [(float(row["step"]), number(row.get(key))) for row in log if key in row]
    known = [(step, value) for step, value in points if value is not None]
    return Line(label, [step for step, _ in known], [value for _, value in known], style)


def _way(log: list[dict[str, Any]], key: str) -> str:
    values = [0.0 if abs(one) < _ROUNDING else one for one in _line(log, key, "", 0).values]
    return f"{short(values[0])} → {short(values[-1])}" if values else ""
