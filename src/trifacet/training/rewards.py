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
from trifacet.engine.reference import load_reference, score_batches
from trifacet.engine.scoring import Batch, TrieScorer
from trifacet.models.loading import LoadedModel, weights_fingerprint
from trifacet.preferences.facets import FACETS, Cell
from trifacet.preferences.losses import make_plan, objective_loss
from trifacet.preferences.objectives import Objective
from trifacet.training.examples import Collator, Examples
from trifacet.training.loader_workers import sound
from trifacet.training.recipe import Recipe
from trifacet.training.reference import reference_fingerprint
from trifacet.training.sources import encoder_of, load_for, mixed_precision, rejection_of, rows_of, source_of


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
    drawn_from: int | None = None,
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
        drawn_from: rejected versions are drawn among the first N samples, as in an alignment with that ``limit``.
        limit: the first N samples only; their rejected versions are those that they have in the whole set.
        batch_size: samples per forward.

    Returns:
        one row per sample: {"id", "cells": {cell: {"logp", "tokens", "reference_logp", "reward"}}, "terms": {term:
        {"loss", "margin", "accuracy"}}}; nats, summed over the response; a term that a sample lacks is left out.

    Raises:
        TrifacetError: samples without what the objective needs, or a checkpoint that cannot be loaded.
    """
    references_S: Sequence[Tensor | None] | None = None
    if objective.needs_reference:
        references_S = _reference_scores(recipe, objective, reference, split, drawn_from, limit, batch_size)
    loaded = load_for(recipe, model)
    examples = _examples(recipe, objective, loaded, split, drawn_from)
    scores = list(_scored("policy", recipe, examples, limit, loaded, batch_size))
    rows = []
    for index, (logps_C, lengths_C) in enumerate(scores):
        reference_C = None if references_S is None else references_S[index]
        rows.append(_row(examples, index, logps_C, lengths_C, reference_C))
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


def _examples(
    recipe: Recipe, objective: Objective, loaded: LoadedModel, split: Split, drawn_from: int | None
) -> Examples:
    source = source_of(recipe, split, kind="sft" if split == "sft" else "preference")
    samples: list[Any] = source.read()[:drawn_from]
    examples = Examples(
        samples,
        objective,
        encoder_of(recipe, loaded.family),
        source.images,
        rejection_of(recipe),
        max_pixels=recipe.data.max_pixels,
    )
    examples.check()
    return examples


def _reference_scores(
    recipe: Recipe,
    objective: Objective,
    reference: str | Path,
    split: Split,
    drawn_from: int | None,
    limit: int | None,
    batch_size: int,
) -> list[Tensor]:
    """From the run's cache where one fits, else computed."""
    loaded = load_for(recipe, reference)
    examples = _examples(recipe, objective, loaded, split, drawn_from)
    scorer = TrieScorer(loaded.model, loaded.family, mixed_precision=mixed_precision(recipe))
    fingerprint = reference_fingerprint(recipe, examples, scorer, weights_fingerprint(loaded.model))
    for path in sorted((recipe.folder / "reference").glob("*.safetensors")):
        try:
            scores = load_reference(path, fingerprint)
        except TrifacetError:
            continue  # made for something else
        console.print(f"reference: scores from {path}", markup=False)
        return scores
    scores = [logps_C for logps_C, _ in _scored("reference", recipe, examples, limit, loaded, batch_size)]
    del loaded, scorer
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
    return scores


def _scored(
    title: str, recipe: Recipe, examples: Examples, limit: int | None, loaded: LoadedModel, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Log-probs and lengths in tokens of each sample's cells."""
    scorer = TrieScorer(loaded.model, loaded.family, mixed_precision=mixed_precision(recipe))
    count = min(limit or len(examples), len(examples))
    loader: Any = DataLoader(
        Subset(examples, range(count)),
        batch_size=batch_size,
        collate_fn=Collator(examples, rows=rows_of(recipe)).of_loader,
        num_workers=recipe.data.workers,
    )
    lengths: list[Tensor] = []

    def noted() -> Iterator[Batch]:
        for batch, _ in map(sound, loader):
            lengths.append(batch.lengths_C)
            yield batch

    done = 0
    with Bar(title) as bar:
        for logps_C in score_batches(scorer, noted(), next(scorer.parameters()).device):
            here = range(done, min(done + batch_size, count))
            counts = [len(examples.cells(index)) for index in here]
            yield from zip(logps_C.split(counts), lengths.pop().split(counts), strict=True)
            done += len(here)
            bar.update(done, count)


def _row(
    examples: Examples, index: int, logps_C: Tensor, lengths_C: Tensor, reference_C: Tensor | None
) -> dict[str, Any]:
    objective = examples.objective
    plan = make_plan(objective, [examples.versions(index)])
    metrics = objective_loss(objective, logps_C, reference_C, lengths_C, plan).metrics
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
