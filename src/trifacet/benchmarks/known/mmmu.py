"""MMMU: 900 questions of college level in 30 subjects, with options or open (Yue et al., 2023), its validation set.

Invariant: an answer in which no option can be found is drawn as the benchmark's own program draws it, and counted: the
same answers have the same score each time.

Source: Yue et al., "MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning Benchmark for Expert AGI",
arXiv 2311.16502, and the programs of MMMU-Benchmark/MMMU (eval/). Official: what is read off an answer
(``objects.mmmu_answers``), shares of all questions, domains and subjects, and the draws: Python's generator seeded with
42, one draw per unread answer in the order of the subjects. Not official: ``unread=wrong``, and what an answer says
beyond 10,000 characters, which is not read. The program that its authors publish for LLaVA shows the first picture
alone; here all of a question are shown. Released as Parquet, a folder per subject: ``id``, ``question``, ``options``
(a Python list as text), ``answer`` (a letter, or a text or list), ``question_type``, ``image_1`` to ``image_7``
{bytes, path}.
"""

from __future__ import annotations

import ast
import random
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Need, Outcome
from trifacet.benchmarks.objects.mmmu_answers import agrees, chosen, free_readings
from trifacet.benchmarks.objects.records import check_answers, choice_of, once, text_of
from trifacet.benchmarks.objects.row_pictures import picture_of_row, picture_rows
from trifacet.data.rows import Row
from trifacet.settings.section import Section
from trifacet.statistics.measures import Measure, share_measure

DOMAINS: dict[str, tuple[str, ...]] = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ),
}
SUBJECTS = sorted(sum(DOMAINS.values(), ()))  # the program's order
SEED = 42
PICTURES = 7
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MULTIPLE = "multiple-choice"
TYPES = (MULTIPLE, "open", "short-answer")
OF_OPTIONS = "Answer with the option's letter from the given choices directly."
OF_OPEN = "Answer the question using a single word or phrase."
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_LIST = re.compile(rf"\[\s*{_TEXT}\s*(?:,\s*{_TEXT}\s*)*,?\s*\]", re.DOTALL)  # nothing inside it is nested
_LONGEST_LIST = 20_000  # characters of a list that stands there as text


class Options(Section):
    """What an answer is worth in which no option can be found."""

    unread: Literal["drawn", "wrong"] = Field(
        "drawn", description="drawn: an option at random, the same each time, as the original; wrong: no points"
    )


def read(folder: Path) -> list[Item]:
    """The questions in the order of the subjects; raises DataError naming file, row and field."""
    items: dict[str, Item] = {}
    for subject in SUBJECTS:
        path = folder / _file(subject)
        for row in picture_rows(path):
            item = _item(row, path, subject)
            items[item.id] = once(item, items, path, row.number, "id")
    return list(items.values())


def _item(row: Row, path: Path, subject: str) -> Item:
    name, question = text_of(row, "id", path), text_of(row, "question", path)
    kind = choice_of(row, "question_type", path, TYPES)
    options: dict[str, str] = {}
    if kind == MULTIPLE:
        given = _list_of(row, "options", path)
        options = dict(zip(LETTERS, given, strict=False))
        if not 2 <= len(given) <= len(LETTERS):
            raise _error("has too few or too many options", "give 2 to 26", row, "options", path)
        right = [choice_of(row, "answer", path, options)]
    else:
        text = text_of(row, "answer", path)
        right = _list_of(row, "answer", path) if text.startswith("[") else [text]
    shown = [f"({letter}) {said}" for letter, said in options.items()]
    fields = [f"image_{number}" for number in range(1, PICTURES + 1)]
    pictures = [
        picture_of_row(row, field, path, f"{name}_{field.removeprefix('image_')}.png")
        for field in fields
        if row.values.get(field) is not None
    ]
    if not pictures:
        raise _error("holds no picture", "take the released file", row, "image_1", path)
    return Item(
        name,
        question,
        pictures[0],
        {"id": name, "subject": subject, "question_type": kind, "options": options, "right": tuple(right)},
        prompt="\n".join([question, *shown, OF_OPTIONS if options else OF_OPEN]),
        more_images=tuple(pictures[1:]),
    )


