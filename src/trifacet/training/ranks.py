"""The processes of one run: which of them this is, and how they wait for each other.

Invariant: what one process refuses where all meet ends all of them with one message. Nothing else in the package talks
to accelerate's state or to torch.distributed; with one process everything here does nothing.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate.data_loader import DataLoaderShard
from accelerate.state import PartialState
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils.data import BatchSampler

from trifacet.base.errors import TrifacetError

T = TypeVar("T")
STEP_TIMEOUT = timedelta(minutes=30)  # of the gradients' exchange: a process that is this late is not coming
WAIT_TIMEOUT = timedelta(days=30)  # of all else: the others wait for hours while the first one writes texts

_waiting: Any = None  # the group in which processes wait: over the CPU, so that no accelerator spins


def start(device: torch.device) -> None:
    """Meet the other processes, if torchrun or accelerate started any; ``device`` is where this run computes.

    Raises:
        TrifacetError: the processes would share one accelerator.
    """
    global _waiting  # noqa: PLW0603
    if _waiting is not None or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return
    if device.type != "cpu" and device.index is not None:
        raise TrifacetError(f"model.device: all processes would share {device}; set auto, and each takes its own")
    PartialState(cpu=device.type == "cpu", timeout=STEP_TIMEOUT)
    _waiting = dist.new_group(backend="gloo", timeout=WAIT_TIMEOUT)


def count() -> int:
    """How many processes this run has."""
    return 1 if _waiting is None else dist.get_world_size()


def rank() -> int:
    """The number of this process, from 0."""
    return 0 if _waiting is None else dist.get_rank()


def is_first() -> bool:
    """Whether this process owns the folder, writes, and speaks. True before ``start`` for the one that will."""
    return (os.environ.get("RANK", "0") if _waiting is None else str(rank())) == "0"


def told_elsewhere(error: TrifacetError) -> bool:
    """Whether another process prints this error; before they meet all read the same and raise the same."""
    return error.elsewhere or (_waiting is None and not is_first())


def gather(value: T) -> list[T]:
    """The values of all processes, in order; they are pickled.

    Raises:
        TrifacetError: another process has ended.
    """
    if _waiting is None:
        return [value]
    values: list[Any] = [None] * count()
    with _others_alive():
        dist.all_gather_object(values, value, group=_waiting)
    return values


def any_of(flag: bool) -> bool:
    """Whether ``flag`` is true on any process. Raises as ``gather`` does."""
    if _waiting is None:
        return flag
    found = torch.tensor(int(flag))
    with _others_alive():
        dist.all_reduce(found, dist.ReduceOp.MAX, group=_waiting)
    return bool(found)


def first_does(work: Callable[[], T]) -> T:
    """What ``work`` returns on the first process, the others having waited for it; what it raises is raised on all."""
    if _waiting is None:
        return work()
    value: list[Any] = [None]
    with agreed():
        if is_first():
            value[0] = work()
    with _others_alive():
        dist.broadcast_object_list(value, src=0, group=_waiting)
    return value[0]


@contextmanager
def agreed() -> Iterator[None]:
    """A block that all processes run: an error in it on any of them is raised at its end on all."""
    failure: BaseException | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if _waiting is None:
            raise
        failure = error
    agree(failure)


def agree(failure: BaseException | None) -> None:
    """Raise the first process's failure on all, if any has one; only the process that had it will say so."""
    if _waiting is None:
        if failure is not None:
            raise failure
        return
    failures = gather(None if failure is None else _for_others(failure))
    number = next((number for number, known in enumerate(failures) if known is not None), None)
    if number is None:
        return
    if number == rank() and failure is not None:
        raise failure
    known = failures[number]
    assert known is not None
    raise known from None


def _for_others(failure: BaseException) -> BaseException:
    """What a failure is on the processes that did not have it: the same refusal, not told again, or a quiet end."""
    if isinstance(failure, TrifacetError):
        told = copy.copy(failure)
        told.elsewhere = True
        return told
    return KeyboardInterrupt(*failure.args) if isinstance(failure, KeyboardInterrupt) else SystemExit(1)


@contextmanager
def _others_alive() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise TrifacetError(
            f"another process of this run has ended; its own message says why ({str(error).splitlines()[0]})"
        ) from None


def fill(weight: torch.Tensor, value: torch.Tensor) -> None:
    """Copy ``value``, whole on every process, into ``weight``, which may be this process's shard of it."""
    if isinstance(weight, DTensor):
        value = distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements)
    weight.copy_(value)


def held(weight: torch.Tensor) -> torch.Tensor:
    """What this process has of ``weight``: all of it, or its shard."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def share_of(accumulation: int, key: str) -> int:
    """How many of a step's forwards are this process's, where ``accumulation`` counts those of all processes.

    Raises:
        TrifacetError: they cannot be shared out evenly.
    """
    if accumulation % count():
        right = math.ceil(accumulation / count()) * count()
        raise TrifacetError(
            f"{key}.accumulation: {accumulation} forwards of a step cannot be shared by {count()} processes; "
            f"set it to a multiple of {count()}, such as {right}, and {key}.batch_size to fit"
        )
    return accumulation // count()


class ShareOfBatches(BatchSampler):
    """Every ``ranks``-th batch from number ``rank`` on, so that a step's forwards are those of one process.

    All ranks get equally many: where the batches run out a rank is given a sample again, to be counted as nothing.
    """

    def __init__(self, batches: BatchSampler, rank: int, ranks: int) -> None:
        self.batch_sampler, self.rank, self.ranks = batches, rank, ranks
        self.sampler = batches.sampler  # where accelerate looks for what it tells the epoch
        self.batch_size, self.drop_last = batches.batch_size, batches.drop_last

    def __len__(self) -> int:
        return math.ceil(len(self.batch_sampler) / self.ranks)

    def __iter__(self) -> Iterator[list[int]]:
        number, batch = -1, list[int]()
        for number, batch in enumerate(self.batch_sampler):
            if number % self.ranks == self.rank:
                yield batch
        if 0 <= number % self.ranks < self.rank:
            yield batch[:1]


def batches_of(loader: Any) -> BatchSampler:
    """The batches of all processes, of a loader that accelerate has prepared for this one."""
    found: BatchSampler = loader.batch_sampler if _waiting is None else loader.batch_sampler.batch_sampler
    return found


def shared(loader: Any, batches: BatchSampler) -> Any:
    """``loader``, as accelerate has prepared it for this process, with its ``ShareOfBatches`` of ``batches``."""
    if _waiting is not None:
        batches = ShareOfBatches(batches, rank(), count())
    if batches is loader.batch_sampler:
        return loader
    kept = ("num_workers", "collate_fn", "pin_memory", "worker_init_fn", "prefetch_factor", "persistent_workers")
    return DataLoaderShard(
        loader.dataset,
        device=loader.device,
        rng_types=loader.rng_types,
        synchronized_generator=loader.synchronized_generator,
        batch_sampler=batches,
        **{name: getattr(loader, name) for name in kept},
    )


def weights(left: int, here: int, rank: int, ranks: int) -> list[float]:
    """What each of this process's forwards of a step counts, so that all forwards of the step weigh the same.

    Training descends the mean over processes of the mean over a process's forwards; the last step of an epoch may have
    fewer forwards than there are places for them.

    Args:
        left: forwards that the epoch still has, over all processes.
        here: places of this process in this step.
        rank: number of this process.
        ranks: how many there are.

    Returns:
        a factor per place; 0 for one that repeats a sample.
    """
    places = here * ranks
    real = min(places, left)
    return [places / real if number * ranks + rank < real else 0.0 for number in range(here)]
