"""Rewards and margins of a data set under a model: the objective's own arithmetic, sample by sample, without training.

Invariant: policy and reference are scored by the engine that training uses, on the same cells; the values per sample
average to those that a training's log would show for the whole set as one batch.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from trifacet.base.errors import TrifacetError
from trifacet.base.progress import Bar, console
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead
from trifacet.engine.reference import load_reference, score_batches
from trifacet.engine.scoring import Batch
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import LoadedModel, weights_fingerprint
from trifacet.preferences.facets import FACETS, Cell
from trifacet.preferences.losses import make_plan, objective_loss
from trifacet.preferences.objectives import Objective
from trifacet.training.examples import Collator, Examples
from trifacet.training.loader_workers import sound
from trifacet.training.recipe import Align, Recipe
from trifacet.training.reference import reference_fingerprint
from trifacet.training.sources import Scoring, TrainingSet, scoring_of, training_set
from trifacet.training.words_read import read_words


@dataclass(frozen=True)
class TermSummary:
    """One term over the samples that have it; margins in rewards (beta x nats), accuracy from 0 to 1."""

    term: str
    samples: int
    margin: float | None
    spread: float | None
    accuracy: float | None
    loss: float


def reward_rows(
    recipe: Recipe,
    objective: Objective,
    model: str | Path,
    reference: str | Path,
    *,
    split: Split = "preference",
    aligned: Align | None = None,
    limit: int | None = None,
    batch_size: int = 8,
) -> list[dict[str, Any]]:
    """Log-probs, rewards and margins of every sample of a split.

    Args:
        recipe: the data, the rejected versions, the way of asking, and how a model is held in memory.
        objective: says which cells are scored and which terms compare them.
        model: checkpoint of the policy.
        reference: checkpoint of the reference; its scores are taken from the run's cache where one fits.
        split: which file of the recipe.
        aligned: rejected versions are those of this alignment, with its ``limit`` and its groups (None: of none).
        limit: the first N samples only; their rejected versions are those that they have in the whole set.
        batch_size: samples per forward.

    Returns:
        one row per sample: {"id", "cells": {cell: {"logp", "tokens", "reference_logp", "reward"}}, "terms": {term:
        {"loss", "margin", "accuracy"}}}; nats, summed over the response; a term that a sample lacks is left out.

    Raises:
        TrifacetError: samples without what the objective needs, or a checkpoint that cannot be loaded.
    """
    scoring = scoring_of(recipe.model, in_batch=recipe.rejected.in_batch)
    files = FilesRead()
    if recipe.data.lettering == "prompt":
        read_words(recipe, {split: aligned.limit if aligned else None}, files, keep=False)
    scored = _Scored(
        training_set(recipe, "rewards", aligned, objective=objective, split=split, files=files),
        WayOfAsking.of(recipe.data),
        scoring,
        limit,
        batch_size,
    )
    references_S: Sequence[Tensor | None] | None = None
    if objective.needs_reference:
        references_S = scored.reference_scores(reference, recipe.folder / "reference")
    loaded = scoring.load(model)
    examples = scored.examples(loaded)
    scores = list(scored.scores("policy", examples, loaded))
    rows = []
    for index, (logps_C, lengths_C, mass_C) in enumerate(scores):
        reference_C = None if references_S is None else references_S[index]
        rows.append(_row(examples, index, logps_C, reference_C, lengths_C, mass_C))
    return rows


def summarise(objective: Objective, rows: Sequence[dict[str, Any]]) -> list[TermSummary]:
    """Mean, standard deviation over samples, and accuracy of each term."""
    found = []
    for term in objective.active:
        mine = [row["terms"][term.name] for row in rows if term.name in row["terms"]]
        if not mine:
            continue
        margins = [values["margin"] for values in mine if "margin" in values]
        found.append(
            TermSummary(
                term.name,
                len(mine),
                statistics.fmean(margins) if margins else None,
                statistics.stdev(margins) if len(margins) > 1 else None,
                statistics.fmean(values["accuracy"] for values in mine) if margins else None,
                statistics.fmean(values["loss"] for values in mine),
            )
        )
    return found


def cell_name(cell: Cell) -> str:
    """``chosen``, or the rejected facets, with a version's number from the second on: ``image:2+response``."""
    rejected = [(facet.value, version) for facet, version in zip(FACETS, cell, strict=True) if version]
    return "+".join(facet if version == 1 else f"{facet}:{version}" for facet, version in rejected) or "chosen"


