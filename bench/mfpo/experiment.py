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
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import ttest_rel

from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.comparing.comparison import Comparison, ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.data.records import TestSample
from trifacet.data.settings import World
from trifacet.data.source import source_of
from trifacet.demo.locator import LocatorSize, make_locator
from trifacet.demo.make import write_world
from trifacet.demo.things import render_things
from trifacet.demo.things_files import scene_of
from trifacet.generation.writer import FamilyWriter
from trifacet.metrics.scores import measures_of, score_texts
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model
from trifacet.preferences.objectives import Objective
from trifacet.probing.noise import noise_measures, noised
from trifacet.runs.run import run_recipe
from trifacet.statistics.effects import corrected
from trifacet.training.recipe import Recipe, load_recipe
from trifacet.training.rewards import reward_rows, summarise

HERE = Path(__file__).resolve().parent
VARIANTS = sorted(path.stem for path in (HERE / "variants").glob("*.yaml"))
SEEDS = (17, 18, 19, 20, 21)
SWEEP_SEED = 7
RATES = (5e-5, 1e-4, 2e-4)
METRICS = (
    "objects/chair_s", "objects/chair_i", "objects/coverage", "objects/f1", "objects/attributes", "grounding/answer",
    "yes_bias",
)  # fmt: skip
HELD_OUT = World(kind="things", sft=1, preference=120, validation=1, test=1)  # pairs that no training saw
MARGINS = Objective.model_validate(
    {"name": "margins", "terms": [{"name": "text", "over": "response"}, {"name": "image", "over": "image"}]}
)
SIZE = 64  # of pictures, as world.yaml has it
ALIGNED = "aligned"  # the stage of every variant
SFT = "sft"


SMALL = (
    "data.world.sft=48", "data.world.preference=16", "data.world.validation=6", "data.world.test=12",
    "model.tiny.warmup_steps=2", "model.tiny.hidden_size=32", "model.tiny.layers=1", "generate.max_new_tokens=8",
)  # fmt: skip


class Folders(NamedTuple):
    """Where things are; ``small``: for a try."""

    root: Path
    small: bool = False

    def start(self, seed: int) -> Path:
        """The run that a seed's variants start from."""
        return self.root / "start" / f"seed-{seed}"

    def variant(self, name: str, seed: int) -> Path:
        """The run of a variant."""
        return self.root / "variants" / name / f"seed-{seed}"

    def checkpoint(self, name: str, seed: int) -> Path:
        """The model of a variant, or the supervised one."""
        run, stage = (self.start(seed), SFT) if name == SFT else (self.variant(name, seed), ALIGNED)
        return run / "models" / stage / "model"

    def texts(self, name: str, seed: int) -> Path:
        """What it wrote of the test pictures."""
        run, stage = (self.start(seed), SFT) if name == SFT else (self.variant(name, seed), ALIGNED)
        return run / "generations" / f"{stage}.jsonl"

    @property
    def locator(self) -> Path:
        """The checkpoint of the small text-prompted locator."""
        return self.root / "locator"


def start_recipe(folders: Folders, seed: int) -> Recipe:
    """The recipe of a seed's world and supervised model."""
    small = SMALL if folders.small else ()
    return load_recipe(HERE / "world.yaml", [f"output={folders.start(seed)}", f"seed={seed}", *small])


def variant_recipe(folders: Folders, name: str, seed: int, *overrides: str) -> Recipe:
    """A variant's recipe with what depends on the place and the seed."""
    own = [
        f"output={folders.variant(name, seed)}",
        f"seed={seed}",
        f"model.path={folders.checkpoint(SFT, seed)}",
        f"data.root={folders.start(seed) / 'data'}",
    ]
    if "clipseg" in _text_of(name):
        own.append(f"regions.locator.model={folders.locator}")
    return load_recipe(_file_of(name), [*own, *overrides])


def _file_of(name: str) -> Path:
    return HERE / "variants" / f"{name}.yaml"


