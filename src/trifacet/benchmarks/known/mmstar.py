"""MMStar: 1,500 questions with four options that need the picture (Chen et al., 2024).

Invariant: an answer is right where it begins with the right letter, in one of the four ways that the benchmark's own
program looks for; nothing else of it is read, and no model is asked.

Source: Chen et al., "Are We on the Right Way for Evaluating Large Vision-Language Models?", arXiv 2403.20330, and the
program of MMStar-Benchmark/MMStar (eval/vlmeval/evaluate/mmstar.py). Official: how an answer is read, and the numbers;
the program divides by 1,500 and by 250 a category, which here is the number of answered questions: the same for all.
Not official: VLMEvalKit's newer way, which lets a language model read answers. Released as Parquet (``index``,
``question`` with its options, ``image`` {bytes, path}, ``answer``, ``category``, ``l2_category``, ``meta_info``) and as
a table MMStar.tsv (the same with ``bench`` for the last, and base64 for the picture).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, NoOptions, Outcome
from trifacet.benchmarks.objects.records import check_answers, choice_of, number_of, once, text_of
from trifacet.benchmarks.objects.row_pictures import picture_of_row, picture_rows
from trifacet.statistics.measures import Measure, share_measure

PARQUET, TABLE = "mmstar.parquet", "MMStar.tsv"
LETTERS = ("A", "B", "C", "D")
CATEGORIES: dict[str, tuple[str, ...]] = {
    "coarse perception": ("image scene and topic", "image style & quality", "image emotion"),
    "fine-grained perception": ("object counting", "recognition", "localization"),
    "instance reasoning": (
        "single-instance reasoning",
        "cross-instance attribute reasoning",
        "cross-instance relation reasoning",
    ),
    "logical reasoning": ("code & sequence reasoning", "diagram reasoning", "common reasoning"),
    "science & technology": (
        "biology & chemistry & physics",
        "electronics & energy & mechanical eng.",
        "geography & earth science & agriculture",
    ),
    "math": ("geometry", "numeric commonsense and calculation", "statistical reasoning"),
}
INSTRUCTION = "Answer with the option's letter from the given choices directly."
_BEFORE = ("", "(", "option ", "the answer is ")  # what may stand before the letter


def read(folder: Path) -> list[Item]:
    """The questions in the file's order; an item's id is its index. The Parquet file is read where both are there."""
    path = folder / (TABLE if not (folder / PARQUET).is_file() and (folder / TABLE).is_file() else PARQUET)
    items: dict[str, Item] = {}
    for row in picture_rows(path):
        number = str(number_of(row, "index", path))
        category = choice_of(row, "category", path, CATEGORIES)
        kind = choice_of(row, "l2_category", path, CATEGORIES[category])
        question = text_of(row, "question", path)
        item = Item(
            number,
            question,
            picture_of_row(row, "image", path, f"{number}.jpg"),
            {"label": choice_of(row, "answer", path, LETTERS), "category": category, "l2_category": kind},
            prompt=f"{question}\n{INSTRUCTION}",
        )
        items[item.id] = once(item, items, path, row.number, "index")
    return list(items.values())


def is_right(answer: str, letter: str) -> bool:
    """Whether ``answer`` begins with the letter, perhaps after "(", "Option " or "The answer is ", in any case.

    What follows the letter makes no difference: "A cat" is right where A is.
    """
    said = answer.lower().strip().replace("\n", " ")
    return any(said.startswith(before + letter.lower()) for before in _BEFORE)


def score(answered: Sequence[Answered], options: NoOptions | None = None) -> Outcome:
    """Right answers in per cent: of all, by category, and by the three kinds of each."""
    check_answers(answered)
    right = [is_right(one.answer, one.item.extra["label"]) for one in answered]
    measures: list[Measure] = []
    counts: dict[str, int] = {}
    for name, kinds in _groups():
        mine = [at for at, one in enumerate(answered) if one.item.extra["l2_category"] in kinds]
        if mine:
            measures.append(_share(name, [answered[at].item.id for at in mine], [right[at] for at in mine]))
            counts |= {f"{name}/right": sum(right[at] for at in mine), f"{name}/questions": len(mine)}
    of_items = {one.item.id: {"correct": float(hit)} for one, hit in zip(answered, right, strict=True)}
    return Outcome(measures, counts, ["an answer that does not begin with a letter is wrong"], of_items)


def _groups() -> list[tuple[str, tuple[str, ...]]]:
    """Names of numbers and the kinds of questions that they are about; no kind is in two categories."""
    found: list[tuple[str, tuple[str, ...]]] = [("accuracy", sum(CATEGORIES.values(), ()))]
    for category, kinds in CATEGORIES.items():
        found.append((category, kinds))
        found += [(f"{category}/{kind}", (kind,)) for kind in kinds]
    return [(name.replace(" & ", "_and_").replace(" ", "_").rstrip("."), kinds) for name, kinds in found]


def _share(name: str, ids: Sequence[str], right: Sequence[bool]) -> Measure:
    return share_measure(name, ids, np.array(right, dtype=np.float64), np.ones(len(ids)))


_SOURCE = "huggingface.co/datasets/Lin-Chen/MMStar"
# By the SHA-256 that two others publish for it, not by a file that we had; none is known of the Parquet file.
_KNOWN = {"38a99f4a33743665e6990961a9a0072b07f7ac6a74d1555b43c4f82145377cb4": "Lin-Chen/MMStar MMStar.tsv"}

BENCHMARK = Benchmark(
    name="mmstar",
    title="MMStar",
    paper="Chen et al., Are We on the Right Way for Evaluating Large Vision-Language Models?, 2024 (arXiv:2403.20330)",
    licence="see the release; the pictures under the terms of the six benchmarks that they come from",
    needs=[
        Need(PARQUET, "1,500 questions with their pictures", f"{_SOURCE}, {PARQUET}", instead=(TABLE,)),
        Need(TABLE, "the same as a table, pictures as base64", f"{_SOURCE}, {TABLE}", _KNOWN, required=False,
             unread_beside=(PARQUET,)),
    ],
    images="inside the file",
    read=read,
    score=score,
    expected=lambda item: item.extra["label"],
)  # fmt: skip
