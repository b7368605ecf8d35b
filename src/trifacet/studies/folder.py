"""The folder of a study: what it was begun with, what may change, and what is finished in it.

Invariant: a folder belongs to one study at one budget. Cells and seeds may be added; a cell that is there keeps its
recipe, and none is taken out, since what is left out afterwards changes what the others seem to say. Claims and
measures may change, and from then on the folder says since when.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trifacet.base import claims, seals
from trifacet.base.claims import Claim
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing
from trifacet.generation.settings import settings_path
from trifacet.runs.folder import claimed as claimed_run
from trifacet.runs.keeping import MARK as RUN
from trifacet.studies.cells import Cell
from trifacet.studies.settings import MOST_SEEDS, LoadedStudy
from trifacet.studies.works import Job, Plan
from trifacet.training.recipe import recipe_fingerprint

MARK = "study.json"
DOCUMENT = "results.json"
PAGES = ("study.html", "study.md", "study.tex", DOCUMENT)  # written last
FOLDERS = ("worlds", "starts", "cells", "logs")


@contextlib.contextmanager
def claimed(
    loaded: LoadedStudy, cells: list[Cell], added: tuple[int, ...], *, overwrite: bool = False
) -> Iterator[tuple[Claim, tuple[int, ...]]]:
    """The study's folder for this process alone, and its seeds: those of the file and all that were ever added.

    Raises:
        TrifacetError: it holds another study, or another process works in it.
    """
    folder = loaded.folder
    with claims.claimed(folder, MARK) as claim:
        claim.clear((folder / name for name in (*PAGES, *FOLDERS)), asked=overwrite)
        held = claim.held(study=str, cells=dict, seeds=list)
        recipes = {cell.name: _values(cell) for cell in cells}
        asked = {"measures": list(loaded.study.measures), "claims": [one.statement for one in loaded.study.claims]}
        if held is None:
            seeds = tuple(dict.fromkeys((*loaded.seeds, *added)))
            facts = {"study": loaded.study.name, "budget": loaded.budget, "cells": recipes, "seeds": list(seeds)}
            claim.begin(
                {**facts, **asked, "asked_since": None, "versions": claims.versions(("trifacet",)),
                 "started": claims.moment(), "finished": None, "seconds": {}}
            )  # fmt: skip
        else:
            _refuse_changed(loaded, held, recipes)
            seeds = tuple(dict.fromkeys((*held["seeds"], *loaded.seeds, *added)))
            claim.set("cells", recipes)
            claim.set("seeds", list(seeds))
            there = {key: held.get(key) for key in asked}
            if there != asked:
                claim.set("asked_since", claims.moment())
                for key, value in asked.items():
                    claim.set(key, value)
        if len(seeds) > MOST_SEEDS:
            raise TrifacetError(f"{folder}: {len(seeds)} seeds; at most {MOST_SEEDS}")
        yield claim, seeds


def seeds_of(loaded: LoadedStudy) -> tuple[int, ...]:
    """The seeds of a study's file, and those that were added in its folder, which is not claimed for that."""
    try:
        held = seals.read_document(loaded.folder / MARK, claims.CURE).get("seeds", [])
    except DataError:
        held = []
    return tuple(dict.fromkeys((*held, *loaded.seeds)))


def record_of(folder: Path) -> dict[str, Any]:
    """What a run in ``folder`` has noted; nothing where there is none, or it cannot be read."""
    try:
        return seals.read_document(folder / RUN, claims.CURE)
    except DataError:
        return {}


def is_finished(plan: Plan, job: Job) -> bool:
    """Whether the job's run is there, finished, by the recipe that the plan has."""
    record = record_of(plan.folder / job.name)
    return bool(record.get("finished")) and record.get("recipe_sha256") == recipe_fingerprint(job.recipe)


def seconds_of(plan: Plan) -> dict[str, Mapping[str, float]]:
    """Of every finished job how long its parts took."""
    return {
        name: record_of(plan.folder / name).get("seconds", {})
        for name, job in plan.jobs.items()
        if is_finished(plan, job)
    }


def take_lent(plan: Plan, job: Job) -> list[str]:
    """Begin a job's run with what other runs have made, as far as that is there and sound; the names of what is.

    The run looks at it as at its own: scores of another reference or texts of another model are refused there.

    Raises:
        TrifacetError: the folder is another run's, or cannot be written.
    """
    taken: list[str] = []
    if not job.lent or is_finished(plan, job):
        return taken
    with claimed_run(job.recipe) as claim:
        for lent in job.lent:
            taken += _copied(plan.folder / lent.job, lent.name, claim, lent.own)
    return taken


def _copied(source: Path, name: str, claim: Claim, own: str) -> list[str]:
    """Copy a sealed file or folder into a run that lacks it; a file of texts brings its settings, before itself."""
    noted = record_of(source).get("sealed", {})
    there = [one for one in noted if one == name or one.startswith(f"{name}/")]
    if (claim.folder / own).exists() or not there:
        return []
    if seals.first_damage(source, {one: noted[one] for one in there}) is not None:
        return []  # whose it is mends it; here it is made anew
    pairs = [(source / one, claim.folder / own / one.removeprefix(f"{name}/")) for one in there if one != name]
    if name in noted:
        file, target = source / name, claim.folder / own
        pairs = [(settings_path(file), settings_path(target)), (file, target)]
    for file, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            shutil.copyfile(file, temporary)
    claim.seal(*(target for _, target in pairs))
    return [own]


def _values(cell: Cell) -> dict[str, Any]:
    """What decides a cell's results, for people who want to know what differs."""
    values = cell.recipe.model_dump(mode="json", exclude={"name", "output", "seed", "seeds", "sweep"})
    for key in ("on_bad_row", "workers"):
        del values["data"][key]
    return {**values, "measured": cell.stage}


def _refuse_changed(loaded: LoadedStudy, held: Mapping[str, Any], recipes: Mapping[str, Any]) -> None:
    folder = loaded.folder
    if (held["study"], held.get("budget")) != (loaded.study.name, loaded.budget):
        raise claims.refused(f"{folder} holds another study ({held['study']})")
    if gone := [name for name in held["cells"] if name not in recipes]:
        raise TrifacetError(
            f"{folder}: cell {gone[0]!r} was begun and is not in {loaded.file} any more; put it back, or {claims.CURE}"
        )
    now = {name: recipes[name] for name in held["cells"]}
    if changed := claims.differences(held["cells"], now, "."):
        raise claims.refused(
            f"{folder} was begun with another recipe ({changed[0].path} differs): {claims.told(changed)}"
        )
