"""Reading the folder of a run for the report.

Invariant: whatever subset of files a run has written so far gives a ``Run``; a file that is there but damaged is one
clear error, except for the last line of a log, which a killed run may have left half-written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.seals import MISSING, damages, unsealed
from trifacet.comparing.comparison import Comparison
from trifacet.comparing.reading import read_comparison
from trifacet.data.records import TestSample
from trifacet.data.settings import Data, Split, World
from trifacet.data.source import FilesRead, source_of
from trifacet.data.words_read import COUNTS
from trifacet.settings.reading import explain_invalid
from trifacet.settings.yaml_values import read_yaml

_AGAIN = "delete it and run again"


@dataclass(frozen=True)
class ModelRun:
    """One model of a run: its log, what its training left behind, its texts by sample id and its scores.

    ``metrics`` holds None for a metric that was not computed; ``degenerate`` is the reason or None. ``watched`` are the
    texts that it wrote while it trained (rows of ``samples.jsonl``).
    """

    name: str
    log: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    degenerate: str | None = None
    watched: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """Everything the report shows. Empty where the run has not come so far.

    ``comparison`` is of all pairs of the models with scores; None where these were made before there was one.
    """

    folder: Path
    facts: dict[str, Any]
    recipe: dict[str, Any]
    recipe_text: str
    models: list[ModelRun]
    samples: list[TestSample]
    image_root: Path
    notes: list[str]
    rejected: list[dict[str, Any]]
    seeds: dict[str, Any]
    sweep: dict[str, Any]
    skipped: list[dict[str, Any]] = field(default_factory=list)  # rows that were left out
    comparison: Comparison | None = None
    words: dict[str, Any] = field(default_factory=dict)  # by split, what came of reading pictures

    @property
    def words_asked(self) -> int | None:
        """The most characters of a picture's words in a request; None where models are asked without them."""
        data = self.recipe.get("data")
        if not (isinstance(data, dict) and data.get("lettering") == "prompt"):
            return None
        most = number(data.get("lettering_characters"))
        return Data().lettering_characters if most is None else int(most)

    @property
    def name(self) -> str:
        """The run's name: its recipe's, or its folder's."""
        return str(self.facts.get("name") or self.recipe.get("name") or self.folder.resolve().name)

    def model(self, name: str) -> ModelRun | None:
        """The model called ``name``, if the run has it."""
        return next((model for model in self.models if model.name == name), None)


def read_run(folder: Path, files: FilesRead | None = None) -> Run:
    """The run in ``folder``; ``files``: what its data files are known to hold, where the run itself asks.

    Raises:
        TrifacetError: when the folder holds no run.
        DataError: naming the file (and line) that is damaged.
    """
    if not folder.is_dir():
        raise TrifacetError(f"no folder {folder}; give the output folder of a run")
    known = ("run.json", "recipe.yaml", "scores.json", "seeds.json", "sweep.json", "models", "generations")
    if not any((folder / name).exists() for name in known):
        raise TrifacetError(f"{folder} holds no run (none of {', '.join(known)}); give the output folder of a run")
    facts = _object(folder / "run.json")
    read = {name: seal for name, seal in facts.get("sealed", {}).items() if _is_read(name)}
    _refuse_damaged(folder, read, "run again to have it made anew")
    recipe, recipe_text = _recipe(folder / "recipe.yaml")
    scores = _scores(folder / "scores.json")
    compared = scores.get("comparison")
    models = [_model(folder, name, scores) for name in _model_names(folder, recipe, scores)]
    samples, image_root = _samples(folder, recipe, files)
    if scores.get("models") and (described := {name for model in models for name in model.texts}):
        samples = [sample for sample in samples if sample.id in described]  # neither beyond a limit nor left out
    rejected = _json(folder / "rejected" / "index.json", [])
    return Run(
        folder=folder,
        facts=facts,
        recipe=recipe,
        recipe_text=recipe_text,
        models=models,
        samples=samples,
        image_root=image_root,
        notes=[str(note) for note in scores.get("notes") or []],
        rejected=[entry for entry in rejected if isinstance(entry, dict)] if isinstance(rejected, list) else [],
        seeds=_object(folder / "seeds.json"),
        sweep=_object(folder / "sweep.json"),
        skipped=_read_lines(folder / "skipped.jsonl"),
        words=_object(folder / COUNTS),
        comparison=None if compared is None else read_comparison(compared, folder / "scores.json"),
    )


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a JSONL file; [] when it is absent. A last line without line break may be half-written."""
    if not path.exists():
        return []
    text = _read(path)
    lines = text.split("\n")
    if not text.endswith("\n"):
        try:
            json.loads(lines[-1])
        except json.JSONDecodeError:
            lines.pop()
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = _parse(line, path, number)
            if not isinstance(row, dict):
                raise DataError("is not a JSON object", fix="delete the line or run again", file=path, row=number)
            rows.append(row)
    return rows


def _model(folder: Path, name: str, scores: dict[str, Any]) -> ModelRun:
    scored = scores.get("models", {}).get(name, {})
    home = folder / "models" / name
    done = _object(home / "done.json")
    _refuse_damaged(home, done.get("files", {}), f"put it back, or delete {home} to train this stage anew")
    return ModelRun(
        name=name,
        log=_read_lines(home / "log.jsonl"),
        done=done,
        texts={
            str(row.get("id")): str(row.get("text", ""))
            for row in _read_lines(folder / "generations" / f"{name}.jsonl")
        },
        metrics={metric: number(value) for metric, value in scored.get("metrics", {}).items()},
        degenerate=scored.get("degenerate") or None,
        watched=_read_lines(home / "samples.jsonl"),
    )


def number(value: Any) -> float | None:
    """A float, or None for everything that is no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _model_names(folder: Path, recipe: dict[str, Any], scores: dict[str, Any]) -> list[str]:
    """The models there is something of, in the order of the recipe: base, sft, alignments, whatever else."""
    align = recipe.get("align")
    order = ["base", "sft", *(align if isinstance(align, dict) else {})]
    present = [
        *scores.get("models", {}),
        *sorted(path.name for path in folder.glob("models/*") if path.is_dir()),
        *sorted(path.stem for path in folder.glob("generations/*.jsonl")),
    ]
    names = dict.fromkeys(name for name in [*order, *present] if name in set(present))
    return [name for name in names if "/" not in name and not name.startswith(".")]


