"""Rows of an answers file, in whichever of the known forms: ours, a benchmark's own, lmms-eval's, VLMEvalKit's.

Ours and the benchmarks' own are JSON (lines, an array, or objects over several lines each) with the answer under one
of ``_TEXTS``. lmms-eval (EvolvingLMMs-Lab/lmms-eval, evaluator.py and loggers/evaluation_tracker.py) writes
``*_samples_<task>.jsonl`` with
``doc_id``, ``input`` (the prompt; some versions keep ``doc``), ``filtered_resps`` and, where they differ, ``resps``.
VLMEvalKit (open-compass/VLMEvalKit, smp/file.py) writes ``<model>_<dataset>.xlsx``, ``.tsv`` or ``.json``: the columns
of its data set without the pictures, ``index`` and ``question`` among them, and ``prediction``.
Invariant: nothing of a file is run, and no file is held whole beyond the limits below.
"""

from __future__ import annotations

import itertools
import math
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.extras import needed_for
from trifacet.base.json_text import check_json, parse_json, parse_json_at
from trifacet.base.opening import opened, read_text
from trifacet.data.rows import Row, stop
from trifacet.data.tables import LONGEST, read_rows

_MAX_BYTES = 500_000_000  # of a file
MAX_UNPACKED = 30_000_000  # bytes of a workbook's parts: the worst take 3 s and 20 MB of memory for each MB
MAX_ROWS = 1_000_000
MAX_CELLS = 5_000_000  # of a workbook, those that are not there among them
MAX_ANSWER = 1_000_000  # characters
_TEXTS = ("model_prediction", "model_answer", "prediction", "predict", "response", "caption", "answer", "text")
IDS = ("id", "image_id", "question_id", "index")
_QUESTIONS = ("question", "prompt", "query")
_IMAGES = ("image", "image_path", "filename", "image_file", "img")
_BLANK = re.compile(r"\s*")  # the empty text matches as well: there is always a match
_IMAGE_MARK = re.compile(r"<(?:image|img|\|image\|)>|<\|(?:image|vision)[^|]*\|>", re.IGNORECASE)


@dataclass(frozen=True)
class AnswerRow:
    """A row's answer and what it says of the item: names by the field that holds them, question, picture, the rest."""

    number: int
    text: str
    ids: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None
    image: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_answer_rows(path: Path) -> list[AnswerRow]:
    """The rows of an answers file; lmms-eval's in the order of their ``doc_id``.

    Raises:
        DataError: it can't be read, is too large, or a row holds no answer.
    """
    rows = list(itertools.islice(_rows(path), MAX_ROWS + 1))
    if not rows:
        raise DataError("has no row", fix="give one answer per row", file=path)
    if len(rows) > MAX_ROWS:
        raise DataError(f"has more than {MAX_ROWS} rows", fix="give the answers of one benchmark", file=path)
    if all(_is_lmms_eval(row.values) for row in rows):
        rows.sort(key=lambda row: row.values["doc_id"])
        if twice := [b for a, b in itertools.pairwise(rows) if a.values["doc_id"] == b.values["doc_id"]]:
            raise DataError(
                f"{twice[0].values['doc_id']} occurs twice", fix="give the samples of one task and one run", file=path,
                row=twice[0].number, field="doc_id",
            )  # fmt: skip
        return [_of_lmms_eval(row, path) for row in rows]
    name = _answers_name(rows, path)
    answers = [_plain_row(row, name, path) for row in rows]
    if all(row.question is not None and row.text == row.question for row in answers):
        raise DataError("repeats the questions where answers should be", fix="give the model's answers", file=path)
    return answers


def same_question(asked: str, question: str) -> bool:
    """Whether a prompt is a benchmark's question, whole, perhaps with an instruction after it.

    Compared are the words, in any case, without marks of images and with single blanks.
    """
    wanted = question_words(question)
    return wanted != "" and f"{question_words(asked)} ".startswith(f"{wanted} ")


@lru_cache(maxsize=1 << 15)  # the same few thousand questions again and again
def question_words(text: str) -> str:
    """What of a question is compared."""
    return " ".join(_IMAGE_MARK.sub(" ", text).split()).casefold()


def _rows(path: Path) -> Iterator[Row]:
    with opened(path, most=_MAX_BYTES):
        pass
    if path.suffix.lower() == ".pkl":
        raise DataError("is a pickle, which could run code", fix="write .xlsx, .tsv or .json (PRED_FORMAT)", file=path)
    if path.suffix.lower() == ".xlsx":
        yield from _sheet_rows(path)
    elif _goes_on(path):
        yield from _object_rows(path)
    else:
        yield from read_rows(path, stop)


def _goes_on(path: Path) -> bool:
    """Whether an object begins on the first line that has anything, and does not end with it."""
    with opened(path) as file:
        first = next(filter(bytes.strip, iter(lambda: file.readline(LONGEST), b"")), b"")
    line = first.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    try:
        return line.lstrip().startswith("{") and not parse_json(line)
    except ValueError:
        return True


def _object_rows(path: Path) -> Iterator[Row]:
    """JSON objects one after the other, each over as many lines as it takes, counted from 1."""
    text, at = read_text(path, _MAX_BYTES), 0
    for number in itertools.count(1):
        at = _BLANK.match(text, at).end()  # type: ignore[union-attr]
        if at == len(text):
            return
        try:
            value, end = parse_json_at(text, at)
            check_json(value, text[at:end])
        except ValueError as error:
            fix = "repair it, or give one object per line"
            raise DataError(f"broken JSON ({error})", fix=fix, file=path, row=number) from None
        if not isinstance(value, dict):
            raise DataError("is not a JSON object", fix="give one object per answer", file=path, row=number)
        yield Row(number, value)
        at = end


