"""Looks into the models of a study (``trifacet probe``), kept beside the run that has the model's texts.

Invariant: what is kept says of which model, texts and looks it is; what is of others is not read. A look is at texts
that the model writes greedily, whatever the recipe's ``generate`` has, as ``trifacet probe`` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.base.progress import Bar
from trifacet.data.source import source_of
from trifacet.evolving.settings import EvolveRecipe
from trifacet.models.asking import WayOfAsking
from trifacet.probing.document import read_document
from trifacet.probing.embeddings import distance_measures, silhouette
from trifacet.probing.measuring import probe_measures
from trifacet.probing.probe import Looks, Prober
from trifacet.probing.vectors import read_vectors, write_vectors
from trifacet.runs.steps import posts_of
from trifacet.statistics.measures import Measure
from trifacet.studies.folder import held, is_finished, record_of
from trifacet.studies.measures import DISTANCES, PROBE, noise_step, plainly
from trifacet.studies.works import Job, Plan
from trifacet.training.sources import load_for
from trifacet.training.stage import stage_folder

FOLDER, MOST_BYTES = "looks", 1_000_000


def looks_asked(measures: Sequence[str]) -> Looks | None:
    """What has to be looked at for these measures; None for nothing."""
    names = [plainly(one).removeprefix(PROBE) for one in measures if plainly(one).startswith(PROBE)]
    if not names:
        return None
    steps = sorted({step for one in measures if (step := noise_step(one)) is not None})
    return Looks(
        attention=any(one.startswith("attention/") for one in names),
        steps=tuple(steps),
        embeddings=any(one in DISTANCES for one in names),
    )


def look_all(plan: Plan, measures: Sequence[str], *, job: str | None = None) -> dict[str, str]:
    """Look into every finished cell's model that was not looked into; what failed, by the job's name.

    Args:
        plan: the cells and their runs.
        measures: what the study measures.
        job: only the models of this one.
    """
    asked, failed = looks_asked(measures), {}
    for outcome in dict.fromkeys(plan.outcomes.values()):
        name = outcome.job
        if asked is None or job not in (None, name) or not is_finished(plan.jobs[name]):
            continue
        try:
            with held(plan.jobs[name]):
                _look(plan.jobs[name], outcome.model, asked)
        except TrifacetError as error:
            failed[f"{name}: looks"] = str(error)
    return failed


def look_numbers(folder: Path, model: str, measures: Sequence[str]) -> dict[str, Measure | float]:
    """The measures that looks into a model of a run gave, in ``folder``.

    Raises:
        TrifacetError: nobody has looked, or what is kept is of another model or of fewer looks.
    """
    asked = looks_asked(measures)
    assert asked is not None
    home = folder / FOLDER
    if not _covers(_kept(home, model), _told(folder, model, asked)):
        raise TrifacetError("nobody has looked into the model yet; the study's own command does")
    found: dict[str, Measure | float] = {one.name: one for one in probe_measures(read_document(home / f"{model}.json"))}
    file = home / f"{model}.safetensors"
    if asked.embeddings and file.exists():  # no sample may have a reference
        vectors = read_vectors(file)
        pair = vectors.generated_Sd.astype(float), vectors.reference_Sd.astype(float)
        found |= {str(name): one for name, one in distance_measures(vectors.ids, *pair).items()}
        apart = silhouette(*pair)
        found |= {} if apart is None else {"silhouette": apart}
    names = [(name, plainly(name).removeprefix(PROBE)) for name in measures]
    return {name: found[own] for name, own in names if own in found}


def _look(job: Job, model: str, asked: Looks) -> None:
    folder, recipe = job.folder, job.recipe
    if isinstance(recipe, EvolveRecipe):
        raise TrifacetError("looks are into models of trifacet run; leave probe/... out of the measures")
    home, told = folder / FOLDER, _told(folder, model, asked)
    if _covers(_kept(home, model), told):
        return
    own = model != "base" or recipe.model.path is None
    path = stage_folder(folder, model) / "model" if own else Path(str(recipe.model.path))
    source = source_of(recipe.data, recipe.folder, "test")
    samples = posts_of(recipe, "test", source)
    references = {one.id: one.references[0] for one in samples if one.references}
    loaded = load_for(recipe.model, path if own else str(recipe.model.path), to_train=False)
    looks = Looks(
        asked.attention, asked.text, asked.steps, asked.embeddings, recipe.generate.max_new_tokens,
        recipe.generate.batch_size, recipe.seed,
    )  # fmt: skip
    with Bar(f"{job.name}: looks into {model}") as bar:
        encoder = WayOfAsking.of(recipe.data).encoder(loaded.family)
        prober = Prober(loaded, encoder, samples, references, source.images, looks, bar.update)
        document, vectors = prober.probe(model=model, data=source.file.name)
    home.mkdir(exist_ok=True)
    write_atomically(home / f"{model}.json", document.model_dump_json(indent=1) + "\n")
    if vectors is not None:
        write_vectors(vectors, home / f"{model}.safetensors")
    write_atomically(home / f"{model}.settings.json", json.dumps(told) + "\n")


def _told(folder: Path, model: str, asked: Looks) -> dict[str, Any]:
    record = record_of(folder)
    texts = record.get("sealed", {}).get(f"generations/{model}.jsonl")
    looks = {key: value for key, value in asdict(asked).items() if key in ("attention", "steps", "embeddings")}
    return json.loads(json.dumps({"recipe_sha256": record.get("recipe_sha256"), "texts": texts, "looks": looks}))


def _kept(home: Path, model: str) -> Mapping[str, Any]:
    try:
        kept = read_json(home / f"{model}.settings.json", MOST_BYTES)
    except DataError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _covers(kept: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether what is kept is of the same model and texts, and has at least these looks."""
    if any(kept.get(key) != told[key] for key in ("recipe_sha256", "texts")):
        return False
    have, want = kept.get("looks", {}), told["looks"]
    return (
        {*want["steps"]} <= {*have.get("steps", ())}
        and (have.get("attention") or not want["attention"])
        and (have.get("embeddings") or not want["embeddings"])
    )
