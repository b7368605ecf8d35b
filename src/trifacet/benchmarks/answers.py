"""Answers to a benchmark's questions: read from any file, matched with the questions, none made up.

Invariant: an answer is given to an item only where its row says which one it belongs to: by id, by part, picture and
question, by the benchmark's own fields, or by an order in which every question's text and picture agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from trifacet.base.errors import DataError
from trifacet.benchmarks.answer_files import AnswerRow, read_answer_rows, same_question
from trifacet.benchmarks.answers_by_picture import UnclearError, by_picture, names_pictures, picture_of
from trifacet.benchmarks.benchmark import Benchmark, Item

_FIRST = 3  # of many names that a message lists
_FAILED = "Failed to obtain answer"  # what VLMEvalKit writes where a model could not be asked
LEAST_RUN = 50  # rows: shorter runs in the order of the questions may be chance


@dataclass(frozen=True)
class Matched:
    """Answers by item id, and how the rows of the files were matched, one line a file."""

    answers: dict[str, str]
    how: list[str] = field(default_factory=list)


def read_answers(benchmark: Benchmark, items: Sequence[Item], paths: Sequence[Path]) -> Matched:
    """The answers of one or several files; together they may leave items out, but answer none twice.

    Raises:
        DataError: a file that can't be read; a row of no item, two rows of one, or rows that can't be told apart.
    """
    matched = Matched({})
    for path in paths:
        rows = read_answer_rows(path)
        answers, how = match_rows(benchmark, items, rows, path)
        if twice := answers.keys() & matched.answers.keys():
            raise DataError(f"answers {_some(sorted(twice))} again", fix="give each item's answer once", file=path)
        matched.answers.update(answers)
        failed = sum(_FAILED in row.text for row in rows)
        told = f"; {failed} say {_FAILED!r}, which is scored as if the model had said it" if failed else ""
        matched.how.append(f"{path.name}: {len(rows)} rows {how}{told}")
    return matched


def complete(items: Sequence[Item], answers: Mapping[str, str], *, partial: bool) -> list[Item]:
    """The items that have an answer: all of them, or with ``partial`` at least one.

    Raises:
        DataError: some lack one.
    """
    there = [item for item in items if item.id in answers]
    lacking = [item.id for item in items if item.id not in answers]
    if not there or (lacking and not partial):
        raise DataError(
            f"{len(lacking)} of {len(items)} items have no answer: {_some(lacking)}",
            fix="add them, or --partial to score the others, which is not the official number",
        )
    return there


def match_rows(
    benchmark: Benchmark, items: Sequence[Item], rows: Sequence[AnswerRow], path: Path
) -> tuple[dict[str, str], str]:
    """The answers by item id, and a phrase that says how they were matched. Raises DataError as ``read_answers``."""
    if benchmark.free_prompt:
        rows = [replace(row, question=None) for row in rows]
    try:
        found = _by_id(benchmark, items, rows, path)
    except DataError:  # of numbers that are no ids of ours, such as OCRBench's, pictures and questions may tell more
        found = _by_picture(benchmark, items, rows, path) if all(row.question for row in rows) else None
        if found is None:
            raise
    found = found or _by_picture(benchmark, items, rows, path) or _by_fields(items, rows)
    if found is not None:
        return found
    try:
        return _by_order(benchmark, items, rows, path)
    except DataError:
        shown = [item for item in items if item.image is not None]  # toolkits may leave out what has no picture
        if len(shown) == len(rows) < len(items):
            return _by_order(benchmark, shown, rows, path)
        raise


def _by_id(
    benchmark: Benchmark, items: Sequence[Item], rows: Sequence[AnswerRow], path: Path
) -> tuple[dict[str, str], str] | None:
    names = {alias: item for item in items for alias in benchmark.aliases(item)}
    names |= {item.id: item for item in items}
    for where in ("id", "image_id", "question_id", "index"):
        given = [row.ids.get(where) for row in rows]
        unknown = [row for row, name in zip(rows, given, strict=True) if name not in names]
        if where == "id" and not any(name is None for name in given):
            if unknown and len(unknown) < len(rows):
                raise DataError(
                    f"{unknown[0].ids['id']!r} is no item of {benchmark.name} ({len(unknown)} such rows)",
                    fix="leave the row out, or give the answers of this benchmark and release",
                    file=path, row=unknown[0].number, field="id",
                )  # fmt: skip
        elif where == "index" and any(str(name).isdecimal() for name in given):
            continue  # a toolkit's own count, which may pass for our ids
        if unknown or any(name is None for name in given):
            continue
        counts = Counter(names[str(name)].id for name in given)
        doubled = [row for row, name in zip(rows, given, strict=True) if counts[names[str(name)].id] > 1]
        if doubled and where != "id":
            continue
        if doubled:
            raise DataError(
                f"{doubled[-1].ids['id']!r} occurs {counts[names[doubled[-1].ids['id']].id]} times",
                fix="keep one row per id", file=path, row=doubled[-1].number, field="id",
            )  # fmt: skip
        pairs = [(row, names[str(name)]) for row, name in zip(rows, given, strict=True)]
        _refuse_other_questions(pairs, path)
        _refuse_other_pictures(pairs, items, path)
        return {names[str(name)].id: row.text for row, name in zip(rows, given, strict=True)}, f"by their {where!r}"
    return None


def _refuse_other_questions(pairs: Sequence[tuple[AnswerRow, Item]], path: Path) -> None:
    for row, item in pairs:
        if row.question is not None and not same_question(row.question, item.question):
            raise DataError(
                f"is called as item {item.id!r} is, but asks something else",
                fix=f"give the answers of this benchmark and release; the question is {item.question[:80]!r}",
                file=path, row=row.number,
            )  # fmt: skip


def _refuse_other_pictures(pairs: Sequence[tuple[AnswerRow, Item]], items: Sequence[Item], path: Path) -> None:
    """Numbers that are no ids of ours may pass for them, as OCRBench's do; pictures of the benchmark's names tell."""
    if not names_pictures([row for row, _ in pairs], items):
        return
    for row, item in pairs:
        if item.image and picture_of(row) != PurePath(item.image).name:
            raise DataError(
                f"is called as item {item.id!r} is, but shows {picture_of(row)[:80]!r}",
                fix=f"give the answers of this benchmark and release; the picture is {item.image[:80]!r}",
                file=path, row=row.number,
            )  # fmt: skip


def _by_picture(
    benchmark: Benchmark, items: Sequence[Item], rows: Sequence[AnswerRow], path: Path
) -> tuple[dict[str, str], str] | None:
    try:
        return by_picture(benchmark, items, rows, path)
    except UnclearError as unclear:  # such as parts one after the other, which share questions
        try:
            return _by_order(benchmark, items, rows, path)
        except DataError:
            raise unclear from None


def _by_fields(items: Sequence[Item], rows: Sequence[AnswerRow]) -> tuple[dict[str, str], str] | None:
    """By fields that rows and items have in common, where these tell every item from all others."""
    if not rows:
        return None
    shared = set(rows[0].fields).intersection(*(row.fields for row in rows), *(item.extra for item in items))
    names = sorted(name for name in shared if all(_plain(item.extra[name]) for item in items))
    keys: dict[tuple[str, ...], Item] = {tuple(str(item.extra[name]) for name in names): item for item in items}
    given = [tuple(str(row.fields[name]) for name in names) for row in rows]
    if not names or len(keys) < len(items) or len(set(given)) < len(given) or not keys.keys() >= set(given):
        return None
    pairs = [(row, keys[key]) for row, key in zip(rows, given, strict=True)]
    if any(row.question is not None and not same_question(row.question, item.question) for row, item in pairs):
        return None
    return {item.id: row.text for row, item in pairs}, f"by the fields {', '.join(names)}"


def _plain(value: Any) -> bool:
    return isinstance(value, str | int)


def _by_order(
    benchmark: Benchmark, items: Sequence[Item], rows: Sequence[AnswerRow], path: Path
) -> tuple[dict[str, str], str]:
    """By order, in runs of rows whose questions are those of as many items one after the other."""
    cure = 'give {"id", "answer"} per row, as docs/benchmarks.md says'
    if any(row.question is None for row in rows):
        if all("id" in row.ids for row in rows) and items:
            raise DataError(
                f"{rows[0].ids['id']!r} is no item of {benchmark.name}, and neither is any other of its ids",
                fix=f"give answers to this benchmark, whose ids are such as {items[0].id!r}",
                file=path, row=rows[0].number, field="id",
            )  # fmt: skip
        raise DataError("has rows that do not say which item they answer", fix=cure, file=path)
    answers: dict[str, str] = {}
    runs, at = 0, 0
    if not names_pictures(rows, items):
        rows = [replace(row, image=None) for row in rows]
    while at < len(rows):
        lengths = sorted(_runs(items, rows[at:], answers), reverse=True)
        if not lengths:
            raise DataError(
                f"no item asks {str(rows[at].question)[:80]!r} here", fix=f"keep the benchmark's order, or {cure}",
                file=path, row=rows[at].number,
            )  # fmt: skip
        (length, start), *others = lengths
        whole = length == len(rows)
        if (others and others[0][0] == length) or (length < LEAST_RUN and not whole):
            raise DataError(
                "cannot be told apart by order: other items ask the same", fix=cure, file=path, row=rows[at].number
            )
        answers |= {items[start + step].id: rows[at + step].text for step in range(length)}
        runs, at = runs + 1, at + length
    return answers, f"by order, every question agreeing{f', in {runs} blocks' if runs > 1 else ''}"


def _runs(items: Sequence[Item], rows: Sequence[AnswerRow], taken: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """(length, start) of every run of items, none of them taken, that ask what the rows do from the first on."""
    for start in range(len(items)):
        length = 0
        for row, item in zip(rows, items[start:], strict=False):
            other = row.image and item.image and picture_of(row) != PurePath(item.image).name
            if item.id in taken or other or not same_question(row.question or "", item.question):
                break
            length += 1
        if length:
            yield length, start


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names[:_FIRST]))}{' ...' if len(names) > _FIRST else ''}"
