"""The ways to train that are compared, each behind the same few methods.

Invariant: a contestant makes batches and gradients; who times it, when, and what updates the weights is the same for
all (``turns``). Log-probs are of the initial weights until the first update.
"""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import AutoProcessor

from contest.clock import HEAD, Clock
from contest.inputs import LABEL, REQUEST, Inputs, Shape, loaded_model, plain_model
from contest.sequences import Sequence, cells_for, tensors, user_text, written_out
from trifacet.engine import scoring
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import Family
from trifacet.engine.kept_features import KeptFeatures
from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import Attention, Rows, TrieScorer
from trifacet.models.loading import load_processor
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.preferences.facets import CHOSEN, Cell
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES, Objective, PairTerm
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

BASELINE, FLEXIBLE = "trl-dpo", "mcm-dpo-flex"
KEEPING, KEPT = "-keeping", 2**32  # of names: contestants that keep a frozen encoder's features; bytes
LONGEST = 2048
BETA = 0.1


class Contestant(Protocol):
    """One way to train.

    Where ``online_reference``, each step scores its reference: by ``reference_model`` or, without one, by the model
    with its adapter off. Else ``reference`` scores a batch once per run.
    """

    model: Any
    objective: Objective
    online_reference: bool
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
    """Ours; the reference's scores are made before.

    Args:
        inputs: model and pairs.
        objective: what is trained.
        rows: None: those that a recipe gets with this attention on this device.
        attention: of the scorer.
    """

    online_reference = False
    reference_model: nn.Module | None = None
    clock: Clock | None = None

    def __init__(
        self, inputs: Inputs, objective: Objective, rows: Rows | None = None, attention: Attention = "auto"
    ) -> None:
        shape = inputs.shape
        if rows is None:
            in_blocks = attention in ("flex", "segments") or (attention == "auto" and shape.device == "cpu")
            rows = "batch" if in_blocks else "sample"
        loaded = loaded_model(inputs)
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
        self.model, self.objective = adapted(loaded.model, loaded.family, shape), objective
        self.scorer = TrieScorer(self.model, loaded.family, mixed_precision=shape.mixed, attention=attention)
        self.device = torch.device(shape.device)
        cells = [len(self.examples.cells(index)) for index in range(len(inputs.samples))]
        batches = [self.batch(inputs.indices(number))[0] for number in range(len(cells) // shape.batch)]
        scores = torch.cat(list(score_batches(self.scorer, batches, self.device)))
        self.collator = Collator(self.examples, list(scores.split(cells)), rows=rows)

    def batch(self, indices: list[int]) -> Any:
        return self.collator([self.examples[index] for index in indices])

    def reference(self, batch: Any) -> None:
        with adapter_off(self.model):
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
    """The released MCM-DPO's way: a forward per corner, policy and reference, logits of all positions, joint loss.

    Samples that do not fit beside each other (``Shape.at_once``) go one after another, their gradients added up.
    """

    online_reference = True
    reference_model: nn.Module | None = None
    clock: Clock | None = None

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.model = plain_model(inputs)
        if inputs.shape.lora:
            self.model = adapted(self.model, load_processor(inputs.folder), inputs.shape)
        else:
            self.reference_model = plain_model(inputs).requires_grad_(False)
        self.processor = AutoProcessor.from_pretrained(inputs.folder)
        self.objective = OBJECTIVES["mcm-dpo-joint"]
        self.cells = cells_for(self.objective, inputs.samples[0])

    def batch(self, indices: list[int]) -> list[dict[Cell, dict[str, Tensor]]]:
        return [
            {cell: tensors(self.processor, self._sequences(some, cell), self.inputs.folder) for cell in self.cells}
            for some in self._parts(indices)
        ]

    def _parts(self, indices: list[int]) -> list[list[int]]:
        size = self.inputs.shape.at_once or len(indices)
        return [indices[start : start + size] for start in range(0, len(indices), size)]

    def _sequences(self, indices: list[int], cell: Cell) -> list[Sequence]:
        return [written_out(self.processor, self.inputs.samples[index], cell) for index in indices]

    def reference(self, batch: Any) -> None:
        raise AssertionError("the reference runs inside the step")

    def _scores(self, model: nn.Module, part: dict[Cell, dict[str, Tensor]]) -> dict[Cell, Tensor]:
        """Summed log-probs of each corner, (B,) each."""
        shape, scores = self.inputs.shape, {}
        for cell, inputs in part.items():
            on_device = {name: value.to(shape.device) for name, value in inputs.items()}
            labels_BL = on_device.pop("labels")[:, 1:]
            with torch.autocast(shape.device, torch.bfloat16, enabled=shape.mixed):
                logits_BLV = model(**on_device, use_cache=False).logits[:, :-1].float()
            logps_BL = logits_BLV.log_softmax(-1).gather(-1, labels_BL.clamp(min=0)[..., None]).squeeze(-1)
            scores[cell] = (logps_BL * (labels_BL >= 0)).sum(-1)
            if self.clock is not None:
                self.clock.on_gradient(scores[cell], HEAD)
        return scores

    def gradients(self, batch: Any) -> float:
        samples = [len(part[Cell(*CHOSEN)]["labels"]) for part in batch]
        return sum(self._part(part, size / sum(samples)) for part, size in zip(batch, samples, strict=True))

    def _part(self, part: dict[Cell, dict[str, Tensor]], share: float) -> float:
        policy = self._scores(self.model, part)
        with torch.no_grad(), adapter_off(self.model):
            reference = self._scores(self.reference_model or self.model, part)
        ratio = {cell: policy[cell] - reference[cell] for cell in self.cells}
        terms = [term for term in self.objective.active if isinstance(term, PairTerm)]
        margins = [term.weight * (ratio[Cell(*CHOSEN)] - ratio[Cell(*term.over)]) for term in terms]
        margin_B = torch.stack(margins).sum(0)
        loss = -logsigmoid(BETA * margin_B / sum(term.weight for term in terms)).mean() * share
        loss.backward()
        return loss.item()

    @torch.no_grad()
    def logps(self, indices: list[int]) -> dict[str, float]:
        return {
            sequence.key: logp
            for some, part in zip(self._parts(indices), self.batch(indices), strict=True)
            for cell, scores_B in self._scores(self.model, part).items()
            for sequence, logp in zip(self._sequences(some, cell), scores_B.tolist(), strict=True)
        }

    def tokens(self, batch: Any) -> int:
        return sum(inputs["input_ids"].numel() for part in batch for inputs in part.values())


class TRL:
    """TRL's DPOTrainer: its collator, its loss, its backward.

    Args:
        inputs: model and pairs.
        checkpointing: gradient checkpointing, TRL's default: less memory, more time.
        response_only: its head on response positions alone, as on a GPU; on a CPU TRL scores every position.
    """

    online_reference = True
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
            bf16=inputs.shape.mixed,  # else the weights' own type, as for all contestants
            gradient_checkpointing=checkpointing,
            max_length=LONGEST,
            use_cpu=inputs.shape.device == "cpu",
            report_to=[],
            disable_tqdm=True,
        )
        processor = AutoProcessor.from_pretrained(inputs.folder)
        full = inputs.shape.lora is None
        self.trainer = DPOTrainer(
            plain_model(inputs),
            plain_model(inputs) if full and inputs.shape.made else None,  # else TRL loads it, or takes the adapter off
            args=settings,
            train_dataset=pairs,
            processing_class=processor,
            peft_config=None if full else _peft_config(inputs),
        )
        if inputs.shape.mixed:
            self.trainer.accelerator.prepare_model(self.trainer.model)  # its forward is then that of mixed precision
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


def adapted(model: Any, family: Family, shape: Shape) -> Any:
    """The model with what the shape trains, as a recipe would have it: all, all but the vision encoder, or adapters."""
    if shape.lora is None:
        family.parts(model)["vision"].requires_grad_(not shape.frozen)
        return model
    lora = shape.lora
    torch.manual_seed(0)
    settings = LoraSettings(lora.rank, lora.alpha, lora.dropout, lora.targets)
    return choose_trained(model, family, train_vision=False, lora=settings)[0]


def adapter_off(model: Any) -> contextlib.AbstractContextManager[None]:
    """A block in which a model with an adapter is the model without."""
    return model.disable_adapter() if hasattr(model, "disable_adapter") else contextlib.nullcontext()


def _peft_config(inputs: Inputs) -> Any:
    """The same adapters for whoever puts them on itself."""
    from peft import LoraConfig

    lora = inputs.shape.lora
    assert lora is not None
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        modules_to_save=load_processor(inputs.folder).copied(train_vision=False),
    )


