"""How long texts take beside transformers' generate, by the contestants and tasks of bench/generate_speed.py."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch
from generate_speed import CONTESTANTS, TASKS, Bench, Task, taking_turns

from contest.inputs import make_inputs
from contest.machine import forget_peak, give_back, peak_memory
from gpu_parts.running import Setting, Tell
from gpu_parts.shapes import shape_of

PICTURES, LONGEST = 8, 25


def writing(setting: Setting, tell: Tell, until: float) -> None:
    """``rows``: a task and a contestant with its seconds, peak, and the share of its texts that are ours."""
    torch.set_num_threads(setting.threads)
    shape = shape_of("gpu", setting)
    pictures, longest = (2, 4) if setting.small else (PICTURES, LONGEST)
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), shape)
        bench = Bench(inputs, pictures, longest)
        tell(
            shape=shape.name, prompt_tokens=len(bench.prompts[0].path.tokens_L), text_tokens=longest, dtype=shape.dtype
        )
        for name in ("samples", "pictures"):
            task = TASKS[name]._replace(pictures=TASKS[name].pictures or pictures)
            turns = taking_turns(bench, task, setting.rounds)
            for one in CONTESTANTS:
                ratios = turns.ratios(one)
                row = {
                    "task": name, "contestant": one, "pictures": task.pictures, "draws": task.draws,
                    "seconds": median(turns.seconds[one]), "ratio": median(ratios),
                    "ratio_range": (min(ratios), max(ratios)), "encoded": turns.encoded[one],
                    "same_texts": turns.same(one), "peak_memory_bytes": _peak(bench, one, task),
                }  # fmt: skip
                tell(rows=[row])


def _peak(bench: Bench, contestant: str, task: Task) -> int | None:
    """Bytes that writing takes at its peak beyond the model and its prompts; None where the device cannot be asked."""
    if bench.device != "cuda":
        return None
    give_back(bench.device)
    forget_peak(bench.device)
    before: Any = torch.cuda.memory_allocated()
    bench.write(contestant, task)
    return peak_memory(bench.device) - before
