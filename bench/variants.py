"""Experiments on the demo's worlds: variants of one start, every one with every seed, and tables of what came out.

An experiment is a folder with ``world.yaml`` (the start of each seed: world and supervised model) and ``variants/``,
recipes that extend one another. Invariant: variants have one budget and one rule for learning rates: a grid with the
sweep's seed, which is none of the others, and of each variant the rate with the best ``sweep_metric`` on validation
pictures among those that did not degenerate. Every run is a run's folder: what was interrupted goes on and what is
finished is not done again. Intervals over pictures take the seeds' models as given: what another training would give is
seen in the spread over seeds.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import ttest_rel

from trifacet.base.errors import TrifacetError
from trifacet.comparing.comparison import Comparison, ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.data.records import TestSample
from trifacet.data.source import source_of
from trifacet.metrics.scores import measures_of, score_texts
from trifacet.runs.run import run_recipe
from trifacet.statistics.effects import corrected
from trifacet.statistics.measures import Measure
from trifacet.training.recipe import Recipe, load_recipe

SEEDS = (17, 18, 19, 20, 21)
SWEEP_SEED = 7
RATES = (5e-5, 1e-4, 2e-4)
ALIGNED = "aligned"  # the stage of every variant
SFT = "sft"

Own = Callable[[Mapping[str, str], Sequence[TestSample]], Mapping[str, Measure]]  # texts by id and their samples
Values = Mapping[tuple[str, int], Mapping[str, float]]  # of a variant and a seed


class Folders(NamedTuple):
    """Where things are; ``small``: for a try."""

    root: Path
    small: bool = False

    def start(self, seed: int, name: str = SFT) -> Path:
        """The run that a seed's variants start from, by the name of its model."""
        return self.root / ("start" if name == SFT else f"start-{name}") / f"seed-{seed}"

    def variant(self, name: str, seed: int) -> Path:
        """The run of a variant."""
        return self.root / "variants" / name / f"seed-{seed}"


