"""What images that differ in a region cost a training: its steps beside those with noise over the whole picture.

    python bench/region_images.py                    # the demo's size, three minutes on two cores
    python bench/region_images.py --shape small      # 576 image tokens; a quarter of an hour
    python bench/region_images.py --strategies region-diffusion,graded --picture 1024x768

One model and one set of pairs with JPEG photos of noise; mDPO; no reference, which sees the same images. Batches are
made by a worker of the loader, as in training. The strategies take turns, each one with a loader of its own whose first
batch is not timed; a ratio compares turns of the same round.

Columns; medians over the rounds
    prepare   processor time for a sample, decoding and reading it included: what a worker does beside the steps
    wait      share of a step that passes until its batch is there
    step      seconds of a step: waiting for its batch, forward, backward
    ratio     of the step to that of diffusion, with the lowest and highest; on a shared machine, look at ``wait`` too
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from contest.inputs import LABEL, REQUEST, SHAPES, Inputs, make_inputs
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import TrieScorer
from trifacet.models.loading import load_model
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy
from trifacet.preferences.rejected.masks import Mask, box_mask
from trifacet.training.examples import Collator, Examples
from trifacet.training.pictures import Rejection

BASELINE = "diffusion"
OBJECTIVE = OBJECTIVES["mdpo"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    regions = [name for name, one in STRATEGIES.items() if one.sees_regions]
    parser.add_argument("--strategies", default=",".join(regions), help=f"beside {BASELINE}: {', '.join(STRATEGIES)}")
    parser.add_argument("--picture", default="640x480", help="width x height of the photos")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6, help="timed steps of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    width, height = (int(side) for side in options.picture.split("x"))
    names = [BASELINE, *options.strategies.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        inputs = with_photos(make_inputs(Path(folder), SHAPES[options.shape]), (width, height))
        turns = {name: Turns(inputs, name, (width, height), options.workers) for name in names}
        for one in turns.values():
            one.step_seconds(1)  # warms up
        prepare: dict[str, list[float]] = {name: [] for name in names}
        step: dict[str, list[float]] = {name: [] for name in names}
        wait: dict[str, list[float]] = {name: [] for name in names}
        for number in range(options.rounds):
            for name in [*names[number % len(names) :], *names[: number % len(names)]]:
                prepare[name].append(turns[name].prepare_seconds())
                whole, waited = turns[name].step_seconds(options.steps)
                step[name].append(whole)
                wait[name].append(waited / whole)
    print(f"shape {options.shape}, pictures {width} x {height}, {options.rounds} rounds of {options.steps} steps")
    print(f"{'strategy':<18}{'prepare':>9}{'wait':>8}{'step':>9}  ratio")
    for name in names:
        ratios = [ours / theirs for ours, theirs in zip(step[name], step[BASELINE], strict=True)]
        print(
            f"{name:<18}{statistics.median(prepare[name]) * 1000:>7.1f}ms{statistics.median(wait[name]):>8.1%}"
            f"{statistics.median(step[name]):>8.3f}s"
            f"  {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


class Turns:
    """A strategy's batches, made by workers, and steps on them."""

    def __init__(self, inputs: Inputs, strategy: str, size: tuple[int, int], workers: int) -> None:
        loaded = load_model(inputs.folder, dtype="float32", device=inputs.shape.device)
        encoder = SampleEncoder(loaded.family, prompt=REQUEST, context_label=LABEL, max_length=2048)
        rejection = Rejection(image_strategy(strategy), masks=a_quarter_of(size))
        samples, self.batch, self.workers = inputs.samples, inputs.shape.batch, workers
        self.examples = Examples(samples, OBJECTIVE, encoder, inputs.folder, rejection, max_pixels=10**8)
        self.collator = Collator(self.examples)
        self.model, self.scorer = loaded.model, TrieScorer(loaded.model, loaded.family)
        self.device = torch.device(inputs.shape.device)

    def prepare_seconds(self) -> float:
        """Of one sample."""
        began = time.process_time()
        for index in range(4):
            self.examples[index]
        return (time.process_time() - began) / 4

    def step_seconds(self, steps: int) -> tuple[float, float]:
        """Of one step, and of the wait for its batch; as many as that are timed."""
        order = [index % len(self.examples) for index in range((steps + 1) * self.batch)]
        loader = DataLoader(
            self.examples,
            sampler=order,
            batch_size=self.batch,
            num_workers=self.workers,
            collate_fn=self.collator.of_loader,
        )
        began = waited = 0.0
        ready = time.perf_counter()
        for number, batch in enumerate(loader):
            if number == 1:
                began = ready
            if number >= 1:
                waited += time.perf_counter() - ready
            seen, needed = (part.to(self.device) for part in batch)
            logps_C = self.scorer(seen)
            objective_loss(OBJECTIVE, logps_C, logps_C.detach(), seen.lengths_C, needed.plan).loss.backward()
            self.model.zero_grad()
            ready = time.perf_counter()
        return (ready - began) / steps, waited / steps


def a_quarter_of(size: tuple[int, int]) -> Callable[[object], Mask]:
    """Masks of a quarter of the picture."""
    width, height = size
    mask = box_mask(size, (width / 4, height / 4, width * 3 / 4, height * 3 / 4))
    return lambda sample: mask


def with_photos(inputs: Inputs, size: tuple[int, int]) -> Inputs:
    """The same pairs without rejected images, with larger pictures."""
    rng = np.random.default_rng(1)
    samples = []
    for sample in inputs.samples:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(inputs.folder / f"{sample.id}.jpg", quality=90)
        samples.append(sample.model_copy(update={"image": f"{sample.id}.jpg", "rejected_images": ()}))
    return Inputs(inputs.folder, inputs.shape, tuple(samples), inputs.parameters)


if __name__ == "__main__":
    main()
