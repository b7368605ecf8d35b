"""All that is to be known of a GPU, in one command of eight minutes: is it exact there, and how fast.

    python bench/gpu.py --json gpu.json                # one H200-class card
    python bench/gpu.py --parts exactness,attention    # some of it
    python bench/gpu.py --small                        # the same at toy size first: a minute
    python bench/gpu.py --device cpu --small           # toys on the CPU, as the tests do, so that this cannot rot

Parts, the most important first
    rate        the card's best matrix multiplication, of which the tables of steps give shares
    exactness   summed log-probs of the trie against plain transformers a sequence at a time, three families, in
                float32 and bfloat16; beside it what rounding alone does (plain bfloat16 against plain float32)
    gpu         a training step beside TRL's, as bench/step_time.py: 1.6 billion weights, all trained
    attention   dense SDPA with a row per sample, FlexAttention with a row per batch and others: seconds of forward and
                backward, peak memory, differences of log-probs and gradients (blocks are for the CPU)
    gpu-7b      a training step at the size of LLaVA-1.5-7B with LoRA as its recipe has it
    writing     eight texts of one picture, and one of each of eight pictures, beside transformers' generate

Weights are random and made on the card: nothing is downloaded, and nothing of their size is written. The budget holds
(``--minutes``, and half a minute to begin and to end): a part gets what later ones can spare, one for which too
little is left is left out, one that fails says so, and the rest goes on; what runs out of memory is a line in its
table. Parts run in processes of their own, so that none finds what another left behind. ``--json`` is written after
each part; tables in Markdown go to standard output at the end, progress to standard error. Exit code 1: a part
failed, was stopped or left out.

What to look at: ``apart`` of exactness (float32: below 1e-4; bfloat16: about ``rounding alone``), then which attention
is fastest: where it is not ``dense, a row per sample``, ``model.attention`` of a recipe chooses it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from gpu_parts.attention import attention
from gpu_parts.exactness import exactness
from gpu_parts.rate import rate
from gpu_parts.running import Part, Setting, run_parts
from gpu_parts.steps import steps_at
from gpu_parts.tables import as_markdown
from gpu_parts.writing import writing

PARTS = (
    Part("rate", "best multiplication", rate, 15, 45),
    Part("exactness", "the trie against plain transformers", exactness, 25, 90),
    Part("gpu", "steps of 1.6 billion weights", steps_at("gpu"), 60, 140, apart=False),
    Part("attention", "ways of attention", attention, 50, 130),
    Part("gpu-7b", "steps of 7 billion weights with LoRA", steps_at("gpu-7b"), 75, 170, apart=False),
    Part("writing", "texts beside transformers' generate", writing, 30, 75),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=7.5, help="for all parts together")
    parser.add_argument("--parts", default=",".join(part.name for part in PARTS), help="some of them")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="at toy size")
    parser.add_argument("--rounds", type=int, default=3, help="timed turns of each")
    parser.add_argument("--threads", type=int, default=4, help="of each process on the CPU")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write all figures as JSON")
    options = parser.parse_args()
    names = options.parts.split(",")
    if unknown := [name for name in names if name not in {part.name for part in PARTS}]:
        parser.error(f"unknown part {unknown[0]!r}; known are {', '.join(part.name for part in PARTS)}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use; --device cpu --small runs all parts at toy size")
    if options.device == "cpu" and not options.small:
        parser.error("these sizes need a GPU; add --small")
    if options.minutes <= 0 or min(options.rounds, options.threads) < 1:
        parser.error("--minutes is above 0, --rounds and --threads are at least 1")
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # for the processes of the parts
    setting = Setting(options.device, options.small, options.rounds, options.threads)
    on_gpu = options.device == "cuda"
    parts = [part if on_gpu else part.at_once() for part in PARTS if part.name in names]
    began = time.monotonic()

    def so_far(found: dict[str, Any]) -> dict[str, Any]:
        return {
            "device": options.device,
            "small": options.small,
            "minutes": options.minutes,
            "seconds": time.monotonic() - began,
            "parts": found,
        }

    def keep(found: dict[str, Any]) -> None:
        if options.json:
            options.json.write_text(json.dumps(so_far(found), indent=2) + "\n", encoding="utf-8")

    found = run_parts(parts, setting, 60 * options.minutes, apart=on_gpu, done=keep)
    print(as_markdown(so_far(found)))
    if any(key in part for part in found.values() for key in ("failed", "stopped", "left_out")):
        sys.exit(1)


if __name__ == "__main__":
    main()
