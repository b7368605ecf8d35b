"""What a run of ``trifacet evolve`` has come to, as one JSON document: for its page, the terminal and ``--explain``.

Invariant: everything is read from the folder's files, of an unfinished run too, a part at a time; the document has a
bound that does not depend on the number of samples.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trifacet.base.claims import Claim
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import is_file, is_folder
from trifacet.data.records import TestSample, make_sample
from trifacet.evolving.compared import compared
from trifacet.evolving.counting import RoundCounts
from trifacet.evolving.kept import (
    ROUND,
    Begun,
    PartRows,
    document_of,
    log_of,
    part_numbers,
    part_of,
    parts_of,
    recipe_of,
    rounds_of,
    sample_rows,
)
from trifacet.evolving.lengths import is_left_out
from trifacet.evolving.parts import BOOKS, GATE, MARK, OUTCOME, Part
from trifacet.evolving.picking import EXAMPLES, Picking, shown_answers
from trifacet.evolving.records import as_row
from trifacet.evolving.warnings import warnings_of
from trifacet.llm.books import Books

POINTS = 60  # of a training's curve
_COMPARED = 10_000  # ids that a mistyped one is compared with
_CURVES = {"loss": "loss", "margin": "rewards/margins", "accuracy": "rewards/accuracies"}
_TRAINED = ("generator", "reviser")


def evolve_document(folder: Path) -> dict[str, Any]:
    """The run in ``folder``, whatever has come of it so far.

    Returns:
        name, seed, finished, started, seconds (by stage), recipe (its text), versions; roles; gate (None: none yet);
        rounds, each with its counts (``counting.RoundCounts``), biases, metrics, models and trainings; examples; total
        (sums over the rounds); costs (what the kept answers of endpoints came to); trained and aligned; outcome (of the
        alignment on held-out samples, {} without).

    Raises:
        TrifacetError: the folder holds no run, or a file of it is damaged.
    """
    recipe = recipe_of(folder)
    facts = Claim(folder, MARK).held() or {}
    rounds, picked = [], []
    begun = rounds_of(folder)
    each = max(1, EXAMPLES // max(1, len(begun)))
    for number, home in begun:
        kept = document_of(home / ROUND)
        counts, picking = RoundCounts(kept.get("lengths") or {}), Picking(recipe.seed, number)
        for part in parts_of(home, number):
            counts.add(part)
            picking.add(part)
        rounds.append(_round(number, home, kept, counts))
        picked.append((number, home, picking.picked(each)))
    chosen = [(number, home, part, sample) for number, home, some in picked for part, sample in some][-EXAMPLES:]
    request = recipe.data.prompt
    document = {
        "name": recipe.name,
        "seed": recipe.seed,
        "rounds_asked": recipe.rounds,
        "judged": recipe.judged,
        "finished": facts.get("finished"),
        "started": facts.get("started") or facts.get("begun"),
        "seconds": _numbers(facts.get("seconds")),
        "versions": facts.get("versions") or {},
        "recipe": recipe.text,
        "images_root": str(images_root(recipe, folder)),
        "max_pixels": recipe.data.max_pixels,
        "prompt": recipe.data.prompt,
        "reference_from": recipe.reference_from,
        "roles": _roles(recipe),
        "gate": document_of(folder / GATE) or None,
        "rounds": rounds,
        "total": _total(rounds),
        "examples": [_example(*one, request) for one in chosen],
        "costs": _costs(folder),
        "held_out": compared(folder),
        "aligned": _trained("aligned", folder / "aligned"),
        "outcome": document_of(folder / OUTCOME),
    }
    return document | {"warnings": warnings_of(document)}


def explain(folder: Path, sample_id: str) -> dict[str, Any]:
    """Everything that became of one sample, over all rounds.

    Returns:
        sample (id, image, prompt, context, references; None where its file does not have it any more) and rounds, each
        with answers (with verdict and feedback), pairs, feedback_pairs, fate (None: not yet).

    Raises:
        TrifacetError: the folder holds no run; it has no such sample (the nearest ids are named).
    """
    recipe, begun = recipe_of(folder), rounds_of(folder)
    rounds, sample = [], None
    for number, home in begun:
        for part in part_numbers(home):
            given = _sample(home, part, number, sample_id, recipe.data.prompt)
            rows = part_of(Part(home, part, number)).of(sample_id) if given else PartRows(part)
            if given or rows.answers or rows.fates:
                sample = given or sample
                lengths = document_of(home / ROUND).get("lengths") or {}
                rounds.append(_told(rows, lengths=lengths) | {"round": number, "part": part})
                break
    if not rounds:
        if not begun:
            raise TrifacetError(f"{folder} has no samples yet; run 'trifacet evolve' with this recipe first")
        near = ", ".join(repr(one) for one in _nearest(begun, sample_id)) or "none"
        raise TrifacetError(f"no sample of {folder} has the id {sample_id!r}; the nearest ids are {near}")
    return {"id": sample_id, "sample": sample, "rounds": rounds, "asked": recipe.rounds}


def _round(number: int, home: Path, kept: Mapping[str, Any], counts: RoundCounts) -> dict[str, Any]:
    return (
        {"round": number, "done": bool(kept)}
        | counts.document()
        | {key: kept.get(key) or {} for key in ("biases", "metrics", "models", "made_with", "lengths")}
        | {"trained": [found for role in _TRAINED if (found := _trained(role, home / role))]}
    )


def _total(rounds: list[dict[str, Any]]) -> dict[str, int]:
    return {
        "samples": rounds[0]["samples"] if rounds else 0,
        "pairs": sum(one["pairs"] for one in rounds),
        "feedback_pairs": sum(one["feedback_pairs"] for one in rounds),
        **{
            key: sum(one["total"][key] for one in rounds)
            for key in ("answers", "verdicts", "accepted", "refused", "malformed", "no_candidates", "waiting")
        },
    }


def _example(number: int, home: Path, part: int, sample: str, request: str) -> dict[str, Any]:
    rows = part_of(Part(home, part, number)).of(sample)
    lengths = document_of(home / ROUND).get("lengths") or {}
    told = _told(rows, {one.answer for one in shown_answers(rows)}, lengths)
    return told | {"round": number, "id": sample, "sample": _sample(home, part, number, sample, request)}


def _told(
    rows: PartRows, shown: set[int] | None = None, lengths: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """What a round made of one sample; ``shown``: answers that are told (None: all); ``lengths``: the round's."""
    verdicts = {one.answer: as_row(one) for one in rows.verdicts}
    feedback: dict[int, list[dict[str, Any]]] = {}
    for said in rows.feedback:
        feedback.setdefault(said.answer, []).append(as_row(said))
    answers = [
        as_row(one) | {"verdict": verdicts.get(one.answer), "feedback": feedback.get(one.answer, [])}
        for one in sorted(rows.answers, key=lambda one: one.answer)
        if shown is None or one.answer in shown
    ]
    return {
        "answers": answers,
        "more": len(rows.answers) - len(answers),
        "fate": as_row(rows.fates[0]) if rows.fates else None,
        "pairs": [_pair(one) | {"left_out": is_left_out(one, lengths)} for one in rows.pairs],
        "feedback_pairs": [_pair(one) for one in rows.feedback_pairs],
    }


