"""Models over one test set and public benchmarks: each model's texts, answers and looks, in one folder.

``evaluation.json`` says what the folder belongs to. Each model has a folder below it: ``texts.jsonl``,
``benchmarks/<name>/`` (as ``trifacet benchmarks run`` leaves them) and ``probe.json``. Invariant: a piece is on the
disk when it is done, and whoever does the same again after a kill does what was not done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import read_json
from trifacet.base.version import __version__
from trifacet.benchmarks import judged, results, running
from trifacet.benchmarks.answering import answer, settings_of
from trifacet.benchmarks.registry import Entry
from trifacet.benchmarks.running import Task
from trifacet.data.records import TestSample
from trifacet.data.words_read import with_words
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.results import write_to_file
from trifacet.generation.settings import Generation, settings_path, writing_notes
from trifacet.generation.writer import FamilyWriter
from trifacet.llm.asking import AskedModel
from trifacet.llm.books import BudgetReached
from trifacet.metrics.inputs import read_predictions, read_targets
from trifacet.metrics.target import Target
from trifacet.models.loading import LoadedModel, weights_fingerprint
from trifacet.probing.document import read_document
from trifacet.probing.measuring import probe_measures
from trifacet.probing.probe import Looks, Prober
from trifacet.statistics.keys import PROBE
from trifacet.statistics.measures import Measure

MARK, TEXTS, LOOKS, BENCHMARKS = "evaluation.json", "texts.jsonl", "probe.json", "benchmarks"
LOOKS_SETTINGS = f"{LOOKS}.settings.json"
_MAX_BYTES = 10_000_000  # of what is kept of the settings
JUDGED = "judge.sqlite"  # in a benchmark's folder: what the judge answered


class Progress(Protocol):
    """What is told how far a step has come."""

    def update(self, done: int, total: int, note: str = "") -> None: ...


Step = Callable[[str], AbstractContextManager[Progress]]  # by a step's name


@dataclass(frozen=True)
class Tests:
    """What every model goes through.

    ``data`` is the file of ``samples``, None without a test set; ``writing`` are the settings of its texts, and
    ``answering`` those of the benchmarks' answers. ``looks`` is None where models are not looked into.
    """

    data: Path | None
    images: Path | None
    samples: Sequence[TestSample]
    writing: Generation
    tasks: Sequence[Task]
    answering: Generation
    judge: AskedModel | None
    looks: Looks | None
    seed: int
    dtype: str

    def manifest(self, models: Mapping[str, str]) -> dict[str, Any]:
        """What ``evaluation.json`` says: the models, and what may not change as long as the folder stays."""
        return {
            "models": dict(models),
            "data": str(self.data.resolve()) if self.data else None,
            "images": str(self.images.resolve()) if self.images else None,
            "benchmarks": [task.benchmark.name for task in self.tasks],
            "benchmark_options": {task.benchmark.name: told for task in self.tasks if (told := task.options_told)},
            "benchmark_files": {task.benchmark.name: sha for task in self.tasks if (sha := task.entry.sha256)},
            "probe": self.looks_told,
        }

    @property
    def looks_told(self) -> dict[str, Any] | None:
        """The looks as JSON has them, or None."""
        return None if self.looks is None else json.loads(json.dumps(asdict(self.looks)))


class Evaluated(NamedTuple):
    """One model of a finished evaluation: its texts by id, what benchmarks and looks measured, and both."""

    name: str
    texts: Mapping[str, str]
    measures: Mapping[tuple[str, str], Measure]
    probe: Mapping[str, Any] | None
    notes: Sequence[str]
    results: Sequence[results.Result]


class Evaluation(NamedTuple):
    """A folder that was read back; ``targets`` is empty without a test set."""

    models: Sequence[Evaluated]
    targets: Sequence[Target]
    images: Path | None


def evaluate(
    models: Mapping[str, str],
    tests: Tests,
    folder: Path,
    load: Callable[[str], tuple[LoadedModel, SampleEncoder]],
    step: Step,
    *,
    overwrite: bool = False,
) -> None:
    """Do all that ``tests`` asks for and ``folder`` does not hold yet; one model is in memory at a time.

    Args:
        models: checkpoints by name.
        tests: what they go through.
        folder: the evaluation's; made, or continued.
        load: opens a checkpoint.
        step: called with a step's name; what it returns is entered for the step, and told how far it has come.
        overwrite: begin anew, whatever was done with other settings.

    Raises:
        TrifacetError: the folder holds an evaluation of other data or looks; whatever a step raises.
    """
    manifest = tests.manifest(models)
    with claims.claimed(folder, MARK) as claim:
        _begin(claim, manifest, _written(models, tests, folder), overwrite=overwrite)
        for name, checkpoint in models.items():
            loaded, encoder = load(checkpoint)
            model = _Model(name, checkpoint, loaded, encoder, weights_fingerprint(loaded.model), folder / name)
            if tests.samples:
                _write_texts(model, tests, step)
            for task in tests.tasks:
                try:
                    _run_benchmark(model, task, tests, step, overwrite)
                except BudgetReached as error:
                    raise BudgetReached(f"{error}; it is for all models and benchmarks of {folder} together") from None
            if tests.looks is not None:
                _look_into(model, tests.looks, tests, step)
            del loaded, encoder, model  # before the next one is opened


def read_evaluation(folder: Path, own: Mapping[str, Entry] | None = None) -> Evaluation:
    """What ``evaluate`` left in ``folder``; ``own`` are the benchmarks of the user's files, as in ``load_result``.

    Raises:
        DataError: it is no such folder, or not finished.
        TrifacetError: a benchmark's result cannot be read back, as ``load_result`` says.
    """
    held = _held(folder)
    data, images = held["data"], held["images"]
    models = []
    for name in held["models"]:
        texts = _finished_texts(folder / name / TEXTS) if data else {}
        measures: dict[tuple[str, str], Measure] = {}
        notes = writing_notes(folder / name / TEXTS) if data else []
        places = [folder / name / BENCHMARKS / benchmark for benchmark in held["benchmarks"]]
        scored = [results.load_result(place, own=own) for place in places]
        for one in scored:
            measures |= {(one.name, measure.name): measure for measure in one.outcome.measures if measure.units}
            notes += [f"{one.name}: {note}" for note in one.outcome.notes]
        probe = _looks_of(folder, name, held)
        if probe:
            measures |= {(PROBE, measure.name): measure for measure in probe_measures(probe) if measure.units}
        models.append(Evaluated(name, texts, measures, probe, notes, scored))
    targets = _first(read_targets(Path(data)), models[0].texts) if data else []
    return Evaluation(models, targets, Path(images) if images else None)


def read_probes(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The looks into each model that ``folder`` holds, by name; empty where none were asked for. Raises DataError."""
    held = _held(folder)
    found = {name: _looks_of(folder, name, held) for name in held["models"]}
    return {name: looks for name, looks in found.items() if looks}


