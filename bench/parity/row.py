"""One line of the parity table. Invariant: a difference beyond the tolerance is a failure, whoever is right."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Data and targets that are not ours to publish; see docs/evaluation.md for what lies there.
DATA = Path(os.environ.get("TRIFACET_PARITY_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")


@dataclass(frozen=True)
class Row:
    """``metric`` on ``data``: our value, the official one, and how far apart they may be."""

    metric: str
    data: str
    ours: float
    official: float
    tolerance: float = 0.0

    @property
    def difference(self) -> float:
        return abs(self.ours - self.official)

    @property
    def holds(self) -> bool:
        return self.difference <= self.tolerance
