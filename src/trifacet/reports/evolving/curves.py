"""How a run changed over its rounds, and how its trainings went. Invariant: values are drawn as they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trifacet.base.bidi import isolated
from trifacet.evaluation.run_folder import number
from trifacet.reports.charts import Chart, chart, short
from trifacet.reports.plots import Line, line_chart, swatch

LINES = 8  # of a chart
_METRICS = 6  # charts of held-out metrics


def over_rounds(document: Mapping[str, Any]) -> list[Chart]:
    """Charts over the rounds; none where there is but one."""
    rounds = document["rounds"]
    if len(rounds) < 2:
        return []
    by_origin = sorted({name for one in rounds for name in one["origins"]})[:LINES]
    accepted = [
        _line(name, style, [(one["round"], one["origins"].get(name, {}).get("accept_rate")) for one in rounds])
        for style, name in enumerate(by_origin)
    ]
    found = [
        _chart("Accepted", "Share of the judged answers, by origin.", accepted, "rounds-accepted"),
        _chart(
            "Pairs a sample",
            "From round 2 on of the samples that are still hard, where the recipe says so.",
            [_line("pairs", 0, [(one["round"], _ratio(one["pairs"], one["samples"])) for one in rounds])],
            "rounds-pairs",
        ),
        _chart(
            "Lost answers",
            "Share of the answers that are no candidates, or whose verdict could not be read.",
            [
                _line(
                    "no candidates",
                    0,
                    [(one["round"], _ratio(one["total"]["no_candidates"], one["total"]["answers"])) for one in rounds],
                ),
                _line(
                    "malformed",
                    1,
                    [(one["round"], _ratio(one["total"]["malformed"], one["total"]["answers"])) for one in rounds],
                ),
            ],
            "rounds-lost",
        ),
    ]
    for place, (role, metric) in enumerate(_measured(rounds)):
        points = _outcomes(rounds, role, metric)
        if len(points) > 1:
            line = _line(metric, place, points)
            found.append(
                _chart(
                    f"{metric.capitalize()} of the {role}",
                    "On held-out samples after each round; 0 is the model before round 1.",
                    [line],
                    f"rounds-metric-{place}",
                    from_zero=False,
                )
            )
    return [one for one in found if one is not None]


def trainings(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each training with what its loss, margin and accuracy came to, and its charts."""
    trained = [
        (f"round {one['round']}, {found['name']}", found) for one in document["rounds"] for found in one["trained"]
    ]
    trained += [("aligned", document["aligned"])] if document["aligned"] else []
    rows = []
    for title, found in trained:
        for stage in found["stages"]:
            ways = {name: f"{short(points[0][1])} → {short(points[-1][1])}" for name, points in stage["curves"].items()}
            rows.append({"title": title, "stage": stage["stage"], "ways": ways, "curves": stage["curves"]})
    for place, row in enumerate(rows):
        drawn = place - max(0, len(rows) - LINES)  # the last ones are drawn
        row["swatch"] = swatch(drawn, f"trained-key-{drawn}") if drawn >= 0 else ""
    charts = []
    for measure, hint in (
        ("loss", "Lower: chosen is told from rejected more surely."),
        ("margin", "Above 0: chosen is preferred more than before."),
    ):
        lines = [
            _line(row["title"], style, row["curves"][measure])
            for style, row in enumerate(rows[-LINES:])
            if row["curves"].get(measure)
        ]
        if lines:
            charts.append(chart(measure.capitalize(), hint, lines, f"trained-{measure}"))
    return [{"rows": rows, "charts": charts}] if rows else []


def _measured(rounds: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The roles that were measured, each with its metric."""
    told = [(role, one) for round in rounds for role, one in round["metrics"].items() if isinstance(one, Mapping)]
    return list(dict.fromkeys((role, str(one.get("metric", ""))) for role, one in told))[:_METRICS]


def _outcomes(rounds: Sequence[Mapping[str, Any]], role: str, metric: str) -> list[tuple[int, float | None]]:
    """The values after each round, before the first the one that it was held against."""
    points: list[tuple[int, float | None]] = []
    for round in rounds:
        one = round["metrics"].get(role)
        if isinstance(one, Mapping) and one.get("metric") == metric:
            if not points and round["round"] == 1:
                points.append((0, number(one.get("its_value"))))
            points.append((round["round"], number(one.get("value"))))
    return points


def _chart(title: str, hint: str, lines: Sequence[Line], chart_id: str, *, from_zero: bool = True) -> Chart | None:
    there = [line for line in lines if line.steps]
    if not there:
        return None
    said = "; ".join(
        f"{isolated(line.label)} from {short(line.values[0])} to {short(line.values[-1])}" for line in there
    )
    drawn = line_chart(
        there,
        alternative=f"{isolated(title)} over the rounds: {said}.",
        chart_id=chart_id,
        named=len(there) > 1,
        from_zero=from_zero,
        across="round",
    )
    return Chart(title, hint, drawn)


def _line(label: str, style: int, points: Sequence[Sequence[Any]]) -> Line:
    known = [(step, value) for step, value in points if value is not None]
    return Line(label, [step for step, _ in known], [value for _, value in known], style)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
