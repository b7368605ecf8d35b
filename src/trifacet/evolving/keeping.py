"""Held-out samples: what a round's model writes about them, how good that is, and whether the round did harm.

Invariant: models are compared on the same samples, which no round trains on; what was written or judged is kept and
not asked again. A model does harm where its value is worse than that of the model before it, however sure that is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing
from trifacet.data.records import TestSample
from trifacet.data.source import FilesRead, source_of
from trifacet.data.writing import Written
from trifacet.evolving.cast import Cast
from trifacet.evolving.iterating import Compared, Judge
from trifacet.evolving.parts import HELD_OUT, Part
from trifacet.evolving.records import NORMAL, REVISED, Answer
from trifacet.evolving.revising import revise
from trifacet.evolving.sampling import DUPLICATE, EMPTY
from trifacet.evolving.settings import EvolveRecipe, RoleName
from trifacet.evolving.training import run_of
from trifacet.evolving.verifying import verify
from trifacet.generation.settings import settings_path
from trifacet.metrics.scores import score_texts
from trifacet.runs.steps import describe, posts_of, score_all, texts_of
from trifacet.statistics.measures import Measure, mean_measure
from trifacet.statistics.significance import RESAMPLES, SEED, bca_intervals, permutation_tests

ACCEPTED = "accepted"  # share of held-out texts that the verifier accepts
JUDGED = "judged"  # of held-out texts: won less lost against those of the model before
_Split = Literal["validation", "test"]
Start = tuple[str, str | Path]
"""A model by its name in this run and its checkpoint."""


@dataclass(frozen=True)
class Outcome:
    """What a round's model came to on the held-out samples.

    Attributes:
        metric: ``rounds.metric``, ``ACCEPTED`` or ``JUDGED``.
        value: of the model.
        against: the model that it would follow, and its value.
        interval: of the value, at 95 %.
        p: of the permutation test on the difference.
        samples: how many.
        harm: whether it is worse.
    """

    metric: str
    value: float | None
    against: tuple[str, float | None]
    interval: tuple[float, float] | None
    p: float | None
    samples: int
    harm: bool

    def document(self) -> dict[str, Any]:
        """For JSON."""
        name, value = self.against
        return {
            "metric": self.metric,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "against": name,
            "its_value": value,
            "p": self.p,
            "samples": self.samples,
            "harm": self.harm,
        }


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """The outcome whose ``document`` this is."""
    ends = document["interval"]
    return Outcome(
        document["metric"],
        document["value"],
        (document["against"], document["its_value"]),
        None if ends is None else (ends[0], ends[1]),
        document["p"],
        document["samples"],
        document["harm"],
    )


class HeldOut:
    """The samples of a split, and the texts of models about them, in a folder of their own.

    Args:
        recipe: settled: its data are files.
        split: which.
    """

    def __init__(self, recipe: EvolveRecipe, split: _Split) -> None:
        self.recipe, self.split = recipe, split
        self.folder = recipe.folder / HELD_OUT / split
        names: dict[str, Any] = {split: getattr(recipe.data, split)}
        self._run = run_of(recipe, self.folder, str(recipe.model.path), {}, **names)
        self._source = source_of(self._run.data, self.folder, split, files=FilesRead())

    @cached_property
    def samples(self) -> list[TestSample]:
        """The samples, less what ``data.on_bad_row`` leaves out."""
        return posts_of(self._run, self.split, self._source)

    def texts(self, name: str, checkpoint: str | Path) -> list[Written]:
        """What a model writes, by the recipe's ``generate``; kept under its name."""
        return describe(self._run, name, checkpoint, self.samples, self._source.images)

    def take_texts(self, name: str, file: Path) -> None:
        """Let texts that a run of the same settings has written count here too."""
        target = texts_of(self._run, name)
        if file.is_file() and not target.exists():
            for source, to in ((settings_path(file), settings_path(target)), (file, target)):
                with replacing(to) as temporary:
                    shutil.copyfile(source, temporary)

    def compared(self, models: Mapping[str, str | Path]) -> dict[str, Any]:
        """All scores of these models, with intervals and tests of every two; kept in ``scores.json``."""
        return score_all(
            self._run, {name: self.texts(name, one) for name, one in models.items()}, self.split, self.samples
        )

    def refuse_unknown_metric(self, name: str, checkpoint: str | Path) -> None:
        """Raise TrifacetError where ``rounds.metric`` is none that these samples have: the model's texts show it."""
        metric = self.recipe.rounds.metric
        assert metric is not None  # the caller has looked
        self._scored(metric, self.texts(name, checkpoint))

    def outcome(self, model: Start, before: Start) -> Outcome:
        """A generator against the one before it.

        Raises:
            TrifacetError: ``rounds.metric`` is none of the metrics that are measured; a text cannot be had.
        """
        mine, theirs = self.texts(*model), self.texts(*before)
        metric = self.recipe.rounds.metric
        if metric is None and self.recipe.judge is not None:
            one = self._judged(model[0], before[0], mine, theirs)
            return _outcome(one, mean_measure(JUDGED, dict.fromkeys(one.units, 0.0)), before[0])
        return self._held_against(before[0], (model[0], mine), (before[0], theirs))

    def outcome_of_revising(self, model: Start, before: Start, generator: Start) -> Outcome:
        """A reviser against the one before it: both write anew, from their own feedback, what a generator has written.

        A text from which nothing usable was made counts as an empty one.

        Raises:
            TrifacetError: as ``outcome``.
        """
        given = self.texts(*generator)
        mine, theirs = (
            (f"{name} revises {generator[0]}", self.revised(name, one, generator[0], given))
            for name, one in (model, before)
        )
        return self._held_against(before[0], mine, theirs)

    def _held_against(self, before: str, mine: tuple[str, list[Written]], theirs: tuple[str, list[Written]]) -> Outcome:
        """Texts of a model against those of the one before, each by the name under which verdicts are kept."""
        metric = self.recipe.rounds.metric
        if metric is None:
            return _outcome(self._accepted(*mine), self._accepted(*theirs), before)
        return _outcome(self._scored(metric, mine[1]), self._scored(metric, theirs[1]), before)

    def revised(self, name: str, checkpoint: str | Path, generator: str, given: list[Written]) -> list[Written]:
        """What a reviser makes of texts, one of each."""
        known = {text.id: Answer(text.id, 0, NORMAL, text.text, problem=None if text.text else EMPTY) for text in given}
        once = self.recipe.model_copy(
            update={"revision": self.recipe.revision.model_copy(update={"answers": 1, "feedbacks": 1})}
        )
        part = Part(self.folder / REVISED / f"{name} revises {generator}", 0, 1)
        own = once.roles.reviser.model or once.model.path  # which is asked as is on record beside it
        models: dict[RoleName, Path | None] = {} if str(checkpoint) == own else {"reviser": Path(checkpoint)}
        with Cast(once, models) as cast:
            made, _ = revise(self.samples, [known[sample.id] for sample in self.samples], cast, once, part)
        texts = {one.sample: one.text for one in made if one.problem in (None, DUPLICATE)}
        return [Written(sample.id, texts.get(sample.id, ""), 0, 0) for sample in self.samples]

    def _scored(self, metric: str, texts: list[Written]) -> Measure:
        scores = score_texts(
            {text.id: text.text for text in texts},
            self.samples,
            profiles=("paper", "coco") if metric.startswith("coco/") else ("paper",),
        )
        found = next((one for one in scores.measures if one.name == metric), None)
        if found is None:
            raise TrifacetError(f"rounds.metric {metric!r} is not measured; there are {', '.join(scores.metrics)}")
        return found

    def _accepted(self, name: str, texts: list[Written]) -> Measure:
        """The share of texts that the verifier accepts; a text that is empty or not judged is not accepted."""
        part = Part(self.folder / ACCEPTED / name, 0, 1)
        answers = [Answer(one.id, 0, NORMAL, one.text, problem=None if one.text else EMPTY) for one in texts]
        referenced = [sample for sample in self.samples if sample.references]
        ids = {sample.id for sample in referenced}
        with Cast(self.recipe) as cast:
            verdicts = verify(referenced, [one for one in answers if one.sample in ids], cast, self.recipe, part)
        good = {one.sample for one in verdicts if one.outcome == "accepted"}
        return mean_measure(ACCEPTED, {name: float(name in good) for name in sorted(ids)})

    def _judged(self, name: str, before: str, mine: list[Written], theirs: list[Written]) -> Measure:
        """1 where the judge prefers the model's text in both orders, -1 where it prefers the other's, else 0."""
        other = {text.id: text.text for text in theirs}
        by_id = {sample.id: sample for sample in self.samples}
        asked = [
            Compared((text.id, 0, 1), by_id[text.id], text.text, other[text.id])
            for text in mine
            if text.text and other[text.id] and text.text != other[text.id]
        ]
        said, _ = Judge.of(self.recipe, self._source.images).compare(asked)
        value = {"win": 1.0, "lose": -1.0}
        judged = {name[0]: value.get(one.outcome, 0.0) for name, one in said.items()}
        empty = {text.id: float(bool(text.text)) - float(bool(other[text.id])) for text in mine}
        return mean_measure(JUDGED, {one.id: judged.get(one.id, empty[one.id]) for one in self.samples})


def _outcome(one: Measure, other: Measure, before: str) -> Outcome:
    """A model's measure against that of the one before, which is called so."""
    p = permutation_tests([(one, other)], draws=RESAMPLES, seed=SEED)[0].p
    worse = one.value > other.value if one.better == "lower" else one.value < other.value
    return Outcome(
        one.name,
        _number(one.value),
        (before, _number(other.value)),
        bca_intervals([one])[0],
        p,
        len(one.units),
        bool(worse or (np.isnan(one.value) and not np.isnan(other.value))),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
