"""MME: two yes-no questions about each picture, in 14 subtasks of perception and cognition (Fu et al., 2023).

Invariant: a subtask's score is the sum of two shares, of questions answered rightly and of pictures with both answered
rightly, in per cent; perception is the sum over ten subtasks (at most 2,000), cognition over four (at most 800). An
answer that is neither yes nor no is wrong in both.

Source: Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models", arXiv 2306.13394,
and its eval_tool (calculation.py). Official: how an answer is read, pairs, and all numbers. Not official: a picture of
which one question alone is answered, which the program refuses and which is left out here. Released as a folder
MME_Benchmark_release_version: ``eval_tool/Your_Results/SUBTASK.txt`` with a line "picture TAB question TAB Yes or No"
per question, two lines per picture, and the pictures in ``SUBTASK/``, of five subtasks in ``SUBTASK/images/``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, NoOptions, Outcome
from trifacet.benchmarks.objects.records import check_answers, read_lines
from trifacet.statistics.measures import Array, Measure, grouped_measure, share_measure

PERCEPTION = (
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
SUBTASKS = (*PERCEPTION, *COGNITION)
IN_IMAGES = ("artwork", "celebrity", "landmark", "posters", "scene")  # subtasks whose pictures lie in images/
FOLDER = "eval_tool/Your_Results"
READ = 4  # characters at an answer's beginning in which yes or no is looked for
Said = Literal["yes", "no", "other"]


def said(answer: str) -> Said:
    """What MME's program reads off an answer: yes or no among its first four characters, in any case.

    "Not sure" and "None" are no, "I say yes" is neither; white space counts as characters.
    """
    start = answer.lower()[:READ]
    return "yes" if "yes" in start else "no" if "no" in start else "other"


def read(folder: Path) -> list[Item]:
    """The questions of all subtasks; ids such as ``existence/000000006040.jpg/1`` and ``/2``."""
    return [item for name in SUBTASKS for item in _items(folder, name)]


def score(answered: Sequence[Answered], options: NoOptions | None = None) -> Outcome:
    """Accuracy, accuracy+ and their sum by subtask; the sums ``perception`` and ``cognition``, and ``total``.

    What is resampled is the picture with its two questions.
    """
    check_answers(answered)
    pictures: dict[str, list[bool]] = {}
    for one in answered:
        right = said(one.answer) == one.item.extra["label"]
        pictures.setdefault(one.item.id.rpartition("/")[0], []).append(right)
    whole = {name: hits for name, hits in pictures.items() if len(hits) == 2}
    measures: list[Measure] = []
    counts: dict[str, int] = {}
    for name in SUBTASKS:
        mine = {picture: hits for picture, hits in whole.items() if picture.partition("/")[0] == name}
        if mine:
            measures += _of_subtask(name, mine)
            counts |= {
                f"{name}/right": sum(map(sum, mine.values())),
                f"{name}/both_right": sum(map(all, mine.values())),
                f"{name}/pictures": len(mine),
            }
    for name, subtasks in (("perception", PERCEPTION), ("cognition", COGNITION), ("total", SUBTASKS)):
        measures += _sum(name, subtasks, whole)
    counts["other"] = sum(said(one.answer) == "other" for one in answered)
    of_items = {one.item.id: {"correct": float(said(one.answer) == one.item.extra["label"])} for one in answered}
    return Outcome(measures, counts, _notes(pictures, counts), of_items)


def _notes(pictures: dict[str, list[bool]], counts: dict[str, int]) -> list[str]:
    notes = [f"{counts['other']} answers begin with neither yes nor no: wrong"] if counts["other"] else []
    if half := sum(len(hits) == 1 for hits in pictures.values()):
        notes.append(f"{half} pictures of which one question alone was answered are left out")
    return notes


def _of_subtask(name: str, pictures: dict[str, list[bool]]) -> Iterator[Measure]:
    ids = list(pictures)
    right, both = [float(sum(hits)) for hits in pictures.values()], [float(all(hits)) for hits in pictures.values()]
    yield share_measure(f"{name}/accuracy", ids, right, [2.0] * len(ids))
    yield share_measure(f"{name}/accuracy_plus", ids, both, [1.0] * len(ids))
    yield grouped_measure(f"{name}/score", ids, np.column_stack([right, both, np.ones(len(ids))]), _score)


def _score(sums: Array) -> Array:
    """Accuracy and accuracy+ in per cent, added up; (..., 3) sums: right answers, pictures all right, pictures."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = 100.0 * (sums[..., 0] / 2 + sums[..., 1]) / sums[..., 2]
    return np.where(sums[..., 2] == 0, np.nan, value)


