"""What ``trifacet compare`` is given: texts, metrics per sample, results of benchmarks, or whole runs.

Invariant: every model is scored on the same samples by the same profiles; ids that differ are refused, or with
``common`` left out before anything is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import is_file, is_folder
from trifacet.base.words import listed
from trifacet.benchmarks.registry import Entry
from trifacet.comparing.contestants import Contestant, Entered, check_same
from trifacet.data.rows import iter_rows
from trifacet.evaluation.naming import name_and_place
from trifacet.lettering.settings import COLUMN
from trifacet.metrics import coco, paper
from trifacet.metrics.inputs import read_predictions, read_targets
from trifacet.metrics.lettering import LETTERING
from trifacet.metrics.lint import LINT
from trifacet.metrics.matching import match_ids, other_data
from trifacet.metrics.scores import TEXT_MEASURES, Extra, Profile, measures_of, score_texts
from trifacet.metrics.target import Target
from trifacet.statistics.keys import PER_SAMPLE, Key, title
from trifacet.statistics.measures import Better, Measure, mean_measure

if TYPE_CHECKING:
    from trifacet.benchmarks.benchmark import Result

LARGEST = 1e100  # of a metric: sums of its cubes are numbers too
PROFILES: tuple[Profile, ...] = ("coco", "paper")
Reader = Callable[[Sequence[Target], Path], Sequence[Target]]  # samples, and the folder of their pictures


@dataclass(frozen=True)
class _Opened:
    """One model before it is scored: its texts, its measures, or both; ``others``: where further parts come from."""

    name: str
    source: str
    texts: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[Key, Measure] = field(default_factory=dict)
    targets: Sequence[Target] = ()
    images: Path | None = None
    notes: Sequence[str] = ()
    results: Sequence[Result] = ()
    others: Sequence[str] = ()

    @property
    def sources(self) -> str:
        """Where all of it comes from."""
        return ", ".join([self.source, *self.others])


def read_entries(
    specs: Sequence[str],
    *,
    references: Path | None = None,
    profiles: Sequence[Profile] = PROFILES,
    better: Mapping[str, Better] | None = None,
    common: bool = False,
    own: Mapping[str, Entry] | None = None,
    extras: Sequence[Extra] = (),
    reader: Reader | None = None,
    images: Path | None = None,
) -> Entered:
    """The models that ``[NAME=]PATH`` arguments name.

    Args:
        specs: each a file of texts, a file of metrics per sample, or the folder of a benchmark's result or of a run.
            Those that are given the same NAME are parts of one model, such as its results of several benchmarks.
        references: what texts are scored against; where it is None, the test set of a run among ``specs``.
        profiles: definitions of the metrics that texts are scored by.
        better: which direction is better in metrics by name, where it is not known or not meant so.
        common: keep the samples that all models have, where they differ.
        own: benchmarks of the user's files by name, for results that were made with them.
        extras: metrics of texts beyond the profiles.
        reader: what reads the words in the samples' pictures, for the metrics of lettering; None: they are not read.
        images: folder of the pictures; by default the run's, or that of ``references``.

    Raises:
        DataError: naming file, row and field; or the ids that models lack.
        TrifacetError: nothing to score texts against; two models of one name.
    """
    given = [(name, one) for name, place in map(name_and_place, specs) for one in _open(name, place, own or {})]
    opened = _named_apart(_joined(given))
    told = [one for one in opened if one.texts]
    if not told:
        measured = [
            Contestant(one.name, one.sources, _turned(one.measures, better), results=one.results) for one in opened
        ]
        return Entered(measured, {}, None, _once(opened))
    targets = _targets(told, references)
    notes = _once(opened)
    for one in told:
        if not one.targets and (note := other_data(Path(one.source), one.texts, targets)):
            notes.append(f"{one.name}: {note}")
    check_same({one.name: list(one.texts) for one in told}, common)
    if common:
        shared = {target.id for target in targets}.intersection(*(one.texts for one in told))
        if not shared:
            raise DataError("no id is in all models and in the references", fix="compare models on one test set")
        left = {one.name: len(one.texts) - len(shared) for one in told} | {"the references": len(targets) - len(shared)}
        said = ", ".join(f"{count} of {name}" for name, count in left.items())
        notes.append(f"compared are the {len(shared)} samples that all have; left out: {said}")
        targets = [target for target in targets if target.id in shared]
        told = [replace(one, texts={name: text for name, text in one.texts.items() if name in shared}) for one in told]
    shown = next((one.images for one in told if one.images is not None), None) if references is None else None
    if reader is not None:
        root = images or shown or (references.parent if references is not None else None)
        if root is None:
            raise TrifacetError(
                "nobody knows where the pictures are that are to be read; name their folder by --images"
            )
        targets = list(reader(targets, root))
    contestants, known = [], {one.name: one for one in told}
    remarks: dict[str, list[str]] = {}
    for one in opened:
        if one.name in known:
            texts = known[one.name].texts
            match_ids(texts, targets, Path(one.source), "--common compares the samples that all have")
            measures, remarks[one.name] = _scored(texts, targets, profiles, extras)
            measures = {**measures, **one.measures}
            contestants.append(Contestant(one.name, one.sources, _turned(measures, better), texts, one.results))
        else:
            contestants.append(Contestant(one.name, one.sources, _turned(one.measures, better), results=one.results))
    notes += _told_apart(remarks)
    return Entered(contestants, {target.id: target for target in targets}, shown, list(dict.fromkeys(notes)))


def _turned(measures: Mapping[Key, Measure], better: Mapping[str, Better] | None) -> dict[Key, Measure]:
    """The measures with the directions that the user gave."""
    given = better or {}
    return {key: replace(one, better=given.get(key[1], one.better)) for key, one in measures.items()}


def _once(opened: Sequence[_Opened]) -> list[str]:
    return list(dict.fromkeys(note for one in opened for note in one.notes))


def _told_apart(said: Mapping[str, Sequence[str]]) -> list[str]:
    """What is said of all models once; what is said of some, with their names."""
    names: dict[str, list[str]] = {}
    for name, notes in said.items():
        for note in notes:
            names.setdefault(note, []).append(name)
    return [note if len(of) == len(said) else f"{', '.join(of)}: {note}" for note, of in names.items()]


def _open(name: str, place: str, own: Mapping[str, Entry]) -> list[_Opened]:
    path = Path(place)
    if is_file(path / "evaluation.json"):
        return _open_evaluation(name, path, own)
    if is_folder(path):
        return [_open_benchmark(name, path, own)] if is_file(path / "benchmark.json") else _open_run(name, path)
    first = next(iter_rows(path), None)
    if first is None:
        raise DataError("has no row", fix="give texts, or metrics per sample", file=path)
    name = name or path.stem
    if first.values.keys() & {"text", "caption"}:
        return [_Opened(name, str(path), texts=read_predictions(path))]
    return [_Opened(name, str(path), measures=_per_sample(path))]


def _open_run(name: str, folder: Path) -> list[_Opened]:
    from trifacet.evaluation.run_folder import read_run

    run = read_run(folder)
    told = [model for model in run.models if model.texts]
    if not told:
        raise DataError("holds no generated text", fix="let 'trifacet run' finish first", file=folder)
    return [
        _Opened(*_called(name, folder, model.name), texts=model.texts, targets=run.samples, images=run.image_root)
        for model in told
    ]


def _called(name: str, folder: Path, model: str) -> tuple[str, str]:
    """Name and source of one of a folder's models."""
    return f"{name}/{model}" if name else model, f"{folder} ({model})"


