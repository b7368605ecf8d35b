"""What size of effect a study can see, from how much a measure of one cell differs between seeds.

    trifacet study bench/study_calibration.yaml && python bench/study_power.py runs/study-calibration

Reads the numbers of a finished study (results.json). The effect is the smallest difference of two cells that a study
finds with a power of .8, at the level that Holm's correction leaves the hardest of so many claims: as if the two cells
shared nothing, so that the spread of their difference is that of one cell times the square root of two. Cells of one
seed share world, start and posts, so that a study tells smaller differences of cells that differ little; what it did
see stands on its page ("found from").
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path

from trifacet.statistics.over_seeds import POWER, effect_found


def smallest(spread: float, seeds: int, claims: int) -> float:
    """The smallest difference that is found, given one cell's standard deviation over seeds."""
    return effect_found(seeds - 1, 0.05 / claims, POWER) * spread * math.sqrt(2 / seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a finished study, or its results.json")
    parser.add_argument("--cell", default="sft")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10], help="how many seeds a study would have")
    parser.add_argument("--claims", type=int, nargs="+", default=[1, 6], help="how many claims")
    options = parser.parse_args()
    found = options.study / "results.json" if options.study.is_dir() else options.study
    document = json.loads(found.read_text(encoding="utf-8"))
    cells = {cell["cell"]: cell["measures"] for cell in document["cells"]}
    if options.cell not in cells:
        parser.error(f"no cell {options.cell!r} in {found}; there are {', '.join(cells)}")
    if min(options.seeds) < 2 or min(options.claims) < 1:
        parser.error("an effect over seeds needs two of them, and one claim")
    heads = [f"{seeds} seeds, {claims} claims" for claims in options.claims for seeds in options.seeds]
    print(f"| measure of {options.cell} | mean | sd | seeds | " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (3 + len(heads)))
    for measure, told in cells[options.cell].items():
        values = [value for value in told["values"].values() if value is not None]
        if len(values) < 2:
            continue
        spread = statistics.stdev(values)
        effects = [smallest(spread, seeds, claims) for claims in options.claims for seeds in options.seeds]
        shown = " | ".join(f"{effect:.1f}" for effect in effects)
        print(f"| {measure} | {statistics.fmean(values):.1f} | {spread:.1f} | {len(values)} | {shown} |")


if __name__ == "__main__":
    main()
