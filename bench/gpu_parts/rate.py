"""What the card multiplies at its best: that of which ``multiply`` in the tables of steps is a share."""

from __future__ import annotations

import torch

from contest.machine import Multiplication, facts
from gpu_parts.running import Setting, Tell


def rate(setting: Setting, tell: Tell, until: float) -> None:
    """``machine``: name and versions; ``rows``: a type and its FLOPs per second."""
    torch.set_num_threads(setting.threads)
    machine = facts(setting.device, setting.threads)
    if setting.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        machine |= {"memory_bytes": properties.total_memory, "cuda": torch.version.cuda}
    tell(machine=machine)
    for dtype in ("bfloat16", "float32"):
        multiplication = Multiplication(setting.device, dtype, 256 if setting.small else None)
        multiplication.best_of(2)
        tell(rows=[{"dtype": dtype, "size": multiplication.size, "flops_per_second": multiplication.best_of(10)}])
