"""Which items the rows of an answers file answer, told by part, picture and question.

Invariant: where a benchmark has parts, an answer to one of them is no answer to another, unless the row says so or
stands for all parts that ask it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from trifacet.base.errors import DataError
from trifacet.benchmarks.answer_files import AnswerRow, question_words, same_question
from trifacet.benchmarks.benchmark import Benchmark, Item


class UnclearError(DataError):
    """Rows that picture and question do not tell apart; their order may."""


def names_pictures(rows: Sequence[AnswerRow], items: Sequence[Item]) -> bool:
    """Whether every row names a picture of the benchmark."""
    return {PurePath(item.image).name for item in items if item.image}.issuperset(map(picture_of, rows))


def picture_of(row: AnswerRow) -> str:
    """The name of its picture without folders; empty where it names none."""
    return PurePath(row.image or "").name


def by_picture(
    benchmark: Benchmark, items: Sequence[Item], rows: Sequence[AnswerRow], path: Path
) -> tuple[dict[str, str], str] | None:
    """The answers by item id, told by part, picture and question, and how; None where these tell nothing.

    Items of a row's parts that show the same picture and ask the same are one question to a model.

    Raises:
        UnclearError: rows that answer an item differently, or that may be of several parts.
        DataError: a row that asks nothing of the part that it names.
    """
    asked = _asked(items, rows)
    if asked is None:
        return None
    parts = [part for part in dict.fromkeys(need.part for need in benchmark.needs) if part]
    asked, how = _of_parts(asked, rows, parts, path)
    answers: dict[str, str] = {}
    by: dict[str, int] = {}
    for row, found in zip(rows, asked, strict=True):
        for item in found:
            if item.id in answers and answers[item.id] != row.text:
                raise UnclearError(
                    f"answers item {item.id!r} as row {by[item.id]} does, and differently",
                    fix="keep one row per picture and question", file=path, row=row.number,
                )  # fmt: skip
            answers[item.id], by[item.id] = row.text, row.number
    return answers, how


def _asked(items: Sequence[Item], rows: Sequence[AnswerRow]) -> list[list[Item]] | None:
    """For each row the items that show its picture and ask its question; None where some row has none."""
    if not all(row.image for row in rows):
        return None
    of_picture: dict[str, list[Item]] = {}
    for item in items:
        if item.image:
            of_picture.setdefault(PurePath(item.image).name, []).append(item)
    found = []
    for row in rows:
        here = _of_one_picture(row.image or "", of_picture.get(picture_of(row), []))
        asked = [item for item in here if row.question is None or same_question(row.question, item.question)]
        if row.question is not None:  # "Is it red? Why?" is no answer to "Is it red?" where both are asked
            lengths = [len(question_words(item.question)) for item in asked]
            asked = [item for item, length in zip(asked, lengths, strict=True) if length == max(lengths)]
        if not asked or (row.question is None and len({item.question for item in asked}) > 1):
            return None
        found.append(asked)
    return found


def _of_one_picture(name: str, items: Sequence[Item]) -> Sequence[Item]:
    """Those whose picture is at ``name``, one path perhaps longer than the other; none where that is unclear."""
    parts = PurePath(name).parts

    def agree(item: Item) -> bool:
        own = PurePath(item.image or "").parts
        shorter = min(len(own), len(parts))
        return own[-shorter:] == parts[-shorter:]

    found = [item for item in items if agree(item)]
    return found if len({item.image for item in found}) == 1 else []


def _of_parts(
    asked: list[list[Item]], rows: Sequence[AnswerRow], parts: Sequence[str], path: Path
) -> tuple[list[list[Item]], str]:
    """Of each row's items those of its parts, and how that was told.

    The parts are those that a field of every row names ("random", or "random,popular"), or the one that asks all that
    the rows answer. Rows that no part has all of are of several: each answers those that ask it.

    Raises:
        UnclearError: several parts ask all of it, or rows of several parts answer the same.
        DataError: a row asks nothing of the part that it names.
    """
    names = {part.removesuffix("/"): part for part in parts}
    for name in rows[0].fields if parts else ():
        told = [[one.strip() for one in str(row.fields.get(name)).split(",")] for row in rows]
        if all(names.keys() >= set(some) for some in told):
            mine = [[names[one] for one in some] for some in told]
            kept = [
                [item for item in found if item.id.startswith(tuple(own))]
                for found, own in zip(asked, mine, strict=True)
            ]
            if other := [row for row, found in zip(rows, kept, strict=True) if not found]:
                problem = f"shows and asks nothing of {other[0].fields[name]!r}"
                fix = "give the answers of this benchmark and release"
                raise DataError(problem, fix=fix, file=path, row=other[0].number, field=name)
            return kept, f"by {name!r}, picture and question"
    whole = [part for part in parts if all(any(item.id.startswith(part) for item in found) for found in asked)]
    if len(whole) == 1:
        kept = [[item for item in found if item.id.startswith(whole[0])] for found in asked]
        return kept, f"by picture and question, all of {whole[0].removesuffix('/')}"
    fix = 'say in each row of which part it is, such as {"category": "random"}, or give the answers to one part'
    if whole:
        those = " or of ".join(part.removesuffix("/") for part in whole)
        raise UnclearError(f"may be of {those}, which ask all of this", fix=fix, file=path)
    if parts and len({tuple(item.id for item in found) for found in asked}) < len(rows):
        raise UnclearError("answers questions of several parts twice", fix=fix, file=path)
    return asked, "by picture and question"
