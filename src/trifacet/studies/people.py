"""What people say of a study's texts: the commands by which they are asked (``trifacet review``), and their votes.

Invariant: a pair has votes only from a review of the very texts of its cells; without people it says what it waits for.
Votes are of one seed's texts, so that they tell of these two models and of no other training.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.data.source import source_of
from trifacet.review.pairs import Review, read_review
from trifacet.review.store import Store
from trifacet.review.summary import summarise_review
from trifacet.statistics.effects import corrected
from trifacet.statistics.over_seeds import LEVEL
from trifacet.studies.folder import is_finished
from trifacet.studies.settings import LoadedStudy
from trifacet.studies.works import Job, Plan

FOLDER = "people"
OUTCOMES = ("win", "tie", "lose")


def people_document(loaded: LoadedStudy, plan: Plan, seeds: Sequence[int]) -> dict[str, Any] | None:
    """What is known of the pairs that people compare; None where the study asks nobody.

    p is that of the sign test over posts, corrected over the study's pairs by Holm.
    """
    people = loaded.study.people
    if people is None:
        return None
    seed = people.seed if people.seed is not None else seeds[0]
    pairs = [_pair(plan, first, second, seed, people.limit) for first, second in people.pairs]
    p_values = corrected([pair["p"] for pair in pairs], "holm")
    for pair, p in zip(pairs, p_values, strict=True):
        pair["p_corrected"] = p
        if pair["votes"]:
            told = p is not None and p <= 1 - LEVEL
            first_wins = pair["win"]["count"] > pair["lose"]["count"]
            pair["verdict"] = ("holds" if first_wins else "does not hold") if told else "cannot be told"
    return {"seed": seed, "pairs": pairs}


def _pair(plan: Plan, first: str, second: str, seed: int, limit: int | None) -> dict[str, Any]:
    store = plan.folder / FOLDER / f"{first}-{second}-seed-{seed}.sqlite"
    found: dict[str, Any] = {
        "cell": first, "other": second, "verdict": "cannot be told", "why": "", "command": "", "store": str(store),
        "votes": 0, "judges": 0, "judged": 0, "samples": 0, "p": None, "p_corrected": None, "agreement": None,
        **dict.fromkeys(OUTCOMES),
    }  # fmt: skip
    outcomes = [plan.outcomes.get((name, seed)) for name in (first, second)]
    if any(one is None or not is_finished(plan.jobs[one.job]) for one in outcomes):
        return found | {"why": f"waits for the runs of seed {seed}"}
    texts = [_texts(plan.jobs[one.job], one.model) for one in outcomes if one is not None]
    assert outcomes[0] is not None
    recipe = plan.jobs[outcomes[0].job].recipe
    try:
        source = source_of(recipe.data, recipe.folder, "test")
        words = ["trifacet", "review", f"{first}={texts[0]}", f"{second}={texts[1]}", "--data", str(source.file)]
        words += ["--images", str(source.images), "--store", str(store), *(["--limit", str(limit)] if limit else [])]
        found["command"] = shlex.join(words)
        if not store.exists():
            return found | {"why": "waits for people"}
        review = read_review(texts[0], texts[1], source.file, names=(first, second), limit=limit)
        return found | _votes(store, review)
    except TrifacetError as error:
        return found | {"why": str(error)}


def _texts(job: Job, model: str) -> Path:
    return (job.folder / job.scores).parent / "generations" / f"{model}.jsonl"


def _votes(path: Path, review: Review) -> dict[str, Any]:
    store = Store(path)
    try:
        store.require(review)
        said = summarise_review(store)
    finally:
        store.close()
    if not said["votes"]:
        return {"why": "waits for people: nobody has voted yet", "samples": said["samples"]}
    share, agreement = said["majority"], said["agreement"]
    return {
        "votes": said["votes"],
        "judges": sum(1 for judge in said["judges"] if judge["answered"]),
        "judged": said["judged"],
        "samples": said["samples"],
        "p": share["sign_test"]["p"],
        "agreement": {key: agreement[key] for key in ("alpha_nominal", "alpha_ordinal", "agreement", "undefined")},
        **{key: share[key] for key in OUTCOMES},
    }
