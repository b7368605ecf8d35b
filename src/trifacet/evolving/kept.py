"""What an output folder of ``trifacet evolve`` holds, read a part at a time, of an unfinished run too.

Invariant: a row that is not as it was written is an error that names file and row, but for a last line that a kill
left torn; memory holds one part at most.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import is_file, is_folder, opened, read_text
from trifacet.base.seals import read_document, unsealed
from trifacet.data.settings import Data
from trifacet.evolving.parts import MARK, RECIPE, Part
from trifacet.evolving.records import Answer, Fate, Feedback, Record, Verdict, from_row
from trifacet.evolving.settings import EvolveRecipe, Revision, Roles, Rounds
from trifacet.settings.yaml_values import read_yaml

ROUND = "round.json"
SAMPLES, ANSWERS, FEEDBACK, VERDICTS, FATES = "samples", "answers", "feedback", "verdicts", "fates"
PAIRS, FEEDBACK_PAIRS = "pairs", "feedback-pairs"
_STEPS = (ANSWERS, FEEDBACK, VERDICTS, FATES, PAIRS, FEEDBACK_PAIRS)
_LONGEST = 4 << 20  # bytes of a recipe
_AGAIN = "the same command makes it again"


@dataclass
class PartRows:
    """The rows of one part, as far as its steps have come; pairs are rows of preference samples.

    ``steps`` are those whose file is there.
    """

    number: int
    steps: frozenset[str] = frozenset()
    answers: list[Answer] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    feedback_pairs: list[dict[str, Any]] = field(default_factory=list)

    def of(self, sample: str) -> PartRows:
        """The rows about one sample."""
        return self.by_sample().get(sample, PartRows(self.number, self.steps))

    def by_sample(self) -> dict[str, PartRows]:
        """The same rows, sample by sample, in the order in which the samples stand."""
        found: dict[str, PartRows] = defaultdict(lambda: PartRows(self.number, self.steps))
        for answer in self.answers:
            found[answer.sample].answers.append(answer)
        for said in self.feedback:
            found[said.sample].feedback.append(said)
        for verdict in self.verdicts:
            found[verdict.sample].verdicts.append(verdict)
        for fate in self.fates:
            found[fate.sample].fates.append(fate)
        for pair in self.pairs:
            found[sample_of(pair)].pairs.append(pair)
        for pair in self.feedback_pairs:
            found[sample_of(pair)].feedback_pairs.append(pair)
        return dict(found)


def sample_of(pair: dict[str, Any]) -> str:
    """Id of the sample that gave a pair."""
    extra = pair.get("extra")
    named = extra.get("sample") if isinstance(extra, dict) else None
    return named if isinstance(named, str) else str(pair.get("id", "")).rpartition("#")[0]


@dataclass(frozen=True)
class Begun:
    """What the recipe of a run says that is shown. It is read without what names code: a folder's is not run.

    Attributes:
        text: the recipe.
        name, seed: its own.
        rounds: how many it asks for.
        model: the recipe's model, by name.
        data: where samples and pictures are.
        roles: who plays what.
        reference_from: the round from which on feedback sees the reference; None: never, or nothing is revised.
        judged: whether a judge compares answers, in place of verifying by references.
    """

    text: str
    name: str
    seed: int
    rounds: int
    model: str
    data: Data
    roles: Roles
    reference_from: int | None
    judged: bool


def recipe_of(folder: Path) -> Begun:
    """What the folder was begun with.

    Raises:
        TrifacetError: the folder holds no run of ``trifacet evolve``, or its recipe cannot be read.
    """
    path = folder / RECIPE
    if not is_file(folder / MARK) or not is_file(path):
        raise TrifacetError(f"{folder} holds no run of 'trifacet evolve'; run it with this recipe first")
    text = read_text(path, _LONGEST)
    values = _mapping(read_yaml(text, str(path)))
    try:
        rounds, revision = _mapping(values.get("rounds")), Revision.model_validate(_mapping(values.get("revision")))
        given = _mapping(values.get("model"))
        tiny = "a tiny model" if given.get("tiny") else ""
        return Begun(
            text=text,
            name=str(values.get("name") or folder.resolve().name),
            seed=int(values.get("seed", EvolveRecipe.model_fields["seed"].default)),
            rounds=int(rounds.get("count", Rounds().count)),
            model=Path(str(given.get("path") or tiny)).name,
            data=Data.model_validate(_mapping(values.get("data"))),
            roles=Roles.model_validate(_mapping(values.get("roles"))),
            reference_from=revision.reference_from if revision.answers else None,
            judged=bool(values.get("judge")),
        )
    except (ValidationError, TypeError, ValueError):
        raise DataError("is no recipe of this program", fix="run the same recipe again", file=path) from None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def rounds_of(folder: Path) -> list[tuple[int, Path]]:
    """The rounds that were begun, with their folders, in order."""
    named = [(re.fullmatch(r"round-([1-9]\d{0,2})", path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in named if match and is_folder(path))


def document_of(path: Path) -> dict[str, Any]:
    """A small sealed document of the run; {} where it is not there. Raises DataError where it is damaged."""
    return read_document(path, _AGAIN) if is_file(path) else {}


def part_numbers(home: Path) -> list[int]:
    """The parts of a round that were begun, in order."""
    named = [path.stem for step in (SAMPLES, *_STEPS) for path in (home / step).glob("*.jsonl")]
    return sorted({int(name) for name in named if re.fullmatch(r"\d{5,9}", name)})


def parts_of(home: Path, number: int) -> Iterator[PartRows]:
    """The parts of a round, one after another. Raises DataError for a row that is damaged."""
    yield from (part_of(Part(home, one, number)) for one in part_numbers(home))


def sample_rows(part: Part) -> Iterator[dict[str, Any]]:
    """The rows of a part's samples; none where it has none yet. Raises DataError for one that is damaged."""
    if is_file(part.file(SAMPLES)):
        yield from (row for _, row in _rows(part.file(SAMPLES)))


def part_of(part: Part) -> PartRows:
    """One part. Raises DataError for a row that is damaged."""
    there = frozenset(step for step in _STEPS if is_file(part.file(step)))
    rows = PartRows(part.number, there)
    for step, kind, into in (
        (ANSWERS, Answer, rows.answers),
        (FEEDBACK, Feedback, rows.feedback),
        (VERDICTS, Verdict, rows.verdicts),
        (FATES, Fate, rows.fates),
    ):
        if step in there:
            into.extend(_records(kind, part.file(step)))  # type: ignore[arg-type]
    for step, pairs in ((PAIRS, rows.pairs), (FEEDBACK_PAIRS, rows.feedback_pairs)):
        if step in there:
            pairs.extend(row for _, row in _rows(part.file(step)))
    return rows


def log_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a training's log that can be read; none where it has none."""
    if not is_file(path):
        return []
    found = []
    with opened(path) as file:
        for line in file:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                found.append(row)
    return found


def _records(kind: type[Record], path: Path) -> Iterator[Record]:
    for number, row in _rows(path):
        try:
            yield from_row(kind, row)
        except ValidationError:
            raise _damaged(path, number) from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows with their numbers from 1; a file that is being replaced meanwhile is read as it was."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                row = unsealed(json.loads(line))
            except (ValueError, RecursionError):
                row = None
            if row is None:
                if not line.endswith(b"\n"):  # torn by a kill: it was never there
                    return
                raise _damaged(path, number)
            yield number, row


def _damaged(path: Path, number: int) -> DataError:
    return DataError("is damaged", fix=_AGAIN, file=path, row=number)
