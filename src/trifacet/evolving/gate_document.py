"""What the gate says of a verifier, from what that said of probes: numbers with intervals, missed bounds, mistakes.

Invariant: a function of probes, verdicts and bounds.

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

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trifacet.evolving.measured import BALANCED, DIFFERENCE, SHARE, Key, Names, Number, Numbers, missing
from trifacet.evolving.probes import Probe
from trifacet.evolving.records import GIVEN, Verdict
from trifacet.evolving.settings import EvolveRecipe
from trifacet.statistics.significance import LEVEL

FEWEST = 5  # right probes, and wrong ones, that a task's bounds are held to
NO_PICTURE, OTHER_ORDER = "no picture", "other order"
MISTAKES = 50
Asked = Mapping[str, Sequence[Verdict | None]]
"""Verdicts by way of asking: None for probes that it does not ask about."""


def gate_document(
    probes: Sequence[Probe],
    asked: Asked,
    recipe: EvolveRecipe,
    *,
    digest: str,
    verifier: Mapping[str, Any],
    given: str | None,
) -> dict[str, Any]:
    """The document of a gate.

    Args:
        probes: what was asked about.
        asked: the verdicts of each way of asking, "" for the plain one.
        recipe: bounds, form of asking, votes.
        digest: of all that the numbers depend on.
        verifier: who was asked.
        given: digest of the file that gave the probes; None: they are made from references.
    """
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
        "verifier": dict(verifier),
        "form": recipe.verification.form,
        "votes": recipe.verification.votes,
        "probes": given or "references",
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


def no_gate(why: str) -> dict[str, Any]:
    """The document where nothing was measured, and why."""
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


def _compare(numbers: Numbers, name: str, probes: Sequence[Probe], asked: Asked) -> None:
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


def _controls(told: Mapping[Key, Number], asked: Asked, recipe: EvolveRecipe) -> dict[str, Any]:
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
