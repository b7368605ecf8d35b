"""Before a run: a few samples through one round, and what the whole will ask, cost and take.

Invariant: nothing is trained, and nothing of a run is written into its folder; of an estimate no endpoint is asked.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trifacet.base.digests import text_digest
from trifacet.base.workers import Workers
from trifacet.data.records import TestSample
from trifacet.data.writing import OnWritten, Writer, Written
from trifacet.evolving.cast import Cast
from trifacet.evolving.evolve import Evolved, run
from trifacet.evolving.folder import dry_run_folder
from trifacet.evolving.gate import run_gate
from trifacet.evolving.iterating import STEP as JUDGE
from trifacet.evolving.iterating import Judge, questions_of
from trifacet.evolving.local_models import SharedWriter
from trifacet.evolving.parts import Part
from trifacet.evolving.preparing import drawn_samples, refuse_impossible, settled
from trifacet.evolving.revising import revise
from trifacet.evolving.round_samples import usable
from trifacet.evolving.rounds import Told, round_folder
from trifacet.evolving.sampling import sample_answers
from trifacet.evolving.settings import EvolveRecipe, RoleName, Rounds
from trifacet.evolving.verifying import verify
from trifacet.llm.capabilities import Form
from trifacet.llm.writer import EndpointWriter

TRIED = 8  # samples by which a run is estimated
GATE = "gate"
_CHARACTERS = 4  # of a token, as ``llm.estimate`` counts them


def preview(
    recipe: EvolveRecipe, amount: int, *, on_progress: Told | None = None, workers: int | None = None
) -> Evolved:
    """``amount`` samples, drawn from all, through one round, in a folder beside the run's: OUTPUT.dry-run.

    Models are asked, and what endpoints answer is kept: a run that begins afterwards does not pay for it again.

    Raises:
        TrifacetError: as ``evolve``.
    """
    refuse_impossible(recipe)
    trial = _trial(recipe, dry_run_folder(recipe.folder), amount)
    return run(trial, overwrite=True, on_progress=on_progress, amount=amount, workers=Workers(workers or 1))


def _trial(recipe: EvolveRecipe, folder: Path, amount: int) -> EvolveRecipe:
    """One round without a training, that no gate stops."""
    gate = recipe.gate.model_copy(update={"samples": min(recipe.gate.samples, amount), "otherwise": "go on"})
    return recipe.model_copy(
        update={
            "output": str(folder), "rounds": Rounds(count=1, keep="last"), "sft": None, "align": None, "gate": gate,
            "processes": 1,
        }
    )  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What one role, the gate or the judge costs.

    Attributes:
        role: the role; ``GATE`` for the verifier's probes, ``JUDGE`` in iterative alignment.
        questions: texts that are asked for.
        tokens_in: tokens of prompts and pictures, by rule of thumb; of endpoints alone.
        tokens_out: tokens of answers as long as they may be.
        money: in the prices' currency.
        seconds: of a local model, one process, by a short measurement; None for an endpoint.
    """

    role: str
    questions: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    seconds: float | None = None

    def times(self, factor: float) -> Cost:
        """So many times the same."""
        return replace(
            self,
            questions=round(self.questions * factor),
            tokens_in=round(self.tokens_in * factor),
            tokens_out=round(self.tokens_out * factor),
            money=self.money * factor,
            seconds=None if self.seconds is None else self.seconds * factor,
        )


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        samples: rows of the recipe's file.
        tried: of these were looked at.
        round: costs of round 1, over all samples.
        most: of all rounds, if no sample ever gets an accepted answer; the gate is counted once.
        untold: what is not in it.
    """

    samples: int
    tried: int
    round: Sequence[Cost]
    most: Sequence[Cost]
    untold: str = "training, texts of held-out samples"

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "samples": self.samples,
            "tried": self.tried,
            "round": [vars(one) for one in self.round],
            "most": [vars(one) for one in self.most],
            "untold": self.untold,
        }


def estimate(recipe: EvolveRecipe, *, amount: int = TRIED) -> Estimate:
    """What the run will ask, cost and take; local models really write for ``amount`` samples, endpoints are not asked.

    An endpoint's answers are taken to be as long as they may be, and a question about an answer that nobody has given
    yet to be about one of that length.

    Raises:
        TrifacetError: a model that cannot be loaded, a picture or a row that cannot be used.
    """
    refuse_impossible(recipe)
    with TemporaryDirectory() as temporary:
        trial = settled(_trial(recipe, Path(temporary) / "run", amount))
        samples, of = drawn_samples(trial, amount)
        fine, _ = usable(samples, trial, by_reference=trial.judge is None)
        part = Part(round_folder(trial.folder, 1), 0, 1)
        costs: dict[str, Cost] = {}
        with _CountingCast(trial, costs) as cast:
            answers = sample_answers(fine, cast, trial, part)
            if trial.judge is None:
                revised, _ = revise(fine, answers, cast, trial, part)
                verify(fine, sorted([*answers, *revised], key=lambda one: one.answer), cast, trial, part)
            else:
                _count_judge(fine, answers, cast, trial, costs)
            rows = list(costs.values())
            costs.clear()
            if trial.judge is None and trial.gate.samples and recipe.gate.samples:
                run_gate(fine, cast, trial, Path(temporary) / "gate")
        probes = [
            replace(one, role=GATE).times(min(recipe.gate.samples, of) / max(1, len(fine))) for one in costs.values()
        ]
    each = [one.times(of / max(1, len(fine))) for one in rows]
    return Estimate(of, len(fine), [*probes, *each], [*probes, *(one.times(recipe.rounds.count) for one in each)])


def _count_judge(
    samples: Sequence[TestSample], answers: Sequence[Any], cast: Cast, recipe: EvolveRecipe, costs: dict[str, Cost]
) -> None:
    grouped = {sample.id: [one for one in answers if one.sample == sample.id] for sample in samples}
    _, asked = Judge.of(recipe, cast.images).compare(questions_of(samples, grouped), counting=True)
    if asked is not None:
        costs[JUDGE] = Cost(JUDGE, asked.questions, asked.tokens_in, asked.tokens_out, asked.cost)


class _CountingCast(Cast):
    """Roles that are counted: models of this machine write, endpoints do not."""

    def __init__(self, recipe: EvolveRecipe, costs: dict[str, Cost]) -> None:
        super().__init__(recipe)
        self._costs = costs

    def writer(self, role: RoleName, *, seed: int | None = None, form: Form | None = None) -> Writer:
        """The role's writer, counted."""
        found = super().writer(role, seed=seed, form=form)
        if isinstance(found, EndpointWriter):
            return _Unasked(found, role, self._costs)
        assert isinstance(found, SharedWriter)  # there are no others
        self.encoder(role)  # loads what is loaded once
        known = {one.name: getattr(found, one.name) for one in fields(found) if one.init}
        return _Timed(**known, role=role, costs=self._costs)


