"""Alignment on pictures with signs: does it teach what the sign says, and what does that cost?

    python bench/lettering/experiment.py                                 # five seeds, all variants
    python bench/lettering/experiment.py --seeds 17 --variants mcm-dpo mcm-dpo-misread
    python bench/lettering/experiment.py --tables                        # of what is finished; nothing is run
    python bench/lettering/experiment.py --reader 200                    # how well the reader reads these pictures
    python bench/lettering/experiment.py --start --seeds 7               # what a supervised model says of signs
    python bench/lettering/experiment.py --output runs/try --seeds 1 --rate 1e-4 --small

A variant is a recipe in ``variants/``; its start is shared by the variants of a seed: a run of ``world.yaml``, or of
``asked.yaml`` for those whose requests have the words that were read. All have one budget and one rule for learning
rates: the grid with the sweep's seed, and of each variant the rate with the best ``grounding`` on validation pictures
among those that did not degenerate. What was interrupted goes on and what is finished is not done again.

Tables: each metric's mean and standard deviation over seeds, and differences to one variant over the pictures of all
seeds with intervals and paired permutation tests (by Holm). What captions say of signs is held against the truth
(``signs/...``: ``measuring.py``) and, as for any pictures, against what the reader reads (``lettering/...``).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from variants import SEEDS, SFT, Experiment, Folders, read_texts

from lettering.measuring import EXACT, INVENTED, INVENTED_S, RECALL, said_by_post, sign_measures, words_of
from trifacet.base.draws import generator
from trifacet.base.files import write_atomically
from trifacet.data.records import TestSample
from trifacet.data.settings import World
from trifacet.data.source import source_of
from trifacet.demo.make import write_world
from trifacet.demo.signs_files import COLUMN
from trifacet.lettering.reading import read_pictures
from trifacet.lettering.settings import COLUMN as READ
from trifacet.lettering.settings import Reading
from trifacet.metrics.lettering import LETTERING, with_lettering
from trifacet.preferences.rejected.misreading import misread
from trifacet.statistics.measures import share_measure
from trifacet.statistics.significance import bca_intervals

HERE = Path(__file__).resolve().parent
ASKED = "asked"
METRICS = (
    RECALL, INVENTED, INVENTED_S, EXACT, *LETTERING, "objects/chair_s", "objects/chair_i", "objects/coverage",
    "objects/attributes", "grounding/answer",
)  # fmt: skip
SMALL = (
    "data.world.sft=48", "data.world.preference=16", "data.world.validation=6", "data.world.test=12",
    "model.tiny.warmup_steps=2", "model.tiny.hidden_size=32", "model.tiny.layers=1", "generate.max_new_tokens=8",
)  # fmt: skip
SIZE = 96  # of pictures, as world.yaml has it
READER_SEED = 1_000_007  # of pictures that no run has


def _start_of(variant: str) -> str:
    return ASKED if variant.endswith(ASKED) else SFT


def _before(folders: Folders, name: str, seed: int) -> None:
    data = folders.start(seed) / "data"
    if name == ASKED:
        _derive(data / "sft.jsonl", data / "sft-asked.jsonl", _told)
    elif name == "mcm-dpo-misread":
        _derive(data / "preference.jsonl", data / "preference-misread.jsonl", _misread)


def _derive(source: Path, target: Path, change: Any) -> None:
    """A file of the same rows, changed; kept."""
    if not target.exists():
        rows = map(json.loads, source.read_text(encoding="utf-8").splitlines())
        changed = [json.dumps(change(number, row), ensure_ascii=False) + "\n" for number, row in enumerate(rows)]
        write_atomically(target, "".join(changed))


def _told(_: int, row: dict[str, Any]) -> dict[str, Any]:
    """The truth as what was read: to read thousands of pictures takes longer than all else."""
    read = [{"text": word["text"], "box": word["box"]} for word in row["extra"][COLUMN]["words"]]
    return {**row, "extra": {**row["extra"], READ: read}}


def _misread(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """Every second row whose chosen text says words of the sign: the chosen text with one of them exchanged."""
    chosen = row["response"]
    quoted = (chosen.find('"') + 1, chosen.rfind('"'))
    if number % 2 or quoted[1] <= quoted[0]:
        return row
    exchange = misread(chosen, [quoted], generator("misread", row["id"]))
    if exchange is None:
        return row
    extra = {**row["extra"], "rejected_kind": "misread"}
    return {**row, "rejected_responses": [exchange.text], "extra": extra}


def _seen(samples: Sequence[TestSample], images: Path) -> Sequence[TestSample]:
    """Captions with what stands in their pictures; who answers a question need not say all of it."""
    captions: list[Any] = with_lettering([one for one in samples if "objects" in one.extra], images)
    read = {one.id: one for one in captions}
    return [read.get(one.id, one) for one in samples]


EXPERIMENT = Experiment(
    HERE,
    METRICS,
    "grounding",
    SMALL,
    {SFT: "world.yaml", ASKED: "asked.yaml"},
    start_of=_start_of,
    before=_before,
    own_measures=sign_measures,
    seen=_seen,
    rates=(1e-5, 2e-5, 5e-5, 1e-4),
)
VARIANTS = EXPERIMENT.variants


def reader(folder: Path, amount: int) -> None:
    """Print how well the reader reads as many pictures: words of signs, and words that are none."""
    write_world(folder, World(kind="signs", sft=1, preference=1, validation=1, test=amount), READER_SEED, SIZE)
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    began = time.process_time()
    read = list(read_pictures([folder / row["image"] for row in rows], Reading(), folder=folder / "read"))
    spent = time.process_time() - began
    names = [row["id"] for row in rows]
    signs = [words_of(row["extra"]) for row in rows]
    found = [[word for line in one.lines for word in line.text.split()] for one in read]
    right = [sum(word in words for word in sign) for sign, words in zip(signs, found, strict=True)]
    wrong = [sum(word not in sign for word in words) for sign, words in zip(signs, found, strict=True)]
    letters = [
        sum(any(map(str.isalnum, word)) for word in words if word not in sign)
        for sign, words in zip(signs, found, strict=True)
    ]
    shares = {
        "words of signs read to the letter": (right, list(map(len, signs))),
        "words read that are not on the sign": (wrong, list(map(len, found))),
        "of these with a letter or digit": (letters, list(map(len, found))),
    }
    print(f"{amount} pictures, {spent / amount:.2f} CPU seconds each (0.00: read before)")
    for what, (numerators, denominators) in shares.items():
        measure = share_measure(what, names, numerators, denominators)
        low, high = bca_intervals([measure])[0] or (float("nan"),) * 2
        print(f"{what}: {measure.value:.1f} % [{low:.1f}, {high:.1f}]")
    for sign, words in zip(signs, found, strict=True):
        if missed := [word for word in sign if word not in words]:
            print(f"  {missed} read as {words}")


def start(folders: Folders, seed: int) -> None:
    """Make a seed's supervised model unless it is there, and print what its captions say of signs."""
    EXPERIMENT.start(folders, SFT, seed)
    recipe = EXPERIMENT.start_recipe(folders, seed)
    samples: list[Any] = source_of(recipe.data, folders.start(seed), "test").read()
    texts = read_texts(EXPERIMENT.texts(folders, SFT, seed))
    for what, counts in said_by_post(texts, samples).items():
        copied = f", the post's word {counts['copied']}" if what == "wrong" else ""
        print(f"seed {seed}, post {what}: said {counts['said']} of {counts['words']}{copied}")
    own = EXPERIMENT.contestant(folders, SFT, [seed]).measures
    print(", ".join(f"{metric} {one.value:.1f}" for (_, metric), one in own.items()))


def tables(folders: Folders, seeds: Sequence[int], variants: Sequence[str], against: str) -> None:
    """Print what is finished."""
    told_as = "less is better in invented, CHAIR and attributes"
    EXPERIMENT.print_metrics(folders, seeds, variants, against if against in variants else SFT, told_as)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/signs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--against", default="mcm-dpo", help="the variant that the others are compared with")
    parser.add_argument("--rate", type=float, help="one learning rate for all instead of the sweep's")
    parser.add_argument("--reader", type=int, help="run nothing: how well the reader reads as many pictures")
    parser.add_argument("--start", action="store_true", help="only the supervised models, and what they say of signs")
    parser.add_argument("--small", action="store_true", help="tiny model and data: whether all of it works")
    parser.add_argument("--tables", action="store_true", help="run nothing: the tables of what is finished")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = Folders(options.output.resolve(), options.small)
    if options.reader:
        reader(folders.root / "reader", options.reader)
        return
    if options.start:
        for seed in options.seeds:
            start(folders, seed)
        return
    if not options.tables:
        EXPERIMENT.run(folders, options.seeds, options.variants, options.rate)
    tables(folders, options.seeds, options.variants, options.against)


if __name__ == "__main__":
    main()
