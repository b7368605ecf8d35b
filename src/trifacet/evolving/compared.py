"""The rounds' models side by side on held-out samples. Invariant: every number is the stored one's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.json_text import read_json
from trifacet.base.opening import is_file
from trifacet.comparing.reading import read_comparison
from trifacet.evaluation.run_folder import ModelRun, number
from trifacet.reports.run.sureness import marked, sureness
from trifacet.reports.tables import summarise_runs

SCORES = Path("held-out") / "test" / "scores.json"
_MOST = 1 << 30  # bytes: it has the scores of every sample
_AGAIN = "delete it, and the same command makes it again"


def compared(folder: Path) -> dict[str, Any] | None:
    """What the models of the run in ``folder`` came to on the test split; None where they were not compared.

    Returns:
        metrics (label, better), models (name, degenerate, cells: text, interval, mark, verdict, p, best), legend,
        correction, baseline, leaders (sentences on who is best), notes.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / SCORES
    if not is_file(path):
        return None
    scores = read_json(path, _MOST, _AGAIN)
    try:
        models = [
            ModelRun(name=name, metrics={key: number(value) for key, value in one["metrics"].items()},
                     degenerate=one.get("degenerate") or None)
            for name, one in scores["models"].items()
        ]  # fmt: skip
        notes = [str(note) for note in scores.get("notes") or []]
        stored = scores.get("comparison")
    except (AttributeError, KeyError, TypeError):
        raise DataError("is damaged", fix=_AGAIN, file=path) from None
    against = None if stored is None else read_comparison(stored, path)
    summary = marked(summarise_runs(models), against)
    sure = sureness(summary, against, "sample")
    return {
        "metrics": [{"label": one.label, "better": one.better} for one in summary.metrics],
        "models": [
            {"name": model.name, "degenerate": model.degenerate or "", "cells": [asdict(cell) for cell in cells]}
            for model, cells in summary.rows
        ],
        "legend": sure.legend if sure else "",
        "correction": sure.correction if sure else "",
        "baseline": sure.against.baseline if sure and sure.charts else "",
        "leaders": sure.leaders if sure else [],
        "notes": notes,
    }
