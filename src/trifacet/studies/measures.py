"""Where a study's measures come from, told by their names.

    cider, grounding/colour, ...   scores.json of a run: what ``trifacet score`` names
    evolved/...                    rounds of ``trifacet evolve`` (``evolved_names.py``)
    cost/...                       the record of the measured stage's training (``COSTS``)
    probe/...                      looks into the model (``trifacet probe``), kept beside the run's texts
    relative/NAME                  NAME in per cent of that of the cell that others are held against, seed by seed

Invariant: a name with one of these prefixes is one that its source gives, so that a mistyped one is told before hours
go into runs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from trifacet.studies import evolved_names

COST, PROBE, RELATIVE = "cost/", "probe/", "relative/"
COSTS = {
    f"{COST}seconds_per_sample": "of a training step, its reference scores left out",
    f"{COST}hours": "of the whole stage on all its processes, reference scores and loading included",
    f"{COST}tokens": "that a sample puts through the language model in one forward, padding included",
    f"{COST}sequences": "that a sample has: image, post and response, one for each corner",
    f"{COST}peak_memory": "GiB: of the device, or of the process on a CPU",
}
DISTANCES = ("euclidean", "cosine", "centroids", "spread", "silhouette")
GROUPS = ("image", "context", "prompt", "first")
_NOISE = re.compile(rf"{PROBE}(changed|similarity)/t=(\d{{1,4}})")


def plainly(name: str) -> str:
    """The name of what is measured, without ``relative/``."""
    return name.removeprefix(RELATIVE)


def noise_step(name: str) -> int | None:
    """The strength of noise that a measure is about; None where it is about none."""
    found = _NOISE.fullmatch(plainly(name))
    return int(found[2]) if found and int(found[2]) <= 1000 else None


def refuse_unknown(measures: Sequence[str]) -> None:
    """Raise ValueError for a measure twice, or one that its source does not give."""
    if twice := next((one for one in measures if measures.count(one) > 1), None):
        raise ValueError(f"measures: {twice!r} stands there twice")
    evolved_names.refuse_unknown([plainly(one) for one in measures])
    probes = [*(f"{PROBE}{one}" for one in DISTANCES), *(f"{PROBE}attention/{one}" for one in GROUPS)]
    for name in map(plainly, measures):
        source = {COST: list(COSTS), PROBE: [*probes, f"{PROBE}changed/t=500", f"{PROBE}similarity/t=500"]}
        for prefix, known in source.items():
            if name.startswith(prefix) and name not in known and noise_step(name) is None:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise ValueError(f"measures: no {name!r}; {hint}")