@dataclass
class _Timed(SharedWriter):
    """A model of this machine, whose texts are counted and timed."""

    role: str = ""
    costs: dict[str, Cost] = field(default_factory=dict)

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer``."""
        began = time.monotonic()
        texts = super().write(posts, images_root, draws=draws, done=done, on_written=on_written)
        known = self.costs.get(self.role, Cost(self.role))
        self.costs[self.role] = replace(
            known,
            questions=known.questions + len(texts),
            tokens_out=known.tokens_out + sum(one.new_tokens for one in texts),
            seconds=(known.seconds or 0.0) + time.monotonic() - began,
        )
        return texts


class _Unasked:
    """In the place of an endpoint: what asking would take is counted, and texts are as long as they may be."""

    def __init__(self, writer: EndpointWriter, role: RoleName, costs: dict[str, Cost]) -> None:
        self._writer, self._role, self._costs = writer, role, costs

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer``."""
        known = self._costs.get(self._role, Cost(self._role))
        asked = self._writer.cost(posts, images_root, draws=draws)
        texts = [self._stand_in(post, draw) for post in posts for draw in range(draws)]
        if on_written:
            on_written(texts)
        self._costs[self._role] = replace(
            known,
            questions=known.questions + asked.questions,
            tokens_in=known.tokens_in + asked.tokens_in,
            tokens_out=known.tokens_out + asked.tokens_out,
            money=known.money + asked.cost,
        )
        return texts

    def made_with(self, posts: Sequence[TestSample]) -> dict[str, Any] | None:
        """See ``Writer``."""
        return self._writer.made_with(posts)

    def _stand_in(self, post: TestSample, draw: int) -> Written:
        """A text like no other; digests have no words that could be found to repeat."""
        name, text, tokens = f"{post.id} {draw}", "", self._writer.max_new_tokens
        while len(text) < tokens * _CHARACTERS:
            text += text_digest(f"{name} {len(text)}")[:9] + " "
        return Written(post.id, text[: tokens * _CHARACTERS].strip(), 0, tokens, draw=draw)