@dataclass(frozen=True)
class _Scored:
    """What is scored, and how."""

    samples: TrainingSet
    asking: WayOfAsking
    scoring: Scoring
    limit: int | None
    batch_size: int

    def examples(self, loaded: LoadedModel) -> Examples:
        return self.samples.examples(self.asking.encoder(loaded.family))[0]

    def reference_scores(self, reference: str | Path, cached: Path) -> list[Tensor]:
        """From the folder of the run's caches where one fits, else computed."""
        loaded = self.scoring.load(reference)
        examples = self.examples(loaded)
        scorer = self.scoring.scorer(loaded.model, loaded.family)
        dtype, files = self.scoring.model.dtype, self.samples.source.files
        fingerprint = reference_fingerprint(examples, scorer, dtype, weights_fingerprint(loaded.model), files)
        for path in sorted(cached.glob("*.safetensors")):
            try:
                scores = load_reference(path, fingerprint)
            except TrifacetError:
                continue  # made for something else
            console.print(f"reference: scores from {path}")
            return scores
        scores = [logps_C for logps_C, *_ in self.scores("reference", examples, loaded)]
        del loaded, scorer
        gc.collect()
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()
        return scores

    def scores(self, title: str, examples: Examples, loaded: LoadedModel) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each sample's cells log-probs, lengths in tokens, and what makes the first ones per token."""
        scorer = self.scoring.scorer(loaded.model, loaded.family)
        count = min(self.limit or len(examples), len(examples))
        loader: Any = DataLoader(
            Subset(examples, range(count)),
            batch_size=self.batch_size,
            collate_fn=Collator(examples, rows=self.scoring.rows).of_loader,
            num_workers=self.samples.workers,
        )
        sizes: list[tuple[Tensor, Tensor]] = []

        def noted() -> Iterator[Batch]:
            for batch, _ in map(sound, loader):
                sizes.append((batch.lengths_C, batch.mass_C))
                yield batch

        done = 0
        with Bar(title) as bar:
            for logps_C in score_batches(scorer, noted(), next(scorer.parameters()).device):
                here = range(done, min(done + self.batch_size, count))
                counts = [len(examples.cells(index)) for index in here]
                yield from zip(*(part.split(counts) for part in (logps_C, *sizes.pop())), strict=True)
                done += len(here)
                bar.update(done, count)


def _row(
    examples: Examples, index: int, logps_C: Tensor, reference_C: Tensor | None, lengths_C: Tensor, mass_C: Tensor
) -> dict[str, Any]:
    objective = examples.objective
    plan = make_plan(objective, [examples.versions(index)])
    metrics = objective_loss(objective, logps_C, reference_C, mass_C, plan).metrics
    cells: dict[str, dict[str, float]] = {}
    for number, cell in enumerate(examples.cells(index)):
        values = {"logp": logps_C[number].item(), "tokens": int(lengths_C[number])}
        if reference_C is not None:
            values["reference_logp"] = reference_C[number].item()
            values["reward"] = objective.beta * (values["logp"] - values["reference_logp"])
        cells[cell_name(cell)] = values
    keys = {"loss": "loss", "margin": "rewards/margins", "accuracy": "rewards/accuracies"}
    terms = {
        term.name: {
            short: metrics[f"{key}/{term.name}"].item()
            for short, key in keys.items()
            if f"{key}/{term.name}" in metrics
        }
        for term in objective.active
        if f"loss/{term.name}" in metrics
    }
    return {"id": examples.samples[index].id, "cells": cells, "terms": terms}
