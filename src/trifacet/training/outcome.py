"""What a finished stage made of the model it started from: the saved model is loaded from its folder and compared.

Invariant: nothing is taken from the training's memory, so an update that was lost in saving, loading or merging shows.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trifacet.base.errors import TrifacetError
from trifacet.base.progress import console
from trifacet.engine.reference import score_batches
from trifacet.models.difference import CheckpointDifference, compare_checkpoints
from trifacet.training.bad_rows import usable_posts
from trifacet.training.drift import chosen_drop, looks
from trifacet.training.recipe import Align, Supervised
from trifacet.training.stage import Stage, read_done, write_done
from trifacet.training.watching import (
    SAMPLES,
    as_post,
    fill_reference,
    read_samples_file,
    responses_batch,
    watched_posts,
)

SCORED = 4  # samples whose chosen response is scored by both models
LEAST_RELATIVE = 1e-6  # of the weights' norm: ten steps of 5e-7 on weights of 0.02 give 2e-4
LEAST_LOGP = 1e-4  # nats per token, of the sample that changed most
CHECKED = "difference"  # the key of done.json


def check_outcome(stage: Stage) -> dict[str, Any]:
    """Compare a finished stage's model with its start and add ``difference`` and ``warnings`` to its ``done.json``.

    What is there already is left as it is. Warnings are said on standard error.

    Returns:
        what ``done.json`` holds.
    """
    done = read_done(stage.folder)
    if CHECKED in done:
        return done
    _leave_room()
    try:
        difference = compare_checkpoints(stage.start.path, stage.model)
        found = _weights(difference) | _scores(stage)
    except TrifacetError as error:
        found = {"problem": f"the saved model could not be compared with its start: {error}"}
    done[CHECKED] = {"start": stage.start.name, **found}
    known = done.get("concerns", [])  # told at its start
    found_now = _warnings(stage.settings, stage.folder, done[CHECKED], stage.scoring.model.dtype)
    done["warnings"] = [*known, *found_now]
    write_done(stage.folder, done)
    for warning in found_now:
        console.tell(("warning:", "bold yellow"), f" {stage.name}: {warning}")
    return done


def _weights(difference: CheckpointDifference) -> dict[str, Any]:
    changed = difference.changed
    known = [change for change in changed if math.isfinite(change.relative)]  # not what was all zeros
    most = sorted(known, key=lambda change: -change.relative)[:3]
    return {
        "weights": len(difference.changes),
        "weights_changed": len(changed),
        "relative": difference.relative,
        "most": [{"name": change.name, "relative": change.relative} for change in most],
        "only_start": difference.only_base,
        "only_model": difference.only_aligned,
    }


def _scores(stage: Stage) -> dict[str, Any]:
    """How much the log-probs of a few chosen responses differ, in nats per token."""
    watched, scoring, source = stage.folder / SAMPLES, stage.scoring, stage.samples.source
    samples: list[Any] = usable_posts(source, SCORED, max_pixels=stage.samples.max_pixels)
    logps: list[Tensor] = []
    lengths = torch.ones(1)
    for checkpoint in (stage.start.path, stage.model):
        loaded = scoring.load(checkpoint)
        scorer = scoring.scorer(loaded.model, loaded.family)
        encoder = stage.asking.encoder(loaded.family)
        batch = responses_batch(
            encoder,
            source.images,
            [(as_post(sample), sample.response) for sample in samples],
            max_pixels=stage.samples.max_pixels,
            rows=scoring.rows,
        )
        lengths = batch.lengths_C
        device = next(scorer.parameters()).device
        logps += score_batches(scorer, [batch], device)
        if checkpoint is stage.start.path and stage.watch and isinstance(stage.settings, Align) and watched.exists():
            fill_reference(watched_posts(stage.watch, encoder), watched, scorer)
        del loaded, scorer
        _leave_room()
    per_token = (logps[1] - logps[0]) / lengths
    return {
        "samples": len(samples),
        "logp_change": per_token.abs().mean().item(),
        "logp_change_largest": per_token.abs().max().item(),
    }


def nothing_changed(found: dict[str, Any], dtype: str, *, gradient: bool = True) -> str | None:
    """Why the saved model is as good as its start, or None.

    ``found``: what was measured of weights and scores; ``gradient``: whether the loss had one at any step.
    """
    if found["relative"] < LEAST_RELATIVE:
        all_but = "" if not found["weights_changed"] else "all but "
        if not gradient:
            return (
                f"the saved model is {all_but}its start, since the samples say nothing: in no step did the loss have a "
                "gradient, as it is where what is rejected is the same to the model as what is chosen. Look at them "
                "with `trifacet data check` and `trifacet data show`"
            )
        rounded = (
            "; weights of type bfloat16 round small steps away: set model.dtype: float32 with mixed_precision: true"
            if dtype == "bfloat16"
            else ""
        )
        return (
            f"the saved model is {all_but}its start: {found['weights_changed']} of {found['weights']} weights changed, "
            f"by {found['relative']:.1g} of their size in all. Raise the learning rate or the number of steps{rounded}"
        )
    if found["logp_change_largest"] < LEAST_LOGP:
        return (
            f"{found['weights_changed']} of {found['weights']} saved weights differ from the start, but the loaded "
            f"model scores {found['samples']} samples as its start does (largest change "
            f"{found['logp_change_largest']:.1g} nats per token): the update is lost in loading or merging it, or is "
            f"too small for {dtype}"
        )
    return None


def _warnings(settings: Supervised | Align, folder: Path, found: dict[str, Any], dtype: str) -> list[str]:
    said = []
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    norms = [row["grad_norm"] for row in log if "grad_norm" in row]
    if "problem" in found:
        said.append(found["problem"])
    else:
        reason = nothing_changed(found, dtype, gradient=not norms or any(norms))
        said += [reason] if reason else []
        unmatched: Sequence[str] = [*found["only_start"], *found["only_model"]]
        if unmatched:
            said.append(
                f"{len(unmatched)} weights are in only one of the start and the saved model, {unmatched[0]} first"
            )
    if isinstance(settings, Align):
        drop = chosen_drop(log, settings.warn_chosen_drop)
        if drop is not None:
            said.append(
                f"from step {drop.step} on chosen responses were more than {settings.warn_chosen_drop:g} nats per "
                f"token less likely than under the reference (at the end {-drop.last:.2f}); add an anchor term, lower "
                "the learning rate or take fewer steps"
            )
    seen = looks(read_samples_file(folder / SAMPLES))
    if seen and seen[-1].degenerate and not seen[0].degenerate:
        said.append(f"the model's own texts have degenerated in training: {seen[-1].degenerate}")
    return said


def _leave_room() -> None:
    """Give the memory of models that nobody holds any more back, before the next one is loaded."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
