"""``trifacet run``: all stages of a recipe, then texts, scores and the report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trifacet.cli.common import err, out, plain, print_table, print_unofficial, starred, tell_damage
from trifacet.cli.options import (
    OnBadRowOption,
    OnlyOption,
    OverwriteOption,
    RecipeArgument,
    SetOption,
    VerifyOption,
    overrides,
)

if TYPE_CHECKING:
    from trifacet.training.recipe import Recipe


def run(
    recipe: RecipeArgument,
    set_: SetOption = None,
    on_bad_row: OnBadRowOption = None,
    overwrite: OverwriteOption = False,
    verify: VerifyOption = False,
    only: OnlyOption = None,
) -> None:
    """Run a recipe from start to report; what is finished already is skipped.

    With --only nothing but these stages is trained, and the folders of their models are printed.

    Examples:
      trifacet run recipes/demo.yaml

      trifacet run recipes/demo.yaml --only sft --only dpo

      trifacet run recipes/llava-1.6-7b-mcm-dpo.yaml --set data.root=/data/palt --set output=runs/palt
    """
    from trifacet.training.recipe import load_recipe

    loaded = load_recipe(recipe, overrides(set_, on_bad_row))
    if verify:
        from trifacet.runs.keeping import verify as look

        tell_damage(look(loaded.folder), "the same command without --verify makes them again, or says what to do")
        return
    if only:
        train(loaded, only, overwrite=overwrite)
        return
    announce(loaded, [*loaded.stages, "texts, scores, report"])
    from trifacet.runs.run import run_recipe  # torch, for which a recipe that is refused need not wait
    from trifacet.training import ranks

    finished = run_recipe(loaded, overwrite=overwrite)
    if not ranks.is_first():
        return
    models = finished.scores.get("models", {})
    if finished.sweep:
        columns = ["stage", "learning_rate", "value", "repetition", "length", "degenerate", "chosen"]
        shown = [[_plain_cell(row[column]) for column in columns] for row in finished.sweep]
        metric = loaded.sweep.metric if loaded.sweep else ""
        reason = {name: why for name, why in finished.unofficial.items() if name == metric}
        titles = [f"{column}*" if reason and column == "value" else column for column in columns]
        print_table("the sweep, on the validation split", titles, shown)
        print_unofficial(reason)
    elif models:
        metrics = list(next(iter(models.values())).get("metrics", next(iter(models.values()))))
        starry = finished.unofficial
        rows = [[starred(metric, starry), *(_cell(scored, metric) for scored in models.values())] for metric in metrics]
        print_table("scores", ["metric", *map(plain, models)], rows)
        print_unofficial(finished.unofficial)
        if len(models) > 1 and not finished.scores.get("seeds"):
            err.print(
                "how sure the differences are is in the report; with effect sizes, and the samples that differ most: "
                f"trifacet compare {shlex.quote(str(finished.report.parent))} --html compare.html",
                soft_wrap=True,
            )
    out.print(str(finished.report))


def announce(recipe: Recipe, steps: Sequence[str]) -> None:
    """The first line of a run, before torch is imported, which takes seconds."""
    if os.environ.get("RANK", "0") == "0":
        err.print(f"{plain(recipe.name)}: {plain(', '.join(steps))}, in {plain(recipe.output)}", soft_wrap=True)


def train(recipe: Recipe, names: Sequence[str], *, overwrite: bool) -> None:
    """Train these stages of a recipe alone, and print the folders of their models."""
    recipe.refuse_unknown(names)
    announce(recipe, names)
    from trifacet.runs.run import run_stages
    from trifacet.training import ranks

    for folder in run_stages(recipe, names, overwrite=overwrite):
        if ranks.is_first():
            out.print(str(folder))


def _cell(scored: dict[str, Any], metric: str) -> str:
    """A score, or its mean and standard deviation over seeds, or - where it was not computed."""
    if "metrics" in scored:
        value = scored["metrics"][metric]
        return "-" if value is None else f"{value:.2f}"
    spread = scored[metric]
    return "-" if spread["mean"] is None else f"{spread['mean']:.2f} ± {spread['std']:.2f}"


def _plain_cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else plain(str(value))
