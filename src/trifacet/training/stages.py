"""One stage of a recipe, from the model it starts from to a finished checkpoint.

Invariant: a stage's ``model`` folder exists only when the stage is complete, and ``done.json`` beside it says how it
went. A stage that was stopped continues from its last checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.progress import Bar, console
from trifacet.engine.scoring import TrieScorer
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import LoadedModel, pick_device, save_model, weights_fingerprint
from trifacet.models.paradigms import LoraSettings, TrainedPart, choose_trained, vision_trains
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.training import ranks
from trifacet.training.bad_rows import note_skipped, usable_examples
from trifacet.training.batches import Groups
from trifacet.training.callbacks import EpochOfExamples, LogFile, ShowProgress, StepTime, StopOnSignal
from trifacet.training.checkpoints import last_checkpoint, remove_all, remove_torn
from trifacet.training.examples import Collator, Examples
from trifacet.training.recipe import Align, Recipe, Supervised
from trifacet.training.reference import OnlineReference, reference_scores
from trifacet.training.sources import (
    Start,
    encoder_of,
    has_split,
    load_for,
    mixed_precision,
    rejection_of,
    rows_of,
    source_of,
)
from trifacet.training.trainer import LatticeTrainer, training_arguments
from trifacet.training.watching import watchers


def stage_folder(recipe: Recipe, name: str) -> Path:
    """Where the stage ``name`` (base, sft or an alignment) keeps its files."""
    return recipe.folder / "models" / name


def stage_key(name: str) -> str:
    """The recipe's section of a stage, for messages."""
    return name if name == "sft" else f"align.{name}"


def is_finished(recipe: Recipe, name: str) -> bool:
    """Whether the stage's output is there."""
    folder = stage_folder(recipe, name)
    return (folder / "model").is_dir() and (folder / "done.json").is_file()


def train_stage(recipe: Recipe, name: str, start: Start) -> dict[str, Any]:
    """Train one stage and save its model.

    Args:
        recipe: the whole recipe.
        name: ``sft`` or a key of ``recipe.align``.
        start: checkpoint to start from.

    Returns:
        what ``done.json`` holds.

    Raises:
        TrifacetError: bad data, a stale cache, a loss that is not finite, a full disk.
        KeyboardInterrupt: stopped by a signal, after a checkpoint.
    """
    folder = stage_folder(recipe, name)
    began = time.monotonic()
    with ranks.agreed():
        settings: Supervised | Align = stage_settings(recipe, name)
        loaded = load_for(recipe, start.path)
        examples = _examples(recipe, settings, loaded, name)
        weights = weights_fingerprint(loaded.model)  # before adapters are added
        set_seed(recipe.seed)  # adapters begin with random weights, on all processes the same
        model, table = choose_trained(
            loaded.model, loaded.family, train_vision=_vision(recipe, settings), lora=_lora(recipe)
        )
        scorer = TrieScorer(model, loaded.family, mixed_precision=mixed_precision(recipe))
    _show_trained(name, table)
    reference, online = reference_scores(recipe, settings, start, examples, scorer, weights)
    collator = Collator(examples, reference, rows=rows_of(recipe))
    trainer, stop = _trainer(recipe, name, settings, scorer, examples, collator, online)
    step_time = StepTime()
    trainer.add_callback(step_time)
    for watcher in watchers(recipe, settings, name, folder, scorer, online, step_time):
        trainer.add_callback(watcher)
    with Bar(name) as bar:
        trainer.add_callback(ShowProgress(bar))
        _train(trainer, folder, stop)
    done = {
        "seconds": round(time.monotonic() - began, 2),
        "seconds_per_step": round(step_time.seconds, 4),
        "seconds_watching": round(step_time.elsewhere, 2),
        "steps": trainer.state.global_step,
        "samples": len(examples),
        "trained_parameters": sum(row.trained for row in table),
        "parameters": sum(row.total for row in table),
        "trained": {row.part: row.how for row in table},
        "cut_posts": len(trainer.all_cut()),
        "objective": examples.objective.model_dump(mode="json"),
        "learning_rate": settings.learning_rate,
        "processes": ranks.count(),
    }
    trainer.refuse_broken_weights()
    whole = None
    if trainer.sharding != "none":
        whole = {key.removeprefix("model."): weight for key, weight in trainer.whole_weights().items()}

    def finish() -> None:
        asking = WayOfAsking.of(recipe.data, image_tiles=loaded.image_tiles, image_pixels=loaded.image_pixels)
        save_model(model, loaded.processor, folder / "model", asking, whole)
        write_atomically(folder / "done.json", json.dumps(done, indent=2) + "\n")
        remove_all(folder)

    ranks.first_does(finish)
    if ranks.any_of(stop.received is not None):  # in the last step
        raise stop.interruption()
    return done


