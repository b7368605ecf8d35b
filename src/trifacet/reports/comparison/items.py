"""Items of benchmarks on which compared models differ most: question, expected answer, and what each model answered.

Invariant: they are picked by the values that the benchmark itself gives to single items, and among equals by the
benchmark's order; nobody chose them, and the page says by what they were picked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifacet.base.bidi import isolated
from trifacet.benchmarks.benchmark import Answered, Result
from trifacet.benchmarks.results import values_of_items
from trifacet.comparing.comparison import Comparison
from trifacet.comparing.contestants import Contestant
from trifacet.reports.comparison.examples import SIDE, clipped, value_text
from trifacet.web.pictures import Picture, picture

PER_VALUE = 6  # items that are shown for one kind of value, such as "correct"
MOST = 12  # items of a benchmark
VALUES = 4  # values beside an answer
TOLD = 300  # characters of a verdict


@dataclass(frozen=True)
class _Answer:
    """A model's answer. ``mark``: "right" or "wrong" where it is one of these. ``judged``: the verdict, or ""."""

    model: str
    text: str
    mark: str
    values: list[tuple[str, str]]
    judged: str


@dataclass(frozen=True)
class _Shown:
    """One item with all answers to it; ``expected`` is empty where the benchmark has no such text."""

    id: str
    question: str
    expected: str
    picture: Picture | None
    answers: list[_Answer]


@dataclass(frozen=True)
class _Section:
    """A benchmark. ``said``: how its items were picked, or why there are none."""

    name: str
    said: list[str]
    items: list[_Shown]


@dataclass
class _Apart:
    """Items that have one kind of value in common: how far apart the models are, by item, in the benchmark's order."""

    by_item: dict[str, float] = field(default_factory=dict)

    @property
    def picked(self) -> list[str]:
        """Those farthest apart, the first ones among equals; none on which the models agree."""
        order = sorted(self.by_item, key=lambda name: -self.by_item[name])  # stable
        return [name for name in order if self.by_item[name] > 0][:PER_VALUE]


def sections(comparison: Comparison, contestants: Sequence[Contestant], images: Path | None) -> list[_Section]:
    """For each benchmark that was compared, the items on which the models differ most.

    Args:
        comparison: what was compared; of one model alone nothing is shown.
        contestants: the models, with the results that they were read from.
        images: folder of the pictures; None: the one that a result names.
    """
    if len(comparison.models) < 2:
        return []
    found = []
    for name in dict.fromkeys(column.profile for column in comparison.columns):
        results = {one.name: result for one in contestants for result in one.results if result.name == name}
        if set(results) == set(comparison.models):
            found.append(_section(name, {model: results[model] for model in comparison.models}, images))
    return found


def _section(name: str, results: Mapping[str, Result], images: Path | None) -> _Section:
    answers = {model: {one.item.id: one for one in result.answered} for model, result in results.items()}
    values = {model: values_of_items(result.answered, result.outcome) for model, result in results.items()}
    first = next(iter(results.values()))
    undirected = {measure.name for measure in first.outcome.measures if measure.better == "neither"}
    kinds: dict[str, _Apart] = {}
    left_out = 0
    for one in first.answered:
        item = one.item.id
        kind = None
        if all(item in known and _same(known[item], one) for known in answers.values()):
            kind = _decisive([known[item] for known in values.values()], undirected)
        if kind is None:
            left_out += 1
            continue
        numbers = [known[item][kind] for known in values.values()]
        kinds.setdefault(kind, _Apart()).by_item[item] = max(numbers) - min(numbers)
    if not kinds:
        return _Section(name, ["Its numbers do not tell of single items which are right, so that none is shown."], [])
    picked = {item: kind for kind, apart in kinds.items() for item in apart.picked}
    shown = list(picked)[:MOST]
    said = [_how(kind, apart, sum(picked[item] == kind for item in shown)) for kind, apart in kinds.items()]
    if left_out:
        said.append(f"Left out, as not asked alike of every model or without a value in one: {left_out}.")
    folders = (images, *(result.images for result in results.values()))
    root = next((folder for folder in folders if folder is not None and folder.is_dir()), None)
    return _Section(name, said, [_shown(item, picked[item], results, answers, values, root) for item in shown])


def _same(one: Answered, other: Answered) -> bool:
    return (one.item.question, one.item.image) == (other.item.question, other.item.image)


def _decisive(values: Sequence[Mapping[str, float]], undirected: set[str]) -> str | None:
    """The first value of the item that every model has, and of which one direction is better."""
    known = (name for name in values[0] if all(math.isfinite(one.get(name, math.nan)) for one in values))
    return next((name for name in known if name not in undirected), None)


def _how(kind: str, apart: _Apart, shown: int) -> str:
    differing = sum(size > 0 for size in apart.by_item.values())
    what = "one model is right and another wrong" if kind == "correct" else f"the models differ in {isolated(kind)}"
    begin = f"On {differing} of {len(apart.by_item)} items {what}"
    if shown == differing:
        return f"{begin}{'; all are shown' if shown else ''}."
    if kind == "correct":
        return f"{begin}; shown are the first {shown} in the benchmark's order."
    return f"{begin}; shown are the {shown} of the largest difference, the first in the benchmark's order among equals."


def _shown(
    item: str,
    kind: str,
    results: Mapping[str, Result],
    answers: Mapping[str, Mapping[str, Answered]],
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
    root: Path | None,
) -> _Shown:
    benchmark = next(iter(results.values())).benchmark
    asked = next(iter(answers.values()))[item].item
    told = []
    for model, known in answers.items():
        mark, numbers = _values(kind, values[model][item])
        judged = _judged(known[item]) if benchmark.judge is not None else ""
        told.append(_Answer(model, clipped(known[item].answer), mark, numbers, judged))
    return _Shown(
        item,
        clipped(asked.question),
        clipped(str(benchmark.expected(asked))),
        picture(root, asked.image, side=SIDE) if root is not None and asked.image is not None else None,
        told,
    )


def _values(kind: str, values: Mapping[str, float]) -> tuple[str, list[tuple[str, str]]]:
    """Right or wrong where the item was picked by that, and other values; a part's number would say the same again."""
    mark = {1.0: "right", 0.0: "wrong"}.get(values[kind], "") if kind == "correct" else ""
    names = [kind, *(name for name in values if name != kind and "/" not in name)][:VALUES]
    return mark, [(name, _number(values[name])) for name in names if not (mark and name == kind)]


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else value_text(value)


def _judged(one: Answered) -> str:
    verdict: Any = one.verdict
    if verdict is None:
        return clipped(f"no verdict ({isolated(one.problem)})", TOLD) if one.problem else ""
    parts = verdict if isinstance(verdict, dict) else {"": verdict}
    text = ", ".join(
        f"{isolated(name)} {isolated(json.dumps(value, ensure_ascii=False))}".strip() for name, value in parts.items()
    )
    return clipped(text, TOLD)