@dataclass(frozen=True)
class Experiment:
    """What experiments differ in.

    Args:
        here: the folder of its recipes.
        metrics: what its tables have.
        sweep_metric: by which a learning rate is chosen.
        small: overrides of a start for a try.
        starts: supervised models by name, with the file of the recipe: "sft" and, where some variants need it, others.
        start_of: the name of the supervised model of a variant.
        overrides: of a variant, which depend on place and seed.
        before: run before a start's recipe (data) or a variant's.
        own_measures: beside those that every report has.
        seen: the test samples as they are scored, from those of the file and the folder of their pictures.
    rates: the grid of learning rates.
    """

    here: Path
    metrics: tuple[str, ...]
    sweep_metric: str
    small: tuple[str, ...]
    starts: Mapping[str, str]
    start_of: Callable[[str], str] = lambda variant: SFT
    overrides: Callable[[Folders, str, int], Sequence[str]] = lambda folders, variant, seed: ()
    before: Callable[[Folders, str, int], None] = lambda folders, name, seed: None
    own_measures: Own = lambda texts, samples: {}
    seen: Callable[[Sequence[TestSample], Path], Sequence[TestSample]] = lambda samples, images: samples
    rates: tuple[float, ...] = RATES

    @property
    def variants(self) -> list[str]:
        """Their names."""
        return sorted(path.stem for path in (self.here / "variants").glob("*.yaml"))

    def text_of(self, variant: str) -> str:
        """The recipe and what it extends beside it."""
        text = self._file_of(variant).read_text(encoding="utf-8")
        base = re.search(r"^extends: ([\w-]+)\.yaml$", text, re.MULTILINE)
        return text + (self.text_of(base[1]) if base else "")

    def start_recipe(self, folders: Folders, seed: int, name: str = SFT) -> Recipe:
        """The recipe of a seed's world and supervised model."""
        small = self.small if folders.small else ()
        own = [f"output={folders.start(seed, name)}", f"seed={seed}"]
        if name != SFT:  # its data and its base model are those of the first
            first = folders.start(seed)
            own += [f"data.root={first / 'data'}", f"model.path={first / 'models' / 'base' / 'model'}"]
            small = tuple(one for one in small if not one.startswith(("data.world", "model.tiny")))
        return load_recipe(self.here / self.starts[name], [*own, *small])

    def variant_recipe(self, folders: Folders, name: str, seed: int, *overrides: str) -> Recipe:
        """A variant's recipe with what depends on the place and the seed."""
        own = [
            f"output={folders.variant(name, seed)}",
            f"seed={seed}",
            f"model.path={self.checkpoint(folders, self.start_of(name), seed)}",
            f"data.root={folders.start(seed) / 'data'}",
        ]
        return load_recipe(self._file_of(name), [*own, *self.overrides(folders, name, seed), *overrides])

    def checkpoint(self, folders: Folders, name: str, seed: int) -> Path:
        """The model of a variant, or a supervised one."""
        run, stage = self._place(folders, name, seed)
        return run / "models" / stage / "model"

    def texts(self, folders: Folders, name: str, seed: int) -> Path:
        """What it wrote of the test pictures."""
        run, stage = self._place(folders, name, seed)
        return run / "generations" / f"{stage}.jsonl"

    def finished(self, folders: Folders, name: str, seed: int) -> bool:
        """Whether there are a model and its texts."""
        return self.texts(folders, name, seed).exists() and self.checkpoint(folders, name, seed).exists()

    def start(self, folders: Folders, name: str, seed: int) -> None:
        """The world and the supervised model of this name, with what they need; what is there is not done again."""
        if name != SFT:
            self.start(folders, SFT, seed)
        self.before(folders, name, seed)
        run_recipe(self.start_recipe(folders, seed, name))

    def chosen_rate(self, folders: Folders, name: str) -> float:
        """The variant's learning rate, by the one rule; the sweep is run where it is not done."""
        self.start(folders, self.start_of(name), SWEEP_SEED)
        self.before(folders, name, SWEEP_SEED)
        own = [f"sweep.learning_rates={list(self.rates)}", f"sweep.metric={self.sweep_metric}"]
        rows = run_recipe(self.variant_recipe(folders, name, SWEEP_SEED, *own)).sweep
        return float(next((row["learning_rate"] for row in rows if row["chosen"]), self.rates[0]))

    def run(self, folders: Folders, seeds: Sequence[int], variants: Sequence[str], rate_of_all: float | None) -> None:
        """Everything that is not there yet, seed by seed; what cannot be run is said and left out."""
        rates: dict[str, float] = {}
        for name in variants:
            try:
                rates[name] = rate_of_all or self.chosen_rate(folders, name)
                print(f"{name}: learning rate {rates[name]:g}", flush=True)
            except TrifacetError as error:
                print(f"{name}: left out, {error}", flush=True)
        for seed in seeds:
            for name, chosen in rates.items():
                began = time.perf_counter()
                try:
                    self.start(folders, self.start_of(name), seed)
                    self.before(folders, name, seed)
                    rate = f"align.{ALIGNED}.learning_rate={chosen}"
                    run_recipe(self.variant_recipe(folders, name, seed, rate))
                    print(f"{name}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
                except TrifacetError as error:
                    print(f"{name}, seed {seed}: left out, {error}", flush=True)

    def contestant(self, folders: Folders, name: str, seeds: Sequence[int]) -> Contestant:
        """A variant's measures over the pictures of these seeds; a picture's id begins with its seed."""
        texts: dict[str, str] = {}
        samples: list[TestSample] = []
        for seed in seeds:
            recipe = self.start_recipe(folders, seed)
            source = source_of(recipe.data, folders.start(seed), "test")
            read: list[Any] = source.read()
            seen = self.seen(read, source.images)
            samples += [sample.model_copy(update={"id": f"{seed}/{sample.id}"}) for sample in seen]
            texts |= {f"{seed}/{key}": text for key, text in read_texts(self.texts(folders, name, seed)).items()}
        measures = measures_of(score_texts(texts, samples, profiles=()))
        own = {("", key): one for key, one in self.own_measures(texts, samples).items()}
        return Contestant(name, name, {key: one for key, one in (measures | own).items() if key[1] in self.metrics})

    def print_metrics(
        self, folders: Folders, seeds: Sequence[int], variants: Sequence[str], against: str, told_as: str
    ) -> list[str]:
        """Print the tables of metrics of what is finished, and return its names."""
        models = [*self.starts, *variants]
        there = [name for name in models if all(self.finished(folders, name, seed) for seed in seeds)]
        if missing := [name for name in variants if name not in there]:
            print(f"not finished, and left out: {', '.join(missing)}\n")
        if not set(there) & set(variants):
            raise SystemExit("no variant is finished for all of these seeds")
        single = {(name, seed): self.contestant(folders, name, [seed]) for name in there for seed in seeds}
        values = {
            pair: {key[1]: measure.value for key, measure in one.measures.items()} for pair, one in single.items()
        }
        print(f"Mean and standard deviation over {len(seeds)} seeds, in per cent; {told_as}\n")
        rows = [[name, *(_spread(values, name, seeds, metric) for metric in self.metrics)] for name in there]
        print_table(["variant", *self.metrics], rows)

        better = {key[1]: one.better for key, one in single[there[0], seeds[0]].measures.items()}
        compared_by = [metric for metric in self.metrics if better.get(metric, "neither") != "neither"]
        settings = ComparisonSettings(baseline=against, metrics=compared_by)
        compared = compare([self.contestant(folders, name, seeds) for name in there], settings)
        print(
            f"\nDifferences to {against}: over the pictures of all seeds [95 %], p by Holm, seeds in which it is "
            "better\n"
        )
        print_table(["variant", "metric", "difference", "p", "seeds better"], differences(compared, values, seeds))
        return there

    def _place(self, folders: Folders, name: str, seed: int) -> tuple[Path, str]:
        return (folders.start(seed, name), SFT) if name in self.starts else (folders.variant(name, seed), ALIGNED)

    def _file_of(self, variant: str) -> Path:
        return self.here / "variants" / f"{variant}.yaml"


def read_texts(file: Path) -> dict[str, str]:
    """The texts of a file of generations, by id."""
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row["text"] for row in rows}