def stage_settings(recipe: Recipe, name: str) -> Supervised | Align:
    """The recipe's section of a stage. Raises TrifacetError where there is none for ``sft``."""
    if name != "sft":
        return recipe.align[name]
    if recipe.sft is None:
        raise TrifacetError("the recipe has no 'sft' section; add one or run `trifacet align`")
    return recipe.sft


def _vision(recipe: Recipe, settings: Supervised | Align) -> bool:
    if settings.vision != "paradigm":
        return settings.vision == "trained"
    return vision_trains(recipe.model.paradigm, "align" if isinstance(settings, Align) else "sft")


def _lora(recipe: Recipe) -> LoraSettings | None:
    lora = recipe.model.lora
    return LoraSettings(lora.rank, lora.alpha, lora.dropout, lora.targets) if lora else None


def _examples(recipe: Recipe, settings: Supervised | Align, loaded: LoadedModel, name: str = "samples") -> Examples:
    if isinstance(settings, Align):
        objective, limit = settings.resolved_objective(), settings.limit
        source = source_of(recipe, "preference")
    else:
        objective, limit = OBJECTIVES["sft"], None
        source = source_of(recipe, "sft" if has_split(recipe, "sft") else "preference", kind="sft")
    grouped = recipe.rejected.in_batch and isinstance(settings, Align)
    data, encoder = recipe.data, encoder_of(recipe, loaded.family)

    def of(samples: Sequence[Any]) -> Examples:
        return Examples(
            samples,
            objective,
            encoder,
            source.images,
            rejection_of(recipe),
            max_pixels=data.max_pixels,
            groups=Groups(len(samples), settings.batch_size, recipe.seed) if grouped else None,
        )

    if source.skip:
        examples, bad = usable_examples(of, source, max_pixels=data.max_pixels, workers=data.workers, limit=limit)
        if ranks.is_first():
            note_skipped(recipe.folder, name, bad, len(examples) + len(bad))
    else:
        examples = of(source.read()[:limit])
    examples.check()
    return examples


def _show_trained(name: str, table: list[TrainedPart]) -> None:
    from rich.table import Table

    shown = Table(title=f"{name}: what is trained", title_justify="left", header_style="bold")
    for column in ("part", "how"):
        shown.add_column(column)
    for column in ("trained", "of"):
        shown.add_column(column, justify="right")
    for row in table:
        shown.add_row(row.part, row.how, f"{row.trained:,}", f"{row.total:,}")
    console.print(shown)


def _trainer(
    recipe: Recipe,
    name: str,
    settings: Supervised | Align,
    scorer: TrieScorer,
    examples: Examples,
    collator: Collator,
    online: OnlineReference | None,
) -> tuple[LatticeTrainer, StopOnSignal]:
    if settings.gradient_checkpointing:
        model: Any = scorer.model
        model.activation_checkpointing_enable({"use_reentrant": False})
    folder = stage_folder(recipe, name)
    arguments = training_arguments(
        settings,
        folder,
        seed=recipe.seed,
        cpu=pick_device(recipe.model.device).type == "cpu",
        workers=recipe.data.workers,
        accumulation=ranks.share_of(settings.accumulation, stage_key(name)),
    )
    stop = StopOnSignal()
    trainer = LatticeTrainer(
        scorer,
        arguments,
        examples,
        collator,
        reference_scorer=online,
        callbacks=[LogFile(folder / "log.jsonl"), EpochOfExamples(examples), stop],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, stop


def _train(trainer: LatticeTrainer, folder: Path, stop: StopOnSignal) -> None:
    try:
        ids = [sample.id for sample in trainer.train_dataset.samples]
        checkpoint = ranks.first_does(lambda: last_checkpoint(folder, ids))
        if not (checkpoint and trainer.finished_at(checkpoint)):
            trainer.train(resume_from_checkpoint=checkpoint)
    except DataError:
        trainer.save_progress()  # the steps so far are sound: mend the data and go on
        raise
    finally:
        stop.restore()
        if ranks.is_first():
            remove_torn(folder)  # one that was being written
    state = trainer.state
    if stop.received is not None and state.global_step < state.max_steps:
        console.print(f"{folder.name}: stopped and saved after step {state.global_step} of {state.max_steps}")
        raise stop.interruption()
