"""The rows of a probe as measures, so that models that were probed on the same samples can be compared.

Invariant: a measure's value is the number of the same name in the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trifacet.probing.attention import SHARES
from trifacet.probing.noise import plain, similarity
from trifacet.statistics.measures import Measure, mean_measure


def probe_measures(document: Mapping[str, Any]) -> list[Measure]:
    """``attention/<group>``, ``changed/t=<t>`` and ``similarity/t=<t>`` of what ``read_probe`` gave.

    None has a better direction: neither more attention to the picture nor a changed answer is good in itself.
    """
    rows = document["per_sample"]
    measures = []
    if document["attention"]:
        for group in SHARES:
            measures.append(
                _mean(f"attention/{group}", {r["id"]: r["attention"][group] for r in rows if r["attention"]})
            )
    for noise in document["noise"] or ():
        t = str(noise["t"])
        pairs = {row["id"]: (row["generated"], row["noised"][t]) for row in rows if t in row["noised"]}
        changed = {name: float(plain(one) != plain(other)) for name, (one, other) in pairs.items()}
        measures.append(_mean(f"changed/t={t}", changed))
        measures.append(_mean(f"similarity/t={t}", {name: similarity(*pair) for name, pair in pairs.items()}))
    return measures


def _mean(name: str, values: Mapping[str, float]) -> Measure:
    return mean_measure(name, values, better="neither")
