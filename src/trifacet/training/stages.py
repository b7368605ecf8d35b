"""One stage of a recipe, from the model it starts from to a finished checkpoint.

Invariant: a stage's ``model`` folder exists only when the stage is complete, and ``done.json`` beside it says how it
went. A stage that was stopped continues from its last checkpoint.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from trifacet.base.errors import DataError
from trifacet.base.progress import Bar, console
from trifacet.base.words import visible_line
from trifacet.engine.kept_features import KeptFeatures
from trifacet.engine.scoring import TrieScorer
from trifacet.models.loading import pick_device, save_model, weights_fingerprint
from trifacet.models.paradigms import TrainedPart, choose_trained
from trifacet.regions.store import Masks
from trifacet.training import ranks
from trifacet.training.bad_rows import note_skipped
from trifacet.training.callbacks import EpochOfExamples, LogFile, OneTrackedRun, ShowProgress, StepTime, StopOnSignal
from trifacet.training.checkpoints import last_checkpoint, remove_all, remove_torn_checkpoints
from trifacet.training.concerns import concerns
from trifacet.training.curriculum_trainer import CurriculumTrainer
from trifacet.training.difficulty import refuse_bad_column
from trifacet.training.examples import Collator, Examples
from trifacet.training.features import kept_features
from trifacet.training.memory import forget_peak, keep_within, peak
from trifacet.training.phase_reference import WEIGHTS as PREVIOUS
from trifacet.training.phase_reference import PhaseReference
from trifacet.training.planning import Planned, plan, show
from trifacet.training.recipe import Align
from trifacet.training.reference import OnlineReference
from trifacet.training.similarity_drop import similarity_drop
from trifacet.training.stage import Stage, write_done
from trifacet.training.trainer import LatticeTrainer, training_arguments
from trifacet.training.watching import watched_posts, watchers


def train_stage(stage: Stage) -> dict[str, Any]:
    """Train one stage and save its model.

    Returns:
        what ``done.json`` holds.

    Raises:
        TrifacetError: bad data, a stale cache, a loss that is not finite, a full disk.
        KeyboardInterrupt: stopped by a signal, after a checkpoint.
    """
    folder, settings, trained = stage.folder, stage.settings, stage.trained
    began = time.monotonic()
    with ranks.agreed():
        loaded = stage.scoring.load(stage.start.path)
        examples, left_out = stage.samples.examples(stage.asking.encoder(loaded.family))
        if stage.samples.source.skip and ranks.is_first():
            note_skipped(stage.run, stage.name, left_out, len(examples) + len(left_out))
        said = concerns(examples.objective, examples.without, stage.samples.source.lost(), len(examples))
        curriculum = settings.curriculum if isinstance(settings, Align) else None
        if curriculum:
            refuse_bad_column(curriculum, examples)
        for one in said if ranks.is_first() else ():
            console.tell(("warning:", "bold yellow"), f" {stage.name}: {visible_line(one)}")
        weights = weights_fingerprint(loaded.model)  # before adapters are added
        set_seed(stage.seed)  # adapters begin with random weights, on all processes the same
        model, table = choose_trained(loaded.model, loaded.family, train_vision=trained.vision, lora=trained.lora)
    _show_trained(stage.name, table)
    with kept_features(stage, model, loaded.family) as kept:
        scorer = stage.scoring.scorer(model, loaded.family, kept)
        reference, planned = plan(stage, examples, scorer, weights, forwards=settings.accumulation)
        if planned:
            show(stage.name, planned)
        lost = similarity_drop(stage, examples)
        online = reference.online
        collator = Collator(examples, reference.logps, rows=stage.scoring.rows)
        memory = keep_within(stage, scorer, examples, collator)
        trainer, stop = _trainer(stage, scorer, examples, collator, online, said, planned)
        step_time = StepTime()
        trainer.add_callback(step_time)
        posts = watched_posts(stage.watch, examples.encoder) if stage.watch else None
        for watcher in watchers(settings, stage.name, folder, posts, scorer, online, step_time):
            trainer.add_callback(watcher)
        with Bar(stage.name) as bar:
            trainer.add_callback(ShowProgress(bar))
            _train(trainer, folder, stop)
    done = {
        "seconds": round(time.monotonic() - began, 2),
        "seconds_per_step": round(step_time.seconds, 4),
        "seconds_watching": round(step_time.elsewhere, 2),
        "steps": trainer.state.global_step,
        "samples": len(examples),
        "left_out": len(left_out),
        "concerns": said,
        "trained_parameters": sum(row.trained for row in table),
        "parameters": sum(row.total for row in table),
        "trained": {row.part: row.how for row in table},
        "cut_posts": len(trainer.all_cut()),
        "objective": examples.objective.model_dump(mode="json"),
        "learning_rate": settings.learning_rate,
        "processes": ranks.count(),
        **_cost(trainer),
        **_encoded(kept),
        **memory,
        **_regions(examples),
        **lost,
        **({"curriculum": planned.facts()} if planned else {}),
    }
    trainer.refuse_broken_weights()
    whole = None
    if trainer.sharding != "none":
        whole = {key.removeprefix("model."): weight for key, weight in trainer.whole_weights().items()}

    def finish() -> None:
        held = stage.scoring.model
        read: dict[str, Any] = {"image_tiles": loaded.image_tiles, "image_pixels": loaded.image_pixels}
        read |= {"four_bit": held.dtype} if held.four_bit else {}
        save_model(model, loaded.processor, folder / "model", stage.asking.model_copy(update=read), whole)
        write_done(folder, done)
        remove_all(folder)
        (folder / PREVIOUS).unlink(missing_ok=True)

    ranks.first_does(finish)
    if ranks.any_of(stop.received is not None):  # in the last step
        raise stop.interruption()
    return done


def _cost(trainer: LatticeTrainer) -> dict[str, Any]:
    """What a sample puts through the language model, and the most memory that training held, in the first process.

    Of an interrupted training: since it went on.
    """
    counted, most = trainer.counted, peak(trainer.args.device)
    samples = counted["samples"]
    per_sample = {key: round(counted[key] / samples, 3) for key in ("tokens", "sequences")} if samples else {}
    return {"cost": {**{f"{key}_per_sample": value for key, value in per_sample.items()}, "peak_memory": most}}


def _encoded(kept: KeptFeatures | None) -> dict[str, Any]:
    """How many pictures went through the encoder in this process, and how often, where features are kept."""
    return {"encoded": {"pictures": len(kept.encoded), "times": kept.encoded.total()}} if kept is not None else {}


def _regions(examples: Examples) -> dict[str, Any]:
    """How many of the examples have key regions, and why the others have none, where anybody looked."""
    masks = examples.rejection.masks
    return {"regions": masks.totals([one.id for one in examples.samples]).as_dict()} if isinstance(masks, Masks) else {}


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
    if left_out := sum(row.left_out for row in table):
        console.print(
            f"{name}: the vision encoder is frozen: {left_out} of its layers that model.lora.targets match are left out"
        )


def _trainer(
    stage: Stage,
    scorer: TrieScorer,
    examples: Examples,
    collator: Collator,
    online: OnlineReference | None,
    said: list[str],
    planned: Planned | None,
) -> tuple[LatticeTrainer, StopOnSignal]:
    settings, folder = stage.settings, stage.folder
    if settings.gradient_checkpointing:
        model: Any = scorer.model
        model.activation_checkpointing_enable({"use_reentrant": False})
    arguments = training_arguments(
        settings,
        folder,
        seed=stage.seed,
        cpu=pick_device(stage.scoring.model.device).type == "cpu",
        workers=stage.samples.workers,
        accumulation=ranks.share_of(settings.accumulation, stage.key),
    )
    stop = StopOnSignal()
    options: dict[str, Any] = {
        "reference_scorer": online,
        "callbacks": [LogFile(folder / "log.jsonl", said), EpochOfExamples(examples), OneTrackedRun(), stop],
    }
    if planned is None:
        trainer = LatticeTrainer(scorer, arguments, examples, collator, **options)
    else:
        previous = None
        if planned.curriculum.reference == "previous":
            previous = PhaseReference(stage, examples, collator, planned.course, online=online is not None)
        options |= {"planned": planned, "previous": previous}
        trainer = CurriculumTrainer(scorer, arguments, examples, collator, **options)
    trainer.remove_callback(PrinterCallback)
    return trainer, stop


def _train(trainer: LatticeTrainer, folder: Path, stop: StopOnSignal) -> None:
    forget_peak(trainer.args.device)
    try:
        checkpoint = ranks.first_does(lambda: last_checkpoint(folder, trainer.samples_in_order))
        if not (checkpoint and trainer.finished_at(checkpoint)):
            trainer.train(resume_from_checkpoint=checkpoint)
    except DataError:
        trainer.save_progress()  # the steps so far are sound: mend the data and go on
        raise
    finally:
        stop.restore()
        if ranks.is_first():
            remove_torn_checkpoints(folder)  # one that was being written
    state = trainer.state
    if stop.received is not None and state.global_step < state.max_steps:
        console.print(f"{folder.name}: stopped and saved after step {state.global_step} of {state.max_steps}")
        raise stop.interruption()
