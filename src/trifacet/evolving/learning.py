"""The models of generator and reviser over the rounds: trained, held against those before them, kept or not.

Invariant: a model that did harm on the held-out samples is told, whatever is done with it; what the next round starts
from depends on the recipe and the held-out samples alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from trifacet.base.claims import Claim
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.progress import console
from trifacet.base.seals import sealed
from trifacet.evolving.folder import is_sealed
from trifacet.evolving.keeping import HeldOut, Outcome, Start, outcome_of
from trifacet.evolving.parts import ALIGNED, HELD_OUT, OUTCOME, PAIRS
from trifacet.evolving.round_rows import FEEDBACK, write_round
from trifacet.evolving.rounds import round_folder
from trifacet.evolving.settings import EvolveRecipe, RoleName
from trifacet.evolving.training import Trained, align_at_the_end, train_role
from trifacet.evolving.warnings import harmed

BASE = "base"
_Split = Literal["validation", "test"]


class Learning:
    """The roles' models of one run.

    Args:
        recipe: settled: its model is a checkpoint, its data are files.
        claim: on the run's folder.

    Attributes:
        models: the checkpoints that the next round's roles have come to; a role that is absent is as the recipe has it.
        started: of generator and reviser what the next round's training starts from, by name and checkpoint.
    """

    def __init__(self, recipe: EvolveRecipe, claim: Claim) -> None:
        self.recipe, self.claim, self.folder = recipe, claim, recipe.folder
        self.models: dict[RoleName, Path | None] = {}
        self.started: dict[Trained, Start] = {role: (BASE, self.base(role)) for role in ("generator", "reviser")}
        self._held: HeldOut | None = None

    def base(self, role: Trained) -> str | Path:
        """The checkpoint that a role has before round 1."""
        own = getattr(self.recipe.roles, role).model
        return own or str(self.recipe.model.path)

    def held(self, split: _Split) -> HeldOut:
        """The held-out samples of a split."""
        if self._held is None or self._held.split != split:
            self._held = HeldOut(self.recipe, split)
        return self._held

    def refuse_unjudged(self) -> None:
        """Raise TrifacetError where rounds could not be compared after hours: nothing held out can be judged, or
        ``rounds.metric`` is none that these samples have.
        """
        rounds, data = self.recipe.rounds, self.recipe.data
        if not self._compares:
            return
        if rounds.metric is not None:
            with self.claim.timed("held-out samples of the base"):
                self.held("validation").refuse_unknown_metric(*self.started["generator"])
        elif rounds.keep == "best" and self._learns and not self._is_judged:
            raise TrifacetError(
                f"rounds.keep: best asks the verifier about held-out samples, and none of data.validation "
                f"({data.validation}) has a reference; give them references, name a rounds.metric, or set rounds.keep: "
                "last"
            )

    def train(self, number: int, told: dict[str, Any]) -> None:
        """Train generator and reviser on a round's pairs, and decide what the next round starts from.

        Args:
            number: the round's.
            told: its document, which is written anew with what came of it.
        """
        rounds = self.recipe.rounds
        last = number == rounds.count and self.recipe.judge is None  # what nobody would use is not trained
        if last or (rounds.generator is None and rounds.reviser is None):
            return
        folder = round_folder(self.folder, number)
        metrics: dict[str, Any] = {}
        models: dict[str, str] = {}
        before = dict(self.started)
        files: tuple[tuple[Trained, Path, int], ...] = (
            ("generator", folder / PAIRS, told["pairs"]),
            ("reviser", folder / FEEDBACK, told["feedback_pairs"]),
        )
        for role, pairs, count in files:
            settings = getattr(rounds, role)
            if settings is None:
                continue
            if not count:
                console.print(f"round {number}: no pairs for the {role}, which stays as it is", soft_wrap=True)
                continue
            with self.claim.timed(f"{role} of round {number}"):
                model = train_role(self.recipe, role, settings, pairs, before[role][1], folder / role)
            models[role] = model.relative_to(self.folder).as_posix()
            now: Start = (f"round-{number}", model)
            if self._compares and (rounds.metric is not None or self._is_judged):
                if (known := told["metrics"].get(role)) is not None:  # the models need not be opened again
                    outcome = outcome_of(known)
                else:
                    with self.claim.timed(f"held-out samples of round {number}"):
                        outcome = self._outcome(role, now, before)
                metrics[role] = outcome.document()
                if not self._kept(number, role, outcome):
                    continue
            self.started[role], self.models[role] = now, model
        kept = {role: name for role, (name, _) in self.started.items() if getattr(rounds, role)}
        document = told | {"metrics": metrics, "models": models, "next": kept}
        if document != told:
            write_round(folder, document)

    def aligned(self, pairs: Path | None) -> Path | None:
        """The alignment at the end on the pairs of all rounds, from the first model, held against it; None without."""
        if self.recipe.align is None:
            return None
        if pairs is None:
            console.tell(("warning: ", "yellow"), "there are no pairs, so that nothing is aligned")
            return None
        with self.claim.timed("alignment"):
            model = align_at_the_end(self.recipe, pairs, self.base("generator"), self.folder / ALIGNED)
        path = self.folder / OUTCOME
        if is_sealed(self.claim, path):
            return model
        if self._compares and (self.recipe.rounds.metric is not None or self._is_judged):
            base: Start = (BASE, self.base("generator"))
            with self.claim.timed("held-out samples of the alignment"):
                outcome = self.held("validation").outcome((ALIGNED, model), base)
            write_atomically(path, json.dumps(sealed(outcome.document()), indent=1) + "\n")
            self.claim.seal(path)
            self._say("the alignment", outcome, "it is kept all the same, for you to decide")
        return model

    def compared(self, reached: list[int], aligned: Path | None) -> None:
        """Texts and scores of the test split of the base, each round's model and the aligned one, side by side."""
        if self.recipe.data.test is None:
            return
        models: dict[str, str | Path] = {BASE: self.base("generator")}
        for number in reached:
            model = round_folder(self.folder, number) / "generator" / "models" / "generator" / "model"
            if model.is_dir():
                models[f"round-{number}"] = model
        if aligned is not None:
            models[ALIGNED] = aligned
        scores = self.folder / HELD_OUT / "test" / "scores.json"
        asked = self.recipe.align is not None or self.recipe.rounds.generator is not None
        if not asked or is_sealed(self.claim, scores):
            return
        with self.claim.timed("test samples"):
            held = self.held("test")
            for name in (BASE, ALIGNED):
                held.take_texts(name, self.folder / ALIGNED / "generations" / f"{name}.jsonl")
            held.compared(models)
            self.claim.seal(scores)

    # --- held-out samples -------------------------------------------------------------------------------------------

    @property
    def _learns(self) -> bool:
        """Whether a round starts from what the one before has trained."""
        rounds = self.recipe.rounds
        return rounds.count > 1 and (rounds.generator is not None or rounds.reviser is not None)

    @property
    def _compares(self) -> bool:
        return self.recipe.data.validation is not None and (
            self._learns or self.recipe.judge is not None or self.recipe.align is not None
        )

    @property
    def _is_judged(self) -> bool:
        """Whether somebody can say of held-out texts which are right or better."""
        if self.recipe.judge is not None:
            return True
        return any(sample.references for sample in self.held("validation").samples)

    def _outcome(self, role: Trained, now: Start, before: Mapping[Trained, Start]) -> Outcome:
        held = self.held("validation")
        if role == "generator":
            return held.outcome(now, before[role])
        return held.outcome_of_revising(now, before[role], before["generator"])

    def _kept(self, number: int, role: Trained, outcome: Outcome) -> bool:
        """Whether the next round starts from a role's new model; tells how it did."""
        last = self.recipe.rounds.keep == "last"
        name = outcome.against[0]
        after = "the next starts from it all the same" if last else f"what follows starts from {name}"
        self._say(f"round {number}, {role}", outcome, after)
        return last or not outcome.harm

    def _say(self, what: str, outcome: Outcome, after: str) -> None:
        name, value = outcome.against
        chance = "" if outcome.p is None else f", p {outcome.p:.2g}"
        line = f"{outcome.metric} {_shown(outcome.value)}, {name} {_shown(value)}{chance}, {outcome.samples} samples"
        if not outcome.harm:
            console.print(f"{what}: {line}", soft_wrap=True)
        else:
            console.tell(("warning: ", "yellow"), f"{what} {harmed(outcome.p)} ({line}): {after}")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
