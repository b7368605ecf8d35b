"""TextVQA: questions about the text in pictures, each answered by ten people (Singh et al., 2019).

Invariant: an answer is compared after both sides were made alike (``objects.vqa_answers``); no language model judges.

Source: Singh et al., "Towards VQA Models That Can Read", arXiv 1904.08920. Official: the accuracy, as Facebook's mmf
(M4C's evaluator), and with it LLaVA's evaluation, computes it on the validation set of version 0.5.1. Not official: the
instruction to be short, which the benchmark does not prescribe; numbers of models that were told the words that an OCR
read (LLaVA-1.5's published one) are of another question than ours. Released as TextVQA_0.5.1_val.json, an object whose
``data`` lists ``question_id``, ``question``, ``image_id`` and ten ``answers``, and pictures train_images/IMAGE_ID.jpg.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, NoOptions, Outcome
from trifacet.benchmarks.objects.records import check_answers, number_of, once, read_object, text_of, texts_of
from trifacet.benchmarks.objects.vqa_answers import PEOPLE, worth
from trifacet.data.rows import Row
from trifacet.statistics.measures import share_measure

FILE = "TextVQA_0.5.1_val.json"
INSTRUCTION = "Answer the question using a single word or phrase."


def read(folder: Path) -> list[Item]:
    """The questions in the file's order; an item's id is its question_id."""
    path = folder / FILE
    given = read_object(path).get("data")
    if not isinstance(given, list) or not given:
        raise DataError("is no list of questions", fix="take the released file", file=path, field="data")
    items: dict[str, Item] = {}
    for number, values in enumerate(given, start=1):
        if not isinstance(values, dict):
            raise DataError("is no object", fix="take the released file", file=path, row=number)
        item = _item(Row(number, values), path)
        items[item.id] = once(item, items, path, number, "question_id")
    return list(items.values())


def _item(row: Row, path: Path) -> Item:
    answers = texts_of(row, "answers", path)
    if len(answers) != PEOPLE:
        raise DataError(
            f"has {len(answers)} answers", fix=f"give {PEOPLE}, as the validation set has", file=path, row=row.number,
            field="answers",
        )  # fmt: skip
    question, image = text_of(row, "question", path), text_of(row, "image_id", path)
    return Item(
        str(number_of(row, "question_id", path)),
        question,
        f"train_images/{image}.jpg",
        {"image_id": image, "answers": tuple(answers)},
        prompt=f"{question}\n{INSTRUCTION}",
    )


def score(answered: Sequence[Answered], options: NoOptions | None = None) -> Outcome:
    """The mean worth of the answers, in per cent; what is resampled is the picture with its questions."""
    check_answers(answered)
    worths = [worth(one.answer, one.item.extra["answers"]) for one in answered]
    pictures = [str(one.item.image) for one in answered]
    measures = [share_measure("accuracy", pictures, worths, [1.0] * len(worths))] if worths else []
    counts = {
        "questions": len(worths),
        "wholly_right": sum(one >= 1 for one in worths),
        "as_nobody": sum(one == 0 for one in worths),
    }
    of_items = {one.item.id: {"worth": value} for one, value in zip(answered, worths, strict=True)}
    notes = ["an answer that four of the ten people gave is worth 1, three 0.9, two 0.6, one 0.3"]
    return Outcome(measures, counts, notes, of_items)


BENCHMARK = Benchmark(
    name="textvqa",
    title="TextVQA",
    paper="Singh et al., Towards VQA Models That Can Read, 2019 (arXiv:1904.08920)",
    licence="CC BY 4.0; the pictures (OpenImages) under their own terms",
    needs=[Need(FILE, "5,000 questions with ten answers each", f"textvqa.org/dataset (validation set, {FILE})")],
    images="train_val_images.zip of textvqa.org, unpacked so that train_images/ lies in the folder",
    read=read,
    score=score,
    expected=lambda item: " / ".join(dict.fromkeys(item.extra["answers"])),
)
