"""How long BLEU, ROUGE-L and CIDEr of COCO captions take: ours against the toolkit with Java, and as captions grow.

python bench/caption_speed.py                  # the data at ../shared/data, or $TRIFACET_PARITY_DATA
python bench/caption_speed.py --no-java --repeat 1,4,16

Both tokenise the same captions of fakecap (1,000 with 5,005 references) and compute BLEU-1..4, ROUGE-L and CIDEr-D, of
the set and of each caption. METEOR and SPICE are in neither. They take turns; medians are compared, of the clock and of
the processor's time, in which Java's own threads count.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from parity.row import DATA

from trifacet.metrics.coco import coco_measures, tokenized

TURNS = 3
OURS_PER_TURN = 3


class Taken(NamedTuple):
    """Seconds by the clock and of all processors together, and the metrics' values x 100."""

    clock: float
    processor: float
    values: dict[str, float]


def ours(ids: list[str], hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
    measures = coco_measures(tokenized(ids, hypotheses, references))
    for measure in measures:
        measure.of_units()
    return {measure.name: measure.value for measure in measures}


def toolkit(ids: list[str], hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
    """The jar of the tokeniser, twice, and the toolkit's own scorers in Python."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    given = {name: [{"caption": text} for text in texts] for name, texts in zip(ids, references, strict=True)}
    gts = PTBTokenizer().tokenize(given)
    res = PTBTokenizer().tokenize({name: [{"caption": text}] for name, text in zip(ids, hypotheses, strict=True)})
    bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
    rouge, _ = Rouge().compute_score(gts, res)
    cider, _ = Cider().compute_score(gts, res)
    values = {f"coco/bleu_{order}": 100 * value for order, value in enumerate(bleu, start=1)}
    return values | {"coco/rouge_l": 100 * float(rouge), "coco/cider": 100 * float(cider)}


def taken(
    scorer: Callable[[list[str], list[str], list[list[str]]], dict[str, float]],
    ids: list[str],
    hypotheses: list[str],
    references: list[list[str]],
) -> Taken:
    clock, processor = time.perf_counter(), _processor()
    values = scorer(ids, hypotheses, references)
    return Taken(time.perf_counter() - clock, _processor() - processor, values)


def _processor() -> float:
    """Seconds of this process and of the programs that it has started and that have ended."""
    return time.process_time() + sum(os.times()[2:4])


def median(runs: list[Taken], kind: str) -> float:
    return statistics.median(getattr(run, kind) for run in runs)


def show(name: str, runs: list[Taken]) -> None:
    each = ", ".join(f"{run.clock:.3f}" for run in runs)
    print(
        f"{name}: {median(runs, 'clock'):.3f} s by the clock ({each}), {median(runs, 'processor'):.3f} s of processors"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-java", action="store_true", help="leave the toolkit out")
    parser.add_argument("--repeat", default="1,2,4,8,16", help="how many times over the captions are taken")
    options = parser.parse_args()
    file = DATA / "coco_fakecap" / "fakecap_with_refs.json"
    if not file.is_file():
        print(f"there is no {file}; name the folder of the data in TRIFACET_PARITY_DATA", file=sys.stderr)
        return 2
    rows = json.loads(file.read_text(encoding="utf-8"))
    ids = [str(row["_id"]) for row in rows]
    hypotheses, references = [row["candidates"][0] for row in rows], [row["references"] for row in rows]

    ours(ids[:50], hypotheses[:50], references[:50])  # imports and compiled patterns are no part of it
    java = not options.no_java and shutil.which("java") is not None
    mine: list[Taken] = []
    theirs: list[Taken] = []
    for _ in range(TURNS):
        mine += [taken(ours, ids, hypotheses, references) for _ in range(OURS_PER_TURN)]
        theirs += [taken(toolkit, ids, hypotheses, references)] if java else []
    show("ours", mine)
    if java:
        show("toolkit", theirs)
        clock, processor = (median(theirs, kind) / median(mine, kind) for kind in ("clock", "processor"))
        print(f"the toolkit takes {clock:.1f} times as long, and {processor:.1f} times the processor's time")
        expected = theirs[0].values
        apart = max(abs(mine[0].values[name] - expected[name]) for name in expected)
        print(f"largest difference of a metric x 100: {apart:.1e}")
    else:
        print("toolkit: left out" if options.no_java else "toolkit: left out, there is no Java")

    print("\n| captions | references | seconds | microseconds per caption |\n|---:|---:|---:|---:|")
    for times in map(int, options.repeat.split(",")):
        names = [f"{name}-{turn}" for turn in range(times) for name in ids]
        took = min(taken(ours, names, hypotheses * times, references * times).clock for _ in range(2))
        count = sum(map(len, references)) * times
        print(f"| {len(names)} | {count} | {took:.3f} | {1e6 * took / len(names):.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
