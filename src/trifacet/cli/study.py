"""``trifacet study``: many runs that differ in stated ways, and what came of the claims."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.common import EXIT_FINDINGS, err, json_or_table, out, plain, print_table, write_json
from trifacet.cli.options import OverwriteOption
from trifacet.cli.trial_options import JsonOption, refuse_together
from trifacet.settings.section import LARGEST_SEED


def study(
    named: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="a study that comes with Trifacet, or a YAML file; without one those that come with it are listed",
            show_default=False,
        ),
    ] = None,
    *,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="NAME", help="one of the study's budgets \\[default: small]", show_default=False
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="override a key of the study, such as output=runs/mine"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="show cells, runs and what is shared; run nothing")] = False,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, max=256, help="runs at a time")] = 1,
    add_seed: Annotated[
        list[int] | None,
        typer.Option("--add-seed", min=0, max=LARGEST_SEED, help="a further seed, which the folder keeps. Repeatable."),
    ] = None,
    slurm: Annotated[
        Path | None, typer.Option("--slurm", metavar="FILE", help="write a script that hands the runs to SLURM")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", metavar="NAME", help="do one run of the plan alone")] = None,
    report: Annotated[bool, typer.Option("--report", help="tell what is finished; run nothing")] = False,
    index: Annotated[
        Path | None,
        typer.Option("--index", metavar="FOLDER", help="write a page over all studies in a folder; run nothing"),
    ] = None,
    overwrite: OverwriteOption = False,
    json_path: JsonOption = None,
) -> None:
    """Run the cells of a study with every seed, what they share once, and say which of its claims hold.

    The same command continues; a run that fails is told, and the rest goes on.

    Examples:
      trifacet study components --plan

      trifacet study components --jobs 2

      trifacet study my-study.yaml --add-seed 22

      trifacet study --index runs/studies
    """
    from trifacet.studies.settings import load_study

    only = {"--plan": plan, "--slurm": slurm is not None, "--job": job is not None, "--report": report}
    _refuse(only | {"--index": index is not None}, overwrite=overwrite, add_seed=bool(add_seed))
    if index is not None or named is None:
        _without_study(named, index, json_path, given=any((*only.values(), budget, set_, add_seed, overwrite)))
        return
    loaded = load_study(named, budget, set_ or ())
    if plan or slurm is not None:
        from trifacet.studies.document import plan_document
        from trifacet.studies.study import begin_study, planned

        if slurm is not None:
            from trifacet.base.files import write_atomically
            from trifacet.studies.slurm import slurm_script

            write_atomically(slurm, slurm_script(loaded, begin_study(loaded, add_seed or ())))
            out.print(plain(str(slurm)))
        else:
            _tell_plan(plan_document(loaded, planned(loaded, add_seed or ())), json_path)
        return
    if job is not None:
        from trifacet.studies.study import run_one_job

        run_one_job(loaded, job)
        return
    err.print(
        f"{plain(loaded.study.name)}: {plain(loaded.study.title or 'study')}, in {plain(str(loaded.folder))}",
        soft_wrap=True,
    )
    from trifacet.studies.study import report_study, run_study

    if report:
        done = report_study(loaded)
    else:
        done = run_study(loaded, processes=jobs, added=add_seed or (), overwrite=overwrite)
    _tell(done.document, json_path)
    if json_path != "-":
        out.print(plain(str(done.page)))
    if done.failed:
        count = len(done.failed)
        err.print(f"{count} run{'' if count == 1 else 's'} not finished; the same command tries again", soft_wrap=True)
        sys.exit(EXIT_FINDINGS)


def _without_study(named: str | None, index: Path | None, json_path: str | None, *, given: bool) -> None:
    """The index over studies, or a list of those that come with the package."""
    if named is not None:
        raise TrifacetError("--index is about all studies in a folder; leave the study out")
    if index is None:
        if given:
            raise TrifacetError("which study? give a name or a YAML file; trifacet study alone lists the names")
        _list(json_path)
        return
    from trifacet.studies.index import write_index

    page, document = write_index(index)
    rows = [
        [plain(one["study"]), plain(one["budget"]), f"{one['cells']} x {one['seeds']}", plain(one["state"]),
         plain(", ".join(f"{count} {verdict}" for verdict, count in one["verdicts"].items()))]
        for one in document["studies"]
    ]  # fmt: skip
    json_or_table(document, json_path, "studies", ("study", "budget", "cells x seeds", "state", "claims"), rows)
    for problem in document["problems"]:
        err.tell(("warning:", "bold yellow"), f" {plain(problem)}")
    if json_path != "-":
        out.print(plain(str(page)))


def _list(json_path: str | None) -> None:
    from trifacet.studies.cells import cells_of
    from trifacet.studies.settings import known_studies, load_study

    found: list[dict[str, Any]] = []
    for name in known_studies():
        loaded = load_study(name)
        found.append({
            "study": name, "title": loaded.study.title or "", "cells": len(cells_of(loaded)),
            "seeds": len(loaded.seeds), "claims": len(loaded.study.claims), "budgets": list(loaded.study.budgets),
        })  # fmt: skip
    rows = [[one["study"], one["title"], f"{one['cells']} x {one['seeds']}", one["claims"]] for one in found]
    json_or_table({"studies": found}, json_path, "studies", ("study", "asks", "cells x seeds", "claims"), rows)
    if json_path == "-":
        return
    kinds = dict.fromkeys(tuple(one["budgets"]) for one in found)
    for kind in kinds:
        named = [one["study"] for one in found if tuple(one["budgets"]) == kind]
        whose = f" of {', '.join(named)}" if len(kinds) > 1 else ""
        out.print(f"budgets{whose}: {', '.join(kind) or 'none'}", soft_wrap=True)


def _refuse(only: Mapping[str, bool], *, overwrite: bool, add_seed: bool) -> None:
    """Raise TrifacetError for options that do not go together."""
    refuse_together(only)
    if any(only.values()) and overwrite:
        raise TrifacetError("--overwrite begins the study anew; give it alone")
    if add_seed and (only["--report"] or only["--job"] or only["--index"]):
        raise TrifacetError("--add-seed adds runs; leave out --report, --job and --index")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrifacetError("a study starts its runs itself, one process each; leave out the launcher")


def _tell_plan(document: Mapping[str, Any], json_path: str | None) -> None:
    rows = [
        [kind, count["alone"], count["shared"], count["alone"] - count["shared"], count["there"]]
        for kind, count in document["works"].items()
    ]
    seconds, hours = document["seconds"], document["gpu_hours"]
    if seconds is not None:
        from trifacet.reports.words import duration

        saved = seconds["alone"] - seconds["shared"]
        rows.append(["time, as it was", duration(seconds["alone"]), duration(seconds["shared"]), duration(saved), ""])
    if hours is not None:
        saved = f"{hours['alone'] - hours['shared']:.1f}"
        shown = [f"{hours[way]:.1f}" for way in ("alone", "shared", "there")]
        rows.append(["hours of a GPU, as stated", *shown[:2], saved, shown[2]])
    if json_path:
        write_json(document, json_path)
    if json_path == "-":
        return
    cells, seeds = document["cells"], document["seeds"]
    first = [one for one in document["jobs"] if f"/seed-{seeds[0]}" in one["job"]]
    runs = [
        [plain(one["job"]), ", ".join(dict.fromkeys(one["works"])), plain(", ".join(one["begins_with"]))]
        for one in first
    ]
    others = f"; those of {len(seeds) - 1} more are alike" if len(seeds) > 1 else ""
    print_table(f"runs of seed {seeds[0]}{others}", ("run", "does", "begins with"), runs)
    title = f"{cells} cells x {len(seeds)} seed{'' if len(seeds) == 1 else 's'} in {document['runs']} runs"
    print_table(title, ("work", "each cell alone", "shared", "saved", "there already"), rows)
    if hours is not None:
        rates = ", ".join(f"{plain(kind)} {rate:g}" for kind, rate in hours["stated"].items())
        rest = f"; nothing is stated of {plain(', '.join(hours['not_stated']))}" if hours["not_stated"] else ""
        out.print(f"hours of a GPU as stated: {rates}{rest}", soft_wrap=True)


def _tell(document: Mapping[str, Any], json_path: str | None) -> None:
    from trifacet.reports.study.page import difference_text, value_text

    rows = [
        [plain(one["cell"]), *(value_text(one["measures"][measure]) for measure in document["measures"])]
        for one in document["cells"]
    ]
    seeds = document["seeds"]
    title = f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}, mean [95 %]"
    json_or_table(document, json_path, title, ("cell", *map(plain, document["measures"])), rows)
    if json_path == "-":
        return
    if document["claims"]:
        claims = [
            [
                plain(one["statement"]),
                one["verdict"],
                "; ".join(difference_text(part) for part in one["parts"]),
                "-" if one["p_corrected"] is None else f"{one['p_corrected']:.3f}",
                "-" if one["smallest"] is None else f"{one['smallest']:.3g}",
            ]
            for one in document["claims"]
        ]
        print_table("claims", ("claim", "verdict", "difference [95 %]", "p (Holm)", "smallest found"), claims)
    _tell_people(document["people"])
    for problem in document["problems"]:
        err.tell(("warning:", "bold yellow"), f" {plain(problem)}")


def _tell_people(people: Mapping[str, Any] | None) -> None:
    """What people said, and by which command those are asked who have not yet."""
    if people is None:
        return
    from trifacet.reports.study.page import people_cells

    rows = [[plain(cell) for cell in people_cells(pair)] for pair in people["pairs"]]
    heads = ("first preferred to second", "verdict", "wins, ties, losses", "p (Holm)", "judges", "alpha")
    print_table(f"people, on texts of seed {people['seed']}", heads, rows)
    for pair in people["pairs"]:
        if pair["command"] and not pair["votes"]:
            out.print(plain(pair["command"]), soft_wrap=True)