def _open_evaluation(name: str, folder: Path, own: Mapping[str, Entry]) -> list[_Opened]:
    from trifacet.evaluation.evaluating import read_evaluation

    evaluation = read_evaluation(folder, own)
    return [
        _Opened(
            *_called(name, folder, model.name),
            texts=model.texts,
            measures=model.measures,
            targets=evaluation.targets,
            images=evaluation.images,
            notes=model.notes,
            results=model.results,
        )
        for model in evaluation.models
    ]


def _open_benchmark(name: str, folder: Path, own: Mapping[str, Entry]) -> _Opened:
    from trifacet.benchmarks.results import load_result

    result = load_result(folder, own=own)
    measures = {(result.name, measure.name): measure for measure in result.outcome.measures if measure.units}
    return _Opened(name or folder.name, str(folder), measures=measures, notes=result.outcome.notes, results=[result])


def _joined(given: Sequence[tuple[str, _Opened]]) -> list[_Opened]:
    """The models in the order of their first part; parts are what the user gave the same name.

    Raises:
        TrifacetError: two of them hold texts, or the same metric.
    """
    models: dict[str | int, list[_Opened]] = {}
    for place, (name, one) in enumerate(given):
        models.setdefault(one.name if name else place, []).append(one)
    return [_one_model(parts) for parts in models.values()]


