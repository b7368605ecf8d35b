"""POPE: is there such an object in the image? (Li et al., 2023)

Invariant: each file is a part with numbers of its own; no number mixes parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, Outcome
from trifacet.benchmarks.objects import yes_no
from trifacet.benchmarks.objects.records import check_answers, choice_of, number_of, once, read_benchmark_rows, text_of
from trifacet.benchmarks.objects.yes_no import YesNo
from trifacet.statistics.measures import Better, Formula, Measure, grouped_measure

SOURCES = ("coco", "gqa", "aokvqa")
PARTS = ("random", "popular", "adversarial")
MEASURES: tuple[tuple[str, Formula, Better], ...] = (
    ("accuracy", yes_no.accuracy, "higher"),
    ("precision", yes_no.precision, "higher"),
    ("recall", yes_no.recall, "higher"),
    ("f1", yes_no.f1, "higher"),
    ("yes_ratio", yes_no.positive_ratio, "neither"),
)
_RELEASE = "RUCAIBox/POPE 3df3ba1"
_OLDER = "AoiDragon/POPE e3e3926, as LLaVA's evaluation takes it"
# The older release is known by the SHA-256 that others publish for its files, not by files that we had.
_KNOWN = {
    "coco_pope_random.json": {
        "ac25245170b975a5bdf9080b23fd431dfe6be458bc038259c1f4f09a6bef7994": _RELEASE,
        "c16b65d2df6d70bb0814c8a4375833d39cdb09928fd936d3fc546491efa37f35": _OLDER,
    },
    "coco_pope_popular.json": {
        "72c1a8ad45d0c13514f5f22598261df41d3b533854d29682e924db50ed8aa753": _RELEASE,
        "5b16653023bf4f64d57eb0d168259de6627f5cde7538b85ebed3cc33034aa6cc": _OLDER,
    },
    "coco_pope_adversarial.json": {
        "420b3407db1fa9f1187a805dca41cb7b97fd91504e6c2179706188c107fb8ef8": _RELEASE,
        "1d8f0906a9b50c05640f6f23abfac97523be2a1bed28f7eadc63b811699b2d26": _OLDER,
    },
}


def said(answer: str) -> YesNo:
    """What POPE's program reads off an answer.

    It takes what stands before the first full stop, without commas, and splits it at single spaces; "No", "no" or
    "not" among the words is no, everything else is yes - also an empty answer, "NO" and "none".
    """
    words = answer.split(".", 1)[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def read(folder: Path) -> list[Item]:
    """The questions of the files that are there; ids such as ``random/1``, and ``gqa/random/1`` for other sources."""
    items: dict[str, Item] = {}
    for source in SOURCES:
        for part in PARTS:
            there = [folder / name for name in _files(source, part) if (folder / name).is_file()]
            for item in _items(there[0], _part(source, part)) if there else ():
                items[item.id] = item
    if not items:
        first = folder / _files("coco", "random")[0]
        raise DataError("no such file", fix="get it from the POPE repository", file=first)
    return list(items.values())


def score(answered: Sequence[Answered], options: Any = None) -> Outcome:
    """Accuracy, precision, recall, F1 (0 to 1) and share of yes per part; what is resampled is the image."""
    check_answers(answered)
    parts: dict[str, tuple[list[str], list[tuple[int, ...]]]] = {}
    for one in answered:
        images, rows = parts.setdefault(one.item.extra["part"], ([], []))
        images.append(str(one.item.image))
        rows.append(yes_no.counts_of(said(one.answer), one.item.extra["label"]))
    measures: list[Measure] = []
    counts: dict[str, int] = {}
    of_items = {one.item.id: {"correct": float(said(one.answer) == one.item.extra["label"])} for one in answered}
    for part, (images, rows) in parts.items():
        sums_N4 = np.array(rows, dtype=np.float64)
        measures += [
            grouped_measure(f"{part}/{name}", images, sums_N4, formula, better=better)
            for name, formula, better in MEASURES
        ]
        totals = sums_N4.sum(axis=0).astype(int).tolist()
        counts |= {f"{part}/{name}": total for name, total in zip(yes_no.YES_NO_COUNTS, totals, strict=True)}
    empty = any(not one.answer.strip() for one in answered)
    notes = ["an empty answer counts as yes, as in POPE's own program"] if empty else []
    return Outcome(measures, counts, notes, of_items)


def _items(path: Path, part: str) -> list[Item]:
    items: dict[str, Item] = {}
    for row in read_benchmark_rows(path):
        item = Item(
            f"{part}/{number_of(row, 'question_id', path)}",
            text_of(row, "text", path),
            text_of(row, "image", path),
            {"part": part, "label": choice_of(row, "label", path, ("yes", "no"))},
        )
        items[item.id] = once(item, items, path, row.number, "question_id")
    return list(items.values())


def _files(source: str, part: str) -> tuple[str, ...]:
    """The names of a file: the original's, and for GQA and A-OKVQA the one that others give it; the first is read."""
    plain = f"{source}_pope_{part}.json"
    return (plain,) if source == "coco" else (f"{source}_pope_seem_{part}.json", plain)


def _part(source: str, part: str) -> str:
    return part if source == "coco" else f"{source}/{part}"


def _needs(source: str, part: str) -> list[Need]:
    first, *others = _files(source, part)
    folder = source if source == "coco" else f"seem/{source}"
    return [
        Need(
            name,
            f"3,000 questions about {source.upper()} images, {part} objects"
            if name == first
            else f"{first} under another name",
            f"github.com/RUCAIBox/POPE, output/{folder}/{first}",
            _KNOWN.get(name, {}),
            required=source == "coco",
            part=f"{_part(source, part)}/",
            unread_beside=() if name == first else (first,),
        )
        for name in (first, *others)
    ]


BENCHMARK = Benchmark(
    name="pope",
    title="POPE",
    paper="Li et al., Evaluating Object Hallucination in Large Vision-Language Models, 2023 (arXiv:2305.10355)",
    licence="MIT (questions); COCO images under their own terms",
    needs=[need for source in SOURCES for part in PARTS for need in _needs(source, part)],
    images="COCO val2014 (cocodataset.org), file names as there: COCO_val2014_000000310196.jpg; for GQA's "
    "questions its pictures beside them",
    read=read,
    score=score,
    expected=lambda item: item.extra["label"],
)
