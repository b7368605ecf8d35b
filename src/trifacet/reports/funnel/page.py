"""``funnel.html``: what became of the rows of a build, step by step, with examples, in one file without network.

Invariant: every text from posts, models and recipes is escaped by the template; pictures are small copies made by us.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.bidi import isolated
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.words import without_folders
from trifacet.building.examples import Reason, examples
from trifacet.building.output import MANIFEST, SET_KINDS
from trifacet.building.plan import tools_of
from trifacet.building.recipe import BuildRecipe, dump_build_recipe
from trifacet.building.story import Fault, StepTold, audit, steps_told, wall_seconds
from trifacet.llm.books import Books
from trifacet.reports.funnel.examples import Showing, Shown, clipped
from trifacet.reports.words import duration, quantity
from trifacet.web.page import render_page

_VERDICTS = {"drop": "dropped", "fail": "failed", "change": "changed", "note": "noted"}
SETS = {"sft": "supervised", "preference": "preference", "test": "test"}
FAULTS_SHOWN = 200  # labels; more are no audit but a field of free text


@dataclass(frozen=True)
class ReasonShown:
    """A reason with its count and some of its rows."""

    verdict: str
    reason: str
    count: int
    examples: list[Shown]


@dataclass(frozen=True)
class StepShown:
    """A step with its reasons, the most frequent first within each verdict."""

    told: StepTold
    parameters: str
    reasons: list[ReasonShown]


def write_funnel(
    recipe: BuildRecipe,
    path: Path,
    *,
    costs: Sequence[Mapping[str, Any]] = (),
    per_reason: int = 4,
) -> None:
    """Write the report of a build, finished or not, from whatever its folder holds.

    Args:
        recipe: the build's recipe.
        path: the page.
        costs: what each step asked each model in this run, as ``llm.books.Books.rows`` tells it; what was paid over all
            runs is read from the file of answers.
        per_reason: examples of each reason at most.

    Raises:
        TrifacetError: the folder holds no build, or the page cannot be written.
    """
    write_atomically(path, render_funnel(recipe, costs=costs, per_reason=per_reason))


def render_funnel(recipe: BuildRecipe, *, costs: Sequence[Mapping[str, Any]] = (), per_reason: int = 4) -> str:
    """The page as text; see ``write_funnel``."""
    told = steps_told(recipe)
    if not told[0].of_parts:
        raise TrifacetError(f"{recipe.folder} holds no build with rows; run 'trifacet build' with this recipe first")
    manifest = _manifest(recipe)
    seconds = wall_seconds(recipe)
    kept = _kept(recipe)
    return render_page(
        __name__,
        "funnel.html.jinja",
        {"duration": duration, "quantity": quantity, "share": share},
        name=recipe.name,
        seed=recipe.seed,
        opening=_opening(told, manifest),
        steps=_steps(recipe, told, per_reason),
        read=told[0].rows_in,
        sets={SETS[kind]: manifest["rows"][kind] for kind in SET_KINDS} if manifest else {},
        finished=manifest is not None,
        lost={verdict: sum(step.total(verdict) for step in told) for verdict in _VERDICTS},
        seconds=sum(seconds.values()),
        costs=[_cost(row) for row in costs],
        kept=kept,
        paid=sum(row["spent"] for row in kept),
        faults=[_fault(fault) for fault in audit(recipe)[:FAULTS_SHOWN]],
        audit_field=recipe.audit,
        recipe_text=without_folders(dump_build_recipe(recipe)),
        versions=manifest["versions"] if manifest else {},
        verdicts=_VERDICTS,
    )


def _opening(told: Sequence[StepTold], manifest: Mapping[str, Any] | None) -> str:
    """What came in and what came out, in plain words."""
    read = told[0].rows_in
    if manifest is None:
        through = told[-1].rows_out
        return f"{read:,} rows were read; the build is not finished, {through:,} have come to its end so far."
    sets = [f"{manifest['rows'][kind]:,} {SETS[kind]}" for kind in SET_KINDS if manifest["rows"][kind]]
    rows = sum(manifest["rows"].values())
    return f"{read:,} rows were read, {rows:,} came through: {', '.join(sets) or 'none'}."


def share(part: int, whole: int) -> str:
    """A share in percent, with as many decimals as tell it from none and from all."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    return f"{percent:.0f} %" if percent == int(percent) else f"{percent:.1f} %"


def _steps(recipe: BuildRecipe, told: Sequence[StepTold], per_reason: int) -> list[StepShown]:
    drawn = examples(recipe, per_reason)
    showing = Showing(tools_of(recipe, 1))
    order = list(_VERDICTS)
    shown = []
    for step in told:
        counts = sorted(step.counts.items(), key=lambda one: (order.index(one[0][0]), -one[1], one[0][1]))
        reasons = [
            ReasonShown(
                verdict,
                reason,
                count,
                [showing.shown(one) for one in drawn.get(Reason(step.index, verdict, reason), ())],
            )
            for (verdict, reason), count in counts
        ]
        parameters = ", ".join(
            f"{name}: {isolated(json.dumps(value, ensure_ascii=False))}" for name, value in step.parameters.items()
        )
        shown.append(StepShown(step, clipped(parameters, 400), reasons))
    return shown


def _kept(recipe: BuildRecipe) -> list[dict[str, Any]]:
    """What the kept answers have cost, by step and model."""
    if not recipe.models or not recipe.answers_file.exists():
        return []
    with Books(recipe.answers_file) as books:
        return books.kept()


def _cost(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the books as the page's table has it."""
    known = ("asked", "cached", "sent", "tokens_in", "tokens_out", "spent")
    causes = {name: _causes(row.get(name) or {}) for name in ("retries", "repeats", "problems")}
    return {"step": str(row["step"]), "model": str(row["model"])} | {name: row.get(name, 0) for name in known} | causes


def _causes(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{isolated(cause)}: {count:,}" for cause, count in sorted(counts.items())) or "–"


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "label": clipped(fault.label, 100),
        "planted": fault.planted,
        "dropped": _by_step(fault.dropped),
        "failed": _by_step(fault.failed),
        "changed": _by_step(fault.changed),
        "changed_rows": fault.changed_rows,
        "kept": fault.kept,
        "waiting": fault.waiting,
    }


def _by_step(counts: Counter[tuple[str, str]]) -> list[str]:
    found = sorted(counts.items(), key=lambda one: -one[1])
    return [f"{count:,} {isolated(name)}: {isolated(reason)}" for (name, reason), count in found]


def _manifest(recipe: BuildRecipe) -> dict[str, Any] | None:
    """The manifest, if the build is finished."""
    try:
        found: dict[str, Any] = json.loads((recipe.folder / MANIFEST).read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return None