@dataclass(frozen=True)
class Entry:
    """A contestant by name: how it is made, and whether it runs unless asked for."""

    make: Callable[[Inputs, int], Contestant]
    by_default: bool = True


def first_terms(name: str, terms: int) -> Objective:
    """The objective with the first ``terms`` of its terms only (0: all)."""
    whole = OBJECTIVES[name]
    return whole.model_copy(update={"terms": whole.terms[: terms or None]})


def _ours(name: str, rows: Rows | None = None, attention: Attention = "auto", *, by_default: bool = True) -> Entry:
    return Entry(lambda inputs, terms: Trifacet(inputs, first_terms(name, terms), rows, attention), by_default)


def _keeping_features(name: str) -> Entry:
    def make(inputs: Inputs, terms: int) -> Contestant:
        ours = Trifacet(inputs, first_terms(name, terms))
        ours.scorer.kept = KeptFeatures(inputs.folder / f"features-of-{name}", KEPT)
        return ours

    return Entry(make, by_default=False)


def _making_again(name: str) -> Entry:
    def make(inputs: Inputs, terms: int) -> Contestant:
        ours = Trifacet(inputs, first_terms(name, terms))
        ours.scorer.made_again = ours.scorer.can_be_made_again
        return ours

    return Entry(make, by_default=False)


