"""One stage of a run, as the functions that train, watch and check it are told of it.

Invariant: whatever a stage does with the recipe is decided here, once; nothing below reads the recipe again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead, Source, has_split, source_of
from trifacet.engine.scoring import Rows
from trifacet.models.asking import WayOfAsking
from trifacet.models.paradigms import LoraSettings, vision_trains
from trifacet.models.settings import Model
from trifacet.training.recipe import Align, Recipe, Supervised
from trifacet.training.sources import Scoring, Start, TrainingSet, scoring_of, training_set


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
        """Whether its output is there."""
        return self.model.is_dir() and (self.folder / "done.json").is_file()


def stage_of(recipe: Recipe, name: str, start: Start, files: FilesRead | None = None) -> Stage:
    """The stage ``name`` of a recipe, from the model ``start``; ``files``: what the run has read already.

    Raises:
        TrifacetError: the recipe has no such section, or no file of samples for it.
    """
    settings: Supervised | Align | None = recipe.sft if name == "sft" else recipe.align[name]
    if settings is None:
        raise TrifacetError("the recipe has no 'sft' section; add one or run `trifacet align`")
    files = files or FilesRead()
    scoring = scoring_of(recipe.model, in_batch=recipe.rejected.in_batch)
    watch = None
    if settings.eval_every:
        splits: tuple[Split, ...] = ("validation", "preference", "sft")
        split = next(split for split in splits if has_split(recipe.data, split))
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