def _list_of(row: Row, field: str, path: Path) -> list[str]:
    """The list of texts in a field, itself or as Python writes it; nothing is run."""
    held = row.values.get(field)
    if isinstance(held, str):
        held = _written(held) if len(held) <= _LONGEST_LIST and _LIST.fullmatch(held.strip()) else None
    if not isinstance(held, list) or not held or not all(isinstance(one, str) for one in held):
        raise _error("is no list of texts", "give \"['...', '...']\"", row, field, path)
    return held


def _written(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a backslash that begins nothing stands for itself
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            return None


def _error(problem: str, fix: str, row: Row, field: str, path: Path) -> DataError:
    return DataError(problem, fix=fix, file=path, row=row.number, field=field)


def score(answered: Sequence[Answered], options: Options | None = None) -> Outcome:
    """Right answers in per cent: of all questions, by domain, and by subject."""
    options = options or Options()
    check_answers(answered)
    letters = [_chosen(one) for one in answered]
    lost = [letter is None and bool(one.item.extra["options"]) for one, letter in zip(answered, letters, strict=True)]
    if options.unread == "drawn":
        draws = random.Random(SEED)
        letters = [
            draws.choice(list(one.item.extra["options"])) if unread else letter
            for one, letter, unread in zip(answered, letters, lost, strict=True)
        ]
    right = [_is_right(one, letter) for one, letter in zip(answered, letters, strict=True)]
    why = "" if options.unread == "drawn" or not any(lost) else "answers without an option are wrong, not drawn"
    measures: list[Measure] = []
    counts: dict[str, int] = {}
    for name, subjects in _groups():
        mine = [at for at, one in enumerate(answered) if one.item.extra["subject"] in subjects]
        if mine:
            ids = [answered[at].item.id for at in mine]
            hits = [float(right[at]) for at in mine]
            measures.append(share_measure(name, ids, hits, [1.0] * len(mine), unofficial=why))
            counts |= {f"{name}/right": int(sum(hits)), f"{name}/questions": len(mine)}
    counts |= {"unread": sum(lost), "open": sum(not one.item.extra["options"] for one in answered)}
    of_items = {one.item.id: {"correct": float(hit)} for one, hit in zip(answered, right, strict=True)}
    return Outcome(measures, counts, _notes(answered, right, lost, options), of_items)


def _chosen(one: Answered) -> str | None:
    options = one.item.extra["options"]
    return chosen(one.answer, options) if options else None


def _is_right(one: Answered, letter: str | None) -> bool:
    right = one.item.extra["right"]
    return letter in right if one.item.extra["options"] else agrees(free_readings(one.answer), right)


def _notes(answered: Sequence[Answered], right: Sequence[bool], lost: Sequence[bool], options: Options) -> list[str]:
    notes = []
    if any(lost):
        lucky = sum(hit for hit, unread in zip(right, lost, strict=True) if unread)
        told = f"an option was drawn, right {lucky} times" if options.unread == "drawn" else "they are wrong"
        notes.append(f"in {sum(lost)} answers no option can be found: {told}")
    if several := sum(bool(one.item.more_images) for one in answered):
        notes.append(
            f"{several} questions show several pictures; the original's program for LLaVA shows the first alone"
        )
    return notes


def _groups() -> list[tuple[str, tuple[str, ...]]]:
    """Names of numbers and the subjects that they are about."""
    found: list[tuple[str, tuple[str, ...]]] = [("accuracy", tuple(SUBJECTS))]
    for domain, subjects in DOMAINS.items():
        name = domain.lower().replace(" ", "_")
        found += [(name, subjects), *((f"{name}/{subject.lower()}", (subject,)) for subject in subjects)]
    return found


def _file(subject: str) -> str:
    return f"{subject}/validation-00000-of-00001.parquet"


_SOURCE = "huggingface.co/datasets/MMMU/MMMU"
_ABOUT = {subject: f"30 questions of {subject.replace('_', ' ')}" for subject in SUBJECTS}

BENCHMARK = Benchmark(
    name="mmmu",
    title="MMMU (validation)",
    paper="Yue et al., MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning Benchmark for Expert "
    "AGI, 2023 (arXiv:2311.16502)",
    licence="Apache-2.0; the pictures under the terms of their sources",
    needs=[Need(_file(subject), what, f"{_SOURCE}, {_file(subject)}") for subject, what in _ABOUT.items()],
    images="inside the files",
    read=read,
    score=score,
    options=Options,
    expected=lambda item: " / ".join(item.extra["right"]),
)
