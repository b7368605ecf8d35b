"""A whole run: every stage of a recipe in order, each skipped where its finished output is there.

Invariant: what a run leaves depends on its recipe; interrupted and started again it does what was not done.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trifacet.base.claims import Claim
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.progress import console
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead, has_split, source_of
from trifacet.data.words_read import COUNTS, RECORD
from trifacet.generation.settings import settings_path
from trifacet.models.loading import pick_device
from trifacet.regions.store import LINES, MARK, TIMES
from trifacet.reports.run.report import write_report
from trifacet.runs.folder import FILES, claimed
from trifacet.runs.regions import locate_regions, refuse_without_section
from trifacet.runs.steps import (
    base_model,
    describe,
    keep_words,
    make_world,
    posts_of,
    preview_rejected,
    score_all,
    start_of,
    texts_of,
)
from trifacet.statistics.keys import OWN
from trifacet.training import ranks
from trifacet.training.bad_rows import SKIPPED
from trifacet.training.checkpoints import remove_all
from trifacet.training.features import remove_features
from trifacet.training.outcome import check_outcome
from trifacet.training.recipe import Align, Recipe
from trifacet.training.sources import REGIONS, Start, looks_at_regions
from trifacet.training.stage import stage_key, stage_of
from trifacet.training.stages import train_stage
from trifacet.training.trainer import trackers


class Finished(NamedTuple):
    """The report's path, the scores (empty where the recipe has no test set), and a sweep's rows.

    ``unofficial`` says of metrics why a value may not be that of their own program.
    """

    report: Path
    scores: dict[str, Any]
    sweep: Sequence[dict[str, Any]] = ()
    unofficial: Mapping[str, str] = {}


def run_recipe(recipe: Recipe, *, overwrite: bool = False, files: FilesRead | None = None) -> Finished:
    """Run everything that the recipe asks for; ``files``: what is read already.

    Raises:
        TrifacetError: bad input or a refused state; what is finished stays.
    """
    _meet(recipe, recipe.stages)
    files = files or FilesRead()
    if recipe.seeds:
        return _run_seeds(recipe, files, overwrite=overwrite)
    _check_files(recipe, ["sft", "preference", "validation" if recipe.sweep else "test"], files)
    with _claimed(recipe, overwrite=overwrite) as record:
        return _run(recipe, record, files)


def run_stages(recipe: Recipe, names: Sequence[str], *, overwrite: bool = False) -> list[Path]:
    """Only the training, and of that only these stages: ``sft``, or names of alignments.

    Returns:
        the folders of the finished models.
    """
    recipe.refuse_unknown(names)
    _meet(recipe, names)
    files = FilesRead()
    _check_files(recipe, ["sft", "preference"], files)
    with _claimed(recipe, overwrite=overwrite) as record:
        base = _prepared(recipe, record, files, texts=False)
        return list(_stages(recipe, names, base, record, files).values())


def _meet(recipe: Recipe, names: Sequence[str]) -> None:
    """Meet the run's other processes, if there are any, and see that the steps of the stages can be shared out."""
    ranks.start(pick_device(recipe.model.device))
    console.quiet = not ranks.is_first()
    with ranks.agreed():
        for name in names:
            stage = recipe.sft if name == "sft" else recipe.align[name]
            if stage is not None:
                trackers(stage)
                ranks.share_of(stage.accumulation, stage_key(name))
        refuse_without_section(recipe)


@contextlib.contextmanager
def _claimed(recipe: Recipe, *, overwrite: bool) -> Iterator[Claim | None]:
    """The recipe's folder, claimed by the first process for all; the others have no record to write."""
    with contextlib.ExitStack() as stack:
        record = None
        with ranks.agreed():
            if ranks.is_first():
                record = stack.enter_context(claimed(recipe, overwrite=overwrite))
        yield record


def _check_files(recipe: Recipe, splits: list[Split], files: FilesRead) -> None:
    """Read the data files before anything is made: a broken row is found now and not after hours."""

    def read() -> None:
        for split in splits:
            if has_split(recipe.data, split):
                source_of(recipe.data, recipe.folder, split, files=files).read()

    if recipe.data.world is None:
        ranks.first_does(read)


