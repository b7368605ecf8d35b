"""placeholder docstring"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from contest.contestants import CONTESTANTS, lacking
from contest.inputs import SHAPES, make_inputs
from contest.machine import facts
from contest.results import DifferentWorkError, document, measure, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps per contestant")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that share one reference pass")
    parser.add_argument("--threads", type=int, default=2)
    default = [name for name, entry in CONTESTANTS.items() if entry.by_default]
    parser.add_argument("--contestants", default=",".join(default), help=f"some of {', '.join(CONTESTANTS)}")
    parser.add_argument("--in-batch", action="store_true", help="rejected images and contexts: those of batch mates")
    parser.add_argument("--json", metavar="PATH", help="also write the figures as JSON")
    options = parser.parse_args()
    shape, names = SHAPES[options.shape], options.contestants.split(",")
    if problem := lacking(names):
        parser.error(problem)
    if min(options.rounds, options.epochs, options.threads) < 1:
        parser.error("--rounds, --epochs and --threads are at least 1")
    if shape.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"shape {shape.name!r} needs a GPU that torch can use, and there is none; use --shape small")
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), shape, in_batch=options.in_batch)
        try:
            records, best = measure(names, inputs, rounds=options.rounds, threads=options.threads)
        except DifferentWorkError as error:
            sys.exit(f"the contestants do not do the same work: {error}")
    run = document(inputs, records, best, epochs=options.epochs, facts=facts(shape.device, options.threads))
    print(table(run))
    if options.json:
        Path(options.json).write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
