"""The ways to train that are compared, each behind the same few methods.

Invariant: a contestant makes batches and gradients; who times it, when, and what updates the weights is the same for
all (``turns``). Log-probs are of the initial weights until the first update.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import AutoProcessor, LlavaForConditionalGeneration

from contest.clock import HEAD, Clock
from contest.inputs import LABEL, REQUEST, Inputs, Shape
from contest.sequences import Sequence, cells_for, tensors, user_text, written_out
from trifacet.engine import scoring
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import Rows, TrieScorer
from trifacet.models.loading import load_model
from trifacet.preferences.facets import CHOSEN, Cell
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES, Objective, PairTerm
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

BASELINE = "trl-dpo"
LONGEST = 2048
BETA = 0.1


class Contestant(Protocol):
    """One way to train.

    ``reference_model`` is run inside each step where there is one; else ``reference`` scores a batch once per run.
    """

    model: Any
    objective: Objective
    reference_model: Any  # a module or None
    clock: Clock | None

    def batch(self, indices: list[int]) -> Any:
        """What a step takes: all that a loader's worker would do."""
        ...

    def reference(self, batch: Any) -> None:
        """Score a batch for the reference cache."""
        ...

    def gradients(self, batch: Any) -> float:
        """Forward and backward; the loss."""
        ...

    def logps(self, indices: list[int]) -> dict[str, float]:
        """Summed log-probs of the responses under the weights as they are, by ``Sequence.key``."""
        ...

    def tokens(self, batch: Any) -> int:
        """Tokens that one forward of the batch puts through the language model, padding included."""
        ...


