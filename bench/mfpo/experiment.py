"""MFPO and its controls on pictures with several things: every variant with every seed, and what came out.

    python bench/mfpo/experiment.py                                     # five seeds, all variants
    python bench/mfpo/experiment.py --seeds 17 --variants dpo mdpo mfpo-true
    python bench/mfpo/experiment.py --tables                            # of what is finished; nothing is run
    python bench/mfpo/experiment.py --output runs/try --seeds 1 --variants dpo mdpo --rate 1e-4 --small

A variant is a recipe in ``variants/``; its start, a run of ``world.yaml``, is shared by the variants of a seed. All
have the same budget, and one rule for learning rates: the grid below with the sweep's seed, which is none of the
others, and of each variant the rate with the best ``objects/f1`` on validation pictures among those that did not
degenerate. Every run is a run's folder: what was interrupted goes on and what is finished is not done again.

Tables: each metric's mean and standard deviation over seeds; differences to one variant over the pictures of all seeds
with intervals and paired permutation tests (by Holm), and the seeds in which it is ahead; margins of held-out pairs in
rewards; answers that noise changes; differences of these two by t-tests paired by seed. Intervals over pictures take
the seeds' models as given: what another training would give is seen in the spread over seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from variants import (
    SEEDS,
    SFT,
    SWEEP_SEED,
    Experiment,
    Folders,
    mean_and_spread,
    paired_by_seed,
    print_table,
    read_texts,
)

from trifacet.base.files import write_atomically
from trifacet.data.settings import World
from trifacet.data.source import source_of
from trifacet.demo.locator import LocatorSize, make_locator
from trifacet.demo.make import write_world
from trifacet.demo.things import render_things
from trifacet.demo.things_files import scene_of
from trifacet.generation.writer import FamilyWriter
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model
from trifacet.preferences.objectives import Objective
from trifacet.probing.noise import noise_measures, noised
from trifacet.training.recipe import load_recipe
from trifacet.training.rewards import reward_rows, summarise

HERE = Path(__file__).resolve().parent
METRICS = (
    "objects/chair_s", "objects/chair_i", "objects/coverage", "objects/f1", "objects/attributes", "grounding/answer",
    "yes_bias",
)  # fmt: skip
HELD_OUT = World(kind="things", sft=1, preference=120, validation=1, test=1)  # pairs that no training saw
MARGINS = Objective.model_validate(
    {"name": "margins", "terms": [{"name": "text", "over": "response"}, {"name": "image", "over": "image"}]}
)
SIZE = 64  # of pictures, as world.yaml has it
SMALL = (
    "data.world.sft=48", "data.world.preference=16", "data.world.validation=6", "data.world.test=12",
    "model.tiny.warmup_steps=2", "model.tiny.hidden_size=32", "model.tiny.layers=1", "generate.max_new_tokens=8",
)  # fmt: skip


def _locator(folders: Folders) -> Path:
    """The checkpoint of the small text-prompted locator."""
    return folders.root / "locator"


def _overrides(folders: Folders, name: str, seed: int) -> Sequence[str]:
    return [f"regions.locator.model={_locator(folders)}"] if "clipseg" in EXPERIMENT.text_of(name) else []


def _before(folders: Folders, name: str, seed: int) -> None:
    needs = name != SFT and "clipseg" in EXPERIMENT.text_of(name)
    if needs and not (_locator(folders) / "config.json").exists():
        make_locator(_locator(folders), SWEEP_SEED, LocatorSize(steps=4) if folders.small else LocatorSize())


EXPERIMENT = Experiment(HERE, METRICS, "objects/f1", SMALL, {SFT: "world.yaml"}, overrides=_overrides, before=_before)
VARIANTS = EXPERIMENT.variants


def looked_at(folders: Folders, name: str, seed: int, images: Sequence[str], steps: Sequence[int]) -> dict[str, Any]:
    """Margins of held-out pairs and answers that noise changes, kept beside the texts."""
    file = folders.root / "looks" / f"{name}-seed-{seed}.json"
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for strategy in images:
        if f"margins/{strategy}" not in known:
            known[f"margins/{strategy}"] = _margins(folders, name, seed, strategy)
    for t in steps:
        if f"noise/{t}" not in known:
            known[f"noise/{t}"] = _changed(folders, name, seed, t)
    write_atomically(file, json.dumps(known, indent=1) + "\n")
    return known


def _margins(folders: Folders, name: str, seed: int, kind: str) -> dict[str, float | None]:
    """Mean margins of text and image in rewards (beta .1), the supervised model being the reference."""
    held = _held_out(folders, seed)
    image = ["data.preference=removed.jsonl"] if kind == "removed" else [f"rejected.image.strategy={kind}"]
    fixed = [f"output={held / 'run'}", f"seed={seed}", f"data.root={held}"]
    recipe = load_recipe(HERE / "aligned.yaml", [*fixed, *image])
    rows = reward_rows(
        recipe, MARGINS, EXPERIMENT.checkpoint(folders, name, seed), EXPERIMENT.checkpoint(folders, SFT, seed)
    )
    return {term.term: term.margin for term in summarise(MARGINS, rows)}


def _held_out(folders: Folders, seed: int) -> Path:
    """Pairs that no training saw; in ``removed.jsonl`` those that name a thing, the rejected image lacking one of them.

    No variant trains on such images, so that they favour none.
    """
    held, unseen = folders.root / "held-out" / f"seed-{seed}", seed + 1_000_000
    if (held / "removed.jsonl").exists():
        return held
    write_world(held, HELD_OUT, unseen, SIZE)
    removed = []
    for index, line in enumerate((held / "preference.jsonl").read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        if regions := row["extra"]["regions"]:
            scene, gone = scene_of("preference", index, unseen), regions[index % len(regions)]["word"]
            row["rejected_images"] = [f"images/without-{index:05d}.png"]
            left = replace(scene, things=tuple(thing for thing in scene.things if thing.shape != gone))
            render_things(left, SIZE).save(held / row["rejected_images"][0])
            removed.append(json.dumps(row) + "\n")
    write_atomically(held / "removed.jsonl", "".join(removed))
    return held


def _changed(folders: Folders, name: str, seed: int, t: int) -> float:
    """Share of the test pictures' texts that noise of ``t`` steps changes, in per cent (probing/noise.py)."""
    recipe = EXPERIMENT.start_recipe(folders, seed)
    source = source_of(recipe.data, folders.start(seed), "test")
    samples: list[Any] = source.read()
    loaded = load_model(EXPERIMENT.checkpoint(folders, name, seed))
    encoder = WayOfAsking.of(recipe.data).encoder(loaded.family)
    writer = FamilyWriter(loaded.model, encoder, recipe.generate, seed, seen_as=noised(loaded.family, t, seed))
    under_noise = {one.id: one.text for one in writer.write(samples, source.images)}
    clean = read_texts(EXPERIMENT.texts(folders, name, seed))
    return 100.0 * noise_measures(clean, under_noise, samples)["changed"].value