def _sheet_rows(path: Path) -> Iterator[Row]:
    """The rows of a workbook's first sheet under the names of its first row, values and not formulas."""
    rows, empty = [], False
    for number, cells in _sheet(path, values=True):
        empty = empty or any(cell is None for cell in cells.values())
        rows.append(Row(number, cells))
    kept = {row.number: row.values for row in rows}
    for number, cells in _sheet(path, values=False) if empty else ():  # what a formula's value would be is not there
        for name, cell in cells.items():
            if cell is not None and kept.get(number, {}).get(name) is None:
                problem, fix = "holds a formula without its value", "write the value itself, or save it as .tsv"
                raise DataError(problem, fix=fix, file=path, row=number, field=name)
    yield from (row for row in rows if any(value is not None for value in row.values.values()))


def _sheet(path: Path, *, values: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """The cells of each row by the names of the first: what formulas came to, or the formulas."""
    with needed_for(f"the workbook {path}"):
        from openpyxl import load_workbook
    with opened(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of styles and rules that it does not know
        try:
            with zipfile.ZipFile(file) as parts:
                unpacked = sum(part.file_size for part in parts.infolist())
            if unpacked > MAX_UNPACKED:
                raise DataError(f"holds {unpacked} bytes unpacked", fix="save it as .tsv", file=path)
            book = load_workbook(file, read_only=True, data_only=values)
            rows = book.worksheets[0].iter_rows(values_only=True)
            header, held = list(next(rows, ())), 0
            for number, cells in enumerate(rows, start=2):
                if number > MAX_ROWS + 1:  # rows that are not there count too: a row may say that it is the billionth
                    raise DataError(f"has more than {MAX_ROWS} rows", fix="save it as .tsv", file=path)
                # a row may end with the last of its cells that is filled, and a column may have no name
                named = itertools.zip_longest(header, cells[: len(header)])
                found = {str(name): cell for name, cell in named if name is not None}
                if (held := held + len(found)) > MAX_CELLS:
                    raise DataError(f"has more than {MAX_CELLS} cells", fix="save it as .tsv", file=path)
                yield number, found
        except DataError:
            raise
        except Exception as error:  # it is fed with whatever stands in the file, and trips over much of it
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise DataError(f"damaged workbook ({reason})", fix="save it again, or as .tsv", file=path) from None


def _is_lmms_eval(values: Mapping[str, Any]) -> bool:
    return type(values.get("doc_id")) is int and ("resps" in values or "filtered_resps" in values)


def _of_lmms_eval(row: Row, path: Path) -> AnswerRow:
    values = row.values
    text = _first_text(values.get("resps")) if "resps" in values else None
    text = _first_text(values.get("filtered_resps")) if text is None else text
    if text is None:
        raise DataError("holds no answer", fix="give samples of a generation task", file=path, row=row.number,
                        field="filtered_resps")  # fmt: skip
    doc = values["doc"] if isinstance(values.get("doc"), dict) else {}
    asked = _named(doc, _QUESTIONS) or _first_text(values.get("input")) or _first_text(values.get("arguments"))
    image = _named(doc, _IMAGES)
    return AnswerRow(row.number, text, {}, asked, image, {key: value for key, value in doc.items() if key != "image"})


def _answers_name(rows: Sequence[Row], path: Path) -> str:
    """Where the file holds its answers: the first of ``_TEXTS`` that any row has, in whatever row it is empty.

    One for the whole file: a table may hold the right answers beside the model's, and an empty cell of the model's is
    an empty answer.
    """
    names = {name for row in rows for name in row.values}
    texts = [name for name in _TEXTS if name in names]
    if "answer" in texts and "text" in texts and names & {"question", "prompt"}:
        texts.remove("answer")  # beside a text it is what would be right
    if not texts:
        known = ", ".join(repr(name) for name in _TEXTS)
        raise DataError(
            "holds no answer", fix=f"give it under one of {known}", file=path, row=rows[0].number, field="answer"
        )
    return texts[0]


def _plain_row(row: Row, name: str, path: Path) -> AnswerRow:
    if name not in row.values:
        raise DataError(
            "holds no answer", fix=f"give it under {name!r}, as other rows do", file=path, row=row.number, field=name
        )
    values = {key: value for key, value in row.values.items() if not _is_empty(value)}
    text = values.get(name, "")  # a table's empty cell is an empty answer
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)  # a table's cell that looks like a number
    if not isinstance(text, str) or len(text) > MAX_ANSWER:
        problem = "is no text" if not isinstance(text, str) else f"is longer than {MAX_ANSWER} characters"
        raise DataError(problem, fix="give the answer as a text", file=path, row=row.number, field=name)
    ids = {key: _name(values[key]) for key in IDS if isinstance(values.get(key), str | int | float)}
    rest = {key: value for key, value in values.items() if key not in (name, *_QUESTIONS)}
    return AnswerRow(row.number, text, ids, _named(values, _QUESTIONS), _named(values, _IMAGES), rest)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _named(values: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((value for value in map(values.get, names) if isinstance(value, str) and value.strip()), None)


def _name(value: str | int | float) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _first_text(value: Any) -> str | None:
    """The first text in a list of lists."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return value if isinstance(value, str) else None