def _looks_of(folder: Path, name: str, held: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return None if held["probe"] is None else read_document(folder / name / LOOKS)


def _held(folder: Path) -> dict[str, Any]:
    """What ``evaluation.json`` says, each key looked at."""
    try:
        manifest = read_json(folder / MARK, _MAX_BYTES)
        lists = {key: list(manifest[key]) for key in ("models", "benchmarks")}
        return {**{key: manifest[key] for key in ("data", "images", "probe")}, **lists}
    except (DataError, KeyError, TypeError):
        raise DataError("is damaged", fix="run 'trifacet evaluate' with --overwrite", file=folder / MARK) from None


def _finished_texts(file: Path) -> dict[str, str]:
    """The texts, where there is one for each sample that was asked for."""
    try:
        asked = read_json(settings_path(file), _MAX_BYTES)["samples"]
        texts = read_predictions(file) if file.stat().st_size else {}
    except (OSError, DataError, KeyError, TypeError):
        asked, texts = None, {}
    if len(texts) != asked:
        raise DataError("is not finished", fix="run the same 'trifacet evaluate' command again", file=file)
    return texts


def _first(targets: Sequence[Target], texts: Mapping[str, str]) -> list[Target]:
    """The samples that were asked for: with a limit, the first ones."""
    return [target for target in targets if target.id in texts]


class _Model(NamedTuple):
    name: str
    checkpoint: str
    loaded: LoadedModel
    encoder: SampleEncoder
    weights: str
    folder: Path

    def writer(self, settings: Generation, seed: int) -> FamilyWriter:
        """The model as it writes with these settings."""
        return FamilyWriter(self.loaded.model, self.encoder, settings, seed, weights=self.weights)


def _begin(claim: Claim, manifest: Mapping[str, Any], written: Iterable[Path], *, overwrite: bool) -> None:
    """Mark the folder; models may come and go, all else stays."""
    claim.clear(written, asked=overwrite)
    if held := claim.held(models=dict):
        held = {"benchmark_options": {}, "benchmark_files": {}, **held}
        fixed = [key for key in manifest if key != "models"]
        changed = claims.differences({key: held.get(key) for key in fixed}, {key: manifest[key] for key in fixed})
        if changed:
            told = f"({changed[0].key}): {claims.told(changed)}"
            raise claims.refused(f"{claim.folder} holds an evaluation of other settings {told}")
    claim.begin({**manifest, "trifacet": __version__})


def _written(models: Iterable[str], tests: Tests, folder: Path) -> Iterator[Path]:
    """What is made of the models, first what says that it is finished; what judges answered was paid for and stays."""
    for home in (folder / name for name in models):
        for task in tests.tasks:
            yield from results.written(home / BENCHMARKS / task.benchmark.name)
        yield from (home / TEXTS, settings_path(home / TEXTS), home / LOOKS, home / LOOKS_SETTINGS)


def _write_texts(model: _Model, tests: Tests, step: Step) -> None:
    assert tests.images is not None
    model.folder.mkdir(parents=True, exist_ok=True)
    samples = _with_words(model, tests, step)
    with step(f"{model.name}: texts") as bar:
        write_to_file(
            model.writer(tests.writing, tests.seed),
            samples,
            model.folder / TEXTS,
            images_root=tests.images,
            on_progress=bar.update,
        )


def _with_words(model: _Model, tests: Tests, step: Step) -> Sequence[TestSample]:
    """The samples, with what stands in their pictures where the model is asked with it."""
    quoting = model.encoder.quoting
    if quoting is None:
        return tests.samples
    assert tests.images is not None
    with step(f"{model.name}: words in pictures") as bar:
        return with_words(tests.samples, tests.images, quoting, on_progress=bar.update)


def _run_benchmark(model: _Model, task: Task, tests: Tests, step: Step, overwrite: bool) -> None:
    folder = model.folder / BENCHMARKS / task.benchmark.name
    settings = settings_of(model.checkpoint, tests.answering, tests.seed, tests.dtype)
    books = folder.parents[2].glob(f"*/{BENCHMARKS}/*/{JUDGED}")
    judge = judged.with_what_is_left(tests.judge, (file for file in books if file.parent != folder))
    with results.claimed(folder, task.manifest(settings, tests.judge), overwrite=overwrite):
        with step(f"{model.name}: {task.benchmark.name}") as bar:
            answers = answer(task, model.writer(tests.answering, tests.seed), folder, on_progress=bar.update)
        items = list(task.items)
        with step(f"{model.name}: {task.benchmark.name}, judged") as bar:
            scored = running.judge_and_score(
                task,
                items,
                answers,
                judge,
                folder / JUDGED,
                told=settings,
                on_progress=bar.update,
                on_verdicts=lambda verdicts: results.write_verdicts(folder, items, verdicts),
            )
        results.write_document(folder, scored.document)


def _look_into(model: _Model, looks: Looks, tests: Tests, step: Step) -> None:
    """Look into the model, unless the same looks at the same weights and samples are there."""
    assert tests.images is not None and tests.data is not None
    encoder, samples = model.encoder, _with_words(model, tests, step)
    output, sidecar = model.folder / LOOKS, model.folder / LOOKS_SETTINGS
    asked = {
        "weights": model.weights,
        "looks": tests.looks_told,
        "dtype": tests.dtype,
        "asked": [encoder.prompt, encoder.context_label, encoder.max_length],
        "samples": hashlib.sha256("\0".join(map(repr, tests.samples)).encode()).hexdigest(),
        **({"words": encoder.words_digest(samples)} if encoder.quoting else {}),
    }
    if output.exists() and _holds(sidecar, asked):
        return
    references = {sample.id: sample.references[0] for sample in tests.samples if sample.references}
    with step(f"{model.name}: looks") as bar:
        prober = Prober(model.loaded, encoder, samples, references, tests.images, looks, bar.update)
        document, _ = prober.probe(model=model.name, data=tests.data.name)
    sidecar.unlink(missing_ok=True)
    write_atomically(output, document.model_dump_json(indent=1) + "\n")
    write_atomically(sidecar, json.dumps(asked) + "\n")


def _holds(sidecar: Path, asked: Mapping[str, Any]) -> bool:
    try:
        return bool(read_json(sidecar, _MAX_BYTES) == asked)
    except DataError:
        return False
