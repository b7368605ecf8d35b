"""Whether the verifier is worth trusting: it is asked about answers of which the truth is known, before round 1.

Invariant: what the report says depends on the probes and on what the verifier said of them alone; what was asked is not
asked again, and a report is kept before anything follows from it.

``gate.json`` holds a document (``gate_document``).
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from trifacet.base.digests import content_of, json_digest, text_digest
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.opening import is_file, is_there
from trifacet.base.seals import read_document, sealed
from trifacet.data.records import TestSample
from trifacet.evolving.asked import round_seed
from trifacet.evolving.cast import Cast
from trifacet.evolving.gate_document import NO_PICTURE, OTHER_ORDER, gate_document, no_gate
from trifacet.evolving.measured import Names
from trifacet.evolving.probes import Probe, make_probes, read_probes, task_of
from trifacet.evolving.records import Verdict
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.verifying import prompt_of, reordered, verdicts
from trifacet.llm.prompts import Prompt

FILE = "gate.json"
_CURE = (
    "let a stronger model verify (roles.verifier), or several votes of it (verification.votes), look at the mistakes "
    "in {file}, or set gate.otherwise to 'go on'"
)


@dataclass(frozen=True)
class GateReport:
    """What the gate measured; ``content`` is the document that this module describes."""

    content: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every task with enough probes is within the bounds."""
        return bool(self.content["passed"])

    @property
    def failures(self) -> list[str]:
        """A line for each bound that a task missed."""
        return [one["told"] for one in self.content["failures"]]

    def document(self) -> dict[str, Any]:
        """The document, for JSON."""
        return dict(self.content)


def run_gate(samples: Sequence[TestSample], cast: Cast, recipe: EvolveRecipe, folder: Path) -> GateReport:
    """Ask the verifier about probes, with controls, and keep what came of it in ``folder``/gate.json.

    Args:
        samples: probes are made of some of them, unless the recipe names a file of probes.
        cast: who verifies.
        recipe: bounds, form of asking, votes.
        folder: the run's.

    Raises:
        TrifacetError: the verifier is below a bound and the recipe says stop; no probe can be made; whatever keeps the
            verifier from answering.
        DataError: a row of the file of probes that is none.
    """
    if not recipe.gate.samples and recipe.gate.probes is None:
        return _kept(folder, no_gate("gate.samples is 0"))
    probes = _probes(samples, cast, recipe)
    asked = _digest(probes, cast, recipe)
    if (report := _known(folder, asked)) is None:
        report = _kept(folder, _measured(probes, cast, recipe, folder, asked))
    if not report.passed and recipe.gate.otherwise == "stop":
        cure = _CURE.format(file=folder / FILE)
        raise TrifacetError(f"the verifier is not to be trusted: {'; '.join(report.failures)}; {cure}")
    return report


def _measured(probes: Sequence[Probe], cast: Cast, recipe: EvolveRecipe, folder: Path, digest: str) -> dict[str, Any]:
    said, given = _ask(probes, cast, recipe, folder), _file(recipe)
    return gate_document(
        probes, said, recipe, digest=digest, verifier=cast.identity("verifier"),
        given=None if given is None else content_of(given),
    )  # fmt: skip


def samples_of_tasks(samples: Iterable[TestSample], count: int, task: str, seed: int) -> list[TestSample]:
    """``count`` of many samples, tasks taking turns, so that rare ones are measured too; memory: as many of each task.

    Args:
        samples: in any order.
        count: how many; fewer where there are no more.
        task: the field of ``extra`` that names a sample's task.
        seed: of the draw, which is by the ids.
    """
    names, heaps = Names(), dict[str, list[tuple[int, str, TestSample]]]()
    for sample in samples if count else ():
        heap = heaps.setdefault(names(task_of(sample, task)), [])
        drawn = -int(text_digest(f"{seed} gate {sample.id}")[:15], 16)  # the heap loses its least
        heapq.heappush(heap, (drawn, sample.id, sample))
        if len(heap) > count:
            heapq.heappop(heap)
    ranked = [sorted(heaps[name], key=lambda one: one[:2], reverse=True) for name in sorted(heaps)]
    in_turn = (one for some in zip_longest(*ranked) for one in some if one is not None)
    return [sample for _, _, sample in islice(in_turn, count)]


