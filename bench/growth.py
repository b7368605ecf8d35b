"""How the cost of a step grows: with the number of terms, of rejected versions, with image tokens, context and batch.

    python bench/growth.py --vary terms --plot terms.png
    python bench/growth.py --vary image-versions --plot image-versions.png
    python bench/growth.py --vary context-versions --plot context-versions.png
    python bench/growth.py --vary response-versions --plot response-versions.png
    python bench/growth.py --vary image-tokens --plot image-tokens.png
    python bench/growth.py --vary context --plot context.png
    python bench/growth.py --vary batch --plot batch.png

Everything else stays as in the shape (``--shape``, default small). Each value is a run of its own, in which the
contestants take turns as in step_time.py; seconds per sample include the reference (see there). With ``terms`` the
objective is the first so many of MCM-DPO's seven (RPO, VPO, CPO, VRPO, CRPO, VCPO, MTPO); TRL always runs plain DPO on
the first rejected response. Versions are rejected ones of one facet, with one of each other facet. The right panel is
the tokens that a sample puts through the language model in one forward.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import Any

from contest.contestants import lacking
from contest.inputs import SHAPES, Inputs, Shape, make_inputs, with_model
from contest.machine import facts
from contest.results import DifferentWorkError, document, measure
from contest.turns import FailedError
from trifacet.preferences.facets import Facet

VERSIONS = {f"{facet}-versions": facet for facet in Facet}
VALUES = {  # and what the axis says
    "terms": ([1, 2, 3, 4, 5, 6, 7], "terms of MCM-DPO"),
    **{name: ([1, 2, 3, 4], f"rejected {facet}s per sample") for name, facet in VERSIONS.items()},
    "image-tokens": ([64, 144, 324, 576, 1024], "tokens per image"),
    "context": ([20, 60, 120, 240, 480], "words (tokens) of the post"),
    "batch": ([1, 2, 4], "samples per batch"),
}


def inputs_for(vary: str, value: int, shape: Shape, folder: Path) -> Inputs:
    """The inputs of one point of the curve."""
    if vary in VERSIONS:
        return make_inputs(folder, shape, {VERSIONS[vary]: value})
    if vary == "image-tokens":
        side = isqrt(value)
        if side * side != value:
            raise SystemExit(f"--values: {value} image tokens make no square; try {side * side} or {(side + 1) ** 2}")
        shape = with_model(shape, image_size=side * shape.model.patch_size)
    elif vary == "context":
        shape = replace(shape, context=value)
    elif vary == "batch":
        shape = replace(shape, batch=value)
    return make_inputs(folder, shape)


def draw(vary: str, points: list[dict[str, Any]], path: Path) -> None:
    """Two panels over the varied number: seconds and tokens per sample, a line per contestant."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    values = [point["value"] for point in points]
    keys = ("with_reference_seconds_per_sample", "unique_tokens")
    labels = ("seconds per sample, reference included", "tokens per sample and forward")
    for panel, key, label in zip(panels, keys, labels, strict=True):
        for (name, _), marker in zip(points[0]["contestants"].items(), "osD^vPX*", strict=False):
            panel.plot(values, [point["contestants"][name][key] for point in points], marker=marker, label=name)
        panel.set_xlabel(VALUES[vary][1])
        panel.set_ylabel(label)
        panel.set_xticks(values)
        panel.set_ylim(bottom=0)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    machine = points[0]["machine"]
    figure.suptitle(f"shape {points[0]['shape']}, {machine['threads']} threads, {machine['processor']}", fontsize=9)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vary", choices=VALUES, required=True)
    parser.add_argument("--values", help="comma-separated numbers instead of the usual ones")
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps per contestant and value")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that share one reference pass")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contestants", default="trl-dpo,mcm-dpo,mcm-dpo-one-by-one")
    parser.add_argument("--json", metavar="PATH", help="write the figures of all values as JSON")
    parser.add_argument("--plot", metavar="PATH", type=Path, help="draw the curves (PNG)")
    options = parser.parse_args()
    shape, names = SHAPES[options.shape], options.contestants.split(",")
    if problem := lacking(names, shape):
        parser.error(problem)
    values = [int(text) for text in options.values.split(",")] if options.values else VALUES[options.vary][0]
    points = []
    print(f"{options.vary:18}" + "".join(f"{name:>32}" for name in names))
    print(f"{'':18}" + "seconds per sample      tokens".rjust(32) * len(names))
    for value in values:
        with tempfile.TemporaryDirectory() as folder:
            inputs = inputs_for(options.vary, value, shape, Path(folder))
            terms = value if options.vary == "terms" else 0
            try:
                records, best = measure(names, inputs, rounds=options.rounds, threads=options.threads, terms=terms)
            except (DifferentWorkError, FailedError) as error:
                sys.exit(f"{options.vary} = {value}: {error}")
        run = document(inputs, records, best, epochs=options.epochs, facts=facts(shape.device, options.threads))
        points.append({"vary": options.vary, "value": value, **run})
        cells = (
            f"{entry['with_reference_seconds_per_sample']:20.3f}{entry['unique_tokens']:12.0f}"
            for entry in run["contestants"].values()
        )
        print(f"{value:<18}" + "".join(cells), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(points, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        draw(options.vary, points, options.plot)


if __name__ == "__main__":
    main()
