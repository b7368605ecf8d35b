"""What rounds of ``trifacet evolve`` made, as measures of a study: from the files of a finished run, no model asked.

Invariant: shares are per cent, held against the truth that samples carry (``demo.tasks_truth``); where a round was not
reached, or nothing is known of the truth, there is no number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from trifacet.base.opening import opened
from trifacet.data.records import TestSample
from trifacet.data.source import source_of
from trifacet.demo.tasks_truth import TRUTH
from trifacet.evolving.parts import PAIRS as FILE
from trifacet.evolving.rounds import round_folder
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.truth import (
    ALL,
    Judged,
    Share,
    accuracy,
    pairs_told,
    read_round,
    revisions,
    texts_right,
    verifier,
)
from trifacet.studies.cells import BASE
from trifacet.studies.evolved_names import EVOLVED_NAME, PAIRS, RIGHT
from trifacet.studies.works import Job

Units = Mapping[str, float]
"""A mean's parts, by sample; of a number of a whole run the number."""


def model_there(job: Job, model: str) -> str:
    """The model, or where rounds without a pair have not trained it the one that it would have begun with."""
    number = int(model.rpartition("-")[2]) if model.startswith("round-") else 0
    known = texts_folder(job)
    before = [*(f"round-{one}" for one in range(number, 0, -1)), BASE] if isinstance(job.recipe, EvolveRecipe) else []
    return next((one for one in (model, *before) if (known / f"{one}.jsonl").exists()), model)


def texts_folder(job: Job) -> Path:
    """Where the texts of a job's models are."""
    return (job.folder / job.scores).parent / "generations"


def evolved_numbers(job: Job, model: str, measures: Sequence[str]) -> dict[str, Units]:
    """The measures of rounds among ``measures``, of a finished run.

    Raises:
        TrifacetError, OSError, ValueError, KeyError, TypeError: a file of it is damaged.
    """
    rounds: dict[int, dict[str, float]] = {}
    found: dict[str, Units] = {}
    for name in measures:
        if (match := EVOLVED_NAME.fullmatch(name)) is None:
            continue
        what, number = match[1].partition("/")[0], int(match[2] or 1)
        home = round_folder(job.folder, number)
        if what == RIGHT:
            found |= _right(job, model, name)
        elif what == PAIRS:
            found |= _one(name, _lines((home if match[2] else job.folder) / FILE))
        else:
            if number not in rounds:
                rounds[number] = _of_round(home)
            found |= _one(name, rounds[number].get(what, math.nan))
    return found


def _of_round(home: Path) -> dict[str, float]:
    if not (home / FILE).exists():
        return {}
    rows = read_round(home)
    if not all(TRUTH in one.extra for one in rows.samples.values()):
        return {}

    def plain(one: Judged) -> str:
        return ""

    asked = [one for one in rows.answers if one.outcome]
    told, mends, by = pairs_told(rows.pairs), revisions(rows.answers), verifier(rows.answers, plain)
    return {
        "true-pairs": told["true"].value,
        "false-pairs": told["false"].value,
        "answers-right": accuracy(rows.answers, plain)[ALL].value,
        "accepted": Share(sum(one.outcome == "accepted" for one in asked), len(asked)).value,
        "precision": by["precision"][ALL].value,
        "recall": by["recall"][ALL].value,
        "false-accepts": by["false_accepts"][ALL].value,
        "mended": mends["mended"].value,
        "spoilt": mends["spoilt"].value,
    }


def _right(job: Job, model: str, name: str) -> dict[str, Units]:
    """Of each text of the measured model whether it is right; nothing where a sample does not carry its truth."""
    data = job.recipe.data
    read = source_of(data, job.folder, "test").read()
    samples: Mapping[str, TestSample] = {one.id: one for one in read if isinstance(one, TestSample)}
    if not all(TRUTH in one.extra for one in samples.values()):
        return {}
    file = texts_folder(job) / f"{model_there(job, model)}.jsonl"
    return {name: texts_right(file, samples)} if file.exists() else {}


def _one(name: str, value: float) -> dict[str, Units]:
    """A number of a whole run, of which samples tell nothing."""
    return {} if math.isnan(value) else {name: {"run": value}}


def _lines(path: Path) -> float:
    """The lines of a file; nan where a round was not reached."""
    if not path.exists():
        return math.nan
    with opened(path) as file:
        return float(sum(1 for _ in file))
