"""What in a run's numbers gives reason to stop and look. Invariant: each line says what was seen and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MALFORMED, LOST = 0.2, 0.5  # shares of the answers from which on they are told
SURE = 0.05  # p from which on a difference may be chance
LENGTH, LEAK = 0.1, 0.1  # how far an interval has to lie above no bias
LONGER = 20  # characters that pairs may differ in the mean, once they are balanced
PLACE = 0.1  # the same of a judge's first place, on either side
TOLD = 3  # of the gate's failures
FEWEST = 20  # judged answers from which a share is worth telling


def warnings_of(document: Mapping[str, Any]) -> list[str]:
    """The warnings of a run's document, the gravest first."""
    found = []
    gate = document["gate"]
    if gate and gate.get("passed") is False:
        missed = "; ".join(str(one.get("told")) for one in (gate.get("failures") or [])[:TOLD])
        found.append(
            f"The verifier is below the gate's bounds, so that what it accepts is not to be trusted ({missed}). Take a "
            "stronger verifier, another prompt, or more votes (verification.votes)."
        )
    if gate and gate.get("skipped"):
        found.append(
            "There was no gate: nobody has measured the verifier, so that no number here says whether it is right."
        )
    elif gate and (gate.get("all") or {}).get("passed", False) is None:
        found.append(
            f"The gate had too few probes to hold the verifier to its bounds ({gate['all'].get('right')} right, "
            f"{gate['all'].get('wrong')} wrong ones). Raise gate.samples, or name a file of labelled answers as "
            "gate.probes."
        )
    for name, control in ((gate or {}).get("controls") or {}).items():
        if control.get("as_expected") is False:
            found.append(f"Gate, {name}: {control.get('told')}.")
    for one in document["rounds"]:
        found += [f"Round {one['round']}: {said}" for said in _of_round(one)]
    if (outcome := document["outcome"]).get("harm") is True:
        found.append(
            f"The alignment at the end {harmed(outcome.get('p'))}: {outcome.get('metric')} "
            f"{_said(outcome.get('value'))}, {outcome.get('against')} {_said(outcome.get('its_value'))} "
            "on the held-out samples."
        )
    for model in (document["held_out"] or {}).get("models", ()):
        if model["degenerate"]:
            found.append(
                f"{model['name']} degenerated: {model['degenerate']}. Do not read its other numbers as quality."
            )
    return found


def harmed(p: object) -> str:
    """What to say of a model that is worse than the one before it, by the p of the difference."""
    return "got worse, which may be chance" if isinstance(p, float) and p >= SURE else "did harm"


def _of_round(one: Mapping[str, Any]) -> list[str]:
    total, found = one["total"], []
    judged, answers = total["accepted"] + total["refused"], total["answers"]
    if judged >= FEWEST and not total["refused"]:
        found.append(
            f"the verifier accepted all {judged:,} answers that it judged; without refused ones there are no pairs."
        )
    if judged >= FEWEST and not total["accepted"]:
        found.append(
            f"the verifier refused all {judged:,} answers that it judged; look at its reasons in the examples."
        )
    if answers >= FEWEST and total["malformed"] >= MALFORMED * answers:
        found.append(
            f"{total['malformed']:,} of {answers:,} answers have no verdict that could be read; try verification.form: "
            "word, or a longer roles.verifier.max_new_tokens."
        )
    if answers >= FEWEST and total["no_candidates"] >= LOST * answers:
        kinds = ", ".join(f"{count:,} {name}" for name, count in list(total["problems"].items())[:3])
        found.append(f"{total['no_candidates']:,} of {answers:,} answers are no candidates ({kinds}).")
    for role, outcome in one["metrics"].items():
        if isinstance(outcome, Mapping) and outcome.get("harm") is True:
            found.append(
                f"training the {role} {harmed(outcome.get('p'))}: {outcome.get('metric')} "
                f"{_said(outcome.get('value'))}, {outcome.get('against')} {_said(outcome.get('its_value'))}."
            )
    longer = _interval(one["biases"], "auc", "longer")
    if longer and longer[0] > 0.5 + LENGTH:
        found.append(
            f"of an accepted and a refused answer the accepted one is longer in {longer[0]:.2f} to {longer[1]:.2f} of "
            "the cases (0.50: no bias). Keep pairs.length_matched on, and read what was accepted."
        )
    lengths = one["lengths"]
    if isinstance(lengths, Mapping) and lengths.get("longer") and abs(lengths.get("after") or 0) >= LONGER:
        found.append(
            f"{lengths['longer']} texts stay {abs(lengths['after']):.0f} characters longer in the mean, though "
            f"{lengths.get('left_out'):,} pairs are left out. Set pairs.length_ratio, or look at why they are."
        )
    first = _interval(one["biases"], "judge", "first")
    if first and not first[0] - PLACE <= 0.5 <= first[1] + PLACE:
        found.append(
            f"the judge takes the text shown first in {first[0]:.2f} to {first[1]:.2f} of its answers (0.50: no bias). "
            "Pairs are made only where both orders agree, so that this costs pairs; another judge would give more."
        )
    leak = _interval(one["biases"], "overlap", "4", "difference")
    if leak and leak[0] > LEAK:
        found.append(
            f"revised answers have {leak[0]:.2f} to {leak[1]:.2f} more of their four-word runs from the reference than "
            "normal ones: feedback hands it on. Set revision.reference_from later, or to null."
        )
    if one["done"] and one["samples"] and not one["pairs"]:
        found.append("no sample gave a pair.")
    return found


def _interval(biases: Any, *path: str) -> tuple[float, float] | None:
    """The ends of a number's interval in a document of biases."""
    found = biases
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    ends = found.get("interval") if isinstance(found, Mapping) else None
    return (float(ends[0]), float(ends[1])) if isinstance(ends, list) and len(ends) == 2 else None


def _said(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)
