"""Scoring every sample with the reference, batch by batch, each kept on disk as soon as it is scored.

Invariant: which samples share a batch depends on their order and the batch size alone, never on what is done already
or on how many processes score: so a pass that was killed and resumed ends with the bytes of one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from trifacet.engine.reference import refuse_broken_scores, score_batches
from trifacet.engine.reference_parts import ReferenceParts
from trifacet.engine.scoring import TrieScorer
from trifacet.training import ranks
from trifacet.training.examples import Collator, Examples
from trifacet.training.progress import Bar, console
from trifacet.training.workers import OutliveSignal


def batches_in_order(samples: int, batch_size: int) -> list[list[int]]:
    """The samples' indices, ``batch_size`` at a time."""
    return [list(range(at, min(at + batch_size, samples))) for at in range(0, samples, batch_size)]


def score_missing(
    examples: Examples,
    scorer: TrieScorer,
    plan: Sequence[list[int]],
    parts: ReferenceParts,
    collator: Collator,
    *,
    workers: int = 0,
) -> list[Tensor]:
    """The scores of every batch of ``plan``: each process scores its share of those that ``parts`` lacks.

    What the first process finds in ``parts`` counts, so that all agree on what is missing.

    Raises:
        TrifacetError: a score that is not finite, with the samples of its batch; a full disk.
    """
    parts.done = ranks.first_does(lambda: parts.done)
    missing = [number for number in range(len(plan)) if number not in parts.done]
    if missing and len(missing) < len(plan):
        console.print(f"reference: {len(plan) - len(missing)} of {len(plan)} batches are scored already")
    share = missing[ranks.rank() :: ranks.count()]
    loader: Any = DataLoader(
        examples,
        batch_sampler=[plan[number] for number in share],
        collate_fn=collator,
        num_workers=workers,
        worker_init_fn=OutliveSignal(),
    )
    device = next(scorer.parameters()).device
    with ranks.agreed(), Bar("reference") as bar:
        for position, logps_C in enumerate(score_batches(scorer, loader, device)):
            number = share[position]
            refuse_broken_scores(logps_C, [examples.samples[index].id for index in plan[number]])
            parts.add(number, logps_C)
            bar.update(position + 1, len(share))
    for scored in ranks.gather({number: parts.done[number] for number in share}):
        parts.done.update(scored)
    return [parts.done[number] for number in range(len(plan))]