def _samples(folder: Path, recipe: dict[str, Any], files: FilesRead | None) -> tuple[list[TestSample], Path]:
    """The posts to describe in the order of their file (or shards), and the folder that image paths are relative to.

    [] where the run has no such file or its data have moved away since.
    """
    given = recipe.get("data")
    known = {key: value for key, value in given.items() if key in Data.model_fields} if isinstance(given, dict) else {}
    try:
        data = Data.model_validate(known)
    except ValidationError as error:
        problem = explain_invalid(error, Data)
        raise DataError(problem, fix="run again to have it written anew", file=folder / "recipe.yaml") from None
    if data.world is None and data.test is None and (folder / "data" / "test.jsonl").exists():
        data = Data(world=World())  # its recipe is not there
    split: Split = "validation" if recipe.get("sweep") else "test"
    try:
        source = source_of(data, folder, split, files=files)
    except TrifacetError:  # there is no such file
        return [], folder
    samples = source.read() if source.is_there else []
    return [sample for sample in samples if isinstance(sample, TestSample)], source.images


def _recipe(path: Path) -> tuple[dict[str, Any], str]:
    if not path.exists():
        return {}, ""
    text = _read(path)
    recipe = read_yaml(text, str(path))
    return (recipe if isinstance(recipe, dict) else {}), text


def _is_read(name: str) -> bool:
    """Whether what is told of a run is read from this file: not weights, data or the report itself."""
    return name.startswith(("generations/", "rejected/", "scores.json", "seeds.json", "skipped.jsonl", "sweep.json"))


def _refuse_damaged(folder: Path, seals: dict[str, Any], cure: str) -> None:
    for damage in damages(folder, seals):
        if damage.problem != MISSING:  # what is not there is not told of
            raise DataError(damage.problem, fix=cure, file=folder / damage.name)


def _scores(path: Path) -> dict[str, Any]:
    scores = _object(path)
    models = scores.get("models", {})
    told = [models, *models.values()] if isinstance(models, dict) else [models]
    told += [one.get("metrics", {}) for one in told[1:] if isinstance(one, dict)]
    if not all(isinstance(one, dict) for one in told):
        raise DataError("is no object of models", fix=_AGAIN, file=path, field="models")
    return scores


def _object(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    value = unsealed(_json(path, {}))
    if value is None:
        raise DataError("is damaged", fix=_AGAIN, file=path)
    return value


def _json(path: Path, default: Any) -> Any:
    return _parse(_read(path), path) if path.exists() else default


def _parse(text: str, path: Path, row: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"is not JSON ({error.msg})", fix=_AGAIN, file=path, row=row) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", fix="make it a readable UTF-8 file", file=path) from None
