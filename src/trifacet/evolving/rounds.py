"""One round: its samples in parts, each part through sampling, revising, verifying and pairing, in one process or many.

Invariant: what a part leaves depends on the recipe, the round, its samples and the round's models; a part that is
finished is sealed by its record and not done again. Memory holds a part of each process, whatever the number of rows.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifacet.base.bounded import OutOfBoundsError, call_many
from trifacet.base.draws import generator
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing, write_atomically
from trifacet.base.journal import Journal
from trifacet.base.opening import opened
from trifacet.base.progress import console
from trifacet.base.seals import first_damage, read_document, seal_of, sealed
from trifacet.data.formats.trifacet import to_row
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.evolving.biases import accepted_log_probs
from trifacet.evolving.cast import Cast
from trifacet.evolving.iterating import judged_part
from trifacet.evolving.pairs import pairs_of
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Answer, Fate, Feedback, Record, Verdict, as_row, from_row
from trifacet.evolving.revising import feedback_words, revise
from trifacet.evolving.round_samples import AGAIN, LISTED, read_index, read_samples, usable, write_rows
from trifacet.evolving.sampling import sample_answers
from trifacet.evolving.settings import EvolveRecipe, RoleName
from trifacet.evolving.verifying import verify

RECORDS = "parts"
LOG_PROBS = "log-probs"
STEPS = ("answers", "feedback", "verdicts", LOG_PROBS, "judgements", "pairs", "feedback-pairs", "fates")

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
    return _write_record(part, [by_id[sample.id] for sample in samples])


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


def _grouped(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in records:
        found.setdefault(one.sample, []).append(one)
    return found


# --- records ----------------------------------------------------------------------------------------------------


def record_of(part: Part) -> dict[str, Any] | None:
    """The record of a part that is finished and as it was written; one that is not is said and done again."""
    path = _record(part)
    if not path.exists():
        return None
    try:
        record = read_document(path, "")
        damage = first_damage(part.folder, record["files"])
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        console.print(f"{path} is damaged: the part is done again", soft_wrap=True)
        path.unlink()
        return None
    if damage is None:
        return record
    console.print(f"{part.folder / damage.name} {damage.problem}: made again", soft_wrap=True)
    path.unlink()
    (part.folder / damage.name).unlink(missing_ok=True)
    return None


def _record(part: Part) -> Path:
    return part.folder / RECORDS / f"{part.number:05d}.json"


def _write_record(part: Part, fates: Sequence[Fate]) -> dict[str, Any]:
    files = [part.file(step) for step in STEPS]
    record = {
        "part": part.number,
        **counted(fates),
        "files": {
            file.relative_to(part.folder).as_posix(): seal_of(file, sync=True) for file in files if file.exists()
        },
    }
    write_atomically(_record(part), json.dumps(sealed(record), indent=1) + "\n")
    return record


def counted(fates: Iterable[Fate]) -> dict[str, Any]:
    """What samples came to: rows, kinds of fate with reasons, answers and accepted ones by origin, pairs."""
    rows, malformed, pairs, about = 0, 0, 0, 0
    kinds, why, answers, accepted = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for fate in fates:
        rows += 1
        kinds[fate.what] += 1
        if fate.why:
            why[f"{fate.what}: {fate.why}"] += 1
        answers.update(fate.answers)
        accepted.update(fate.accepted)
        malformed += fate.malformed
        pairs += fate.pairs
        about += fate.feedback_pairs
    return {
        "rows": rows,
        "fates": dict(kinds),
        "why": dict(why.most_common(LISTED)),
        "answers": dict(answers),
        "accepted": dict(accepted),
        "malformed": malformed,
        "pairs": pairs,
        "feedback_pairs": about,
    }


def summed(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The counts of many parts together."""
    total = counted(())
    sums: dict[str, Any] = {key: Counter(one) if isinstance(one, dict) else one for key, one in total.items()}
    for record in records:
        for key, so_far in sums.items():
            if isinstance(so_far, Counter):
                so_far.update(record[key])
            else:
                sums[key] = so_far + record[key]
    return {
        key: dict(sorted(one.items(), key=_most_first)[:LISTED]) if isinstance(one, Counter) else one
        for key, one in sums.items()
    }


def _most_first(count: tuple[str, int]) -> tuple[int, str]:
    return -count[1], count[0]


# --- many parts -------------------------------------------------------------------------------------------------


def do_parts(job: Job, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Do parts, in one process or shared out over several; their records, as they are finished.

    Raises:
        TrifacetError: whatever keeps a part from being done, or a worker was killed.
    """
    left = [number for number in numbers if not _record(Part(job.folder, number, job.round)).exists()]
    for number in numbers:
        if number not in left and (record := record_of(Part(job.folder, number, job.round))) is None:
            left.append(number)
        elif number not in left:
            assert record is not None
            yield record
    processes = min(job.recipe.processes, len(left))
    if processes <= 1:
        with ExitStack() as open_ones:
            cast: Cast | None = None
            for number in left:
                cast = cast or open_ones.enter_context(Cast(job.recipe, job.models))
                yield do_part(job, number, cast)
        return
    try:
        for answer in call_many(_in_worker, ((job, number) for number in left), processes=processes):
            record = json.loads(answer)
            if "user_error" in record:
                raise TrifacetError(record["user_error"])
            if "error" in record:
                raise RuntimeError(f"a process failed at part {record['part']} of {job.folder}:\n{record['error']}")
            yield record
    except OutOfBoundsError as death:
        raise TrifacetError(
            f"a process ended amid its work ({death}): it was killed, or the memory did not suffice; free some memory "
            "or take fewer processes, then the same command continues"
        ) from None


_casts: list[tuple[Job, Cast]] = []  # of a worker: its models stay for the parts that it is given


def _in_worker(job: Job, number: int) -> str:
    """The part's record as text; errors too, since what is raised in a worker loses its type on the way."""
    try:
        if not _casts or _casts[0][0] != job:
            for _, cast in _casts:
                cast.__exit__(None, None, None)
            _casts[:] = [(job, Cast(job.recipe, job.models).__enter__())]
        return json.dumps(do_part(job, number, _casts[0][1]))
    except TrifacetError as error:
        return json.dumps({"part": number, "user_error": str(error)})
    except Exception:
        return json.dumps({"part": number, "error": traceback.format_exc()})


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