def _prepared(recipe: Recipe, record: Claim | None, files: FilesRead, *, texts: bool = True) -> Start:
    """Data, what stands in their pictures, and the base model; ``texts``: the run ends in texts."""
    if recipe.model.threads:
        torch.set_num_threads(recipe.model.threads)
    with _timed(record, "data"):
        ranks.first_does(lambda: make_world(recipe))
        if recipe.data.world is not None:
            _seal(record, recipe.folder / "data")
    if recipe.data.lettering == "prompt":
        with _timed(record, "words in pictures"):
            ranks.first_does(lambda: keep_words(recipe, files, texts=texts))
            _seal(record, recipe.folder / RECORD, recipe.folder / COUNTS)
    with _timed(record, "base model"):
        return ranks.first_does(lambda: base_model(recipe, files))


def _run(recipe: Recipe, record: Claim | None, files: FilesRead) -> Finished:
    base = _prepared(recipe, record, files)
    expanded = _expanded(recipe)
    models: dict[str, str | Path] = {} if recipe.model.tiny else {"base": base.path}
    models |= _stages(expanded, expanded.stages, base, record, files)
    ranks.first_does(lambda: remove_features(recipe.folder))

    def finish() -> Finished:
        assert record is not None  # the first process's
        scores = _evaluated(expanded, models, base, record, files)
        rows = _write_sweep(recipe, scores) if recipe.sweep else []
        record.finish()
        finished = Finished(write_report(recipe.folder, files), scores, rows, _unofficial(scores))
        _seal(record, *(recipe.folder / name for name in FILES))
        return finished

    return ranks.first_does(finish)


def _evaluated(
    recipe: Recipe, models: dict[str, str | Path], base: Start, record: Claim, files: FilesRead
) -> dict[str, Any]:
    """Texts of every model and their scores; the work of one process."""
    split: Split = "validation" if recipe.sweep else "test"
    with _timed(record, "rejected images"):
        if has_split(recipe.data, "preference"):
            preview_rejected(recipe, next(iter(models.values()), base.path), files)
            _seal(record, recipe.folder / "rejected")
    if not has_split(recipe.data, split):
        return {}
    source = source_of(recipe.data, recipe.folder, split, files=files)
    samples = posts_of(recipe, split, source)
    _seal(record, recipe.folder / SKIPPED)  # which lists those of this split now
    texts = {}
    for name, checkpoint in models.items():
        with _timed(record, f"texts of {name}"):
            texts[name] = describe(recipe, name, checkpoint, samples, source.images)
            file = texts_of(recipe, name)
            _seal(record, file, settings_path(file))
    with _timed(record, "scores"):
        scores = score_all(recipe, texts, split, samples)
        _seal(record, recipe.folder / "scores.json")
        return scores


def _stages(
    recipe: Recipe, names: Sequence[str], base: Start, record: Claim | None, files: FilesRead
) -> dict[str, Path]:
    """Train these stages, key regions located before the first that looks at them; their models' folders."""
    located = recipe.regions is None
    models = {}
    for name in names:
        if not located and name in recipe.align and looks_at_regions(recipe, recipe.align[name]):
            _locate(recipe, name, base, record, files)
            located = True
        models[name] = _stage(recipe, name, base, record, files)
    return models


def _locate(recipe: Recipe, name: str, base: Start, record: Claim | None, files: FilesRead) -> None:
    with _timed(record, "regions"):
        ranks.first_does(lambda: locate_regions(recipe, start_of(recipe, name, base).path, files))
        _seal(record, *(recipe.folder / REGIONS / file for file in (MARK, LINES, TIMES)))


def _stage(recipe: Recipe, name: str, base: Start, record: Claim | None, files: FilesRead) -> Path:
    """Train a stage unless it is finished, and check what came out; its model's folder."""
    start = ranks.first_does(lambda: start_of(recipe, name, base))
    with ranks.agreed():
        stage = stage_of(recipe, name, start, files)
    if ranks.first_does(lambda: stage.is_finished):
        console.print(f"{name}: finished before")
        ranks.first_does(lambda: remove_all(stage.folder))  # what a kill in its last moment left
        ranks.first_does(lambda: check_outcome(stage))
        return stage.model
    with _timed(record, name):
        done = train_stage(stage)
    cut = f", {done['cut_posts']} over-long posts cut" if done["cut_posts"] else ""
    console.print(f"{name}: {done['steps']} steps, {done['seconds_per_step']:.2f} s each{cut}")
    with _timed(record, f"check of {name}"):
        ranks.first_does(lambda: check_outcome(stage))
        _seal(record, recipe.folder / "reference", recipe.folder / SKIPPED)
    return stage.model