def _sum(name: str, subtasks: Sequence[str], pictures: dict[str, list[bool]]) -> Iterator[Measure]:
    """The sum of the subtasks' scores, each of which has three columns of the statistics."""
    mine = [picture for picture in pictures if picture.partition("/")[0] in subtasks]
    there = [one for one in subtasks if any(picture.partition("/")[0] == one for picture in mine)]
    if not there:
        return
    sums_NK = np.zeros((len(mine), 3 * len(there)))
    for at, picture in enumerate(mine):
        first = 3 * there.index(picture.partition("/")[0])
        sums_NK[at, first : first + 3] = sum(pictures[picture]), all(pictures[picture]), 1
    lacking = [one for one in subtasks if one not in there]
    why = f"without {', '.join(lacking)}" if lacking else ""
    yield grouped_measure(name, mine, sums_NK, partial(_sum_of_scores, subtasks=len(there)), unofficial=why)


def _sum_of_scores(sums: Array, *, subtasks: int) -> Array:
    return _score(sums.reshape(*sums.shape[:-1], subtasks, 3)).sum(axis=-1)


def _items(folder: Path, subtask: str) -> Iterator[Item]:
    """The subtask's questions; every picture has to have two, one after the other, as the program pairs them."""
    path = folder / _file(subtask)
    place = _place(folder, subtask)
    lines = [(number, line) for number, line in enumerate(read_lines(path), start=1) if line.strip()]
    seen: set[str] = set()
    for at, (number, line) in enumerate(lines):
        cells = line.split("\t")
        if len(cells) != 3:
            raise DataError(
                f"has {len(cells)} cells", fix="give picture, question and answer with tabs between", file=path,
                row=number,
            )  # fmt: skip
        image, question, label = (cell.strip() for cell in cells)
        if not image or not question:
            field = "question" if image else "image"
            raise DataError("is empty", fix="give a text", file=path, row=number, field=field)
        if label not in ("Yes", "No"):
            raise DataError(f"{label[:60]!r} is no answer", fix="give Yes or No", file=path, row=number, field="answer")
        first = at % 2 == 0
        paired = image not in seen if first else image == lines[at - 1][1].partition("\t")[0].strip()
        if not paired:
            raise DataError(
                f"{image[:60]!r} is not the picture of two lines one after the other", fix="keep the release's order",
                file=path, row=number, field="image",
            )  # fmt: skip
        seen.add(image)
        extra = {"category": subtask, "label": label.lower()}
        yield Item(f"{subtask}/{image}/{1 if first else 2}", question, f"{place}/{image}", extra)
    if len(lines) % 2 or not lines:
        raise DataError(f"has {len(lines)} lines", fix="give two for each picture", file=path)


def _place(folder: Path, subtask: str) -> str:
    """Where a subtask's pictures lie: as in the release, unless the folder beside the files says otherwise."""
    inside, flat = f"{subtask}/images", subtask
    if (folder / flat).is_dir():
        return inside if (folder / inside).is_dir() else flat
    return inside if subtask in IN_IMAGES else flat


def _file(subtask: str) -> str:
    return f"{FOLDER}/{subtask}.txt"


_ABOUT = {name: f"questions of {name.replace('_', ' ')}" for name in SUBTASKS}
_SOURCE = "github.com/BradyFU/Awesome-Multimodal-Large-Language-Models (branch Evaluation), tools/eval_tool.zip"

BENCHMARK = Benchmark(
    name="mme",
    title="MME",
    paper="Fu et al., MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models, 2023 "
    "(arXiv:2306.13394)",
    licence="for academic research; see the release",
    needs=[Need(_file(name), what, _SOURCE) for name, what in _ABOUT.items()],
    images="MME_Benchmark_release_version of its authors, in which eval_tool/ may lie",
    read=read,
    score=score,
    expected=lambda item: item.extra["label"],
)
