"""One round: its samples in parts, each part through sampling, revising, verifying and pairing, by one worker or many.

Invariant: what a part leaves depends on the recipe, the round, its samples and the round's models; a part that is
finished is sealed by its record and not done again. Memory holds a part of each process, whatever the number of rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifacet.base import system
from trifacet.base.draws import generator
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing
from trifacet.base.journal import Journal
from trifacet.base.opening import opened
from trifacet.base.workers import Workers
from trifacet.base.workers import do_parts as hand_out
from trifacet.data.formats.trifacet import to_row
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.evolving.biases import accepted_log_probs
from trifacet.evolving.cast import Cast
from trifacet.evolving.iterating import judged_part
from trifacet.evolving.pairs import pairs_of
from trifacet.evolving.part_records import LOG_PROBS, is_done, record_of, write_record
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Answer, Fate, Feedback, Record, Verdict, as_row, from_row
from trifacet.evolving.revising import feedback_words, revise
from trifacet.evolving.round_samples import AGAIN, read_index, read_samples, usable, write_rows
from trifacet.evolving.sampling import sample_answers
from trifacet.evolving.settings import EvolveRecipe, RoleName
from trifacet.evolving.telling import noted, underway
from trifacet.evolving.verifying import verify

_LOOK_AGAIN, _OTHERS_END = 0.2, 120.0  # seconds until a part that another process has is looked at again, and given up

Told = Callable[[str, int, int], None]
"""Told of (what is being done, how many of it are done, of how many)."""


def round_folder(output: Path, number: int) -> Path:
    """Where a round keeps its files."""
    return output / f"round-{number}"


def hard_samples(before: Path, *, hard_only: bool) -> Iterator[TestSample]:
    """The samples of the round before that go on: those without an accepted answer, or all that can be used."""
    for number in range(read_index(before)["parts"]):
        part = Part(before, number, 0)
        fates = {fate.sample: fate for fate in read_rows(Fate, part.file("fates"))}
        for sample in read_samples(part):
            fate = fates[sample.id]
            if fate.answers and not (hard_only and any(fate.accepted.values())):
                yield sample


# --- a part -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What is done to the parts of a round.

    Attributes:
        recipe: the recipe, its data and base model settled.
        round: the round's number, from 1.
        models: the round's checkpoints; None or absent: as the recipe has it.
    """

    recipe: EvolveRecipe
    round: int
    models: Mapping[RoleName, Path | None] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The round's."""
        return round_folder(self.recipe.folder, self.round)


def do_part(job: Job, number: int, cast: Cast) -> dict[str, Any]:
    """Do a part, unless it is finished; its record: rows, counts, seals of its files.

    Raises:
        TrifacetError: whatever keeps a model from answering; what was answered until then is kept.
    """
    part = Part(job.folder, number, job.round)
    with alone(part):
        return _done_part(job, part, cast)


def _done_part(job: Job, part: Part, cast: Cast) -> dict[str, Any]:
    if (kept := record_of(part)) is not None:
        return kept
    samples = read_samples(part)
    if job.recipe.judge is not None:
        fine, gone = usable(samples, job.recipe, by_reference=False)
        made = judged_part(fine, cast, job.recipe, part)
    else:
        fine, gone = usable(samples, job.recipe, by_reference=True)
        made = _verified_part(fine, cast, job.recipe, part)
    pairs, about, fates = made
    by_id = {fate.sample: fate for fate in (*fates, *gone)}
    write_rows(part.file("pairs"), (to_row(one, "") for one in pairs))
    write_rows(part.file("feedback-pairs"), (to_row(one, "") for one in about))
    Journal(part.file("fates")).finish(as_row(by_id[sample.id]) for sample in samples)
    return write_record(part, [by_id[sample.id] for sample in samples])


