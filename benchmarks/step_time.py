"""Time of one training step of DPO and of MCM-DPO, with the prefix trie and with one sequence per corner.

    python benchmarks/step_time.py                       # the demo's size, a minute on two cores
    python benchmarks/step_time.py --shape small         # 63 M parameters, 576 image tokens; some minutes
    python benchmarks/step_time.py --json out.json

All contestants run the same model, samples, batch and optimizer in one process; they take turns, and the medians are
printed as ratios to plain DPO with two sequences per sample, as other trainers run it. Reference scores are made
before and shown apart. Sequences of one sample are padded to a batch, as a plain trainer pads them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trifacet.engine.encode import SampleEncoder
from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import TrieScorer
from trifacet.losses import Plan, objective_loss
from trifacet.models.loading import load_model
from trifacet.models.tiny import make_tiny_llava
from trifacet.objectives import OBJECTIVES
from trifacet.records import PreferenceSample
from trifacet.rejection.images import ImageStrategy
from trifacet.training.examples import Collator, Examples, Rejection
from trifacet.training.recipe import TinyModel

SHAPES = {  # model, words of the post, words of the response, samples per batch
    "demo": (
        TinyModel(hidden_size=128, vision_hidden_size=192, vision_layers=3, patch_size=16, vocabulary=800),
        30, 10, 8,
    ),
    "small": (
        TinyModel(
            hidden_size=512, layers=8, heads=8, vision_hidden_size=384, vision_layers=6, vision_heads=6,
            image_size=336, patch_size=14, vocabulary=32_064,
        ),
        60, 25, 2,
    ),
}  # fmt: skip
CONTESTANTS = {  # name: (objective, trie)
    "dpo-one-by-one": ("dpo", False),
    "dpo": ("dpo", True),
    "mdpo": ("mdpo", True),
    "mcm-dpo": ("mcm-dpo", True),
    "mcm-dpo-one-by-one": ("mcm-dpo", False),
}
BASELINE = "dpo-one-by-one"


class Contestant:
    """One way to train, with its own model, optimizer, batches and reference scores."""

    def __init__(self, folder: Path, samples: list[PreferenceSample], objective: str, trie: bool, batch: int) -> None:
        loaded = load_model(folder)
        self.objective = OBJECTIVES[objective]
        encoder = SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
        examples = Examples(
            samples, self.objective, encoder, folder, Rejection(ImageStrategy()), max_pixels=10**7, one_by_one=not trie
        )
        self.scorer = TrieScorer(loaded.model, loaded.family)
        self.optimizer = torch.optim.AdamW(self.scorer.parameters(), lr=1e-6)
        self.per_batch = batch
        encoded = [examples[index] for index in range(len(examples))]
        self.unique_tokens = statistics.mean(sum(len(part.trie.tokens_N) for part in one.encoded) for one in encoded)
        self.total_tokens = statistics.mean(sum(part.trie.total_tokens for part in one.encoded) for one in encoded)
        began = time.perf_counter()
        batches = [encoded[at : at + batch] for at in range(0, len(encoded), batch)]
        scores = list(score_batches(self.scorer, map(Collator(examples), batches), torch.device("cpu")))
        self.reference_seconds = (time.perf_counter() - began) / len(encoded)
        counts = [len(examples.cells(index)) for index in range(len(examples))]
        self.batches = [Collator(examples, list(torch.cat(scores).split(counts)))(batch) for batch in batches]

    def step(self, number: int) -> float:
        """Seconds of forward, backward and update on one batch, per sample."""
        batch = dict(self.batches[number % len(self.batches)])
        began = time.perf_counter()
        reference_C, plan = batch.pop("reference_logps_C"), Plan(**batch.pop("plan"))
        loss = objective_loss(self.objective, self.scorer(**batch), reference_C, batch["lengths_C"], plan).loss
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return (time.perf_counter() - began) / self.per_batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--rounds", type=int, default=5, help="steps per contestant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="PATH", help="also write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, context_words, response_words, batch = SHAPES[options.shape]
    with tempfile.TemporaryDirectory() as name:
        samples = _make_inputs(Path(name), model, context_words, response_words, 2 * batch)
        contestants = {
            label: Contestant(Path(name), samples, objective, trie, batch)
            for label, (objective, trie) in CONTESTANTS.items()
        }
        times: dict[str, list[float]] = {label: [] for label in contestants}
        for number in range(options.rounds + 1):
            for label, contestant in contestants.items():
                seconds = contestant.step(number)
                if number:  # the first round warms up
                    times[label].append(seconds)
    rows = {
        label: {
            "seconds_per_sample": statistics.median(times[label]),
            "reference_seconds_per_sample": contestant.reference_seconds,
            "unique_tokens": contestant.unique_tokens,
            "total_tokens": contestant.total_tokens,
        }
        for label, contestant in contestants.items()
    }
    base = rows[BASELINE]["seconds_per_sample"]
    print(f"shape {options.shape}, batch {batch}, {options.threads} threads, median of {options.rounds} steps")
    print(f"{'':20}{'s/sample':>10}{'ratio':>8}{'reference':>11}{'tokens':>9}{'of':>7}")
    for label, row in rows.items():
        print(
            f"{label:20}{row['seconds_per_sample']:10.3f}{row['seconds_per_sample'] / base:8.2f}"
            f"{row['reference_seconds_per_sample']:11.3f}{row['unique_tokens']:9.0f}{row['total_tokens']:7.0f}"
        )
    if options.json:
        document = {"shape": options.shape, "baseline": BASELINE, "contestants": rows}
        Path(options.json).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _make_inputs(folder: Path, model: TinyModel, context: int, response: int, amount: int) -> list[PreferenceSample]:
    """A model and samples of random words and noise pictures; words are single tokens of its vocabulary."""
    rng = np.random.default_rng(0)
    words = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrst"]

    def text(length: int) -> str:
        return " ".join(rng.choice(words, size=length))

    make_tiny_llava(model, [text(2000)], folder, seed=0)
    samples = []
    for number in range(amount):
        side = model.image_size
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        samples.append(
            PreferenceSample(
                id=str(number),
                image=f"{number}.png",
                context=text(context),
                response=text(response),
                rejected_responses=(text(response),),
            )
        )
    return samples


if __name__ == "__main__":
    main()