def _text_of(name: str) -> str:
    """The recipe and what it extends beside it."""
    text = _file_of(name).read_text(encoding="utf-8")
    base = re.search(r"^extends: ([\w-]+)\.yaml$", text, re.MULTILINE)
    return text + (_text_of(base[1]) if base else "")


def chosen_rate(folders: Folders, name: str) -> float:
    """The variant's learning rate, by the one rule; the sweep is run where it is not done."""
    sweep = variant_recipe(folders, name, SWEEP_SEED, f"sweep.learning_rates={list(RATES)}", "sweep.metric=objects/f1")
    rows = run_recipe(sweep).sweep
    return float(next((row["learning_rate"] for row in rows if row["chosen"]), RATES[0]))


def run(folders: Folders, seeds: Sequence[int], variants: Sequence[str], rate_of_all: float | None) -> None:
    """Everything that is not there yet; what cannot be run is said and left out."""
    for seed in (*([] if rate_of_all else [SWEEP_SEED]), *seeds):
        run_recipe(start_recipe(folders, seed))
    for name in variants:
        try:
            if "clipseg" in _text_of(name) and not (folders.locator / "config.json").exists():
                make_locator(folders.locator, SWEEP_SEED, LocatorSize(steps=4) if folders.small else LocatorSize())
            rate = rate_of_all or chosen_rate(folders, name)
            print(f"{name}: learning rate {rate:g}", flush=True)
            for seed in seeds:
                began = time.perf_counter()
                run_recipe(variant_recipe(folders, name, seed, f"align.{ALIGNED}.learning_rate={rate}"))
                print(f"{name}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
        except TrifacetError as error:
            print(f"{name}: left out, {error}", flush=True)


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
    rows = reward_rows(recipe, MARGINS, folders.checkpoint(name, seed), folders.checkpoint(SFT, seed))
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
    recipe = start_recipe(folders, seed)
    source = source_of(recipe.data, folders.start(seed), "test")
    samples: list[Any] = source.read()
    loaded = load_model(folders.checkpoint(name, seed))
    encoder = WayOfAsking.of(recipe.data).encoder(loaded.family)
    writer = FamilyWriter(loaded.model, encoder, recipe.generate, seed, seen_as=noised(loaded.family, t, seed))
    under_noise = {one.id: one.text for one in writer.write(samples, source.images)}
    clean = _texts(folders.texts(name, seed))
    return 100.0 * noise_measures(clean, under_noise, samples)["changed"].value


def _texts(file: Path) -> dict[str, str]:
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row["text"] for row in rows}


def of_all_seeds(folders: Folders, name: str, seeds: Sequence[int]) -> Contestant:
    """A variant's measures over the pictures of all seeds; a picture's id begins with its seed."""
    texts: dict[str, str] = {}
    samples: list[TestSample] = []
    for seed in seeds:
        recipe = start_recipe(folders, seed)
        read: list[Any] = source_of(recipe.data, folders.start(seed), "test").read()
        samples += [sample.model_copy(update={"id": f"{seed}/{sample.id}"}) for sample in read]
        texts |= {f"{seed}/{key}": text for key, text in _texts(folders.texts(name, seed)).items()}
    scores = score_texts(texts, samples, profiles=())
    return Contestant(name, name, {key: one for key, one in measures_of(scores).items() if key[1] in METRICS})