def _verified_part(
    samples: Sequence[TestSample], cast: Cast, recipe: EvolveRecipe, part: Part
) -> tuple[list[PreferenceSample], list[PreferenceSample], list[Fate]]:
    """Answers, revisions, verdicts of a part, and the pairs that follow."""
    answers = sample_answers(samples, cast, recipe, part)
    revised, feedback = revise(samples, answers, cast, recipe, part)
    by_answer = _grouped([*answers, *revised])
    everything = [one for sample in samples for one in by_answer.get(sample.id, ())]
    verdicts = verify(samples, everything, cast, recipe, part)
    Journal(part.file("verdicts")).finish(map(as_row, verdicts))
    accepted_log_probs(samples, everything, verdicts, cast, part)
    by_feedback, by_verdict = _grouped(feedback), _grouped(verdicts)
    pairs: list[PreferenceSample] = []
    about: list[PreferenceSample] = []
    fates = []
    for sample in samples:
        found, texts, fate = pairs_of(
            sample,
            by_answer.get(sample.id, []),
            by_feedback.get(sample.id, []),
            by_verdict.get(sample.id, []),
            recipe.pairs,
            generator(recipe.seed, "pairs", part.round, sample.id),
            round=part.round,
            asked=feedback_words(sample, cast, recipe),
        )
        pairs += found
        about += texts
        fates.append(fate)
    return pairs, about, fates


@contextmanager
def alone(part: Part) -> Iterator[None]:
    """Let nobody else do the part meanwhile: a worker of a killed run, on another machine, may be about to end.

    Raises:
        TrifacetError: it does not end.
    """
    until = time.monotonic() + _OTHERS_END
    part.folder.mkdir(parents=True, exist_ok=True)
    with (part.folder / ".underway").open("ab") as file:
        while True:
            try:
                system.lock_byte(file, part.number)
                break
            except OSError:
                if time.monotonic() > until:
                    raise TrifacetError(
                        f"another process works on part {part.number} of {part.folder}; end it, then the same command "
                        "continues"
                    ) from None
                time.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            system.unlock_byte(file, part.number)


def _grouped(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in records:
        found.setdefault(one.sample, []).append(one)
    return found


# --- many parts -------------------------------------------------------------------------------------------------


def do_parts(job: Job, numbers: Sequence[int], workers: Workers) -> Iterator[dict[str, Any]]:
    """Do parts, by whatever workers there are; their records, as they are finished.

    Raises:
        TrifacetError: whatever keeps a part from being done, or a worker was killed.
    """
    parts = {number: Part(job.folder, number, job.round) for number in numbers}
    left = [number for number, part in parts.items() if not is_done(part)]
    for number, part in parts.items():
        if number not in left and (record := record_of(part)) is None:
            left.append(number)
        elif number not in left:
            assert record is not None
            yield record
    try:
        with underway(job.folder):
            yield from hand_out(do_in_worker, job, left, workers, of=str(job.folder))
    finally:
        let_go()


_casts: list[tuple[Job, Cast]] = []  # of a process: its models stay for the parts that it is given


def do_in_worker(job: Job, number: int) -> dict[str, Any]:
    """Do a part with the models of this process; see ``do_part``."""
    if not _casts or _casts[0][0] != job:
        let_go()
        _casts.append((job, Cast(job.recipe, job.models).__enter__()))
    with noted(job.folder, number):
        return do_part(job, number, _casts[0][1])


def let_go() -> None:
    """Close what this process holds for parts."""
    while _casts:
        _casts.pop()[1].__exit__(None, None, None)


# --- files ------------------------------------------------------------------------------------------------------


def read_rows(kind: type[Record], file: Path) -> list[Record]:
    """The records of a step's file that is finished. Raises DataError for a row that is not as it was written."""
    found = []
    for number, row in enumerate(Journal(file).rows if file.exists() else (), start=1):
        try:
            found.append(from_row(kind, row))
        except ValueError:
            raise DataError("is no row of this program", fix=AGAIN, file=file, row=number) from None
    return found


def rows_of(part: Part) -> tuple[list[Answer], list[Feedback], list[Verdict], list[Fate]]:
    """What the steps of a finished part have left."""
    return (
        read_rows(Answer, part.file("answers")),
        read_rows(Feedback, part.file("feedback")),
        read_rows(Verdict, part.file("verdicts")),
        read_rows(Fate, part.file("fates")),
    )


def log_probs_of(part: Part) -> dict[tuple[str, int], float]:
    """Nats per token of the accepted answers of a finished part, by sample and answer; none of an endpoint's."""
    file = part.file(LOG_PROBS)
    rows = Journal(file).rows if file.exists() else []
    return {(row["sample"], row["answer"]): row["nats"] for row in rows if row["nats"] is not None}


def join(files: Iterable[Path], target: Path) -> int:
    """Write files of rows one behind the other; the number of rows."""
    rows = 0
    with replacing(target) as temporary, temporary.open("wb") as out:
        for file in files:
            with opened(file) as source:
                for line in source:
                    out.write(line)
                    rows += 1
    return rows
