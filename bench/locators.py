"""Pictures per second of each locator at tiny size, and how its time grows with the words per picture.

    python bench/locators.py                            # a minute on one core
    python bench/locators.py --only owlv2,sam3 --rounds 20 --json out.json

The checkpoints are the tests' own: real classes, random weights, a few ten thousand of them. So the numbers say how
the work grows, and nothing of how fast, or how good, a released checkpoint is. Time is the processor's, of one thread.
Every round takes all numbers of words in turn; a ratio is of medians over the rounds. ``in the encoder`` is the time
within the module that sees the picture (with SAM both of theirs): flat if the picture is encoded once. What grows is
one pass of the text encoder or decoder per word, or one backward pass (attention by gradient), and a mask per word.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
import tiny_families
import tiny_locators
import torch
from PIL import Image

from trifacet.data.records import PreferenceSample
from trifacet.regions.locators.opening import open_locator
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import KeyWord, Look

COUNTS = (1, 2, 4, 8, 16)
RESPONSE = " ".join(f"{first} {second}" for first in ("red", "blue", "a", "the") for second in tiny_locators.WORDS[1:5])
ENCODERS = {
    "grounding-dino": "model.backbone",
    "owlv2": "owlv2.vision_model",
    "clipseg": "clip.vision_model",
    "sam3": "vision_encoder",
    "lowest-similarity": "vision_model",
    "attention": "model.vision_tower",
}
CONTESTANTS = (
    "grounding-dino", "grounding-dino+sam", "owlv2", "owlv2+sam", "clipseg", "sam3", "lowest-similarity",
    "attention:gradient", "attention:attention",
)  # fmt: skip


def looks(count: int, picture: Image.Image) -> Look:
    """The first ``count`` phrases of the response as key words."""
    words, at = [], 0
    parts = RESPONSE.split()
    for first, second in zip(parts[::2], parts[1::2], strict=True):
        text = f"{first} {second}"
        words.append(KeyWord(text, 1.0, ((at, at + len(text)),)))
        at += len(text) + 1
    sample = PreferenceSample(id="a", image="a.png", response=RESPONSE)
    return Look(sample, picture, tuple(words[:count]), 0)


class Clock:
    """Seconds within modules."""

    def __init__(self, *modules: torch.nn.Module) -> None:
        self.seconds, self.calls, self._since = 0.0, 0, 0.0
        for module in modules:
            module.register_forward_pre_hook(self._begin)
            module.register_forward_hook(self._end)

    def _begin(self, *_: Any) -> None:
        self._since = time.process_time()

    def _end(self, *_: Any) -> None:
        self.seconds += time.process_time() - self._since
        self.calls += 1


def measure(name: str, folder: Path, rounds: int, side: int) -> dict[str, Any]:
    """Seconds per picture, whole and in the encoder, for each number of words."""
    kind, _, way = name.replace("+", ":").partition(":")
    settings: dict[str, Any] = {"name": kind, "threshold": 0.0, "text_threshold": 0.0, "keep": "best", "device": "cpu"}
    if kind == "attention":
        settings["by"] = way
        settings["model"] = str(tiny_families.make_family("llava", folder / name, [RESPONSE, "Write alt-text."]))
    else:
        own = (
            {"max_text_len": 64} if kind == "grounding-dino" else {}
        )  # all phrases in one prompt, as with the real 256
        settings["model"] = str(tiny_locators.MAKERS[kind](folder / name, **own))
        settings["masks_by"] = str(tiny_locators.sam(folder / f"{name}-sam")) if way == "sam" else None
    locator: Any = open_locator(LocatorSettings(**settings))
    model = locator.model if kind == "attention" else locator.checkpoint.model
    seen = [model.get_submodule(ENCODERS[kind])]
    seen += [locator.sam.checkpoint.model.vision_encoder] if way == "sam" else []
    clock, picture = (
        Clock(*seen),
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (side * 3 // 4, side, 3), dtype=np.uint8)),
    )
    whole: dict[int, list[float]] = {count: [] for count in COUNTS}
    inside: dict[int, list[float]] = {count: [] for count in COUNTS}
    calls = set()
    for turn in range(rounds + 1):  # the first warms up
        for count in COUNTS:
            clock.seconds, clock.calls = 0.0, 0
            start = time.process_time()
            locator.locate(looks(count, picture))
            if turn:
                whole[count].append(time.process_time() - start)
                inside[count].append(clock.seconds)
                calls.add(clock.calls)
    return {
        "locator": name,
        "seconds": {count: median(values) for count, values in whole.items()},
        "encoder_seconds": {count: median(values) for count, values in inside.items()},
        "encoder_calls": sorted(calls),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="locators, with commas between them")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--side", type=int, default=128, help="width of the picture in pixels")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.only.split(",") if arguments.only else list(CONTESTANTS)
    found = []
    print("| locator | pictures/s, 1 word | time at 2, 4, 8, 16 words | in the encoder | encodings |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            one = measure(name, Path(folder), arguments.rounds, arguments.side)
            found.append(one)
            ratios = [
                ", ".join(f"{values[count] / values[1]:.2f}" for count in COUNTS[1:])
                for values in (one["seconds"], one["encoder_seconds"])
            ]
            calls = " or ".join(map(str, one["encoder_calls"]))
            print(f"| {name} | {1 / one['seconds'][1]:.0f} | {ratios[0]} | {ratios[1]} | {calls} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
