"""MM-Vet: 218 open questions, each needing some of six capabilities, scored by a judge from 0 to 1 (Yu et al., 2023).

Invariant: a score that could not be read is no score: its question is left out of every number, and counted.

Source: Yu et al., "MM-Vet: Evaluating Large Multimodal Models for Integrated Capabilities", arXiv 2308.02490, and
mm-vet_evaluator.py of yuweihao/MM-Vet. As there: means by capability, where a question counts for each that it needs,
by the exact set of them, and of all, x 100. Not official, any of them: the judge (the original's: gpt-4-0613) is asked
in our words and without the original's seven examples, once (the paper: five times); the original takes 0 for what it
cannot read. Released as mm-vet.json, an object {"v1_0": {imagename, question, answer, capability, ...}}, with images/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Need, NoOptions, Outcome
from trifacet.benchmarks.objects.records import check_answers, read_object, text_of, texts_of
from trifacet.data.rows import Row
from trifacet.llm.parsing import UnparsedError, parse_object
from trifacet.statistics.measures import share_measure

FILE = "mm-vet.json"
CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")  # recognize, read, know, write, place, calculate
_OUR_PROMPT = "the judge is asked in our words, without the original's examples"


def read(folder: Path) -> list[Item]:
    """The questions in the file's order; an item's id is its key, such as v1_0."""
    path = folder / FILE
    items = []
    for number, (name, values) in enumerate(read_object(path).items(), start=1):
        if not isinstance(values, dict):
            raise DataError("is no object", fix="take the released file", file=path, row=number, field=name)
        row = Row(number, values)
        needed = texts_of(row, "capability", path)
        if not needed or not set(needed) <= set(CAPABILITIES):
            raise DataError(
                f"{', '.join(needed)[:80]!r} is no list of capabilities", fix=f"give some of {', '.join(CAPABILITIES)}",
                file=path, row=number, field="capability",
            )  # fmt: skip
        extra = {
            "reference": text_of(row, "answer", path),
            "capability": tuple(one for one in CAPABILITIES if one in needed),
        }
        items.append(Item(name, text_of(row, "question", path), f"images/{text_of(row, 'imagename', path)}", extra))
    if not items:
        raise DataError("has no question", fix="take the released file", file=path)
    return items


def fields(item: Item, answer: str) -> dict[str, str]:
    """What the judge is shown; an empty answer too, as in the original."""
    reference = item.extra["reference"].replace("<AND>", " AND ").replace("<OR>", " OR ")  # prompts escape "<"
    return {"question": item.question, "reference": reference, "answer": answer}


def parse(text: str) -> dict[str, float]:
    """The judge's answer {"score": 0 to 1}; anything else raises UnparsedError."""
    score = parse_object(text, {"score": float})["score"]
    if not 0 <= score <= 1:
        raise UnparsedError("a score is not from 0 to 1")
    return {"score": float(score)}


def score(answered: Sequence[Answered], options: NoOptions | None = None) -> Outcome:
    """100 x the mean score: of all (``total``), of those that need a capability, and by the exact set of them."""
    check_answers(answered)
    scores = {one.item.id: _score(one) for one in answered if one.verdict is not None}
    needed = {one.item.id: one.item.extra["capability"] for one in answered}
    groups = {"total": list(scores)}
    groups |= {kind: [name for name in scores if kind in needed[name]] for kind in CAPABILITIES}
    for name in scores:
        groups.setdefault(f"together/{'+'.join(needed[name])}", []).append(name)
    measures = [
        share_measure(name, ids, [scores[one] for one in ids], [1.0] * len(ids), unofficial=_OUR_PROMPT)
        for name, ids in groups.items()
        if ids
    ]
    problems = Counter(one.problem or "not judged" for one in answered if one.verdict is None)
    counts = {"scored": len(scores), "unscored": problems.total()}
    counts |= {f"unscored/{problem}": count for problem, count in sorted(problems.items())}
    notes = ["the original's numbers are means of five runs of its judge"]
    if problems:
        notes.append(f"{problems.total()} answers without a score are left out; the original scores them 0")
    return Outcome(measures, counts, notes)


def _score(one: Answered) -> float:
    verdict: Any = one.verdict
    value = verdict.get("score") if isinstance(verdict, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"the verdict on {one.item.id!r} is no score", fix="give a number from 0 to 1")
    return float(value)


BENCHMARK = Benchmark(
    name="mm-vet",
    title="MM-Vet",
    paper="Yu et al., MM-Vet: Evaluating Large Multimodal Models for Integrated Capabilities, 2023 (arXiv:2308.02490)",
    licence="CC BY-NC 4.0 (questions); the pictures under the terms of their sources",
    needs=[Need(FILE, "218 questions with right answers", "github.com/yuweihao/MM-Vet, mm-vet.zip of its release v1")],
    images="the release, in which images/ lies",
    read=read,
    score=score,
    judge=Judge("mm-vet", fields, parse, official="gpt-4-0613"),
    aliases=lambda item: [item.id.removeprefix("v1_")],  # LLaVA's evaluation calls them so
    expected=lambda item: item.extra["reference"],
)