def _one_model(parts: Sequence[_Opened]) -> _Opened:
    held: dict[str, str] = {}
    for part in parts:
        for what in [*map(title, part.measures), *(["texts"] if part.texts else [])]:
            if what in held:
                raise TrifacetError(
                    f"two models are called {part.name!r}, which both have {what}; "
                    f"name them apart: A={held[what]} B={part.source}"
                )
            held[what] = part.source
    told = next((part for part in parts if part.texts), parts[0])
    return replace(
        told,
        measures={key: measure for part in parts for key, measure in part.measures.items()},
        notes=[note for part in parts for note in part.notes],
        results=[one for part in parts for one in part.results],
        others=[part.source for part in parts if part is not told],
    )


def _place(one: _Opened) -> tuple[str, str]:
    """What a command calls it by, and the name of the folder that it is a file or a model of."""
    path = Path(one.source.removesuffix(f" ({one.name})"))
    return str(path), path.name if str(path) != str(Path(one.source)) else path.parent.name


def _named_apart(opened: Sequence[_Opened]) -> list[_Opened]:
    """The same, where names are each once; of files in different folders, the folder goes before the name."""
    names = [one.name for one in opened]
    if len(set(names)) == len(names):
        return list(opened)
    twice = {name for name in names if names.count(name) > 1}
    longer = [replace(one, name=f"{_place(one)[1]}/{one.name}") if one.name in twice else one for one in opened]
    again = [one.name for one in longer]
    doubled = [one for one, name in zip(opened, again, strict=True) if again.count(name) > 1]
    if doubled:
        first, second, *_ = doubled
        raise TrifacetError(
            f"two models are called {first.name!r}; name them apart: A={_place(first)[0]} B={_place(second)[0]}"
        )
    return longer


def _targets(told: Sequence[_Opened], references: Path | None) -> list[Target]:
    """What the texts are scored against: the file that is named, or the one test set that the runs have."""
    if references is not None:
        return read_targets(references)
    sets = [one.targets for one in told if one.targets]
    if not sets:
        raise TrifacetError(f"texts of {listed([one.name for one in told])} need --references to be scored against")
    first = {target.id: list(target.references) for target in sets[0]}
    if any({target.id: list(target.references) for target in other} != first for other in sets[1:]):
        raise TrifacetError("the runs have different test sets; name the one to score against with --references")
    return list(max(sets, key=lambda targets: sum(COLUMN in target.extra for target in targets)))  # words read for one


def _scored(
    texts: Mapping[str, str], targets: Sequence[Target], profiles: Sequence[Profile], extras: Sequence[Extra]
) -> tuple[dict[Key, Measure], list[str]]:
    scores = score_texts(texts, targets, profiles=profiles, extras=extras)
    return measures_of(scores), scores.notes


def _per_sample(path: Path) -> dict[Key, Measure]:
    """The measures of rows {"id", metric: number, ...}: means. A metric may be absent or null in some rows."""
    columns: dict[str, dict[str, float]] = {}
    seen: set[str] = set()
    for number, row in iter_rows(path):
        name = row.get("id")
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise DataError("is missing or no text", fix="give each row an id", file=path, row=number, field="id")
        if str(name) in seen:
            raise DataError(f"{str(name)!r} occurs twice", fix="keep one row per id", file=path, row=number, field="id")
        seen.add(str(name))
        for metric, value in _numbers(row, path, number):
            columns.setdefault(metric, {})[str(name)] = value
    if not columns:
        raise DataError(
            'has neither "text" nor a number beside "id"', fix="give texts, or metrics per sample", file=path
        )
    elsewhere = f"taken from {path.name} as they stand there"
    return {
        (PER_SAMPLE, metric): mean_measure(metric, values, better=_direction(metric), unofficial=elsewhere)
        for metric, values in columns.items()
    }


def _direction(metric: str) -> Better:
    """Which direction is better, where the name is one of ours; nothing is guessed of others."""
    if (
        metric in (*coco.COCO_METRICS, *paper.PAPER_METRICS)
        or metric.partition("/")[0] == "grounding"
        or metric in (*LINT, *LETTERING)
    ):
        return "higher"
    return next((one.better for one in TEXT_MEASURES if one.name == metric), "neither")


def _numbers(row: Mapping[str, Any], path: Path, number: int) -> Iterable[tuple[str, float]]:
    for metric, value in row.items():
        if metric == "id" or value is None:
            continue
        if not isinstance(value, int | float) or not abs(value) <= LARGEST:
            fix = f"give a number of at most {LARGEST:g}, or null"
            raise DataError("is no finite number", fix=fix, file=path, row=number, field=metric)
        yield metric, float(value)
