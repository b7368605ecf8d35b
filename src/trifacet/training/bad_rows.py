"""``data.on_bad_row: skip``: what is left out of a run, how that is found out, and where it is listed.

Invariant: what is left out depends on the data and the recipe alone, so that the same command leaves out the same
rows again; every row that is left out is listed in the run's ``skipped.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.images import prove_image, resolve_inside
from trifacet.base.progress import Bar, console
from trifacet.base.words import visible_line
from trifacet.data.records import Sample
from trifacet.data.source import Source
from trifacet.training.examples import Examples
from trifacet.training.loader_workers import OutliveSignal

SKIPPED = "skipped.jsonl"
_SHOWN = 3  # on standard error; the file has all


class Bad(NamedTuple):
    """A row that is left out; ``id`` and ``field`` are None where the row could not be read so far."""

    file: str
    row: int | None
    id: str | None
    field: str | None
    reason: str


Problem = tuple[str | None, str]  # field, reason


def usable_samples(
    source: Source, *, max_pixels: int, workers: int, limit: int | None
) -> tuple[list[Sample], list[Bad]]:
    """The samples of ``source`` that can be read and whose image can be decoded, and the rows that are left out.

    Args:
        source: the file.
        max_pixels: largest image.
        workers: processes that decode.
        limit: only the first so many rows that can be read (None: all).

    Raises:
        TrifacetError: nothing is left; the file as a whole is damaged.
    """
    bad: dict[int | None, Bad] = {}  # by row: its first problem

    def note(problem: DataError) -> None:
        bad.setdefault(problem.row, Bad(str(source.file), problem.row, None, problem.field, problem.problem))

    rows = source.rows(note)[:limit]
    samples = [sample for _, sample in rows]

    def look(index: int) -> None:
        for name in samples[index].pictures:
            prove_image(resolve_inside(source.images, name), name, max_pixels=max_pixels)

    found = _problems(look, samples, workers, f"{source.file.name}: images")
    for index, (field, reason) in found.items():
        bad[rows[index][0]] = Bad(str(source.file), rows[index][0], samples[index].id, field or "image", reason)
    listed = [bad[row] for row in sorted(bad, key=lambda row: row or 0)]
    return _left(samples, found, listed), listed


def usable_examples(
    make: Callable[[Sequence[Any]], Examples], source: Source, *, max_pixels: int, workers: int, limit: int | None
) -> tuple[Examples, list[Bad]]:
    """The examples that training can have, and the rows that are left out.

    Every example is made once: its images decoded, its versions found and compared, its tokens counted.

    Args:
        make: from samples to the stage's examples.
        source: as in ``usable_samples``, as are ``max_pixels``, ``workers`` and ``limit``.
        max_pixels: see ``source``.
        workers: see ``source``.
        limit: see ``source``.

    Raises:
        TrifacetError: nothing is left.
    """
    samples, bad = usable_samples(source, max_pixels=max_pixels, workers=workers, limit=limit)
    rows = {sample.id: number for number, sample in source.rows(lambda problem: None)}
    examples = make(samples)
    attempt: Callable[[int], Any] = _Whole(examples)
    while found := _problems(attempt, samples, workers, f"{source.file.name}: examples"):
        for index, (field, reason) in found.items():
            name = samples[index].id
            bad.append(Bad(str(source.file), rows[name], name, field, reason))
        bad.sort(key=lambda one: one.row or 0)
        samples = _left(samples, found, bad)
        examples = make(samples)
        attempt = _Versions(examples)  # contexts are drawn from those that are left: are there still enough?
    return examples, bad


def note_skipped(folder: Path, purpose: str, bad: Sequence[Bad], total: int) -> None:
    """List what ``purpose`` (a stage or a split) leaves out in the run's file, and say so on standard error."""
    path = folder / SKIPPED
    others = [line for line in read_skipped(folder) if line.get("for") != purpose]
    mine = [{"for": purpose, **one._asdict()} for one in bad]
    if mine or path.exists():
        write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in others + mine))
    if not bad:
        return
    said = [f"{purpose}: {len(bad)} of {total} rows left out, listed in {path}:"]
    for one in bad[:_SHOWN]:
        reason = one.reason if one.id is None else f"sample {one.id!r}: {one.reason}"
        said.append(f"  {DataError(reason, file=one.file, row=one.row, field=one.field)}")
    if len(bad) > _SHOWN:
        said.append(f"  and {len(bad) - _SHOWN} more")
    for line in said:
        console.print(visible_line(line), soft_wrap=True)  # it quotes the data


def rows_left_out(folder: Path, purpose: str, source: Source) -> set[str]:
    """The ids of the samples of ``source`` that ``purpose`` left out in the run in ``folder``."""
    lines = [line for line in read_skipped(folder) if (line["for"], line["file"]) == (purpose, str(source.file))]
    return {line["id"] for line in lines}


def usable_posts(source: Source, limit: int, *, max_pixels: int) -> list[Sample]:
    """The first ``limit`` samples, less those whose image cannot be decoded where such are left out."""
    if not source.skip:
        return source.read()[:limit]
    return usable_samples(source, max_pixels=max_pixels, workers=0, limit=limit)[0]


def read_skipped(folder: Path) -> list[dict[str, Any]]:
    """What the run in ``folder`` left out so far: {"for", "file", "row", "id", "field", "reason"} each."""
    path = folder / SKIPPED
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class _Whole:
    """Make the whole example; a sample to which no term applies has none."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __call__(self, index: int) -> None:
        if not self.examples.cells(index):
            raise TrifacetError("has no post, and every term of the objective rejects the context")
        self.examples.refuse_equal(index)
        self.examples[index]


class _Versions(_Whole):
    """Only find the versions."""

    def __call__(self, index: int) -> None:
        self.examples.cells(index)


class _Attempts(Dataset[Problem | None]):
    """What each attempt fails with, as a data set, so that the loader's workers share them."""

    def __init__(self, attempt: Callable[[int], Any], samples: Sequence[Sample]) -> None:
        self.attempt, self.samples = attempt, samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Problem | None:
        try:
            self.attempt(index)
        except TrifacetError as error:
            field, text = (error.field, error.problem) if isinstance(error, DataError) else (None, str(error))
            return field, text.removeprefix(f"sample {self.samples[index].id!r}").removeprefix(":").strip()
        return None


def _problems(attempt: Callable[[int], Any], samples: Sequence[Sample], workers: int, title: str) -> dict[int, Problem]:
    loader: Any = DataLoader(
        _Attempts(attempt, samples), batch_size=None, num_workers=workers, worker_init_fn=OutliveSignal()
    )
    found = {}
    with Bar(title) as bar:
        for index, problem in enumerate(loader):
            if problem is not None:
                found[index] = problem
            bar.update(index + 1, len(samples))
    return found


def _left(samples: list[Sample], found: dict[int, Problem], bad: Sequence[Bad]) -> list[Sample]:
    kept = [sample for index, sample in enumerate(samples) if index not in found]
    if not kept:
        first = DataError(bad[0].reason, row=bad[0].row, field=bad[0].field)
        raise TrifacetError(f"{bad[0].file}: none of its rows can be used ({len(bad)} left out; the first is {first})")
    return kept