def _probes(samples: Sequence[TestSample], cast: Cast, recipe: EvolveRecipe) -> list[Probe]:
    gate = recipe.gate
    if (file := _file(recipe)) is not None:
        return read_probes(file, cast.images)
    if made := make_probes(samples, gate.samples, gate.task, cast.request, recipe.seed):
        return made
    raise TrifacetError(
        f"gate: no probe can be made of the references of {len(samples)} samples; name a file of labelled answers as "
        "gate.probes, or leave the gate out with gate.samples: 0"
    )


def _file(recipe: EvolveRecipe) -> Path | None:
    """The file of probes: as it is named, or below data.root where there is none of that name."""
    if recipe.gate.probes is None:
        return None
    named, below = Path(recipe.gate.probes), Path(recipe.data.root) / recipe.gate.probes
    return below if not is_there(named) and is_there(below) else named


def _digest(probes: Sequence[Probe], cast: Cast, recipe: EvolveRecipe) -> str:
    """Of all that the numbers depend on."""
    told = [
        [one.id, one.task, one.label, one.kind, one.answer.text, *one.sample.references, one.sample.prompt,
         one.sample.context, *one.sample.pictures]
        for one in probes
    ]  # fmt: skip
    settings = [recipe.verification.model_dump(mode="json"), recipe.gate.model_dump(mode="json"), cast.request]
    return json_digest([told, settings, recipe.seed, cast.identity("verifier")])


def _known(folder: Path, asked: str) -> GateReport | None:
    """The report that is kept, where nothing that it depends on has changed; a damaged one is made again."""
    try:
        content = read_document(folder / FILE, "") if is_file(folder / FILE) else {}
    except DataError:
        return None
    return GateReport(content) if content.get("asked") == asked else None


def _kept(folder: Path, content: Mapping[str, Any]) -> GateReport:
    write_atomically(folder / FILE, json.dumps(sealed(content), indent=1) + "\n")
    return GateReport(content)


# --- asking -----------------------------------------------------------------------------------------------------------


def _ask(probes: Sequence[Probe], cast: Cast, recipe: EvolveRecipe, folder: Path) -> dict[str, list[Verdict | None]]:
    """The verdicts of each way of asking: None for probes that it does not ask about; no entry for what is no way."""
    prompt = prompt_of(cast, recipe)
    found = {"": _verdicts(probes, cast, recipe, folder, "asked", prompt)}
    if recipe.gate.controls:
        if any(one.sample.pictures for one in probes):
            unseen = {"image": None, "more_images": ()}
            found[NO_PICTURE] = _verdicts(probes, cast, recipe, folder, "no-picture", prompt, unseen)
        if (other := reordered(prompt)) is not None:
            found[OTHER_ORDER] = _verdicts(probes, cast, recipe, folder, "other-order", other)
    return found


def _verdicts(
    probes: Sequence[Probe],
    cast: Cast,
    recipe: EvolveRecipe,
    folder: Path,
    name: str,
    prompt: Prompt,
    unseen: Mapping[str, Any] | None = None,
) -> list[Verdict | None]:
    wanted = [one for one in probes if unseen is None or one.sample.pictures]
    samples = [one.sample.model_copy(update=unseen) for one in wanted]
    by = json_digest([cast.identity("verifier"), recipe.verification.model_dump(mode="json"), recipe.seed])
    file = folder / "gate" / f"{name}-{by[:12]}.jsonl"  # the bounds may change
    seed = round_seed(recipe.seed, 0)
    said = iter(verdicts(samples, [one.answer for one in wanted], cast, recipe, file, prompt, seed=seed))
    there = {one.id for one in wanted}
    return [next(said) if one.id in there else None for one in probes]
