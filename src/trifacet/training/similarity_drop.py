"""How much less like the response each rejected image of a stage is than the chosen one, measured before it trains.

Invariant: what is measured is what is trained on: the first rejected image that the stage's own strategy makes.
"""

from __future__ import annotations

import json
from typing import Any

from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar
from trifacet.training import ranks
from trifacet.training.examples import Examples
from trifacet.training.pictures import measured
from trifacet.training.stage import REJECTED, Stage


def similarity_drop(stage: Stage, examples: Examples) -> dict[str, Any]:
    """CLIPScore (0 to 2.5) of the chosen picture less that of the rejected one, by the model that the recipe names.

    Each sample's is written to ``rejected.jsonl`` in the stage's folder, with the area of its key regions.

    Returns:
        for ``done.json``: the mean over samples, and of how many; empty where no model is named, or no image made.

    Raises:
        TrifacetError: the model cannot be loaded.
    """
    source = stage.samples.similarity
    made = [index for index in range(len(examples)) if examples.makes_images(index)] if source else []
    if source is None or not made:
        return {}

    def measure() -> float:
        from trifacet.metrics.clipscore import ClipScorer

        rows, drops = [], []
        with Bar("similarity of rejected images") as bar:
            for index, drawn in zip(made, measured(examples.pictures, made, ClipScorer(source)), strict=True):
                assert drawn.drop is not None  # a model was named
                drops.append(drawn.drop)
                rows.append({"id": examples.samples[index].id, "area": drawn.area, "drop": drawn.drop})
                bar.update(len(rows), len(made))
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomically(stage.folder / REJECTED, "".join(lines))
        return sum(drops) / len(drops)

    mean = ranks.first_does(measure)
    return {"similarity_drop": {"mean": round(mean, 4), "samples": len(made), "model": source}}