def paired_by_seed(
    numbers: Mapping[tuple[str, int], Mapping[str, float]], names: Sequence[str], seeds: Sequence[int], against: str
) -> Iterable[list[str]]:
    """Rows of a table: differences of numbers per variant and seed to one variant's, by t-tests paired by seed."""

    def over_seeds(name: str) -> dict[str, list[float]]:
        return {what: [numbers[name, seed][what] for seed in seeds] for what in numbers[name, seeds[0]]}

    base = over_seeds(against)
    others = [
        (name, what, ttest_rel(of, base[what]))
        for name in names
        if name != against
        for what, of in over_seeds(name).items()
    ]
    p_values = corrected([None if math.isnan(test.pvalue) else float(test.pvalue) for _, _, test in others], "holm")
    for (name, what, test), p in zip(others, p_values, strict=True):
        low, high = test.confidence_interval()
        middle = (low + high) / 2
        yield [name, what, f"{middle:+.3f} [{low:+.3f}, {high:+.3f}]", "-" if p is None else f"{p:.3f}"]


def differences(compared: Comparison, values: Values, seeds: Sequence[int]) -> Iterable[list[str]]:
    """Rows of a table: each difference with interval, p, and in how many seeds it is one for the better."""
    for one in compared.differences:
        metric, sign = one.column.name, -1 if one.column.better == "lower" else 1
        apart = [values[one.model, seed][metric] - values[one.other, seed][metric] for seed in seeds]
        low, high = one.interval or (math.nan, math.nan)
        p = "-" if one.p_corrected is None else f"{one.p_corrected:.3f}"
        ahead = sum(sign * difference > 0 for difference in apart)
        difference = "-" if math.isnan(one.value) else f"{one.value:+.1f} [{low:+.1f}, {high:+.1f}]"
        yield [one.model, metric, difference, p, f"{ahead}/{len(seeds)}"]


def _spread(values: Values, name: str, seeds: Sequence[int], metric: str) -> str:
    return mean_and_spread([values[name, seed].get(metric, math.nan) for seed in seeds], 1)


def mean_and_spread(numbers: Sequence[float], digits: int) -> str:
    """Mean, and standard deviation where there are two or more; "-" where a number is missing."""
    if any(map(math.isnan, numbers)):
        return "-"
    spread = f"±{np.std(numbers, ddof=1):.{digits}f}" if len(numbers) > 1 else ""
    return f"{np.mean(numbers):.{digits}f}{spread}"


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table in Markdown."""
    print(f"| {' | '.join(heads)} |\n|---{'|---:' * (len(heads) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
