"""A whole study: its folder, its runs, its outcome.

Invariant: what a study leaves depends on its file, the base recipe and the seeds; interrupted and started again it does
what was not done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.claims import Claim
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.progress import console
from trifacet.base.words import visible_line
from trifacet.reports.study.page import study_latex, study_markdown, study_page
from trifacet.studies.cells import cells_of
from trifacet.studies.document import study_document
from trifacet.studies.folder import DOCUMENT, MARK, PAGES, claimed, is_finished, seeds_of
from trifacet.studies.looks import look_all
from trifacet.studies.planning import plan_of
from trifacet.studies.running import Done, do_job, do_jobs, job_command
from trifacet.studies.settings import LoadedStudy
from trifacet.studies.works import Plan


@dataclass(frozen=True)
class Studied:
    """The page's path, the document, and the runs that are not finished, each with the reason."""

    page: Path
    document: dict[str, Any]
    failed: dict[str, str]


def planned(loaded: LoadedStudy, added: Sequence[int] = ()) -> Plan:
    """The plan for the study's seeds, and those that were or are to be added; nothing is written."""
    return plan_of(loaded, tuple(dict.fromkeys((*seeds_of(loaded), *added))))


def begin_study(loaded: LoadedStudy, added: Sequence[int] = ()) -> Plan:
    """Mark the study's folder, for jobs that others will do. Raises TrifacetError as ``run_study`` does."""
    with claimed(loaded, cells_of(loaded), tuple(added)) as (_, seeds):
        return plan_of(loaded, seeds)


def run_study(
    loaded: LoadedStudy, *, processes: int = 1, added: Sequence[int] = (), overwrite: bool = False
) -> Studied:
    """Run what is not finished, and tell the outcome.

    Args:
        loaded: the study.
        processes: runs at a time.
        added: further seeds, which the folder keeps.
        overwrite: begin anew.

    Raises:
        TrifacetError: bad input or a refused state; a run that fails is told, and the rest goes on.
    """
    with claimed(loaded, cells_of(loaded), tuple(added), overwrite=overwrite) as (claim, seeds):
        plan = plan_of(loaded, seeds)
        with claim.timed("runs"):
            command = job_command(loaded.file, loaded.budget, loaded.given)
            done = do_jobs(plan, processes=processes, command=command)
        with claim.timed("looks"):
            failed = {**done.failed, **look_all(plan, loaded.study.measures)}
        return _told(loaded, plan, claim, failed)


def report_study(loaded: LoadedStudy) -> Studied:
    """Tell the outcome of what is finished; nothing is run."""
    with claimed(loaded, cells_of(loaded), ()) as (claim, seeds):
        plan, done = plan_of(loaded, seeds), Done()
        for name, job in plan.jobs.items():
            if not is_finished(job):
                done.failed[name] = "not finished"
        return _told(loaded, plan, claim, done.failed)


def run_one_job(loaded: LoadedStudy, name: str) -> None:
    """Do one job of a study that was begun, whose folder another process may have claimed.

    Raises:
        TrifacetError: it was not begun; and as ``do_job`` does.
    """
    if not (loaded.folder / MARK).exists():
        raise TrifacetError(f"{loaded.folder} holds no study; begin it by --slurm FILE, or without --job")
    plan = planned(loaded)
    do_job(plan, name)
    for what, why in look_all(plan, loaded.study.measures, job=name).items():  # the run is whole all the same
        console.tell(("warning:", "bold yellow"), f" {what}: {visible_line(why)}")


def _told(loaded: LoadedStudy, plan: Plan, claim: Claim, failed: dict[str, str]) -> Studied:
    document = study_document(loaded, plan, failed=failed, asked_since=claim.facts.get("asked_since"))
    folder = loaded.folder
    write_atomically(folder / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_atomically(folder / "study.html", study_page(document))
    write_atomically(folder / "study.md", study_markdown(document))
    write_atomically(folder / "study.tex", study_latex(document))
    claim.seal(*(folder / name for name in PAGES))
    if failed:
        claim.set("finished", None)
    else:
        claim.finish()
    return Studied(folder / "study.html", document, failed)