def _seal(record: Claim | None, *paths: Path) -> None:
    """Note the seals of what the run has made, if this process has its record."""
    if record is not None:
        record.seal(*(path for path in paths if path.exists()))


def _timed(record: Claim | None, stage: str) -> contextlib.AbstractContextManager[None]:
    """Adds the time of a block to the run's record, if this process has it, also when the block ends early."""
    return contextlib.nullcontext() if record is None else record.timed(stage)


# --- sweeps and seeds -------------------------------------------------------------------------------------------


def _cell_name(stage: str, learning_rate: float) -> str:
    return f"{stage}-lr{learning_rate:g}"


def _expanded(recipe: Recipe) -> Recipe:
    """With a sweep: every alignment once per learning rate."""
    if recipe.sweep is None:
        return recipe
    grid: dict[str, Align] = {
        _cell_name(name, rate): stage.model_copy(update={"learning_rate": rate})
        for name, stage in recipe.align.items()
        for rate in recipe.sweep.learning_rates
    }
    return recipe.model_copy(update={"align": grid})


def _write_sweep(recipe: Recipe, scores: dict[str, Any]) -> list[dict[str, Any]]:
    """Note, per alignment, the learning rate with the best metric among those that did not degenerate."""
    assert recipe.sweep is not None
    rows = []
    for stage in recipe.align:
        mine = [_sweep_row(recipe, scores, stage, rate) for rate in recipe.sweep.learning_rates]
        healthy = [row for row in mine if not row["degenerate"] and row["value"] is not None]
        if healthy:
            max(healthy, key=lambda row: row["value"])["chosen"] = True  # of equals the first
        rows += mine
    _write_json(recipe.folder / "sweep.json", {"metric": recipe.sweep.metric, "rows": rows})
    return rows


def _sweep_row(recipe: Recipe, scores: dict[str, Any], stage: str, rate: float) -> dict[str, Any]:
    assert recipe.sweep is not None
    model = scores["models"][_cell_name(stage, rate)]
    metrics = model["metrics"]
    if recipe.sweep.metric not in metrics:
        raise TrifacetError(f"sweep.metric {recipe.sweep.metric!r} is not measured; there are {', '.join(metrics)}")
    return {
        "stage": stage,
        "learning_rate": rate,
        "value": metrics[recipe.sweep.metric],
        "repetition": metrics.get("repetition"),
        "length": metrics.get("length"),
        "degenerate": model["degenerate"],
        "chosen": False,
    }


def _run_seeds(recipe: Recipe, files: FilesRead, *, overwrite: bool) -> Finished:
    """The recipe once per seed, each in a folder of its own, and the spread of every metric."""
    assert recipe.seeds is not None
    with _claimed(recipe, overwrite=overwrite) as record:
        runs: list[dict[str, Any]] = []
        unofficial: dict[str, str] = {}
        for seed in recipe.seeds:
            console.tell((f"seed {seed}", "bold"))
            with _timed(record, f"seed {seed}"):
                output = str(recipe.folder / f"seed-{seed}")
                one = recipe.model_copy(update={"seeds": None, "seed": seed, "output": output})
                done = run_recipe(one, files=files)
                runs.append(done.scores)
                unofficial.update(done.unofficial)
        models = {
            name: {
                metric: _spread([run["models"][name]["metrics"].get(metric) for run in runs])
                for metric in scored["metrics"]
            }
            for name, scored in runs[0].get("models", {}).items()
        }

        def finish() -> Finished:
            assert record is not None  # the first process's
            _write_json(recipe.folder / "seeds.json", {"seeds": recipe.seeds, "models": models})
            record.finish()
            report = write_report(recipe.folder)
            _seal(record, *(recipe.folder / name for name in FILES))
            return Finished(report, {"seeds": recipe.seeds, "models": models}, unofficial=unofficial)

        return ranks.first_does(finish)


def _unofficial(scores: Mapping[str, Any]) -> dict[str, str]:
    """Reasons by metric, of any model; metrics that this program defines have no other program."""
    metrics = (scores.get("comparison") or {}).get("metrics", ())
    theirs = [(one["metric"], one["values"].values()) for one in metrics if one["profile"] not in OWN]
    return {name: value["unofficial"] for name, values in theirs for value in values if value["unofficial"]}


def _spread(values: list[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "std": None, "values": values}
    return {
        "mean": statistics.fmean(known),
        "std": statistics.stdev(known) if len(known) > 1 else 0.0,
        "values": values,
    }


def _write_json(path: Path, document: Any) -> None:
    write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
