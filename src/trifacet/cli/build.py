"""``trifacet build``: from raw posts to supervised, preference and test sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.base.claims import Claim, seal_again
from trifacet.base.errors import TrifacetError
from trifacet.base.seals import first_damage
from trifacet.cli.common import err, json_or_table, out, plain, tell_damage
from trifacet.cli.options import OverwriteOption, VerifyOption
from trifacet.cli.trial_options import (
    DryRunOption,
    EstimateOption,
    ExplainOption,
    JsonOption,
    RayOption,
    ReportOption,
    SampleOption,
    WorkersOption,
    refuse_together,
)

_GONE = ("drop", "fail")
SAMPLED = 200  # rows of --dry-run and --estimate
REASONS = 3  # of a step that the table at the end names

if TYPE_CHECKING:
    from trifacet.building.recipe import BuildRecipe


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML build recipe")],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="override a recipe key, such as models.judge.concurrency=4"),
    ] = None,
    dry_run: DryRunOption = False,
    estimate: EstimateOption = False,
    sample: SampleOption = None,
    explain: ExplainOption = None,
    report: ReportOption = False,
    ray: RayOption = None,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
    verify: VerifyOption = False,
    json_path: JsonOption = None,
) -> None:
    """Build data sets from raw posts; the same command continues what was interrupted.

    Examples:
      trifacet build recipes/build-demo.yaml --dry-run

      trifacet build recipes/build-demo.yaml --estimate

      trifacet build recipes/build-demo.yaml

      trifacet build recipes/build-demo.yaml --explain post-00017
    """
    from trifacet.building.recipe import load_build_recipe
    from trifacet.cli.build_view import live_view, print_story

    refuse_together(
        {"--dry-run": dry_run, "--estimate": estimate, "--explain": explain is not None, "--report": report,
         "--verify": verify}
    )  # fmt: skip
    loaded = load_build_recipe(recipe, set_ or ())
    if explain is not None:
        from trifacet.building.story import explain as story_of

        print_story(story_of(loaded, explain))
    elif verify:
        from trifacet.building.keeping import verify as look

        tell_damage(look(loaded), "delete them, and the same command without --verify makes them again")
    elif report:
        _write_report(loaded)
        out.print(str(loaded.folder / "funnel.html"))
    elif (estimate or dry_run) and ray:
        raise TrifacetError("a trial works on this machine; leave out --ray")
    elif estimate:
        _estimate(loaded, sample or SAMPLED, workers, json_path)
    elif dry_run:
        from trifacet.building import trial

        with live_view() as show:
            tried = trial.dry_run(loaded, sample or SAMPLED, workers=workers, show=show)
        err.print(f"{tried.rows} of {tried.of} rows, as a trial")
        _foretell(loaded, tried)
        _told(tried.recipe, tried.manifest, json_path)
    else:
        from trifacet.building.build import run_build

        with live_view() as show:
            manifest = run_build(loaded, overwrite=overwrite, ray=ray, workers=workers, show=show)
        _told(loaded, manifest, json_path)


def _told(recipe: BuildRecipe, manifest: dict[str, Any], json_path: str | None) -> None:
    """The funnel as a table, then the paths of what was written, the report last."""
    from trifacet.building.card import write_card
    from trifacet.building.folder import STATE_FILE
    from trifacet.building.output import SET_KINDS

    funnel, card = recipe.folder / "funnel.html", recipe.folder / "card.md"
    claim = Claim(recipe.folder, STATE_FILE)
    claim.held()
    pages = {name: seal for name, seal in claim.sealed.items() if name in (funnel.name, card.name)}
    if len(pages) < 2 or first_damage(recipe.folder, pages):
        write_card(recipe, manifest, card)
        _write_report(recipe)
        seal_again(claim.path, card)
    rows = [[plain(step["name"]), step["rows_in"], step["rows_out"], _why(step)] for step in manifest["steps"]]
    json_or_table(manifest, json_path, "rows", ("step", "in", "out", "gone, and why"), rows)
    if json_path != "-":
        sets = ", ".join(f"{manifest['rows'][kind]} {kind}" for kind in SET_KINDS)
        out.print(f"{plain(str(recipe.folder))}: {sets}, {manifest['failed']['rows']} failed")
        out.print(str(funnel))


def _write_report(recipe: BuildRecipe) -> None:
    from trifacet.building.folder import STATE_FILE, costs_of
    from trifacet.reports.funnel.page import write_funnel

    if not (recipe.folder / STATE_FILE).exists():
        raise TrifacetError(f"{recipe.folder} holds no build; begin it without --report")
    funnel = recipe.folder / "funnel.html"
    write_funnel(recipe, funnel, costs=costs_of(recipe.folder))
    seal_again(recipe.folder / STATE_FILE, funnel)


def _why(step: Mapping[str, Any]) -> str:
    """How many rows left at a step for which reasons, the most frequent first."""
    said = [(kind.partition(": "), count) for kind, count in step["counts"].items()]
    gone = sorted((-count, reason) for (verdict, _, reason), count in said if verdict in _GONE)
    more = -sum(count for count, _ in gone[REASONS:])
    told = [f"{-count} {plain(reason)}" for count, reason in gone[:REASONS]]
    return ", ".join(told + [f"{more} for other reasons"] * bool(more))


def _foretell(recipe: BuildRecipe, tried: Any) -> None:
    from trifacet.building.trial import losses, untold

    for said in losses(recipe, tried.manifest):
        err.print(f"the build would stop: {plain(said)}", soft_wrap=True)
    if said := untold(recipe, tried.rows, tried.of):
        err.print(f"note: {plain(said)}", soft_wrap=True)


def _estimate(recipe: BuildRecipe, sample: int, workers: int | None, json_path: str | None) -> None:
    from dataclasses import asdict

    from trifacet.building import trial
    from trifacet.cli.build_view import live_view

    with live_view() as show:
        tried, costs = trial.estimate_build(recipe, sample, workers=workers, show=show)
    _foretell(recipe, tried)
    columns = ("step", "rows", "core seconds", "questions", "tokens in", "tokens out", "cost", "at most")
    rows = [
        [plain(one.step), one.rows, one.core_seconds]
        + (
            [one.questions, one.tokens_in, one.tokens_out, f"{one.money:.4f}", f"{one.most:.4f}"]
            if one.questions
            else [""] * 5
        )
        for one in costs
    ]
    total = {"core_seconds": sum(one.core_seconds for one in costs)}
    total |= {name: sum(getattr(one, name) for one in costs) for name in ("questions", "money", "most")}
    document = {"rows": tried.of, "sample": tried.rows, "steps": [asdict(one) for one in costs], "total": total}
    json_or_table(document, json_path, f"the whole build of {tried.of} rows, from {tried.rows}", columns, rows)
    if json_path != "-":
        out.print(
            f"in all {total['core_seconds'] / 3600:.2f} core-hours here, {total['questions']} questions, "
            f"cost {total['money']:.2f} (at most {total['most']:.2f}, if every attempt is needed); each answer "
            "is taken to be as long as it may be"
        )
