"""``trifacet evolve``: gate, rounds, trainings between them, and the alignment on the pairs of all rounds.

Invariant: what a run leaves depends on its recipe and on what that reads; killed at any moment and started again it
ends with the same bytes in every data file, and nothing is sampled, judged or paid for twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar, console
from trifacet.base.seals import read_document, sealed
from trifacet.data.records import TestSample
from trifacet.evolving.biases import RoundBiases
from trifacet.evolving.cast import Cast
from trifacet.evolving.folder import claimed
from trifacet.evolving.gate import run_gate, samples_of_tasks
from trifacet.evolving.iterating import Judge
from trifacet.evolving.keeping import HeldOut, Outcome
from trifacet.evolving.parts import ALIGNED, GATE, HELD_OUT, PAIRS, REPORT, Part
from trifacet.evolving.preparing import drawn_samples, refuse_impossible, settled
from trifacet.evolving.round_samples import first_samples, read_index, read_samples, usable, write_parts
from trifacet.evolving.rounds import (
    Job,
    Told,
    do_parts,
    hard_samples,
    join,
    log_probs_of,
    record_of,
    round_folder,
    rows_of,
    summed,
)
from trifacet.evolving.settings import EvolveRecipe, RoleName
from trifacet.evolving.telling import StepProgress, listening
from trifacet.evolving.training import Trained, align_at_the_end, train_role

ROUND, FEEDBACK = "round.json", "feedback.jsonl"
BASE = "base"
ROLES: tuple[RoleName, ...] = ("generator", "reviser", "verifier")
Models = dict[RoleName, Path | None]


@dataclass(frozen=True)
class Evolved:
    """A run that is done.

    Attributes:
        folder: the output folder.
        pairs: the file of preference pairs of all rounds; None where there are none.
        model: the aligned model, or in iterative alignment the model that was kept; None where nothing was trained.
        report: the page.
        document: what the page shows.
    """

    folder: Path
    pairs: Path | None
    model: Path | None
    report: Path | None
    document: dict[str, Any]


def evolve(recipe: EvolveRecipe, *, overwrite: bool = False, on_progress: Told | None = None) -> Evolved:
    """The whole run; what is finished is not done again.

    Args:
        recipe: what is done.
        overwrite: begin anew; answers that were paid for stay.
        on_progress: told of (what, done, of how many), beside the bar on standard error.

    Raises:
        TrifacetError: bad input, a folder of other work, a verifier below the gate's bounds, an endpoint that fails;
            what is finished stays.
    """
    refuse_impossible(recipe)
    return run(recipe, overwrite=overwrite, on_progress=on_progress)


def run(
    recipe: EvolveRecipe, *, overwrite: bool = False, on_progress: Told | None = None, amount: int | None = None
) -> Evolved:
    """The same of ``amount`` samples that are drawn from all (None: all), without a look at whether it makes sense."""
    with claimed(recipe, overwrite=overwrite) as claim:
        return _Run(recipe, claim, on_progress, amount).done()


class _Run:
    """One call of ``evolve``: the folder is claimed, and steps are looked at in order."""

    def __init__(self, recipe: EvolveRecipe, claim: Claim, on_progress: Told | None, amount: int | None) -> None:
        self.claim, self.folder, self._on_progress, self._amount = claim, recipe.folder, on_progress, amount
        if recipe.model.threads:
            torch.set_num_threads(recipe.model.threads)
        with claim.timed("data"):
            self.recipe = settled(recipe)
        self.models: Models = {}
        self.started: dict[str, tuple[str, str | Path]] = {
            "generator": (BASE, self._start("generator")),
            "reviser": (BASE, self._start("reviser")),
        }
        self._held_out: HeldOut | None = None

    def done(self) -> Evolved:
        """All that the recipe asks for."""
        self._refuse_unjudged()
        reached = []
        for number in range(1, self.recipe.rounds.count + 1):
            if not self._begin(number):
                break
            reached.append(number)
            with self.claim.timed(f"round {number}"):
                told = self._rows(number)
            self._train(number, told)
        pairs = self._all_pairs(reached)
        model = self._aligned(pairs)
        self._compared(reached, model)
        self.claim.finish()
        report, document = self._report()
        if model is None and self.recipe.judge is not None and self.started["generator"][0] != BASE:
            model = Path(self.started["generator"][1])
        return Evolved(self.folder, pairs, model, report, document)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _begin(self, number: int) -> bool:
        """Write the round's samples, and before the first ask the gate; False where no sample is left."""
        folder = round_folder(self.folder, number)
        with self.claim.timed("samples"):
            if number == 1 and self._amount is not None:
                drawn, of = drawn_samples(self.recipe, self._amount)
                index = write_parts(drawn, (), folder, self.recipe.part, of=of)
            elif number == 1:
                samples, unread = first_samples(self.recipe)
                index = write_parts(samples, unread, folder, self.recipe.part)
            else:
                before = round_folder(self.folder, number - 1)
                hard = self.recipe.rounds.hard_only and self.recipe.judge is None
                index = write_parts(hard_samples(before, hard_only=hard), (), folder, self.recipe.part)
        if number == 1:
            if index["unread"]:
                first = index["problems"][0]
                console.print(
                    f"{index['unread']} rows of {self.recipe.samples} are left out, row {first['row']} first: "
                    f"{first['problem']}",
                    soft_wrap=True,
                )
            if not index["rows"]:
                raise TrifacetError(f"samples: {self.recipe.samples} has no rows that can be used")
            self._gate(index["parts"])
        elif not index["rows"]:
            console.print(f"round {number}: every sample has an accepted answer, so that none is left", soft_wrap=True)
        return bool(index["rows"])

    def _gate(self, parts: int) -> None:
        settings = self.recipe.gate
        if self.recipe.judge is not None:
            return
        with self.claim.timed("gate"):
            referenced = self._referenced(parts)
            samples = samples_of_tasks(referenced, settings.samples, settings.task, self.recipe.seed)
            fine, _ = usable(samples, self.recipe, by_reference=True)
            with (
                Bar("gate: questions") as bar,
                listening(lambda step: bar.update(step.done, step.total, str(step))),
                Cast(self.recipe, self.models) as cast,
            ):
                report = run_gate(fine, cast, self.recipe, self.folder)
            self.claim.seal(self.folder / GATE)
        if not report.passed:
            console.tell(("warning: ", "yellow"), "the verifier is below the gate's bounds; gate.otherwise: go on")

    def _referenced(self, parts: int) -> Iterator[TestSample]:
        for number in range(parts):
            yield from (one for one in read_samples(Part(round_folder(self.folder, 1), number, 1)) if one.references)

    def _rows(self, number: int) -> dict[str, Any]:
        """Do the round's parts, and put together what they come to; the round's document.

        Of a finished round too every part is looked at: the page reads them all.
        """
        folder = round_folder(self.folder, number)
        document = folder / ROUND
        index = read_index(folder)
        parts = [Part(folder, part, number) for part in range(index["parts"])]
        files = folder / PAIRS, folder / FEEDBACK
        finished = document.exists() and all(map(self._is_sealed, files)) and None not in map(record_of, parts)
        if number == 1 or not finished:
            self._made_with(number)
        if finished:
            try:
                return read_document(document, "")
            except DataError as error:
                console.print(f"{document} {error.problem}: made again", soft_wrap=True)
        job = Job(self.recipe, number, dict(self.models))
        numbers = range(index["parts"])
        records: dict[int, Mapping[str, Any]] = {}
        with Bar(f"round {number}: samples") as bar:
            done = 0

            def told(step: StepProgress) -> None:
                bar.update(done, index["rows"], str(step))

            with listening(told):
                for record in do_parts(job, numbers):
                    records[record["part"]] = {key: one for key, one in record.items() if key != "files"}
                    done += record["rows"]
                    bar.update(done, index["rows"])
                    if self._on_progress:
                        self._on_progress(f"round {number}", done, index["rows"])
        counts = summed(records[part] for part in numbers)
        join((part.file("pairs") for part in parts), folder / PAIRS)
        join((part.file("feedback-pairs") for part in parts), folder / FEEDBACK)
        told_round = {
            "round": number,
            "made_with": self.claim.facts["made_with"][str(number)],
            **counts,
            "unread": index["unread"],
            "biases": self._biases(parts),
            "metrics": {},
            "models": {},
        }
        write_round(document, told_round)
        self.claim.seal(folder / PAIRS, folder / FEEDBACK)
        kinds = ", ".join(f"{count} {what}" for what, count in counts["fates"].items())
        console.print(f"round {number}: {counts['rows']} samples, {counts['pairs']} pairs ({kinds})", soft_wrap=True)
        return told_round

    def _is_sealed(self, path: Path) -> bool:
        """Whether a file is there as it was written; one that a kill left without its seal is written again."""
        return path.exists() and path.relative_to(self.folder).as_posix() in self.claim.sealed

    def _biases(self, parts: list[Part]) -> dict[str, Any]:
        if self.recipe.judge is not None:
            return {}
        biases = RoundBiases(self.recipe.gate.task)
        for part in parts:
            answers, feedback, verdicts, _ = rows_of(part)
            biases.add(read_samples(part), answers, feedback, verdicts, log_probs_of(part))
        return biases.document()

    def _made_with(self, number: int) -> None:
        """Note what the round is made with; raises TrifacetError where it was begun with something else."""
        with Cast(self.recipe, self.models) as cast:
            if self.recipe.judge is None:
                known: dict[str, Any] = {role: cast.identity(role) for role in ROLES}
            else:
                judge = Judge.of(self.recipe, cast.images)
                known = {"generator": cast.identity("generator"), "judge": judge.identity()}
        noted = self.claim.facts.get("made_with", {})
        if (there := noted.get(str(number))) is None:
            self.claim.set("made_with", noted | {str(number): known})
        elif changed := claims.differences(there, known, "."):
            raise claims.refused(f"round {number} of {self.folder} was begun with another {changed[0].path}")

    # --- models -------------------------------------------------------------------------------------------------------

    def _start(self, role: Trained) -> str | Path:
        own = getattr(self.recipe.roles, role).model
        return own or str(self.recipe.model.path)

    def _train(self, number: int, told: dict[str, Any]) -> None:
        """Train generator and reviser on the round's pairs, and decide what the next round starts from."""
        rounds = self.recipe.rounds
        last = number == rounds.count and self.recipe.judge is None  # what nobody would use is not trained
        if last or (rounds.generator is None and rounds.reviser is None):
            return
        folder = round_folder(self.folder, number)
        metrics: dict[str, Any] = {}
        models: dict[str, str] = {}
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
            before = self.started[role]
            with self.claim.timed(f"{role} of round {number}"):
                model = train_role(self.recipe, role, settings, pairs, before[1], folder / role)
            models[role] = model.relative_to(self.folder).as_posix()
            if role == "generator" and self._holds_out:
                with self.claim.timed(f"held-out samples of round {number}"):
                    outcome = self._held("validation").outcome(f"round-{number}", model, before)
                metrics[role] = outcome.document()
                if not self._kept(number, outcome):
                    continue
            self.started[role] = (f"round-{number}", model)
            self.models[role] = model
        kept = {role: name for role, (name, _) in self.started.items() if getattr(rounds, role)}
        document = told | {"metrics": metrics, "models": models, "next": kept}
        if document != told:
            write_round(folder / ROUND, document)

    @property
    def _holds_out(self) -> bool:
        return self.recipe.data.validation is not None

    def _refuse_unjudged(self) -> None:
        """Raise TrifacetError where rounds are to be compared by verdicts, and nothing held out can be judged."""
        rounds, data = self.recipe.rounds, self.recipe.data
        learns = rounds.generator is not None and rounds.count > 1 and rounds.keep == "best"
        if not learns or rounds.metric is not None or self.recipe.judge is not None or not self._holds_out:
            return
        if not any(sample.references for sample in self._held("validation").samples):
            raise TrifacetError(
                f"rounds.keep: best asks the verifier about held-out samples, and none of data.validation "
                f"({data.validation}) has a reference; give them references, name a rounds.metric, or set rounds.keep: "
                "last"
            )

    def _held(self, split: Any) -> HeldOut:
        if self._held_out is None or self._held_out.split != split:
            self._held_out = HeldOut(self.recipe, split)
        return self._held_out

    def _kept(self, number: int, outcome: Outcome) -> bool:
        name, value = outcome.against
        chance = "" if outcome.p is None else f", p {outcome.p:.2g}"
        line = f"{outcome.metric} {_shown(outcome.value)}, {name} {_shown(value)}{chance}, {outcome.samples} samples"
        if not outcome.harm:
            console.print(f"round {number}: {line}", soft_wrap=True)
            return True
        kept = self.recipe.rounds.keep == "last"
        after = "the next starts from it all the same" if kept else f"what follows starts from {name}"
        console.tell(("warning: ", "yellow"), f"round {number} did harm ({line}): {after}")
        return kept

    # --- the end ------------------------------------------------------------------------------------------------------

    def _all_pairs(self, reached: list[int]) -> Path | None:
        target = self.folder / PAIRS
        files = [round_folder(self.folder, number) / PAIRS for number in reached]
        if self._is_sealed(target):
            return target if target.stat().st_size else None
        rows = join(files, target)
        self.claim.seal(target)
        return target if rows else None

    def _aligned(self, pairs: Path | None) -> Path | None:
        if self.recipe.align is None:
            return None
        if pairs is None:
            console.tell(("warning: ", "yellow"), "there are no pairs, so that nothing is aligned")
            return None
        with self.claim.timed("alignment"):
            return align_at_the_end(self.recipe, pairs, self._start("generator"), self.folder / ALIGNED)

    def _compared(self, reached: list[int], aligned: Path | None) -> None:
        """Texts and scores of the test split of the base, each round's model and the aligned one, side by side."""
        if self.recipe.data.test is None:
            return
        models: dict[str, str | Path] = {BASE: self._start("generator")}
        for number in reached:
            model = round_folder(self.folder, number) / "generator" / "models" / "generator" / "model"
            if model.is_dir():
                models[f"round-{number}"] = model
        if aligned is not None:
            models[ALIGNED] = aligned
        scores = self.folder / HELD_OUT / "test" / "scores.json"
        if len(models) == 1 or self._is_sealed(scores):
            return
        with self.claim.timed("test samples"):
            held = self._held("test")
            for name in (BASE, ALIGNED):
                held.take_texts(name, self.folder / ALIGNED / "generations" / f"{name}.jsonl")
            held.compared(models)
            self.claim.seal(scores)

    def _report(self) -> tuple[Path | None, dict[str, Any]]:
        from trifacet.evolving.document import evolve_document
        from trifacet.reports.evolving.page import write_evolve_page

        document = evolve_document(self.folder)
        report = write_evolve_page(document, self.folder)
        self.claim.seal(self.folder / REPORT)
        return report, document


def write_round(path: Path, document: Mapping[str, Any]) -> None:
    """Write a round's document with its seal."""
    write_atomically(path, json.dumps(sealed(document), indent=1, ensure_ascii=False) + "\n")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
