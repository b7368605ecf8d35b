"""A benchmark on a model or on answers that are there: answer, judge if needed, score, write.

Invariant: every step leaves on the disk what it has done, so that the same call after a kill goes on from there; and a
reason for which the numbers are not the official ones is told with each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.version import __version__
from trifacet.benchmarks import checking, judged, results
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Outcome
from trifacet.benchmarks.checking import FileFound, Reasons
from trifacet.benchmarks.judged import Verdict
from trifacet.benchmarks.registry import Entry
from trifacet.data.records import TestSample
from trifacet.lettering.settings import COLUMN
from trifacet.llm.asking import Asked, AskedModel, Progress
from trifacet.llm.local_endpoint import LOCAL, LocalEndpoint
from trifacet.llm.writer import EndpointWriter
from trifacet.settings.section import Section

_LISTED = 3  # missing pictures that a message names
PLACEHOLDER = "word "  # stands for a token of an answer that is not there yet, in estimates


@dataclass(frozen=True)
class Task:
    """A benchmark with the user's files, pictures and options, and the questions to answer."""

    entry: Entry
    data: Path
    images: Path
    options: Section
    found: Sequence[FileFound]
    all_items: Sequence[Item]
    limit: int | None = None

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark itself."""
        return self.entry.benchmark

    @property
    def judge(self) -> Judge | None:
        """The benchmark's judge, where its options want one."""
        judge = self.benchmark.judge
        return judge if judge is not None and judge.needed(self.options) else None

    @property
    def items(self) -> Sequence[Item]:
        """The questions to answer."""
        return self.all_items[: self.limit]

    @property
    def options_told(self) -> dict[str, Any]:
        """The options that are not as they are by default."""
        return self.options.model_dump(mode="json", exclude_defaults=True)

    def reasons(self, answered: Sequence[Item]) -> Reasons:
        """Why numbers over these items are not the official ones, as far as it lies in files and items."""
        return checking.why_not_official(self.found, self.all_items, answered)

    def manifest(self, answers: Mapping[str, Any], judge: AskedModel | None) -> dict[str, Any]:
        """What ``benchmark.json`` says."""
        return {
            "benchmark": self.benchmark.name,
            "file": str(self.entry.file.resolve()) if self.entry.file else None,
            "file_sha256": self.entry.sha256,
            "data": str(self.data.resolve()),
            "images": str(self.images.resolve()),
            "files": results.hashes(self.found),
            "options": self.options.model_dump(mode="json"),
            "limit": self.limit,
            "answers": dict(answers),
            "judge": _identity(self.judge, judge),
            "trifacet": __version__,
        }


def open_task(
    entry: Entry,
    data: Path,
    *,
    images: Path | None = None,
    overrides: Sequence[str] = (),
    limit: int | None = None,
) -> Task:
    """Read the benchmark's files.

    Raises:
        TrifacetError: a file that is missing or can't be read, an option that is none, a tool that is not there.
    """
    benchmark = entry.benchmark
    options = results.read_options(benchmark, {}, overrides)
    if not data.is_dir():
        fix = f"give the one that 'trifacet benchmarks show {benchmark.name}' describes"
        raise DataError("is no folder", fix=fix, file=data)
    found = checking.require_files(benchmark, data)
    items = benchmark.read(data)
    benchmark.tools(options)
    return Task(entry, data, images or data, options, found, items, limit)


def require_images(task: Task) -> None:
    """Look at every picture's header, so that a missing one is told now and not after hours.

    Raises:
        DataError: how many are missing or damaged, the first by name.
    """
    found = checking.check_item_images(task.items, task.images)
    names = [*found.missing, *(name for name, _ in found.unreadable)]
    if names:
        some = ", ".join(map(repr, names[:_LISTED]))
        raise DataError(
            f"{len(names)} of {found.wanted} pictures are missing or damaged: {some}{' ...' * (len(names) > _LISTED)}",
            fix=f"give their folder with --images; see 'trifacet benchmarks check {task.benchmark.name}'",
            file=task.images,
        )  # fmt: skip


