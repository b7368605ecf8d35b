"""The folder of a benchmark's result: answers, verdicts, scores, and what they were made of.

``benchmark.json`` is written first and says which settings the rest belongs to. ``answers.jsonl`` holds {"id", "text"}
per item, ``verdicts.jsonl`` {"id", "verdict", "problem", "text"}, ``scores.json`` the numbers; ``*.sqlite`` keep what
models answered. Invariant: a number is computed from answers and verdicts of one setting, and a folder can be scored
again as long as the benchmark's files are what they were.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trifacet.base import claims
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Outcome, Result
from trifacet.benchmarks.checking import FileFound, Reasons, require_files
from trifacet.benchmarks.judged import Verdict, put_together
from trifacet.benchmarks.registry import Entry, known_benchmarks, pick
from trifacet.data.rows import iter_rows
from trifacet.llm.asking import Asked
from trifacet.llm.books import Books
from trifacet.settings.reading import explain_invalid, overridden
from trifacet.settings.section import Section
from trifacet.statistics.measures import Measure
from trifacet.statistics.significance import bca_intervals

_MAX_BYTES = 50_000_000  # of a file that is held whole
MARK, ANSWERS, VERDICTS, SCORES = "benchmark.json", "answers.jsonl", "verdicts.jsonl", "scores.json"
ENDPOINT_BOOKS = "answers.sqlite"  # what a model behind an endpoint answered
# What another run must agree in.
DECIDING = ("benchmark", "file_sha256", "files", "options", "limit", "answers", "judge")


def load_result(folder: Path, data: Path | None = None, own: Mapping[str, Entry] | None = None) -> Result:
    """Read a result's folder and compute its numbers again.

    Args:
        folder: made by ``trifacet benchmarks run`` or ``score --output``.
        data: the benchmark's files, where they no longer lie where they did.
        own: the benchmarks of files that the user names, by name; what a folder names is not run by itself.

    Raises:
        TrifacetError: it is no such folder, is not finished, is of a file that is not named, or the benchmark's files
            have changed.
    """
    manifest = _read_json(folder / MARK, f"{folder} holds no result of 'trifacet benchmarks run'")
    unfinished = f"{folder}: is not finished; run the same 'trifacet benchmarks' or 'trifacet evaluate' command again"
    scores = _read_json(folder / SCORES, unfinished)
    try:
        benchmark = _benchmark_of(folder, manifest, own or {})
        where = data or Path(manifest["data"])
        found = require_files(benchmark, where)
        if _taken(hashes(found)) != _taken(manifest["files"]):
            raise TrifacetError(f"{where} no longer holds the files that {folder} was made with; say where they are")
        options = read_options(benchmark, manifest["options"])
        parts = {"": scores["reasons"], **scores["part_reasons"]}
        reasons = {str(part): [str(reason) for reason in told] for part, told in parts.items()}
        answers = {name: row["text"] for name, row in _rows(folder / ANSWERS).items()}
        verdicts = {
            name: Verdict(row["verdict"], row["problem"], row["text"]) for name, row in _rows(folder / VERDICTS).items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise TrifacetError(f"{folder}: is damaged ({error}); run the same command again") from None
    answered = put_together([item for item in benchmark.read(where) if item.id in answers], answers, verdicts)
    images = Path(str(manifest["images"])) if manifest.get("images") else None
    return Result(benchmark, answered, score(benchmark, answered, options, reasons), images)


def _benchmark_of(folder: Path, manifest: Mapping[str, Any], own: Mapping[str, Entry]) -> Benchmark:
    """The benchmark of a result; one of a file only where that file is among ``own``, as it was."""
    name, file = manifest["benchmark"], manifest.get("file")
    if not file:
        return pick(name, known_benchmarks(), f", of which {folder} is").benchmark
    if name not in own:
        raise TrifacetError(f"{folder} was made with the benchmark {name!r} of {file}; say --file to run that file")
    if own[name].sha256 != manifest.get("file_sha256"):
        raise TrifacetError(
            f"{own[name].file} is not as it was when {folder} was made; name it as it was, or make the result anew"
        )
    return own[name].benchmark


def score(benchmark: Benchmark, answered: Sequence[Answered], options: Section, reasons: Reasons) -> Outcome:
    """What the answers are worth, every measure marked with the ``reasons`` for which it is not the official one."""
    outcome = benchmark.score(answered, options)
    measures = [_marked(measure, reasons) for measure in outcome.measures]
    empty = sum(not one.answer.strip() for one in answered)
    notes = [f"{empty} of {len(answered)} answers are empty"] if empty else []
    return dataclasses.replace(outcome, measures=measures, notes=[*outcome.notes, *notes])


def _marked(measure: Measure, reasons: Reasons) -> Measure:
    told = [reason for part, some in reasons.items() if measure.name.startswith(part) for reason in some]
    return dataclasses.replace(measure, unofficial="; ".join([*told, *filter(None, [measure.unofficial])]))


def read_options(benchmark: Benchmark, values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Section:
    """The benchmark's options. Raises TrifacetError naming the key that is wrong."""
    try:
        return benchmark.options.model_validate(overridden(values, overrides))
    except ValidationError as error:
        raise TrifacetError(f"options of {benchmark.name}: {explain_invalid(error, benchmark.options)}") from None


def hashes(found: Sequence[FileFound]) -> dict[str, str]:
    """SHA-256 by the path of every needed file; empty for one that was left out."""
    return {one.need.path: one.sha256 for one in found}


