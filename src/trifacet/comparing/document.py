"""A comparison as plain values for ``--json``. Invariant: keys are stable and listed in docs/comparing.md."""

from __future__ import annotations

import math
from typing import Any

from trifacet.comparing.comparison import Column, Comparison, MetricDifference
from trifacet.comparing.pairs import JudgedPairs
from trifacet.statistics.keys import OWN


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison for ``--json``; docs/comparing.md lists the keys."""
    settings = comparison.settings
    return {
        "models": list(comparison.models),
        "baseline": comparison.baseline,
        "settings": {
            "draws": settings.draws,
            "level": settings.level,
            "seed": settings.seed,
            "interval": settings.method,
            "pairs": settings.pairs,
            "correction": settings.correction,
        },
        "metrics": [_column_document(comparison, column) for column in comparison.columns],
        "differences": [_difference_document(one) for one in comparison.differences],
        "notes": list(comparison.notes),
    }


def _column_document(comparison: Comparison, column: Column) -> dict[str, Any]:
    cells = {model: comparison.cells[model, column.key] for model in comparison.models}
    own = "defined by this program" if column.profile in OWN else ""
    return {
        "profile": column.profile,
        "metric": column.name,
        "better": column.better,
        "units": column.units,
        "values": {
            model: {
                "value": finite(cell.value),
                "interval": list(cell.interval) if cell.interval else None,
                "official": not cell.unofficial and not own,
                "unofficial": cell.unofficial or own,
            }
            for model, cell in cells.items()
        },
    }


def _difference_document(one: MetricDifference) -> dict[str, Any]:
    size = one.effect
    return {
        "profile": one.column.profile,
        "metric": one.column.name,
        "model": one.model,
        "other": one.other,
        "difference": finite(one.value),
        "interval": list(one.interval) if one.interval else None,
        "p": one.chance.p,
        "exact": one.chance.exact,
        "p_corrected": one.p_corrected,
        "p_corrected_over_metrics": one.p_over_all,
        "verdict": one.verdict,
        "units_with_values": size.units,
        "wins": size.wins,
        "ties": size.ties,
        "losses": size.losses,
        "superiority": size.superiority,
        "d_z": size.d_z,
        "cliffs_delta": size.cliffs_delta,
    }


def judged_document(judged: JudgedPairs) -> dict[str, Any]:
    """Judged pairs: {"judge", "prompt", "saw_images", "asked", "pairs"}."""
    return {
        "judge": judged.asked.model,
        "prompt": judged.prompt,
        "saw_images": judged.saw_images,
        "asked": judged.asked.document(),
        "pairs": [
            {
                "model": pair.model,
                "other": pair.other,
                "samples": pair.summary.samples,
                "counts": dict(pair.summary.counts),
                "shares": dict(pair.summary.shares),
                "intervals": {outcome: list(ends) for outcome, ends in pair.summary.intervals.items()},
                "same_text": pair.same,
                "consistency": pair.consistency,
                "first_position": pair.first_position,
                "sign_test_p": pair.p,
                "sign_test_p_corrected": pair.p_corrected,
                "outcomes": {name: judgement.outcome for name, judgement in pair.judgements.items()},
            }
            for pair in judged.pairs
        ],
    }


def finite(value: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return None if value is None or not math.isfinite(value) else value