def samples_of(items: Sequence[Item]) -> list[TestSample]:
    """The questions as posts without words: what a model is asked is the item's prompt, else its question, alone.

    Nor with the words read in the picture, also where a model was trained with them: the row states none.
    """
    return [
        TestSample(
            id=item.id,
            image=item.image,
            more_images=tuple(item.more_images),
            prompt=item.prompt or item.question,
            extra={COLUMN: []},
        )
        for item in items
    ]


@dataclass(frozen=True)
class Scored:
    """What came of a task: the numbers and the document that tells them."""

    answered: Sequence[Answered]
    outcome: Outcome
    document: Mapping[str, Any]


def judge_and_score(
    task: Task,
    items: Sequence[Item],
    answers: Mapping[str, str],
    judge: AskedModel | None,
    books_file: Path,
    *,
    told: Mapping[str, Any],
    on_progress: Progress | None = None,
    on_verdicts: Callable[[Mapping[str, Verdict]], None] = lambda verdicts: None,
    first_pause: float = 1.0,
) -> Scored:
    """Judge where the benchmark wants it, and score.

    Args:
        task: the benchmark and its files.
        items: those of its items that have an answer.
        answers: by item id.
        judge: the judge's model; needed where the benchmark has one.
        books_file: keeps the judge's answers.
        told: what the document says of where the answers come from.
        on_progress: see ``judge_answers``.
        on_verdicts: called with the verdicts, none where the benchmark has no judge.
        first_pause: see ``Endpoint``.

    Raises:
        TrifacetError: no judge was given, it fails, or nothing that it said can be read.
    """
    benchmark, verdicts, asked = task.benchmark, dict[str, Verdict](), None
    reasons = task.reasons(items)
    if task.judge is not None:
        spec = require_judge(task, judge)
        verdicts, asked = judged.judge_answers(
            task.judge, items, answers, spec, books_file, images_root=task.images, on_progress=on_progress,
            first_pause=first_pause,
        )  # fmt: skip
        reasons = {**reasons, "": [*reasons[""], *judged.why_judge_not_official(task.judge, spec, verdicts)]}
    on_verdicts(verdicts)
    if asked is not None:
        judged.require_some(verdicts, asked)
    answered = judged.put_together(items, answers, verdicts)
    outcome = results.score(benchmark, answered, task.options, reasons)
    told_all = results.document(
        benchmark, task.found, answered, outcome, reasons, of=len(task.all_items), answers=told, judge=asked
    )
    return Scored(answered, outcome, told_all)


def require_judge(task: Task, judge: AskedModel | None) -> AskedModel:
    """``judge``. Raises TrifacetError where there is none although the benchmark needs one, or no such checkpoint."""
    if judge is None:
        official = task.judge.official if task.judge else ""
        original = f" (the original took {official})" if official else ""
        raise TrifacetError(
            f"{task.benchmark.name} needs a judge{original}; give one with --judge judge.yaml, a file "
            "with at least 'base_url' and 'model'"
        )
    if judge.base_url == LOCAL and not Path(judge.model).is_dir():
        _ = LocalEndpoint("judge", judge).identity  # the hub's, which raises where it has none
    return judge


def estimate(
    task: Task,
    answers: Mapping[str, str],
    judge: AskedModel | None,
    judge_books: Path,
    *,
    asker: EndpointWriter | None = None,
    max_new_tokens: int = 0,
) -> dict[str, Asked]:
    """What asking would still cost, by "answers" and "judge"; an answer not there yet counts as long as it may be."""
    costs: dict[str, Asked] = {}
    if asker is not None:
        open_items = [item for item in task.items if item.id not in answers]
        costs["answers"] = asker.cost(samples_of(open_items), task.images)
    if task.judge is not None:
        spec = require_judge(task, judge)
        items = list(task.items) if max_new_tokens else [item for item in task.items if item.id in answers]
        assumed = {item.id: answers.get(item.id, PLACEHOLDER * max_new_tokens) for item in items}
        costs["judge"] = judged.estimate_judging(task.judge, items, assumed, spec, judge_books, images_root=task.images)
    return costs


def _identity(judge: Judge | None, spec: AskedModel | None) -> dict[str, Any] | None:
    """What verdicts depend on; not the price, the address or the limits."""
    if judge is None or spec is None:
        return None
    keys = {"model", "max_tokens", "image_side", "reparse"}
    return spec.model_dump(include=keys) | {"prompt": judged.prompt_of(judge).sha256}
