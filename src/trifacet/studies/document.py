"""A study's outcome as one document: what its page, its tables and ``--json`` show.

Invariant: everything in it is told from the folder's files alone, so that the same runs give the same document.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trifacet.evolving.settings import EvolveRecipe
from trifacet.statistics.over_seeds import LEVEL, Estimate
from trifacet.studies.cells import names_of
from trifacet.studies.folder import is_finished, seconds_of
from trifacet.studies.outcomes import Outcomes, read_outcomes
from trifacet.studies.people import people_document
from trifacet.studies.settings import LoadedStudy
from trifacet.studies.verdicts import Judged, judge
from trifacet.studies.works import Job, Plan, Work, spent


def study_document(
    loaded: LoadedStudy, plan: Plan, *, failed: Mapping[str, str] | None = None, asked_since: str | None = None
) -> dict[str, Any]:
    """What is known of a study so far.

    Args:
        loaded: the study.
        plan: its jobs.
        failed: jobs that are not finished, with the reason.
        asked_since: since when claims and measures are what they are, where they were others as the study began.
    """
    study, names, seeds = loaded.study, names_of(plan.cells), list(plan.seeds)
    shared = all(cell.recipe.data.world is None for cell in plan.cells)
    against = study.against or names[0]
    outcomes = read_outcomes(plan, study.measures, against)
    paper = study.paper.values if study.paper else {}
    return {
        "study": study.name,
        "title": study.title or "",
        "budget": loaded.budget,
        "file": loaded.file.name,
        "seeds": seeds,
        "split": study.split,
        "measures": list(study.measures),
        "level": LEVEL,
        "design": "all seeds share their samples" if shared else "every seed has samples of its own",
        "against": against,
        "cells": [
            {
                "cell": name,
                "measures": {
                    measure: _value(outcomes, name, measure, seeds, crossed=shared)
                    | {"paper": paper.get(name, {}).get(measure)}
                    for measure in study.measures
                },
                "degenerate": {str(seed): outcomes.degenerate[name, seed] for seed in seeds
                               if (name, seed) in outcomes.degenerate},
            }
            for name in names
        ],
        "differences": [
            {"cell": name, "measure": measure}
            | told(outcomes.difference(name, against, measure, seeds, crossed=shared))
            | {"paper": _paper_difference(paper, name, against, measure)}
            for measure in study.measures
            for name in names
            if name != against
        ],
        "claims": [
            _claim(one, claim.text or "", claim.source or "")
            for one, claim in zip(
                judge(loaded.statements(names), outcomes, seeds, crossed=shared), study.claims, strict=True
            )
        ],
        "asked_since": asked_since,
        "people": people_document(loaded, plan, seeds),
        "paper": None if study.paper is None else {"source": study.paper.source, "note": study.paper.note or ""},
        "plan": plan_document(loaded, plan, jobs=False),
        "failed": dict(failed or {}),
        "problems": outcomes.problems,
    }  # fmt: skip


def plan_document(loaded: LoadedStudy, plan: Plan, *, jobs: bool = True) -> dict[str, Any]:
    """The cells, what they share, and what that saves: in works, and where it is known in seconds or stated hours."""
    alone, shared = plan.alone(), plan.shared()
    there = plan.of(name for name, job in plan.jobs.items() if is_finished(job))
    seconds = spent(seconds_of(plan), plan)
    found: dict[str, Any] = {
        "study": loaded.study.name,
        "budget": loaded.budget,
        "folder": str(loaded.folder),
        "store": str(loaded.store),
        "cells": len(plan.cells),
        "seeds": list(plan.seeds),
        "runs": len(plan.jobs),
        "works": {
            kind: {"alone": alone.get(kind, 0), "shared": shared.get(kind, 0), "there": there.get(kind, 0)}
            for kind in dict.fromkeys((*alone, *shared))
        },
        "seconds": None if seconds is None else {"shared": round(seconds[0], 1), "alone": round(seconds[1], 1)},
    }
    found["gpu_hours"] = _hours(loaded, plan)
    if jobs:
        found["jobs"] = [
            {
                "job": job.name,
                "folder": str(job.folder),
                "works": [work.kind for work, _ in job.works],
                "needs": list(job.needs),
                "begins_with": [f"{one.job}/{one.name}" for one in job.lent],
            }
            for job in plan.jobs.values()
        ]
    return found


def _hours(loaded: LoadedStudy, plan: Plan) -> dict[str, Any] | None:
    """Hours of a GPU by the stated rates, and the works of which nothing is stated; None where no rate is stated.

    A rate may be that of a kind of work, or of a kind at one stage: ``alignment``, ``alignment/dpo``.
    """
    if not loaded.hours:
        return None
    done = {work: job for job in plan.jobs.values() for work, _ in job.works}

    def rated(work: Work) -> str | None:
        stages = _stages(done[work]) if work in done else []
        return next(
            (key for key in (*(f"{work.kind}/{one}" for one in stages), work.kind) if key in loaded.hours), None
        )

    def summed(works: Iterable[Work]) -> float:
        return round(sum(loaded.hours[key] for key in map(rated, works) if key is not None), 2)

    def named(work: Work) -> str:
        stages = _stages(done[work])
        return f"{work.kind}/{stages[0]}" if work.kind == "alignment" and stages else work.kind

    without = {named(work): None for work in done if rated(work) is None}
    return {
        "shared": summed(done),
        "there": summed(work for work, job in done.items() if is_finished(job)),
        "alone": summed(work for chain in plan.chains.values() for work in chain),
        "stated": dict(loaded.hours),
        "not_stated": list(without),
    }


def _stages(job: Job) -> list[str]:
    return [] if isinstance(job.recipe, EvolveRecipe) else list(job.recipe.align)


def told(estimate: Estimate | None) -> dict[str, Any]:
    """An estimate as numbers; null where there is none."""
    if estimate is None:
        return {"value": None, "interval": None, "over": None, "seeds": 0, "smallest": None}
    interval = estimate.interval()
    return {
        "value": _finite(estimate.value),
        "interval": None if interval is None else list(interval),
        "over": estimate.over,
        "seeds": estimate.seeds,
        "smallest": estimate.smallest_found(),
    }


def _value(outcomes: Outcomes, cell: str, measure: str, seeds: Sequence[int], *, crossed: bool) -> dict[str, Any]:
    estimate = told(outcomes.mean(cell, measure, seeds, crossed=crossed))
    values = {
        str(seed): outcomes.numbers[cell, seed][measure].value for seed in outcomes.seeds_of([cell], measure, seeds)
    }
    return {key: estimate[key] for key in ("value", "interval", "over", "seeds")} | {"values": values}


def _paper_difference(paper: Mapping[str, Mapping[str, float]], cell: str, other: str, measure: str) -> float | None:
    ours, theirs = paper.get(cell, {}).get(measure), paper.get(other, {}).get(measure)
    return None if ours is None or theirs is None else round(ours - theirs, 6)


def _claim(judged: Judged, text: str, source: str) -> dict[str, Any]:
    statement = judged.statement
    return {
        "statement": statement.text,
        "text": text,
        "source": source,
        "measure": statement.measure,
        "margin": statement.margin,
        "verdict": judged.verdict,
        "why": judged.why,
        "p": judged.p,
        "p_corrected": judged.p_corrected,
        "smallest": judged.smallest,
        "seeds": list(judged.seeds),
        "parts": [{"cell": one.cell, "other": one.other, **told(one.estimate)} for one in judged.parts],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