def _with_a_whole_last_layer(inputs: Inputs, terms: int) -> Contestant:
    ours = Trifacet(inputs, first_terms("mcm-dpo", terms))
    ours.scorer.family.token_wise = lambda model: []  # type: ignore[method-assign]
    return ours


def _keeping_everything(inputs: Inputs, terms: int) -> Contestant:
    scoring.feed_forward = lambda model: []  # of this process
    return Trifacet(inputs, first_terms("mcm-dpo", terms))


CONTESTANTS = {
    BASELINE: Entry(lambda inputs, terms: TRL(inputs)),
    "dpo": _ours("dpo"),
    "mdpo": _ours("mdpo"),
    "mcm-dpo": _ours("mcm-dpo"),
    "mcm-dpo-released": Entry(lambda inputs, terms: Released(inputs)),
    "mcm-dpo-one-by-one": _ours("mcm-dpo", "path"),
    "mcm-dpo-dense-rows": _ours("mcm-dpo", "sample", "dense", by_default=False),
    FLEXIBLE: _ours("mcm-dpo", attention="flex", by_default=False),
    "mcm-dpo-whole-last-layer": Entry(_with_a_whole_last_layer, by_default=False),
    "mcm-dpo-keeping-all": Entry(_keeping_everything, by_default=False),
    **{f"{name}{KEEPING}": _keeping_features(name) for name in ("dpo", "mdpo", "mcm-dpo")},
    **{f"{name}-made-again": _making_again(name) for name in ("dpo", "mdpo", "mcm-dpo")},
    "trl-dpo-checkpointing": Entry(lambda inputs, terms: TRL(inputs, checkpointing=True), by_default=False),
    "trl-dpo-response-only": Entry(lambda inputs, terms: TRL(inputs, response_only=True), by_default=False),
}


def lacking(names: list[str], shape: Shape) -> str | None:
    """Why these contestants cannot run here on this shape, in one line; None if they can."""
    if unknown := [name for name in names if name not in CONTESTANTS]:
        return f"unknown contestant {unknown[0]!r}; known are {', '.join(CONTESTANTS)}"
    if shape.device == "cuda" and not torch.cuda.is_available():
        return f"shape {shape.name!r} needs a GPU that torch can use, and there is none; use --shape small"
    if FLEXIBLE in names and shape.device == "cpu":
        return f"{FLEXIBLE} needs a GPU: FlexAttention has no backward pass on a CPU"
    if not (shape.frozen or shape.lora) and (keeping := [name for name in names if name.endswith(KEEPING)]):
        return f"{keeping[0]} needs --frozen-encoder: of one that trains nothing can be kept"
    peers = [name for name in names if name.startswith("trl-")]
    if peers and importlib.util.find_spec("trl") is None:
        return f"{peers[0]} needs trl, which is not installed: pip install 'trifacet[bench]', or name others"
    return None
