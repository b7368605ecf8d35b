"""OCRBench: whether an answer holds the text that stands in the picture.

Invariant: an answer is right where one of its reference texts is a part of it, as the released scripts compare them:
in lower case and with line ends as spaces; formulas (HME100k) keep their case and lose their spaces.

Source: Liu et al., "OCRBench", arXiv 2305.07895.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, NoOptions, Outcome
from trifacet.benchmarks.objects.records import read_benchmark_rows
from trifacet.statistics.measures import Array, Measure, share_measure

FILE = "OCRBench.json"
QUESTIONS = 1000
FORMULAS = "HME100k"
_RECOGNITION = "Text Recognition"
TYPES = (
    *(f"{kind} {_RECOGNITION}" for kind in ("Regular", "Irregular", "Artistic")),
    *("Handwriting Recognition", "Digit String Recognition", f"Non-Semantic {_RECOGNITION}"),
    *("Scene Text-centric VQA", "Doc-oriented VQA", "Key Information Extraction"),
    "Handwritten Mathematical Expression Recognition",
)


def read(folder: Path) -> list[Item]:
    """The questions of OCRBench.json, numbered from 1; raises DataError naming row and field."""
    path = folder / FILE
    return [_item(values, path, number) for number, values in read_benchmark_rows(path)]


def _item(values: dict[str, Any], path: Path, number: int) -> Item:
    def text(field: str) -> str:
        value = values.get(field)
        if not isinstance(value, str) or not value.strip():
            raise DataError("is missing or no text", fix="give a text", file=path, row=number, field=field)
        return value

    if text("type") not in TYPES:
        raise DataError("is no type of OCRBench", fix=f"one of {', '.join(TYPES)}", file=path, row=number, field="type")
    given = values.get("answers")
    answers = [given] if isinstance(given, str) else given
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, str) for answer in answers):
        raise DataError("is no text or list of texts", fix="give one", file=path, row=number, field="answers")
    extra = {"type": text("type"), "dataset": text("dataset_name"), "answers": answers}
    return Item(str(number), text("question"), text("image_path"), extra)


def is_right(answer: str, references: Sequence[str], *, formula: bool) -> bool:
    """Whether one of ``references`` is a part of ``answer``; an empty answer never is right."""
    said = _plain(answer, formula)
    return bool(said) and any(_plain(reference, formula) in said for reference in references)


def _plain(text: str, formula: bool) -> str:
    text = text.strip().replace("\n", " ")
    return text.replace(" ", "") if formula else text.lower()


def score(answered: Sequence[Answered], options: NoOptions) -> Outcome:
    """Right answers in per cent, of all and by type; ``counts`` has the points of the original, 1,000 in all."""
    right = [
        is_right(one.answer, one.item.extra["answers"], formula=one.item.extra["dataset"] == FORMULAS)
        for one in answered
    ]
    unofficial = "" if len(answered) == QUESTIONS else f"{len(answered)} of {QUESTIONS} questions"
    types = [one.item.extra["type"] for one in answered]
    measures, counts = [], {}
    for name, kinds in _groups():
        mine = [at for at, kind in enumerate(types) if kind in kinds]
        if mine:
            ids = [answered[at].item.id for at in mine]
            hits: Array = np.array([right[at] for at in mine], dtype=np.float64)
            measures.append(_share(name, ids, hits, unofficial))
            counts[f"points/{name}"] = int(hits.sum())
    of_items = {one.item.id: {"correct": float(hit)} for one, hit in zip(answered, right, strict=True)}
    notes = ["points are right answers; the published score is points/accuracy, of 1,000"]
    return Outcome(measures, counts, notes, of_items)


def _groups() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "accuracy", TYPES
    yield "text_recognition", TYPES[:6]
    for kind in TYPES:
        yield kind.lower().replace(" ", "_").replace("-", "_"), (kind,)


def _share(name: str, ids: Sequence[str], hits_U: Array, unofficial: str) -> Measure:
    return share_measure(name, ids, hits_U, np.ones(len(ids)), unofficial=unofficial)


BENCHMARK = Benchmark(
    name="ocrbench",
    title="OCRBench: reading text in pictures",
    paper="arXiv 2305.07895",
    licence="see the repository Yuliang-Liu/MultimodalOCR",
    needs=(
        Need(
            FILE,
            "1,000 questions with their answers",
            "github.com/Yuliang-Liu/MultimodalOCR, OCRBench/json_files/OCRBench.json",
        ),
    ),
    images="the folder OCRBench_Images of the release, whose paths the questions name",
    read=read,
    score=score,
    expected=lambda item: " / ".join(item.extra["answers"]),
)
