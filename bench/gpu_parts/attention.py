"""Which attention over tries suits this device: time and memory of a forward and backward, and whether they agree.

All ways score the same samples with the same model and train the same objective (all seven terms); the first one is
what ``auto`` is on a GPU, and the others are held to its log-probs and gradients.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._dynamo.utils import counters

from contest.clock import synchronised
from contest.contestants import Trifacet
from contest.inputs import make_inputs
from contest.machine import forget_peak, give_back, peak_memory
from gpu_parts.running import Setting, Tell
from gpu_parts.shapes import shape_of
from trifacet.engine.scoring import Attention, Batch, Rows, TrieScorer
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.training.batches import LossInputs
from trifacet.training.examples import Collator


class Way(NamedTuple):
    """Attention and rows; ``added``: the dense mask is made of numbers once, not in each layer from true and false."""

    attention: Attention
    rows: Rows
    added: bool = False

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.attention}{' (mask added)' if self.added else ''}, a row per {self.rows}"


WAYS = (
    Way("dense", "sample"),
    Way("flex", "batch"),
    Way("dense", "sample", added=True),
    Way("flex", "sample"),
    Way("dense", "batch"),
    Way("segments", "batch"),
)


def attention(setting: Setting, tell: Tell, until: float) -> None:
    """``rows``: a way with its seconds per step, peak and differences."""
    torch.set_num_threads(setting.threads)
    shape = shape_of("gpu", setting)
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), shape)
        ours = Trifacet(inputs, OBJECTIVES["mcm-dpo"])
        ours.model.train()
        tell(shape=shape.name, batch=shape.batch, parameters=inputs.parameters, dtype=shape.dtype)
        first: dict[str, Any] = {}
        for way in WAYS:
            row: dict[str, Any] = {"attention": way.name}
            if way.attention == "segments" and setting.device != "cpu":
                tell(rows=[{**row, "left_out": "for the CPU alone"}])
                continue
            try:
                _try(way, ours, setting, first, row)
            except Exception as error:  # out of memory, no such kernel: the others are worth knowing
                row["failed"] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            tell(rows=[row])
            ours.model.zero_grad(set_to_none=True)
            if not setting.small:
                give_back(setting.device)


def _try(way: Way, ours: Trifacet, setting: Setting, first: dict[str, Any], row: dict[str, Any]) -> None:
    device, family = setting.device, ours.scorer.family
    samples = ours.examples.samples[: len(ours.examples.samples) // 2]
    examples = [ours.examples[index] for index in range(len(samples))]
    collator = Collator(ours.examples, ours.collator.reference, rows=way.rows)
    seen, needed = _on(device, collator(examples))
    row["row_tokens"], row["tokens"] = seen.input_ids.shape[1], seen.input_ids.numel() / len(samples)
    if way.added:
        vars(family)["dense_masks"] = _numbers(ours.model.dtype)  # for as long as this way is tried
    try:
        scorer = TrieScorer(ours.model, family, attention=way.attention)
        compiled = counters["stats"]["unique_graphs"]
        with torch.no_grad():
            logps_C = scorer(seen)
        row["logp_difference"] = float((logps_C - first.setdefault("logps", logps_C)).abs().max())
        forwards, steps = [], []
        for number in range(setting.rounds + 2):  # the first compiles, the second warms up
            ours.model.zero_grad(set_to_none=True)
            if number == 2 and not setting.small:
                give_back(device)
                forget_peak(device)
            began = synchronised(device)
            loss = _loss(ours, scorer, seen, needed)
            forward = synchronised(device)
            loss.backward()
            stepped = synchronised(device)
            if number == 0:
                row["first_seconds"] = stepped - began
            elif number > 1:
                forwards.append((forward - began) / len(samples))
                steps.append((stepped - began) / len(samples))
            del loss
        row["forward_seconds_per_sample"], row["seconds_per_sample"] = median(forwards), median(steps)
        row["peak_memory_bytes"] = peak_memory(device)
        gradients = {name: weight.grad for name, weight in ours.model.named_parameters() if weight.grad is not None}
        if "gradients" not in first:
            first["gradients"] = {name: gradient.to("cpu", copy=True) for name, gradient in gradients.items()}
        row["gradient_difference"] = _apart(gradients, first["gradients"])
        ours.model.zero_grad(set_to_none=True)
        began = synchronised(device)  # of another length: kernels may be compiled anew
        _loss(ours, scorer, *_on(device, collator(examples[1:]))).backward()
        row["other_length_seconds"] = synchronised(device) - began
        row["compiled_graphs"] = counters["stats"]["unique_graphs"] - compiled
    finally:
        if way.added:
            del vars(family)["dense_masks"]


def _on(device: str, batch: tuple[Batch, LossInputs]) -> tuple[Batch, LossInputs]:
    return batch[0].to(torch.device(device)), batch[1].to(torch.device(device))


def _loss(ours: Trifacet, scorer: TrieScorer, seen: Batch, needed: LossInputs) -> Tensor:
    scores = scorer(seen), needed.reference_logps_C, seen.lengths_C
    return objective_loss(ours.objective, *scores, needed.plan).loss


def _numbers(dtype: torch.dtype) -> Any:
    """Dense masks that are added to the scores, their rows in memory as kernels want them: no layer makes its own."""

    def masks(visible_BNN: Tensor, images_BN: Tensor, position_ids: Tensor) -> Tensor:
        rows, width, _ = visible_BNN.shape
        mask_B1NN = torch.full((rows, 1, width, -(-width // 16) * 16), -torch.inf, dtype=dtype, device=images_BN.device)
        mask_B1NN = mask_B1NN[..., :width]
        return mask_B1NN.masked_fill_(visible_BNN[:, None], 0.0)

    return masks


def _apart(gradients: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    """The norm of the difference of all gradients, relative to the norm of the others."""
    apart = whole = 0.0
    for name, other in others.items():
        there = other.to(gradients[name].device).float()
        apart += float((gradients[name].float() - there).square().sum())
        whole += float(there.square().sum())
    return (apart / whole) ** 0.5
