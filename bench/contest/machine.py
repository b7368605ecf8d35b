"""What a process and its machine can say of themselves: memory, speed of multiplication, versions.

Invariant: a figure is of the process that asks.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from contest.clock import synchronised


def peak_memory(device: str) -> int:
    """Bytes: the most that this process has held, of the device's memory or (CPU) resident in the machine's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the parent held when it forked
        (line,) = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak(device: str) -> None:
    """From here on ``peak_memory`` begins with what is held now, where the device can be told so."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def give_back(device: str) -> None:
    """Return memory that is free but kept: contestants that wait would otherwise fill the machine together."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class Multiplication:
    """The machine's speed at multiplying large square matrices, in FLOPs per second."""

    def __init__(self, device: str, dtype: str, size: int | None = None) -> None:
        self.device, self.size = device, size or (8192 if device == "cuda" else 2048)
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randn(self.size, self.size, generator=generator) for _ in range(2))
        self.left, self.right = (matrix.to(device, getattr(torch, dtype)) for matrix in (left, right))
        self.out = torch.empty_like(self.left)

    def best_of(self, times: int) -> float:
        """The best of so many multiplications."""
        seconds = []
        for _ in range(times):
            began = synchronised(self.device)
            torch.mm(self.left, self.right, out=self.out)
            seconds.append(synchronised(self.device) - began)
        return 2 * self.size**3 / min(seconds)


def facts(device: str, threads: int) -> dict[str, Any]:
    """Processor, threads and versions, for the head of a table."""
    return {
        "processor": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": threads,
        **{package: _version(package) for package in ("torch", "transformers", "trl")},
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
