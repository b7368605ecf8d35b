"""Whether the verifier is worth trusting: it is asked about answers of which the truth is known, before round 1.

Invariant: what the report says depends on the probes and on what the verifier said of them alone; what was asked is not
asked again, and a report is kept before anything follows from it.

``gate.json`` holds a document (``measured.Number``: {"value", "interval", "count"}; shares, not per cent):
    passed, skipped: whether it may go on; why nothing was measured ("" where it was)
    asked: digest of all that the numbers depend on
    verifier, form, votes, probes (origin of them), bounds, level
    all, tasks.NAME: probes, right, wrong, precision, recall, false_accepts, malformed, yes_share, passed (null: too
        few). yes_share: of as many right probes as wrong ones the share that is accepted; .5 without a bias
    kinds.NAME: label, accepted, malformed
    controls."no picture", controls."other order": {"agreement", "drop", "same", "malformed", "as_expected", "told"},
        or {"told"} alone where it could not be asked
    failures: [{"task", "bound", "value", "limit", "short", "told"}], few: tasks with too few probes
    mistakes: some of the probes that were judged wrongly, with their texts
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from trifacet.evolving.measured import (
    BALANCED,
    DIFFERENCE,
    SHARE,
    Key,
    Names,
    Number,
    Numbers,
    missing,
)
from trifacet.evolving.probes import Probe, make_probes, read_probes, task_of
from trifacet.evolving.records import GIVEN, Verdict
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.verifying import prompt_of, reordered, verdicts
from trifacet.llm.prompts import Prompt
from trifacet.statistics.significance import LEVEL

FILE = "gate.json"
FEWEST = 5  # right probes, and wrong ones, that a task's bounds are held to
NO_PICTURE, OTHER_ORDER = "no picture", "other order"
MISTAKES = 50
_CURE = (
    "let a stronger model verify (roles.verifier), or several votes of it (verification.votes), look at the mistakes "
    "in {file}, or set gate.otherwise to 'go on'"
)
_Asked = Mapping[str, Sequence[Verdict | None]]


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
        return _kept(folder, _empty("gate.samples is 0"))
    probes = _probes(samples, cast, recipe)
    asked = _digest(probes, cast, recipe)
    if (report := _known(folder, asked)) is None:
        report = _kept(folder, _document(probes, _ask(probes, cast, recipe, folder), cast, recipe, asked))
    if not report.passed and recipe.gate.otherwise == "stop":
        cure = _CURE.format(file=folder / FILE)
        raise TrifacetError(f"the verifier is not to be trusted: {'; '.join(report.failures)}; {cure}")
    return report


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


# --- the document -----------------------------------------------------------------------------------------------------


def _document(probes: Sequence[Probe], asked: _Asked, cast: Cast, recipe: EvolveRecipe, digest: str) -> dict[str, Any]:
    names = Names()
    tasks = [names(probe.task) for probe in probes]
    numbers = Numbers()
    for probe, task, verdict in zip(probes, tasks, asked[""], strict=True):
        assert verdict is not None
        for key in (("all",), ("tasks", task)):
            _count(numbers, key, probe, verdict)
        accepted, malformed = verdict.outcome == "accepted", verdict.outcome == "malformed"
        numbers.add(SHARE, ("kinds", _kind(probe), "accepted"), probe.unit, accepted, 1)
        numbers.add(SHARE, ("kinds", _kind(probe), "malformed"), probe.unit, malformed, 1)
    for name in asked.keys() - {""}:
        _compare(numbers, name, probes, asked)
    told = numbers.told()
    blocks = {task: _block(told, ("tasks", task), _counted(probes, tasks, task)) for task in sorted(set(tasks))}
    whole = _block(told, ("all",), _counted(probes, tasks, None))
    failures = [failure for task, block in [*blocks.items(), (None, whole)] for failure in _judge(task, block, recipe)]
    if any(one["task"] is not None for one in failures):  # the whole would say the same again
        failures = [one for one in failures if one["task"] is not None]
    return {
        "passed": not failures,
        "skipped": "",
        "asked": digest,
        "verifier": cast.identity("verifier"),
        "form": recipe.verification.form,
        "votes": recipe.verification.votes,
        "probes": "references" if (file := _file(recipe)) is None else content_of(file),
        "bounds": {"precision": recipe.gate.precision, "false_accepts": recipe.gate.false_accepts, "fewest": FEWEST},
        "level": LEVEL,
        "all": whole,
        "tasks": blocks,
        "kinds": {
            kind: {
                "label": label,
                "accepted": told.get(("kinds", kind, "accepted")) or missing(),
                "malformed": told.get(("kinds", kind, "malformed")) or missing(),
            }
            for kind, label in sorted({(_kind(one), one.label) for one in probes})
        },
        "controls": _controls(told, asked, recipe),
        "failures": failures,
        "few": [task for task, block in blocks.items() if block["passed"] is None],
        "mistakes": list(_mistakes(probes, tasks, asked[""])),
    }


def _kind(probe: Probe) -> str:
    """How a probe was made; those of a file by their label."""
    return probe.kind if probe.kind != GIVEN else f"{GIVEN}, {'right' if probe.label else 'wrong'}"


def _empty(why: str) -> dict[str, Any]:
    return {"passed": True, "skipped": why, "asked": "", "failures": [], "few": [], "tasks": {}, "kinds": {}}


def _count(numbers: Numbers, key: Key, probe: Probe, verdict: Verdict) -> None:
    accepted, right = float(verdict.outcome == "accepted"), float(probe.label)
    unit, wrong = probe.unit, 1.0 - right
    numbers.add(SHARE, (*key, "precision"), unit, accepted * right, accepted)
    numbers.add(SHARE, (*key, "recall"), unit, accepted * right, right)
    numbers.add(SHARE, (*key, "false_accepts"), unit, accepted * wrong, wrong)
    numbers.add(SHARE, (*key, "malformed"), unit, float(verdict.outcome == "malformed"), 1.0)
    numbers.add(BALANCED, (*key, "yes_share"), unit, accepted * right, right, accepted * wrong, wrong)


def _counted(probes: Sequence[Probe], tasks: Sequence[str], task: str | None) -> tuple[int, int]:
    """Right and wrong probes of a task (None: of all)."""
    labels = [probe.label for probe, one in zip(probes, tasks, strict=True) if task in (None, one)]
    return sum(labels), len(labels) - sum(labels)


def _block(told: Mapping[Key, Number], key: Key, counted: tuple[int, int]) -> dict[str, Any]:
    right, wrong = counted
    names = ("precision", "recall", "false_accepts", "malformed", "yes_share")
    block = {name: told.get((*key, name)) or missing() for name in names}
    block["yes_share"] = block["yes_share"] | {"count": right + wrong}
    return {"probes": right + wrong, "right": right, "wrong": wrong, **block, "passed": None}


def _judge(task: str | None, block: dict[str, Any], recipe: EvolveRecipe) -> Iterator[dict[str, Any]]:
    """The bounds that a task misses; says in ``block`` whether it passed."""
    if min(block["right"], block["wrong"]) < FEWEST:
        return
    named = "all tasks together" if task is None else f"task {task!r}"
    missed = []
    precision, wrong = block["precision"]["value"], block["false_accepts"]["value"]
    if precision is None:
        told = f"{named}: accepted none of {block['right']} right answers"
        if malformed := block["malformed"]["value"]:
            told += f" ({malformed:.0%} of its answers could not be read)"
        missed.append(("precision", None, recipe.gate.precision, None, told))
    elif precision < recipe.gate.precision:
        limit = recipe.gate.precision
        told = (
            f"{named}: precision {precision:.2f}{_between(block['precision'])}, {limit - precision:.2f} below {limit:g}"
        )
        missed.append(("precision", precision, limit, limit - precision, told))
    if wrong is not None and wrong > recipe.gate.false_accepts:
        limit = recipe.gate.false_accepts
        told = f"{named}: accepts {wrong:.2f}{_between(block['false_accepts'])} of the wrong answers, "
        missed.append(("false_accepts", wrong, limit, wrong - limit, f"{told}{wrong - limit:.2f} above {limit:g}"))
    block["passed"] = not missed
    for bound, value, limit, short, told in missed:
        yield {"task": task, "bound": bound, "value": value, "limit": limit, "short": short, "told": told}


def _between(number: Number) -> str:
    ends = number["interval"]
    return f" [{ends[0]:.2f}, {ends[1]:.2f}]" if ends else ""


def _compare(numbers: Numbers, name: str, probes: Sequence[Probe], asked: _Asked) -> None:
    """How often the verifier is right, and says the same, with the control; probes that both ways were asked about."""
    for probe, plain, other in zip(probes, asked[""], asked[name], strict=True):
        if plain is None or other is None:
            continue
        wanted = "accepted" if probe.label else "refused"
        right, still = float(plain.outcome == wanted), float(other.outcome == wanted)
        numbers.add(SHARE, (name, "agreement"), probe.unit, still, 1.0)
        numbers.add(DIFFERENCE, (name, "drop"), probe.unit, right, 1.0, still, 1.0)
        numbers.add(SHARE, (name, "same"), probe.unit, float(plain.outcome == other.outcome), 1.0)
        numbers.add(SHARE, (name, "malformed"), probe.unit, float(other.outcome == "malformed"), 1.0)


def _controls(told: Mapping[Key, Number], asked: _Asked, recipe: EvolveRecipe) -> dict[str, Any]:
    if not recipe.gate.controls:
        return {}
    why = {
        NO_PICTURE: "no probe has a picture",
        OTHER_ORDER: "the prompt has its fields in one line, so that they have no order to change",
    }
    found: dict[str, Any] = {}
    for name, missing_because in why.items():
        if name not in asked:
            found[name] = {"told": f"not asked: {missing_because}"}
            continue
        values = {part: told[(name, part)] for part in ("agreement", "drop", "same", "malformed")}
        ends = values["drop"]["interval"]
        drops = ends is not None and ends[0] > 0
        found[name] = {**values, "as_expected": drops == (name == NO_PICTURE), "told": _SAID[name, drops]}
    return found


_SAID = {
    (NO_PICTURE, True): "without the picture it is right less often: it looks at the picture",
    (NO_PICTURE, False): "it is not right less often without the picture: it judges by the texts alone",
    (
        OTHER_ORDER,
        True,
    ): "it is right less often with the fields in another order: it hangs on how it is asked",
    (OTHER_ORDER, False): "it is not right less often with the fields in another order",
}


def _mistakes(
    probes: Sequence[Probe], tasks: Sequence[str], said: Sequence[Verdict | None]
) -> Iterator[dict[str, Any]]:
    """Some of the probes that were judged wrongly, from every task and kind in turn."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (probe, task, verdict) in enumerate(zip(probes, tasks, said, strict=True)):
        if verdict is not None and verdict.outcome != ("accepted" if probe.label else "refused"):
            groups.setdefault((task, probe.kind), []).append(place)
    turns = sorted((turn, key) for key, places in groups.items() for turn in range(min(len(places), MISTAKES)))
    for turn, key in turns[:MISTAKES]:
        probe, verdict = probes[groups[key][turn]], said[groups[key][turn]]
        assert verdict is not None
        yield {
            "id": probe.id,
            "task": key[0],
            "kind": probe.kind,
            "label": probe.label,
            "outcome": verdict.outcome,
            "image": probe.sample.image,
            "reference": probe.sample.references[0],
            "answer": probe.answer.text,
            "reasons": dict(verdict.reasons),
            "raw": verdict.raw,
        }
