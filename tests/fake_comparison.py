"""Models to compare that are quick to make: a baseline, a twin of it, and one that differs in three metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trifacet.comparing.contestants import Contestant
from trifacet.statistics.measures import Better, Measure, mean_measure


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def contestants(count: int = 40) -> list[Contestant]:
    rng = np.random.default_rng(2)
    values = rng.normal(50, 10, count)
    directions: dict[str, Better] = {"accuracy": "higher", "errors": "lower", "length": "neither"}

    def model(name: str, shift: float) -> Contestant:
        moved = values + shift + (shift != 0) * np.random.default_rng(5).normal(0, 3, count)
        named = {f"s{place:02d}": float(value) for place, value in enumerate(moved)}
        measures: dict[tuple[str, str], Measure] = {
            ("", metric): mean_measure(metric, named, better=better) for metric, better in directions.items()
        }
        return Contestant(name, f"{name}.jsonl", measures)

    return [model("base", 0.0), model("good", 4.0), model("twin", 0.0)]
