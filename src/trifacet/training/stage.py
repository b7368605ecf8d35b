"""One stage of a run, as the functions that train, watch and check it are told of it.

Invariant: whatever a stage does with the recipe is decided here, once; nothing below reads the recipe again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.progress import console
from trifacet.base.seals import SEAL, cure_of, folder_damages, read_document, seal_folder, seal_of, sealed
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead, Source, has_split, source_of
from trifacet.engine.scoring import Rows
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import WEIGHTS
from trifacet.models.paradigms import LoraSettings, vision_trains
from trifacet.models.settings import Model
from trifacet.training.curriculum import DIFFICULTIES
from trifacet.training.recipe import Align, Recipe, Supervised
from trifacet.training.sources import Scoring, Start, TrainingSet, scoring_of, training_set

REJECTED = "rejected.jsonl"  # what rejected images lose, a line for each sample
WATCHED: tuple[Split, ...] = ("validation", "preference", "sft")  # the first that there is, at looks
DONE = "done.json"  # in a stage's folder; written when its model is there


@dataclass(frozen=True)
class Trained:
    """What of a model is trained: its vision encoder or not, adapters (None: the weights themselves)."""

    vision: bool
    lora: LoraSettings | None


@dataclass(frozen=True)
class Watch:
    """The posts that are described at every look: the first ``count`` of ``source``, and how."""

    source: Source
    count: int
    max_new_tokens: int
    max_pixels: int
    rows: Rows
    seed: int


@dataclass(frozen=True)
class Stage:
    """What is trained, from where, on what, and where it is written.

    Args:
        name: ``sft`` or an alignment's.
        settings: the training loop's.
        start: the model that it starts from.
        run: the run's folder.
        seed: of everything that is drawn.
        samples: what it trains on.
        trained: what of the model is trained.
        asking: how it is asked.
        scoring: how it is held in memory and scored.
        watch: the posts that are described while it trains (None: none).
        files: what the run has read already.
    """

    name: str
    settings: Supervised | Align
    start: Start
    run: Path
    seed: int
    samples: TrainingSet
    trained: Trained
    asking: WayOfAsking
    scoring: Scoring
    watch: Watch | None
    files: FilesRead

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        return stage_folder(self.run, self.name)

    @property
    def model(self) -> Path:
        """Where its model is, once it is finished."""
        return self.folder / "model"

    @property
    def key(self) -> str:
        """The recipe's section, for messages."""
        return stage_key(self.name)

    @property
    def is_finished(self) -> bool:
        """Whether its output is there and as it was written; weights that are not are removed, and a line says so.

        Raises:
            TrifacetError: something beside the weights is damaged; the message says what to do.
        """
        path = self.folder / DONE
        if not (self.model.is_dir() and path.is_file()):
            return False
        read_done(self.folder)
        damage = next(folder_damages(self.model), None)
        if damage is None:
            if not (self.model / SEAL).exists():  # made before there were seals
                seal_folder(self.model)
            return True
        file = self.model / damage.name
        if not damage.name.endswith(WEIGHTS):  # a user may have had reasons, and training is dear
            raise TrifacetError(
                f"{file} {damage.problem}; {cure_of(self.model)}, or delete {self.folder} to train this stage anew"
            )
        console.print(f"{file} {damage.problem}: this stage is trained anew", soft_wrap=True)
        path.unlink()
        shutil.rmtree(self.model)
        return False


def stage_of(recipe: Recipe, name: str, start: Start, files: FilesRead | None = None) -> Stage:
    """The stage ``name`` of a recipe, from the model ``start``; ``files``: what the run has read already.

    Raises:
        TrifacetError: the recipe has no such section, or no file of samples for it.
    """
    settings: Supervised | Align | None = recipe.sft if name == "sft" else recipe.align[name]
    assert settings is not None  # a stage of the recipe's
    files = files or FilesRead()
    scoring = scoring_of(recipe.model, in_batch=recipe.rejected.in_batch)
    watch = None
    if settings.eval_every:
        split = next(split for split in WATCHED if has_split(recipe.data, split))
        source = source_of(recipe.data, recipe.folder, split, files=files)
        longest, largest = recipe.generate.max_new_tokens, recipe.data.max_pixels
        watch = Watch(source, settings.eval_samples, longest, largest, scoring.rows, recipe.seed)
    return Stage(
        name,
        settings,
        start,
        recipe.folder,
        recipe.seed,
        training_set(recipe, name, settings, files=files),
        _trained(recipe.model, settings),
        WayOfAsking.of(recipe.data),
        scoring,
        watch,
        files,
    )


def read_done(folder: Path) -> dict[str, Any]:
    """What ``done.json`` in a stage's folder says of how it went. Raises DataError where it is damaged."""
    return read_document(folder / DONE, f"put it back, or delete {folder} to train this stage anew")


def write_done(folder: Path, done: Mapping[str, Any]) -> None:
    """Write ``done.json`` with its seal, and those of what training wrote beside it."""
    names = ("log.jsonl", "samples.jsonl", DIFFICULTIES, REJECTED)
    files = {name: seal_of(folder / name) for name in names if (folder / name).exists()}
    write_atomically(folder / DONE, json.dumps(sealed({**done, "files": files}), indent=2) + "\n")


def _trained(model: Model, settings: Supervised | Align) -> Trained:
    if settings.vision == "paradigm":
        vision = vision_trains(model.paradigm, "align" if isinstance(settings, Align) else "sft")
    else:
        vision = settings.vision == "trained"
    lora = model.lora
    return Trained(vision, LoraSettings(lora.rank, lora.alpha, lora.dropout, lora.targets) if lora else None)


def stage_folder(run: Path, name: str) -> Path:
    """Where the stage ``name`` (base, sft or an alignment) of a run keeps its files."""
    return run / "models" / name


def stage_key(name: str) -> str:
    """The recipe's section of a stage, for messages."""
    return name if name == "sft" else f"align.{name}"
