"""The rows of a round: parts done by whoever does them, their pairs put together, and the round's document.

Invariant: what a round is made with is noted before its first part, and a round that was begun with something else is
refused; the pairs of its file and those left out for their lengths are together the pairs of its parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar, console
from trifacet.base.seals import read_document, sealed
from trifacet.base.workers import Workers
from trifacet.evolving.biases import RoundBiases
from trifacet.evolving.cast import Cast
from trifacet.evolving.folder import is_sealed
from trifacet.evolving.iterating import Judge
from trifacet.evolving.judge_biases import JudgeBiases
from trifacet.evolving.lengths import balanced
from trifacet.evolving.part_records import record_of, summed
from trifacet.evolving.parts import PAIRS, Part
from trifacet.evolving.round_samples import read_index, read_samples
from trifacet.evolving.rounds import Job, Told, do_parts, join, log_probs_of, round_folder, rows_of
from trifacet.evolving.settings import EvolveRecipe, RoleName
from trifacet.evolving.telling import in_words, listening

ROUND, FEEDBACK = "round.json", "feedback.jsonl"
ROLES: tuple[RoleName, ...] = ("generator", "reviser", "verifier")


class RoundRows:
    """The rows of one round of a run.

    Args:
        recipe: settled.
        claim: on the run's folder.
        number: the round's, from 1.
        models: the checkpoints of its roles.
    """

    def __init__(self, recipe: EvolveRecipe, claim: Claim, number: int, models: Mapping[RoleName, Path | None]) -> None:
        self.recipe, self.claim, self.number, self.models = recipe, claim, number, dict(models)
        self.folder = round_folder(recipe.folder, number)
        self._index = read_index(self.folder)
        self._parts = [Part(self.folder, part, number) for part in range(self._index["parts"])]

    def made(self, workers: Workers, on_progress: Told | None = None) -> dict[str, Any]:
        """Do the parts that are not done, and put together what they come to; the round's document.

        Of a finished round too every part is looked at: the page reads them all.

        Args:
            workers: who does the parts.
            on_progress: told of (what, samples done, of how many), beside the bar on standard error.

        Raises:
            TrifacetError: the round was begun with something else, or whatever keeps a part from being done.
        """
        document = self.folder / ROUND
        files = self.folder / PAIRS, self.folder / FEEDBACK
        finished = (
            document.exists()
            and all(is_sealed(self.claim, one) for one in files)
            and None not in map(record_of, self._parts)
        )
        if self.number == 1 or not finished:
            self._note_what_with()
        if finished:
            try:
                return read_document(document, "")
            except DataError as error:
                console.print(f"{document} {error.problem}: made again", soft_wrap=True)
        counts = summed(self._done(workers, on_progress))
        lengths = balanced((part.file("pairs") for part in self._parts), files[0], self.recipe.pairs)
        join((part.file("feedback-pairs") for part in self._parts), files[1])
        told = {
            "round": self.number,
            "made_with": self.claim.facts["made_with"][str(self.number)],
            **counts,
            "pairs": counts["pairs"] - lengths["left_out"],
            "lengths": lengths,
            "unread": self._index["unread"],
            "biases": self._biases(),
            "metrics": {},
            "models": {},
        }
        write_round(self.folder, told)
        self.claim.seal(*files)
        kinds = ", ".join(f"{count} {what}" for what, count in counts["fates"].items())
        left_out = f", {lengths['left_out']} left out to balance lengths" if lengths["left_out"] else ""
        console.print(
            f"round {self.number}: {counts['rows']} samples, {told['pairs']} pairs{left_out} ({kinds})", soft_wrap=True
        )
        return told

    def _done(self, workers: Workers, on_progress: Told | None) -> Sequence[Mapping[str, Any]]:
        """The records of all parts, in their order."""
        total, done = self._index["rows"], 0
        records: dict[int, Mapping[str, Any]] = {}
        with (
            Bar(f"round {self.number}: samples") as bar,
            listening(lambda steps: bar.update(done, total, in_words(steps))),
        ):
            for record in do_parts(Job(self.recipe, self.number, self.models), range(len(self._parts)), workers):
                records[record["part"]] = {key: one for key, one in record.items() if key != "files"}
                done += record["rows"]
                bar.update(done, total)
                if on_progress:
                    on_progress(f"round {self.number}", done, total)
        return [records[part.number] for part in self._parts]

    def _biases(self) -> dict[str, Any]:
        biases = RoundBiases(self.recipe.gate.task)
        judged = JudgeBiases() if self.recipe.judge is not None else None
        for part in self._parts:
            answers, feedback, verdicts, _ = rows_of(part)
            biases.add(read_samples(part), answers, feedback, verdicts, log_probs_of(part))
            if judged is not None:
                judged.add(answers, part)
        return biases.document() | ({} if judged is None else {"judge": judged.document()})

    def _note_what_with(self) -> None:
        """Note what the round is made with; raises TrifacetError where it was begun with something else."""
        with Cast(self.recipe, self.models) as cast:
            if self.recipe.judge is None:
                known: dict[str, Any] = {role: cast.identity(role) for role in ROLES}
            else:
                judge = Judge.of(self.recipe, cast.images)
                known = {"generator": cast.identity("generator"), "judge": judge.identity()}
        noted = self.claim.facts.get("made_with", {})
        if (there := noted.get(str(self.number))) is None:
            self.claim.set("made_with", noted | {str(self.number): known})
        elif changed := claims.differences(there, known, "."):
            raise claims.refused(
                f"round {self.number} of {self.recipe.folder} was begun with another {changed[0].path}"
            )


def write_round(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the document of the round in a folder, with its seal."""
    write_atomically(folder / ROUND, json.dumps(sealed(document), indent=1, ensure_ascii=False) + "\n")
