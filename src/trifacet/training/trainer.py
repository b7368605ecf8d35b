"""The training loop: transformers' Trainer over a TrieScorer.

Invariant: the loop knows an objective and a batch; how many terms or corners there are is not its business. Checkpoints
hold the trained weights only: the frozen ones come from the model that the stage started from.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import BatchSampler
from transformers import Trainer, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import require
from trifacet.base.tensors import OfTensors
from trifacet.engine.scoring import Batch, TrieScorer
from trifacet.preferences.losses import facet_balance, objective_loss
from trifacet.preferences.objectives import Objective
from trifacet.training import ranks
from trifacet.training.balance import BalancedSteps, sample_costs
from trifacet.training.batches import GroupSampler, LossInputs
from trifacet.training.checkpoints import seal
from trifacet.training.examples import Collator, Examples
from trifacet.training.loader_workers import OutliveSignal, sound
from trifacet.training.recipe import Optimisation

WEIGHTS = "trained.safetensors"


class LatticeTrainer(Trainer):
    """Trains a ``TrieScorer`` by an objective; ``reference_scorer`` replaces cached reference scores where given."""

    def __init__(
        self, scorer: TrieScorer, args: TrainingArguments, examples: Examples, collator: Collator, **options: Any
    ) -> None:
        self.reference_scorer: Any = options.pop("reference_scorer", None)
        self.objective: Objective = examples.objective
        self.rows = collator.rows
        self.cut: set[int] = set()  # samples whose post was cut
        self.notes: dict[str, str] = {}  # what else a checkpoint says of itself
        self.counted: dict[str, int] = defaultdict(int)  # what this process put through the model
        self._step_samples: list[int] = []  # of the forwards since the last optimizer step
        self._sums: dict[str, float] = defaultdict(float)
        self._batches: dict[str, int] = defaultdict(int)
        self._failure: TrifacetError | None = None  # of a forward of this step
        super().__init__(model=scorer, args=args, train_dataset=examples, data_collator=collator.of_loader, **options)
        self.model_accepts_loss_kwargs = False  # the loss is a mean over samples: the Trainer divides by accumulation

    def compute_loss(
        self, model: Any, inputs: tuple[Batch, LossInputs], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """The objective on one batch; its metrics are kept until the next line of the log."""
        batch, needed = inputs
        self.cut.update(needed.cut)
        self._step_samples += needed.indices
        self.counted["samples"] += len(needed.indices)
        self.counted["tokens"] += batch.input_ids.numel()
        self.counted["sequences"] += len(batch.lengths_C)
        reference_C = needed.reference_logps_C
        if reference_C is None and self.reference_scorer is not None:
            reference_C = self.reference_scorer(batch)
        policy_C = model(batch)
        loss, metrics = objective_loss(self.objective, policy_C, reference_C, batch.mass_C, needed.plan)
        if not math.isfinite(loss.item()) and self._failure is None:
            self._failure = self._not_finite(f"the loss is {loss.item()}", needed.indices)
        if self.accelerator.sync_gradients:  # the processes meet in the backward pass of this forward
            ranks.agree(self._failure)
        if needed.weight:
            for name, value in metrics.items():
                self._sums[name] += float(value)
                self._batches[name] += 1
        return loss * needed.weight

    def _prepare_input(self, data: Any) -> Any:
        """The batch on the training's device: the Trainer moves tensors alone."""
        return data.to(self.args.device) if isinstance(data, OfTensors) else super()._prepare_input(data)

    def get_train_dataloader(self) -> Any:
        """The part of all batches that is this process's, those of a step balanced."""
        loader: Any = super().get_train_dataloader()
        inner = loader.base_dataloader  # accelerate wraps the one that starts the workers
        inner.worker_init_fn = OutliveSignal(inner.worker_init_fn)
        batches = self._own_batches() or ranks.batches_of(loader)
        return ranks.shared(loader, self._balanced(batches))

    def _balanced(self, batches: BatchSampler) -> BatchSampler:
        """Batches of all processes, step by step such that these wait little for each other, where that can be.

        Batches exchange members whatever the number of processes, so that one process takes the way of several.
        """
        forwards = self.args.gradient_accumulation_steps * ranks.count()
        mixes = self.objective.is_mean_over_samples and self.train_dataset.groups is None
        if forwards == 1 or (ranks.count() == 1 and not mixes):
            return batches
        costs = sample_costs(self.train_dataset, self.rows)
        return BalancedSteps(
            batches, costs, forwards=forwards, ranks=ranks.count(), mixes=mixes, one_row=self.rows == "batch"
        )

    def _own_batches(self) -> BatchSampler | None:
        """The batches of all processes, where they are not the loader's own."""
        return None

    def _forwards_left(self, of_step: int) -> int:
        """How many forwards the epoch still has, over all processes; ``of_step``: those of a whole step."""
        of_epoch = math.ceil(len(self.train_dataset) / self.args.per_device_train_batch_size)
        return of_epoch - self.state.global_step % math.ceil(of_epoch / of_step) * of_step

    @property
    def samples_in_order(self) -> list[str]:
        """What a checkpoint is tied to: the samples' ids, from which the order of training follows."""
        return [sample.id for sample in self.train_dataset.samples]

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """The process's batches of one step, each with its weight in the loss; bad data anywhere end all processes."""
        with ranks.agreed():
            batches, items = super().get_batch_samples(map(sound, epoch_iterator), num_batches, device)
        left = self._forwards_left(self.args.gradient_accumulation_steps * ranks.count())
        weights = ranks.weights(left, len(batches), ranks.rank(), ranks.count())
        for (_, needed), weight in zip(batches, weights, strict=True):
            needed.weight = weight
        return batches, items

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        groups = self.train_dataset.groups
        return GroupSampler(groups, self.args.seed) if groups else super()._get_train_sampler(train_dataset)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The norm of the gradient; one that is not finite ends the run before it reaches the weights."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if norm is not None and not math.isfinite(norm):  # all processes have the same
            indices = [index for share in ranks.gather(self._step_samples) for index in share]
            ranks.agree(self._not_finite(f"the loss is finite but the norm of its gradient is {norm}", indices))
        self._step_samples = []
        return norm

    def _not_finite(self, what: str, indices: list[int]) -> TrifacetError:
        names = ", ".join(repr(self.train_dataset.samples[index].id) for index in indices)
        return TrifacetError(
            f"{what} at step {self.state.global_step + 1} for samples {names}; "
            "lower the learning rate or look at these samples. The last checkpoint is as it was"
        )

    def refuse_broken_weights(self) -> None:
        """Raise TrifacetError if a trained weight is not finite: such a model is never saved."""
        with ranks.agreed():
            for name, weight in self.trained().items():
                if not torch.isfinite(ranks.held(weight)).all():
                    raise TrifacetError(
                        f"weight {name} is not finite after step {self.state.global_step}; lower the learning rate. "
                        "The last checkpoint is as it was"
                    )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the objective's metrics, averaged since the last line."""
        parts = ranks.gather((dict(self._sums), dict(self._batches)))
        sums, batches = (_added(part) for part in zip(*parts, strict=True))
        logs |= {name: sums[name] / batches[name] for name in sums}
        logs |= facet_balance(self.objective, logs)
        self._sums.clear()
        self._batches.clear()
        super().log(logs, start_time)

    def save_progress(self) -> None:
        """A checkpoint of the steps done so far."""
        if self.state.global_step:
            self._save_checkpoint(self.model, trial=None)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """A checkpoint that counts once it is sealed."""
        if self.sharding != "none" and self.state.global_step >= self.state.max_steps:
            return  # ``finished_at`` cannot load it, and the whole model is about to be saved
        self.refuse_broken_weights()
        super()._save_checkpoint(model, trial)
        ranks.gather(None)  # the files of all processes are there
        folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        ranks.first_does(lambda: seal(folder, self.samples_in_order))

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        self.cut = self.all_cut()
        weights = self.whole_weights()
        if not self.args.should_save:
            return
        folder.mkdir(parents=True, exist_ok=True)
        header = {"cut": json.dumps(sorted(self.cut)), "sharding": self.sharding, **self.notes}
        save_file({name: weights[name].detach().contiguous() for name in self.trained()}, folder / WEIGHTS, header)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The trained weights alone, however they are sharded; the parent saves whole models."""
        self._save(output_dir)

    @property
    def sharding(self) -> str:
        """Who splits the weights over the processes."""
        return "fsdp" if self.is_fsdp_enabled else "deepspeed" if self.is_deepspeed_enabled else "none"

    def whole_weights(self) -> dict[str, Tensor]:
        """Every weight by name, on the first process; all processes have to ask where the weights are sharded."""
        return self.accelerator.get_state_dict(self.model if self.sharding == "none" else self.model_wrapped)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        ranks.gather(None)  # what the first process writes last comes after what any of the others writes

    def all_cut(self) -> set[int]:
        """The samples whose post was cut so far, on any process."""
        return set().union(*ranks.gather(self.cut))

    def finished_at(self, checkpoint: str) -> bool:
        """Whether ``checkpoint`` is that of the last step; then it is loaded: ``train`` would do a step too many."""
        state = TrainerState.load_from_json(str(Path(checkpoint) / TRAINER_STATE_NAME))
        if state.global_step < state.max_steps:
            return False
        self.state = state
        self._load_from_checkpoint(checkpoint)
        return True

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        file = Path(resume_from_checkpoint) / WEIGHTS
        stored = load_file(file)
        with safe_open(file, framework="pt") as header:
            notes: dict[str, str] = header.metadata()
        self.cut.update(json.loads(notes.pop("cut")))
        before, self.notes = notes.pop("sharding", "none"), notes
        if before != self.sharding:
            raise TrifacetError(
                f"{resume_from_checkpoint} was written with sharding {before!r} and this launch has {self.sharding!r}, "
                "so its optimizer state cannot be read; launch as before, or use --overwrite"
            )
        trained = self.trained()
        if stored.keys() != trained.keys():
            raise TrifacetError(
                f"{resume_from_checkpoint} holds other weights than this recipe trains; use --overwrite to start anew"
            )
        with torch.no_grad():
            for name, weight in trained.items():
                ranks.fill(weight, stored[name])

    def trained(self) -> dict[str, Tensor]:
        """The weights that train, by name."""
        named = self.accelerator.unwrap_model(self.model).named_parameters(remove_duplicate=True)
        return {name: weight for name, weight in named if weight.requires_grad}


def _added(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums by name; a process whose batches lacked a term has no such name."""
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total[name] + value if name in total else value
    return total


def trackers(settings: Optimisation) -> list[str]:
    """Who is told of the log. Raises TrifacetError where the package of one is not installed."""
    told = [*settings.report_to, *(["tensorboard"] if settings.tensorboard else [])]
    for name in told:
        require([name], f"report_to: {name}")
    return list(dict.fromkeys(told))


def training_arguments(
    settings: Optimisation, folder: Path, *, seed: int, cpu: bool, workers: int, accumulation: int
) -> Any:
    """Transformers' arguments for one stage of a recipe; ``accumulation`` is this process's part of the recipe's."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup,  # below 1 it is a share of the steps
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        use_cpu=cpu,
        seed=seed,
        data_seed=seed,
        logging_steps=settings.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="steps" if settings.save_every else "no",
        save_steps=settings.save_every or 500,
        save_total_limit=2,
        report_to=trackers(settings),
        run_name=f"{folder.parents[1].name} {folder.name}",  # to trackers
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_pin_memory=not cpu,
        ddp_find_unused_parameters=False,
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # else the Trainer would split batches over the devices, and a trie cannot be split
    return arguments