@contextlib.contextmanager
def claimed(folder: Path, manifest: Mapping[str, Any], *, overwrite: bool) -> Iterator[None]:
    """``folder`` for this process alone, as the place of a result with these settings.

    As long as there are no answers all may be another, and as long as there are no scores the judge may: answers stay,
    verdicts are made anew.

    Raises:
        TrifacetError: it holds a result of other settings, or files that are no result, or another process works in it.
    """
    with claims.claimed(folder, MARK) as claim:
        claim.clear(written(folder), asked=overwrite)
        held = claim.held()
        changed = [] if held is None else claims.differences(_deciding(held), _deciding(manifest))
        if {one.key for one in changed} == {"judge"} and not (folder / SCORES).exists():
            (folder / VERDICTS).unlink(missing_ok=True)  # it failed, or said nothing to be read
        elif changed and not _answered(folder):  # such as a model's name that was mistyped
            (folder / f"{ANSWERS}.settings.json").unlink(missing_ok=True)
        elif changed:
            raise claims.refused(f"{folder} holds a result of other settings ({claims.told(changed)})")
        claim.begin(manifest)
        yield


def written(folder: Path) -> list[Path]:
    """What a result's folder holds besides its mark and what models answered; first what says that it is finished."""
    return [folder / name for name in (SCORES, VERDICTS, ANSWERS, f"{ANSWERS}.settings.json")]


def _deciding(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: manifest.get(key) for key in DECIDING} | {"files": _taken(manifest.get("files"))}


def _taken(files: Any) -> Any:
    """The files that were not left out, by path: whether the others are named makes no difference."""
    return {path: digest for path, digest in files.items() if digest} if isinstance(files, dict) else files


def _answered(folder: Path) -> bool:
    """Whether ``folder`` holds an answer, of a model of this machine or of an endpoint's."""
    if (folder / ANSWERS).exists():
        return True
    if not (folder / ENDPOINT_BOOKS).exists():
        return False
    with Books(folder / ENDPOINT_BOOKS) as books:
        return bool(books.kept())


def write_answers(folder: Path, items: Sequence[Item], answers: Mapping[str, str]) -> None:
    """Write ``answers.jsonl`` in the items' order."""
    _write_rows(folder / ANSWERS, [{"id": item.id, "text": answers[item.id]} for item in items])


def write_verdicts(folder: Path, items: Sequence[Item], verdicts: Mapping[str, Verdict]) -> None:
    """Write ``verdicts.jsonl`` in the items' order; empty where there is no judge."""
    found = [(item.id, verdicts[item.id]) for item in items if item.id in verdicts]
    rows = [{"id": name, "verdict": one.value, "problem": one.problem, "text": one.text} for name, one in found]
    _write_rows(folder / VERDICTS, rows)


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``scores.json``, the last of the files."""
    write_atomically(folder / SCORES, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def document(
    benchmark: Benchmark,
    found: Sequence[FileFound],
    answered: Sequence[Answered],
    outcome: Outcome,
    reasons: Reasons,
    *,
    of: int,
    answers: Mapping[str, Any],
    judge: Asked | None,
) -> dict[str, Any]:
    """What ``scores.json`` and ``--json`` hold; a metric's own reasons are beside it. Without a metric all is open."""
    metrics = {
        measure.name: {
            "value": None if math.isnan(measure.value) else measure.value,
            "interval": interval,
            "better": measure.better,
            "official": not measure.unofficial,
            "reason": measure.unofficial,
            "units": len(measure.units),
        }
        for measure, interval in zip(outcome.measures, bca_intervals(outcome.measures), strict=True)
    }
    return {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "release": {one.need.path: one.release or None for one in found},
        "official": bool(metrics) and all(metric["official"] for metric in metrics.values()),
        "reasons": list(reasons.get("", ())),
        "part_reasons": {part: list(told) for part, told in reasons.items() if part},
        "items": len(answered),
        "of": of,
        "metrics": metrics,
        "counts": dict(outcome.counts),
        "notes": list(outcome.notes),
        "answers": dict(answers),
        "judge": judge.document() if judge else None,
    }


def per_sample_rows(answered: Sequence[Answered], outcome: Outcome) -> list[dict[str, Any]]:
    """A row per item: answer, verdict, what the benchmark says of the item, and the measures whose units are items."""
    values = values_of_items(answered, outcome)
    return [
        {"id": one.item.id, "answer": one.answer, "verdict": one.verdict, "problem": one.problem,
         "metrics": values[one.item.id]}
        for one in answered
    ]  # fmt: skip


def values_of_items(answered: Sequence[Answered], outcome: Outcome) -> dict[str, dict[str, float]]:
    """By item: what the benchmark says of it (``of_items``), then the measures whose units are items, where defined."""
    values: dict[str, dict[str, float]] = {one.item.id: dict(outcome.of_items.get(one.item.id, {})) for one in answered}
    for measure in outcome.measures:
        for unit, value in zip(measure.units, measure.of_units().tolist(), strict=True):
            if unit in values and not math.isnan(value):
                values[unit][measure.name] = value
    return values


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for _, row in iter_rows(path)}


def _read_json(path: Path, problem: str) -> dict[str, Any]:
    try:
        values = read_json(path, _MAX_BYTES)
    except DataError:
        raise DataError(problem) from None
    if not isinstance(values, dict):
        raise DataError(problem)
    return values
