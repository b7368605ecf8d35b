"""A training within ``model.memory``: as many of the model's layers as need be are made again going backwards.

Invariant: the bound decides on time and memory alone; all processes of a run make the same layers again.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from trifacet.base.errors import TrifacetError
from trifacet.base.progress import console
from trifacet.engine.memory import need
from trifacet.engine.scoring import TrieScorer
from trifacet.training import ranks
from trifacet.training.balance import sample_costs
from trifacet.training.examples import Collator, Examples
from trifacet.training.stage import Stage

_CONTEXT = 2**29  # bytes that CUDA and its libraries take of a GPU before any tensor


def keep_within(stage: Stage, scorer: TrieScorer, examples: Examples, collator: Collator) -> dict[str, Any]:
    """Choose the layers that ``scorer`` makes again; what ``done.json`` says of it, nothing where nothing is bounded.

    The batch that is looked at is that of the samples with most tokens.

    Raises:
        TrifacetError: the bound is too low for one layer at a time.
    """
    most = stage.scoring.model.memory
    if not most:
        return {}
    device = next(scorer.parameters()).device
    costs = sample_costs(examples, collator.rows)
    longest = sorted(range(len(examples)), key=lambda index: (-costs[index], index))
    was_training = scorer.training
    scorer.train()
    with ranks.agreed():
        batch, _ = collator([examples[index] for index in longest[: stage.settings.batch_size]])
        found = need(scorer, batch.to(device))
        del batch
        gc.collect()
        used = _in_use(device)
        kept = found.most_kept(most - used)
        if kept is None:
            raise TrifacetError(
                f"model.memory: {stage.name} takes some {_gib(used + found.with_kept(0))} even with every layer made "
                f"again, more than {_gib(most)}; lower {stage.key}.batch_size and raise its accumulation, train "
                "adapters (model.lora), or raise the bound"
            )
    scorer.train(was_training)
    kept = min(ranks.gather(kept))
    layers = scorer.can_be_made_again
    scorer.made_again = layers[kept:]
    expected = used + found.with_kept(kept)
    if ranks.is_first():
        console.print(
            f"{stage.name}: {len(layers) - kept} of {len(layers)} layers are made again going backwards, to stay "
            f"within {_gib(most)}; expected are {_gib(expected)}"
        )
    return {"memory": {"bound": most, "expected": expected, "layers": len(layers), "made_again": len(layers) - kept}}


def forget_peak(device: torch.device) -> None:
    """Let ``peak`` begin anew, as far as the system allows that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # no Linux, or not allowed: the peak is then that of the process so far
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak(device: torch.device) -> int | None:
    """The most bytes held since ``forget_peak``: on the device, or of the process; None where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _in_use(device: torch.device) -> int:
    """Bytes that this process holds: of the device's memory, or of the machine's."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) + _CONTEXT
    return int(psutil.Process().memory_info().rss)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
