"""``trifacet evolve``: preference pairs that a model builds and verifies, and a model aligned on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.common import err, json_or_table, out, plain, print_table, tell_damage, write_json
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

if TYPE_CHECKING:
    from trifacet.evolving.evolve import Evolved
    from trifacet.evolving.settings import EvolveRecipe

SAMPLED = 20  # of --dry-run


def evolve(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="a YAML recipe of rounds")],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="override a recipe key, such as verification.votes=3"),
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
    """Build preference pairs with a model, verify them, and align it on them; the same command continues.

    The verifier is measured first, and a weak one stops the run.

    Examples:
      trifacet evolve recipes/ipa-qwen2-vl-7b.yaml --dry-run

      trifacet evolve recipes/ipa-qwen2-vl-7b.yaml --estimate

      trifacet evolve recipes/ipa-qwen2-vl-7b.yaml

      trifacet evolve recipes/ipa-qwen2-vl-7b.yaml --explain sample-17
    """
    from trifacet.evolving.settings import load_evolve_recipe

    chosen = {
        "--dry-run": dry_run,
        "--estimate": estimate,
        "--explain": explain is not None,
        "--report": report,
        "--verify": verify,
    }
    refuse_together(chosen)
    if overwrite and any(chosen.values()):
        raise TrifacetError("--overwrite begins the run anew; give it alone")
    loaded = load_evolve_recipe(recipe, set_ or ())
    if verify:
        from trifacet.evolving.verified import verify as look

        tell_damage(look(loaded.folder), "the same command without --verify makes them again, or says what to do")
    elif explain is not None:
        from trifacet.cli.evolve_view import print_story
        from trifacet.evolving.document import explain as story_of

        story = story_of(loaded.folder, explain)
        if json_path:
            write_json(story, json_path)
        if json_path != "-":
            print_story(story)
    elif report:
        _report(loaded.folder, json_path)
    elif (estimate or dry_run) and ray:
        raise TrifacetError("a trial works on this machine; leave out --ray")
    elif estimate:
        _estimate(loaded, sample, json_path)
    elif dry_run:
        announce(loaded, sample or SAMPLED)
        from trifacet.evolving.trying import preview

        _done(preview(loaded, sample or SAMPLED, workers=workers), json_path)
    else:
        announce(loaded, None)
        from trifacet.evolving.evolve import evolve as whole  # torch, for which a refused recipe need not wait

        _done(whole(loaded, overwrite=overwrite, ray=ray, workers=workers), json_path)


def _done(done: Evolved, json_path: str | None) -> None:
    _tell(done.document, json_path)
    if json_path == "-":
        return
    if done.pairs is not None:
        out.print(f"pairs: {plain(str(done.pairs))}")
    if done.model is not None:
        out.print(f"model: {plain(str(done.model))}")
    if done.report is not None:
        out.print(str(done.report))


def announce(recipe: EvolveRecipe, dry_run: int | None) -> None:
    """The first line of a run, before torch is imported, which takes seconds."""
    if dry_run is not None:
        samples = f"{dry_run} sample{'' if dry_run == 1 else 's'}"
        err.print(f"{plain(recipe.name)}: {samples} through one round, beside {plain(recipe.output)}", soft_wrap=True)
        return
    count = recipe.rounds.count
    steps = ["gate"] if recipe.gate.samples and recipe.judge is None else []
    steps += [f"{count} round{'' if count == 1 else 's'}"]
    steps += ["alignment"] if recipe.align is not None else []
    err.print(f"{plain(recipe.name)}: {', '.join([*steps, 'report'])}, in {plain(recipe.output)}", soft_wrap=True)


def _report(folder: Path, json_path: str | None) -> None:
    from trifacet.base.claims import seal_again
    from trifacet.evolving.document import evolve_document
    from trifacet.evolving.parts import MARK
    from trifacet.reports.evolving.page import write_evolve_page

    document = evolve_document(folder)
    page = write_evolve_page(document, folder)
    seal_again(folder / MARK, page)
    _tell(document, json_path)
    if json_path != "-":
        out.print(str(page))


def _tell(document: Mapping[str, Any], json_path: str | None) -> None:
    """The rounds as a table, and what gives reason to stop and look."""
    columns = ("round", "samples", "answers", "no candidate", "malformed", "refused", "accepted", "share", "pairs")
    rows = [_row(one) for one in document["rounds"]]
    if len(rows) > 1:
        total = document["total"]
        rows.append(["all", total["samples"], *_counts(total), total["pairs"]])
    json_or_table(document, json_path, "rounds", columns, rows)
    for said in document["warnings"]:
        err.tell(("warning:", "bold yellow"), f" {plain(said)}")


def _row(one: Mapping[str, Any]) -> list[Any]:
    return [one["round"], one["samples"], *_counts(one["total"]), one["pairs"]]


def _counts(total: Mapping[str, Any]) -> list[Any]:
    judged = total["accepted"] + total["refused"]
    share = f"{100 * total['accepted'] / judged:.0f} %" if judged else ""
    return [*(total[key] for key in ("answers", "no_candidates", "malformed", "refused", "accepted")), share]


def _estimate(recipe: EvolveRecipe, sample: int | None, json_path: str | None) -> None:
    err.print(f"{plain(recipe.name)}: what it will ask, cost and take", soft_wrap=True)
    from trifacet.evolving.trying import TRIED, estimate
    from trifacet.reports.words import duration

    found = estimate(recipe, amount=sample or TRIED)
    columns = ("role", "questions", "tokens in", "tokens out", "cost", "time here")
    if json_path:
        write_json(found.document(), json_path)
    if json_path == "-":
        return

    def rows(costs: Sequence[Any]) -> list[list[Any]]:
        return [
            [
                plain(one.role),
                f"{one.questions:,}",
                f"{one.tokens_in:,}",
                f"{one.tokens_out:,}",
                f"{one.money:.4f}" if one.seconds is None else "",
                "" if one.seconds is None else duration(one.seconds),
            ]
            for one in costs
        ]

    print_table(f"round 1, all {found.samples} samples, from {found.tried}", columns, rows(found.round))
    if recipe.rounds.count > 1:
        print_table(f"all {recipe.rounds.count} rounds, at most", columns, rows(found.most))
    money, seconds = (sum(getattr(one, name) or 0.0 for one in found.most) for name in ("money", "seconds"))
    out.print(
        f"at most {money:.2f} for endpoints and {duration(seconds)} of models here, by one process; not in it: "
        f"{plain(found.untold)}"
    )