def _pair(row: Mapping[str, Any]) -> dict[str, Any]:
    extra = row.get("extra")
    return {
        "id": row.get("id"),
        "chosen": row.get("response"),
        "rejected": list(row.get("rejected_responses") or ()),
        "extra": extra if isinstance(extra, dict) else {},
    }


# --- samples ----------------------------------------------------------------------------------------------------


def images_root(recipe: Begun, folder: Path) -> Path:
    """The folder of the samples' pictures."""
    data = recipe.data
    if data.world is not None:
        return folder / "data"
    images = data.images.get("test", "") if isinstance(data.images, dict) else data.images or ""
    return Path(data.root) / images


def _sample(home: Path, part: int, number: int, wanted: str, request: str) -> dict[str, Any] | None:
    """A sample as the round was given it; None where its row cannot be read."""
    for row in sample_rows(Part(home, part, number)):
        if row.get("id") == wanted:
            try:
                sample = make_sample("test", row)
            except DataError:
                return None
            assert isinstance(sample, TestSample)
            return {
                "id": sample.id,
                "image": sample.image,
                "prompt": sample.prompt or request,
                "context": sample.context,
                "references": list(sample.references),
            }
    return None


def _nearest(rounds: list[tuple[int, Path]], wanted: str) -> list[str]:
    """Ids of the first round like this one: of those that begin alike, else of the first."""

    def ids(start: str) -> Iterator[str]:
        for number, home in rounds[:1]:
            for part in part_numbers(home):
                named = (row.get("id") for row in sample_rows(Part(home, part, number)))
                yield from (one for one in named if isinstance(one, str) and one.startswith(start))

    alike = list(itertools.islice(ids(wanted[: max(1, len(wanted) // 2)]), _COMPARED))
    compared = alike or list(itertools.islice(ids(""), _COMPARED))
    return difflib.get_close_matches(wanted, compared, n=3, cutoff=0.3) or compared[:3]


# --- roles, trainings, costs ------------------------------------------------------------------------------------


def _roles(recipe: Begun) -> list[dict[str, Any]]:
    """Who plays what, as the recipe has it."""
    found = []
    for name, role in recipe.roles:
        by = (
            f"endpoint {Path(role.endpoint).name}"
            if role.endpoint
            else Path(role.model).name
            if role.model
            else recipe.model
        )
        found.append(
            {
                "role": name,
                "by": by,
                "own": bool(role.endpoint or role.model),
                "temperature": role.temperature,
                "prompt": Path(role.prompt).name if role.prompt else None,
                "max_new_tokens": role.max_new_tokens,
            }
        )
    return found


def _trained(name: str, run: Path) -> dict[str, Any] | None:
    """The training in a run folder: a curve of at most ``POINTS`` points for each measure; None where there is none."""
    if not is_folder(run / "models"):
        return None
    stages = []
    for home in sorted((run / "models").iterdir()):
        log = log_of(home / "log.jsonl")
        curves = {measure: _curve(log, key) for measure, key in _CURVES.items()}
        if curves["loss"]:
            stages.append({"stage": home.name, "curves": {one: points for one, points in curves.items() if points}})
    return {"name": name, "stages": stages}


def _curve(log: list[dict[str, Any]], key: str) -> list[list[float]]:
    points = [
        [float(row["step"]), float(row[key])] for row in log if _is_number(row.get("step")) and _is_number(row.get(key))
    ]
    every = -(-len(points) // POINTS) or 1
    thin = points[::every]
    return thin + ([points[-1]] if points and thin[-1] != points[-1] else [])


def _costs(folder: Path) -> list[dict[str, Any]]:
    if not is_file(folder / BOOKS):
        return []
    with Books(folder / BOOKS) as books:
        return books.kept()


def _numbers(value: Any) -> dict[str, float]:
    known = value if isinstance(value, dict) else {}
    return {str(name): float(one) for name, one in known.items() if _is_number(one)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