def tables(folders: Folders, seeds: Sequence[int], variants: Sequence[str], options: argparse.Namespace) -> None:
    """Print what is finished."""
    against = options.against if options.against in variants else SFT
    told_as = "less is better in CHAIR and attributes"
    there = EXPERIMENT.print_metrics(folders, seeds, variants, against, told_as)
    looks = {
        (name, seed): looked_at(folders, name, seed, options.images, options.noise) for name in there for seed in seeds
    }
    rows = []
    for name in there:
        row = [name]
        for strategy in options.images:
            text, image = (
                [looks[name, seed][f"margins/{strategy}"][which] for seed in seeds] for which in ("text", "image")
            )
            mean_text, mean_image = float(np.mean(text)), float(np.mean(image))
            share = f"{mean_image / mean_text:.2f}" if abs(mean_text) > 1e-9 else "-"
            row += [mean_and_spread(text, 3), mean_and_spread(image, 3), f"{mean_text - mean_image:.3f}", share]
        row += [mean_and_spread([looks[name, seed][f"noise/{t}"] for seed in seeds], 1) for t in options.noise]
        rows.append(row)
    heads = [f"{what} ({one})" for one in options.images for what in ("text", "image", "text - image", "image / text")]
    print("\nMargins of held-out pairs in rewards, by how the rejected image is made; texts that noise changes, %\n")
    print_table(["variant", *heads, *(f"changed at t = {t}" for t in options.noise)], rows)
    if len(seeds) > 1:
        print(f"\nDifferences of these to {against}: paired by seed [95 % by Student's t], p by Holm over all rows\n")
        print_table(["variant", "what", "difference", "p"], paired_by_seed(_flat(looks), there, seeds, against))


def _flat(looks: dict[tuple[str, int], dict[str, Any]]) -> dict[tuple[str, int], dict[str, float]]:
    """A number to a name; margins that there are none of are nan."""
    flat: dict[tuple[str, int], dict[str, float]] = {}
    for pair, known in looks.items():
        flat[pair] = {}
        for key, value in known.items():
            parts = {f"{key} {which}": one for which, one in value.items()} if isinstance(value, dict) else {key: value}
            flat[pair] |= {what: math.nan if one is None else one for what, one in parts.items()}
    return flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/mfpo"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--against", default="mfpo-key", help="the variant that the others are compared with")
    parser.add_argument("--images", nargs="*", default=["diffusion", "removed"], help="for image margins: strategies")
    parser.add_argument("--noise", type=int, nargs="*", default=[500, 900], help="steps of noise")
    parser.add_argument("--rate", type=float, help="one learning rate for all instead of the sweep's")
    parser.add_argument("--small", action="store_true", help="tiny model and data: whether all of it works")
    parser.add_argument("--tables", action="store_true", help="run nothing: the tables of what is finished")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = Folders(options.output.resolve(), options.small)
    if not options.tables:
        EXPERIMENT.run(folders, options.seeds, options.variants, options.rate)
    tables(folders, options.seeds, options.variants, options)


if __name__ == "__main__":
    main()