class Trifacet:
    """Ours: one trie per batch, or other ``rows``; the reference's scores are made before."""

    reference_model: nn.Module | None = None
    clock: Clock | None = None

    def __init__(self, inputs: Inputs, objective: Objective, rows: Rows) -> None:
        shape = inputs.shape
        loaded = load_model(inputs.folder, dtype=shape.dtype, device=shape.device)
        encoder = SampleEncoder(loaded.family, prompt=REQUEST, context_label=LABEL, max_length=LONGEST)
        self.examples = Examples(
            inputs.samples,
            objective,
            encoder,
            inputs.folder,
            Rejection(image_strategy("diffusion")),
            max_pixels=10**7,
        )
        self.collator = Collator(self.examples, rows=rows)
        self.model, self.objective = loaded.model, objective
        self.scorer = TrieScorer(loaded.model, loaded.family)
        self.device = torch.device(shape.device)
        cells = [len(self.examples.cells(index)) for index in range(len(inputs.samples))]
        batches = [self.batch(inputs.indices(number))[0] for number in range(len(cells) // shape.batch)]
        scores = torch.cat(list(score_batches(self.scorer, batches, self.device)))
        self.collator = Collator(self.examples, list(scores.split(cells)), rows=rows)

    def batch(self, indices: list[int]) -> Any:
        return self.collator([self.examples[index] for index in indices])

    def reference(self, batch: Any) -> None:
        list(score_batches(self.scorer, [batch[0]], self.device))

    def gradients(self, batch: Any) -> float:
        seen, needed = (part.to(self.device) for part in batch)
        scores = self.scorer(seen), needed.reference_logps_C, seen.lengths_C
        loss = objective_loss(self.objective, *scores, needed.plan).loss
        loss.backward()
        return loss.item()

    def logps(self, indices: list[int]) -> dict[str, float]:
        (logps_C,) = score_batches(self.scorer, [self.batch(indices)[0]], self.device)
        samples = self.examples.samples
        keys = [(samples[index].id, cell) for index in indices for cell in self.examples.cells(index)]
        return {_key(*key): logp for key, logp in zip(keys, logps_C.tolist(), strict=True)}

    def tokens(self, batch: Any) -> int:
        return batch[0].input_ids.numel()


class Released:
    """The released MCM-DPO's way: a forward per corner, policy and reference, logits of all positions, joint loss."""

    reference_model: nn.Module
    clock: Clock | None = None

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.model, self.reference_model = _plain_model(inputs), _plain_model(inputs).requires_grad_(False)
        self.processor = AutoProcessor.from_pretrained(inputs.folder)
        self.objective = OBJECTIVES["mcm-dpo-joint"]
        self.cells = cells_for(self.objective, inputs.samples[0])

    def batch(self, indices: list[int]) -> dict[Cell, dict[str, Tensor]]:
        return {
            cell: tensors(self.processor, self._sequences(indices, cell), self.inputs.folder) for cell in self.cells
        }

    def _sequences(self, indices: list[int], cell: Cell) -> list[Sequence]:
        return [written_out(self.processor, self.inputs.samples[index], cell) for index in indices]

    def reference(self, batch: Any) -> None:
        raise AssertionError("the reference runs inside the step")

    def _scores(self, model: nn.Module, batch: dict[Cell, dict[str, Tensor]]) -> dict[Cell, Tensor]:
        """Summed log-probs of each corner, (B,) each."""
        scores = {}
        for cell, inputs in batch.items():
            on_device = {name: value.to(self.inputs.shape.device) for name, value in inputs.items()}
            labels_BL = on_device.pop("labels")[:, 1:]
            logits_BLV = model(**on_device, use_cache=False).logits[:, :-1].float()
            logps_BL = logits_BLV.log_softmax(-1).gather(-1, labels_BL.clamp(min=0)[..., None]).squeeze(-1)
            scores[cell] = (logps_BL * (labels_BL >= 0)).sum(-1)
            if self.clock is not None:
                self.clock.on_gradient(scores[cell], HEAD)
        return scores

    def gradients(self, batch: Any) -> float:
        policy = self._scores(self.model, batch)
        with torch.no_grad():
            reference = self._scores(self.reference_model, batch)
        ratio = {cell: policy[cell] - reference[cell] for cell in self.cells}
        terms = [term for term in self.objective.active if isinstance(term, PairTerm)]
        margins = [term.weight * (ratio[Cell(*CHOSEN)] - ratio[Cell(*term.over)]) for term in terms]
        margin_B = torch.stack(margins).sum(0)
        loss = -logsigmoid(BETA * margin_B / sum(term.weight for term in terms)).mean()
        loss.backward()
        return loss.item()

    @torch.no_grad()
    def logps(self, indices: list[int]) -> dict[str, float]:
        scores = self._scores(self.model, self.batch(indices))
        return {
            sequence.key: logp
            for cell, scores_B in scores.items()
            for sequence, logp in zip(self._sequences(indices, cell), scores_B.tolist(), strict=True)
        }

    def tokens(self, batch: Any) -> int:
        return sum(inputs["input_ids"].numel() for inputs in batch.values())


class TRL:
    """TRL's DPOTrainer: its collator, its loss, its backward.

    Args:
        inputs: model and pairs.
        checkpointing: gradient checkpointing, TRL's default: less memory, more time.
        response_only: its head on response positions alone, as on a GPU; on a CPU TRL scores every position.
    """

    reference_model: nn.Module | None
    clock: Clock | None = None

    def __init__(self, inputs: Inputs, *, checkpointing: bool = False, response_only: bool = False) -> None:
        import datasets
        import trl.trainer.utils
        from trl import DPOConfig, DPOTrainer

        if response_only:
            trl.trainer.utils._use_triton = lambda device: True
        self.inputs, self.objective = inputs, OBJECTIVES["dpo"]
        rows = [
            {
                "prompt": [{"role": "user", "content": user_text(sample.context)}],
                "chosen": [{"role": "assistant", "content": sample.response}],
                "rejected": [{"role": "assistant", "content": sample.rejected_responses[0]}],
                "images": [str(inputs.folder / str(sample.image))],
            }
            for sample in inputs.samples
        ]
        pairs = datasets.Dataset.from_list(rows).cast_column("images", datasets.List(datasets.Image()))
        self._folder = tempfile.TemporaryDirectory()
        settings = DPOConfig(
            output_dir=self._folder.name,
            per_device_train_batch_size=inputs.shape.batch,
            beta=BETA,
            bf16=False,  # the weights' own type, as for all contestants; true would be mixed precision
            gradient_checkpointing=checkpointing,
            max_length=LONGEST,
            use_cpu=inputs.shape.device == "cpu",
            report_to=[],
            disable_tqdm=True,
        )
        processor = AutoProcessor.from_pretrained(inputs.folder)
        self.trainer = DPOTrainer(_plain_model(inputs), args=settings, train_dataset=pairs, processing_class=processor)
        self.trainer.current_gradient_accumulation_steps = 1  # this and the next line: what ``train`` does first
        if checkpointing:
            self.trainer.model.gradient_checkpointing_enable()
        assert self.trainer.model.is_gradient_checkpointing == checkpointing
        self.model, self.reference_model = self.trainer.model, self.trainer.ref_model

    def batch(self, indices: list[int]) -> Any:
        return self.trainer.data_collator([self.trainer.train_dataset[index] for index in indices])

    def reference(self, batch: Any) -> None:
        raise AssertionError("the reference runs inside the step")

    def gradients(self, batch: Any) -> float:
        return self.trainer.training_step(self.trainer.model, dict(batch)).item()

    def logps(self, indices: list[int]) -> dict[str, float]:
        batch = self.trainer._prepare_inputs(dict(self.batch(indices)))
        both = self.trainer.compute_ref_log_probs(self.trainer.model, batch)
        return {
            _key(self.inputs.samples[index].id, cell): logp
            for cell, logps_B in zip((Cell(), Cell(response=1)), both, strict=True)
            for index, logp in zip(indices, logps_B.tolist(), strict=True)
        }

    def tokens(self, batch: Any) -> int:
        return batch["input_ids"].numel()


def _key(sample: str, cell: Cell) -> str:
    return Sequence(sample, cell, "", "", "").key


def _plain_model(inputs: Inputs) -> Any:
    dtype = getattr(torch, inputs.shape.dtype)
    return LlavaForConditionalGeneration.from_pretrained(inputs.folder, dtype=dtype).to(inputs.shape.device)


@dataclass(frozen=True)
class Entry:
    """A contestant by name: how it is made, and whether it runs unless asked for."""

    make: Callable[[Inputs, int], Contestant]
    by_default: bool = True


def first_terms(name: str, terms: int) -> Objective:
    """The objective with the first ``terms`` of its terms only (0: all)."""
    whole = OBJECTIVES[name]
    return whole.model_copy(update={"terms": whole.terms[: terms or None]})


def _ours(name: str, rows: Rows = "batch", *, by_default: bool = True) -> Entry:
    return Entry(lambda inputs, terms: Trifacet(inputs, first_terms(name, terms), rows), by_default)


def _with_dense_attention(inputs: Inputs, terms: int) -> Contestant:
    ours = Trifacet(inputs, first_terms("mcm-dpo", terms), "sample")
    ours.scorer = TrieScorer(ours.model, ours.scorer.family, attention="dense")
    return ours


def _with_a_whole_last_layer(inputs: Inputs, terms: int) -> Contestant:
    ours = Trifacet(inputs, first_terms("mcm-dpo", terms), "batch")
    ours.scorer.family.token_wise = lambda model: []  # type: ignore[method-assign]
    return ours


def _keeping_everything(inputs: Inputs, terms: int) -> Contestant:
    scoring.feed_forward = lambda model: []  # of this process
    return Trifacet(inputs, first_terms("mcm-dpo", terms), "batch")


CONTESTANTS = {
    BASELINE: Entry(lambda inputs, terms: TRL(inputs)),
    "dpo": _ours("dpo"),
    "mdpo": _ours("mdpo"),
    "mcm-dpo": _ours("mcm-dpo"),
    "mcm-dpo-released": Entry(lambda inputs, terms: Released(inputs)),
    "mcm-dpo-one-by-one": _ours("mcm-dpo", "path"),
    "mcm-dpo-dense-rows": Entry(_with_dense_attention, by_default=False),
    "mcm-dpo-whole-last-layer": Entry(_with_a_whole_last_layer, by_default=False),
    "mcm-dpo-keeping-all": Entry(_keeping_everything, by_default=False),
    "trl-dpo-checkpointing": Entry(lambda inputs, terms: TRL(inputs, checkpointing=True), by_default=False),
    "trl-dpo-response-only": Entry(lambda inputs, terms: TRL(inputs, response_only=True), by_default=False),
}


def lacking(names: list[str], shape: Shape) -> str | None:
    """Why these contestants cannot run here on this shape, in one line; None if they can."""
    if unknown := [name for name in names if name not in CONTESTANTS]:
        return f"unknown contestant {unknown[0]!r}; known are {', '.join(CONTESTANTS)}"
    if shape.device == "cuda" and not torch.cuda.is_available():
        return f"shape {shape.name!r} needs a GPU that torch can use, and there is none; use --shape small"
    peers = [name for name in names if name.startswith("trl-")]
    if peers and importlib.util.find_spec("trl") is None:
        return f"{peers[0]} needs trl, which is not installed: pip install 'trifacet[bench]', or name others"
    return None