def tables(folders: Folders, seeds: Sequence[int], variants: Sequence[str], options: argparse.Namespace) -> None:
    """Print what is finished."""
    there = [
        name
        for name in (SFT, *variants)
        if all(folders.texts(name, seed).exists() and folders.checkpoint(name, seed).exists() for seed in seeds)
    ]
    if missing := [name for name in variants if name not in there]:
        print(f"not finished, and left out: {', '.join(missing)}\n")
    if len(there) < 2:
        raise SystemExit("no variant is finished for all of these seeds")
    single = {(name, seed): of_all_seeds(folders, name, [seed]) for name in there for seed in seeds}
    values = {pair: {key[1]: measure.value for key, measure in one.measures.items()} for pair, one in single.items()}
    print(f"Mean and standard deviation over {len(seeds)} seeds, in per cent; less is better in CHAIR and attributes\n")
    _print(
        ["variant", *METRICS], [[name, *(_spread(values, name, seeds, metric) for metric in METRICS)] for name in there]
    )

    against = options.against if options.against in there else SFT
    settings = ComparisonSettings(baseline=against, metrics=[metric for metric in METRICS if metric != "yes_bias"])
    compared = compare([of_all_seeds(folders, name, seeds) for name in there], settings)
    print(
        f"\nDifferences to {against}: over the pictures of all seeds [95 %], p by Holm, seeds in which it is better\n"
    )
    _print(["variant", "metric", "difference", "p", "seeds better"], _differences(compared, values, seeds))

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
            row += [_of(text, 3), _of(image, 3), f"{mean_text - mean_image:.3f}", share]
        row += [_of([looks[name, seed][f"noise/{t}"] for seed in seeds], 1) for t in options.noise]
        rows.append(row)
    heads = [f"{what} ({one})" for one in options.images for what in ("text", "image", "text - image", "image / text")]
    print("\nMargins of held-out pairs in rewards, by how the rejected image is made; texts that noise changes, %\n")
    _print(["variant", *heads, *(f"changed at t = {t}" for t in options.noise)], rows)
    if len(seeds) > 1:
        print(f"\nDifferences of these to {against}: paired by seed [95 % by Student's t], p by Holm over all rows\n")
        _print(["variant", "what", "difference", "p"], _paired_by_seed(looks, there, seeds, against))


def _paired_by_seed(
    looks: Mapping[tuple[str, int], Mapping[str, Any]], names: Sequence[str], seeds: Sequence[int], against: str
) -> Iterable[list[str]]:
    def numbers(name: str) -> dict[str, list[float]]:
        flat: dict[str, list[float]] = {}
        for seed in seeds:
            for key, value in looks[name, seed].items():
                parts = (
                    {f"{key} {which}": one for which, one in value.items()} if isinstance(value, dict) else {key: value}
                )
                for what, one in parts.items():
                    flat.setdefault(what, []).append(math.nan if one is None else one)
        return flat

    base = numbers(against)
    others = [
        (name, what, ttest_rel(of, base[what]))
        for name in names
        if name != against
        for what, of in numbers(name).items()
    ]
    p_values = corrected([None if math.isnan(test.pvalue) else float(test.pvalue) for _, _, test in others], "holm")
    for (name, what, test), p in zip(others, p_values, strict=True):
        low, high = test.confidence_interval()
        middle = (low + high) / 2
        yield [name, what, f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]", "-" if p is None else f"{p:.3f}"]


def _differences(
    compared: Comparison, values: Mapping[tuple[str, int], Mapping[str, float]], seeds: Sequence[int]
) -> Iterable[list[str]]:
    for one in compared.differences:
        metric, sign = one.column.name, -1 if one.column.better == "lower" else 1
        apart = [values[one.model, seed][metric] - values[one.other, seed][metric] for seed in seeds]
        low, high = one.interval or (math.nan, math.nan)
        p = "-" if one.p_corrected is None else f"{one.p_corrected:.3f}"
        ahead = sum(sign * difference > 0 for difference in apart)
        yield [one.model, metric, f"{one.value:+.1f} [{low:+.1f}, {high:+.1f}]", p, f"{ahead}/{len(seeds)}"]


def _spread(values: Mapping[tuple[str, int], Mapping[str, float]], name: str, seeds: Sequence[int], metric: str) -> str:
    return _of([values[name, seed].get(metric, math.nan) for seed in seeds], 1)


def _of(numbers: Sequence[float], digits: int) -> str:
    spread = f"±{np.std(numbers, ddof=1):.{digits}f}" if len(numbers) > 1 else ""
    return f"{np.mean(numbers):.{digits}f}{spread}"


def _print(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table in Markdown."""
    print(f"| {' | '.join(heads)} |\n|---{'|---:' * (len(heads) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


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
        run(folders, options.seeds, options.variants, options.rate)
    tables(folders, options.seeds, options.variants, options)


if __name__ == "__main__":
    main()
