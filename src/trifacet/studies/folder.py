"""The folder of a study: what it was begun with, what may change, and what is finished in it.

Invariant: a folder belongs to one study at one budget. Cells and seeds may be added; a cell that is there keeps its
recipe, and none is taken out, since what is left out afterwards changes what the others seem to say. Claims and
measures may change, and from then on the folder says since when. Runs lie in a store, which other studies share: one
process at a time does a run, and nobody removes one.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trifacet.base import claims, seals, system
from trifacet.base.claims import Claim
from trifacet.base.digests import json_digest
from trifacet.base.errors import DataError, TrifacetError, cure_of
from trifacet.base.files import replacing, write_atomically
from trifacet.base.opening import read_text
from trifacet.base.progress import console
from trifacet.evolving.folder import evolve_fingerprint
from trifacet.evolving.parts import MARK as EVOLVED
from trifacet.evolving.settings import EvolveRecipe
from trifacet.generation.settings import settings_path
from trifacet.runs.folder import claimed as claimed_run
from trifacet.runs.keeping import MARK as RUN
from trifacet.studies.cells import Cell
from trifacet.studies.contents import contents_of
from trifacet.studies.settings import MOST_SEEDS, LoadedStudy
from trifacet.studies.works import EVOLUTION, Job, Plan
from trifacet.training.recipe import Recipe, recipe_fingerprint

MARK = "study.json"
DOCUMENT = "results.json"
PAGES = ("study.html", "study.md", "study.tex", DOCUMENT)  # written last
LOGS = "logs"
_MOST = 10_000  # bytes of a note
_LOOK = 0.5  # seconds between two looks at a job that another process does
MADE = "made"  # of a store: which run has scores of a reference, or key regions, that other runs can begin with


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
        claim.clear((folder / name for name in (*PAGES, LOGS)), asked=overwrite)
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
        return seals.read_document(folder / (RUN if (folder / RUN).exists() else EVOLVED), claims.CURE)
    except DataError:
        return {}


def is_finished(job: Job) -> bool:
    """Whether the job's run is there, finished, by the recipe that the plan has."""
    record = record_of(job.folder)
    return bool(record.get("finished")) and record.get("recipe_sha256") == fingerprint_of(job.recipe)


def fingerprint_of(recipe: Recipe | EvolveRecipe) -> str:
    """SHA-256 of all that decides what a run leaves."""
    return evolve_fingerprint(recipe) if isinstance(recipe, EvolveRecipe) else recipe_fingerprint(recipe)


def is_done(job: Job) -> bool:
    """Whether nothing is left to do: it is finished, and its scores are as they were written."""
    return is_finished(job) and damage_of(job) is None


def damage_of(job: Job) -> str | None:
    """What is wrong with a job's scores; None where nothing is."""
    noted = record_of(job.folder).get("sealed", {})
    damage = seals.first_damage(job.folder, {name: noted[name] for name in (job.scores,) if name in noted})
    return None if damage is None else f"{job.folder / damage.name} {damage.problem}"


def seconds_of(plan: Plan) -> dict[str, Mapping[str, float]]:
    """Of every finished job how long its parts took."""
    return {name: _seconds(job) for name, job in plan.jobs.items() if is_finished(job)}


def _seconds(job: Job) -> dict[str, float]:
    seconds: dict[str, float] = record_of(job.folder).get("seconds", {})
    return {EVOLUTION: sum(seconds.values())} if isinstance(job.recipe, EvolveRecipe) else seconds


@contextlib.contextmanager
def held(job: Job) -> Iterator[None]:
    """A job for this process alone; while another one, of whichever study, does it, this one waits and says so.

    Raises:
        TrifacetError: the store cannot be written.
    """
    path = job.folder.with_name(f".{job.folder.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        cure = cure_of(error, "choose another store")
        raise TrifacetError(f"cannot write to {path.parent}: {error.strerror}; {cure}") from None
    system.after_fork(lock.close)
    with lock:
        told = False
        while True:
            try:
                system.lock(lock)
                break
            except OSError:
                if not told:
                    console.print(f"{job.name}: another process does it in {job.folder}; waiting", soft_wrap=True)
                told = True
                time.sleep(_LOOK)
        yield


def take_lent(plan: Plan, job: Job) -> list[str]:
    """Begin a job's run with what other runs have made, as far as that is there and sound; the names of what is.

    The run looks at it as at its own: scores of another reference or texts of another model are refused there.

    Raises:
        TrifacetError: the folder is another run's, or cannot be written.
    """
    places = [(plan.jobs[lent.job].folder, lent.name, lent.own) for lent in job.lent]
    places += [(source, kind, kind) for kind, file in _made(plan, job) if (source := _maker(file))]
    if not places or is_done(job) or isinstance(job.recipe, EvolveRecipe):
        return []
    with claimed_run(job.recipe) as claim:
        return [own for source, name, own in places for own in _copied(source, name, claim, own)]


def note_made(plan: Plan, job: Job) -> None:
    """Note what a finished job has made that runs of other studies can begin with, if another one has not."""
    for kind, file in _made(plan, job):
        if not (maker := _maker(file)) or not (maker / kind).is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, str(job.folder.relative_to(plan.store)))


def _made(plan: Plan, job: Job) -> list[tuple[str, Path]]:
    """Of what a job makes the kinds that others could take, and the file of the store that says who made it.

    A run takes none but of models that lie where its own do.
    """
    keys = [(work.kind, json_digest([work.key, job.recipe.model.path])) for work, _ in job.works]
    return [(kind, plan.store / MADE / f"{kind}-{key[:24]}") for kind, key in keys if kind in ("reference", "regions")]


def _maker(file: Path) -> Path | None:
    """The run that a file of ``MADE`` names, if there is one."""
    try:
        return file.parent.parent / read_text(file, _MOST)
    except DataError:
        return None


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
    values = cell.values()
    for key in ("on_bad_row", "workers"):
        values.get("data", {}).pop(key, None)
    read = contents_of(cell.recipe)
    return {**values, "files": read | (contents_of(cell.evolution.recipe) if cell.evolution else {})}


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
