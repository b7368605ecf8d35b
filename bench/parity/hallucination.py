"""POPE, AMBER, CHAIR and HallusionBench on the official programs' own outputs, every printed number."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from parity.row import Row
from trifacet.benchmarks.benchmark import Answered, Outcome
from trifacet.benchmarks.known import amber, hallusionbench, pope
from trifacet.benchmarks.known.chair import ChairCounts, count
from trifacet.benchmarks.objects import amber_counts
from trifacet.benchmarks.objects.coco_objects import ObjectFinder, read_synonyms
from trifacet.statistics.measures import share_measure

_NUMBER = re.compile(r"^([A-Za-z0-9 ]+):\s+([0-9.]+)\s*$", re.MULTILINE)
HALLUSION = {
    "qAcc": "question_accuracy",
    "fAcc": "figure_accuracy",
    "easy": "easy_accuracy",
    "hard": "hard_accuracy",
    "aAcc": "accuracy",
    "diff": "yes_bias",
    "fp": "yes_share_of_errors",
    "cons_correct": "consistency_correct",
    "cons_inconsistent": "consistency_inconsistent",
    "cons_wrong": "consistency_wrong",
    "LH": "errors_language",
    "VI": "errors_vision",
    "Mixed": "errors_mixed",
}
HALLUSION_COUNTS = {
    "questions": "questions",
    "pairs": "groups",
    "figures": "figures",
    "easy_groups": "easy_groups",
    "hard_groups": "hard_groups",
    "easy_q": "easy_questions",
    "hard_q": "hard_questions",
}
AMBER_PARTS = {
    "Descriminative Task": "all",
    "Exsitence": "existence",
    "Attribute": "attribute",
    "State": "state",
    "Number": "number",
    "Action": "action",
    "Relation": "relation",
}


def rows(data: Path) -> Iterator[Row]:
    yield from _pope(data / "pope")
    yield from _amber(data / "amber")
    yield from _amber_published(data)
    yield from _chair(data)
    yield from _hallusion(data)


def pope_outcome(folder: Path) -> Outcome:
    """Ours of the simulated answers to all three parts."""
    answers: dict[str, list[str]] = {}
    for part in pope.PARTS:
        with gzip.open(folder / f"simulated_answers_{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            answers[part] = [json.loads(line)["answer"] for line in file]
    items = pope.read(folder)
    given = [answer for part in pope.PARTS for answer in answers[part]]
    return pope.score([Answered(item, answer) for item, answer in zip(items, given, strict=True)])


def amber_outcome(folder: Path) -> Outcome:
    """Ours of the synthetic responses, with the tools that the target was made with."""
    given = {str(row["id"]): row["response"] for row in json.loads((folder / "amber_synth_responses.json").read_text())}
    answered = [Answered(item, given[item.id]) for item in amber.read(folder / "data")]
    return amber.score(answered, amber.Options(tagger="words", similarity="equal"))


def hallusion_outcome(folder: Path) -> Outcome:
    """Ours of the synthetic judgements."""
    said = {row["k"]: row for row in json.loads((folder / "hb_sim_compact.json").read_text())}
    grades = {"0": "incorrect", "1": "correct", "2": "unclear"}
    return hallusionbench.score(
        [
            Answered(item, "", {"grade": grades[said[item.id]["c"]], "same": said[item.id]["same"] == "1"})
            for item in hallusionbench.read(folder)
        ]
    )


def chair_pairs(folder: Path) -> Iterator[tuple[str, list[Callable[[], ChairCounts]], dict[str, Any]]]:
    """Per model: its name, what counts each of its captions, and the target."""
    truth = json.loads(gzip.decompress((folder / "coco_chair_objects.json.gz").read_bytes()))
    finder = ObjectFinder(read_synonyms(folder / "synonyms.txt"))
    targets = json.loads(gzip.decompress((folder / "chair_pope_oracle.json.gz").read_bytes()))
    for name, target in targets.items():
        text = gzip.decompress((folder / "pope_caption_data" / f"{name}.gz").read_bytes()).decode("utf-8")
        captions: list[Callable[[], ChairCounts]] = [
            partial(count, row["text"], truth[str(row["image_id"])], finder) for row in _objects(text)
        ]
        yield name, captions, target


def printed(outcome: Outcome, digits: int) -> dict[str, float]:
    """Our numbers as the official program rounds them."""
    return {measure.name: round(measure.value, digits) for measure in outcome.measures}


def _pope(folder: Path) -> Iterator[Row]:
    outcome = pope_outcome(folder)
    ours = {measure.name: measure.value for measure in outcome.measures}
    names = {"Accuracy": "accuracy", "Precision": "precision", "Recall": "recall", "F1 score": "f1"}
    names["Yes ratio"] = "yes_ratio"
    for part, text in json.loads((folder / "official_evaluate_stdout.json").read_text()).items():
        for name, value in zip(("tp", "fp", "tn", "fn"), text.split("\n")[1].split("\t"), strict=True):
            yield Row(f"POPE {name.upper()}", part, outcome.counts[f"{part}/{name}"], int(value))
        for name, value in _NUMBER.findall(text):
            yield Row(f"POPE {name}", part, ours[f"{part}/{names[name]}"], float(value), 1e-15)


def _amber(folder: Path) -> Iterator[Row]:
    ours = printed(amber_outcome(folder), 1)
    for block in (folder / "amber_official_stdout.txt").read_text().split("\n\n"):
        title = block.split(":", 1)[0]
        prefix = f"{AMBER_PARTS[title]}/" if title in AMBER_PARTS else ""
        for name, value in _NUMBER.findall(block):
            yield Row(f"AMBER {name}", title, ours[f"{prefix}{name.lower()}"], float(value))


def _amber_published(data: Path) -> Iterator[Row]:
    """The table of AMBER's authors: its F1 follows from its P and R, and its score from its CHAIR and F1."""
    table = json.loads((data / "EXPECTED.json").read_text())["amber_published_table"]
    for model, values in table["rows"].items():
        row = dict(zip(table["columns"], np.array(values), strict=True))
        f1 = float(amber_counts.f1_of(row["P"], row["R"], 0.0001))
        yield Row("AMBER F1 from P and R", f"published, {model}", round(f1, 1), row["F1"])
        score = float(amber_counts.both(row["CHAIR"], row["F1"]))
        yield Row("AMBER score from CHAIR and F1", f"published, {model}", score, row["AMBER"], 0.050001)


def _chair(data: Path) -> Iterator[Row]:
    published = json.loads((data / "EXPECTED.json").read_text())["chair_pope_captions"]["measured"]
    for name, captions, target in chair_pairs(data / "chair"):
        counts = [caption() for caption in captions]
        label = name.removeprefix("Instruction1_").removesuffix(".json")
        wrong = sum(tuple(row[1:]) != ours for row, ours in zip(target["rows"], counts, strict=True))
        yield Row("CHAIR captions that differ", label, wrong, 0)
        for at, column in enumerate(ChairCounts._fields):
            ours = sum(row[at] for row in counts)
            yield Row(f"CHAIR {column}", label, ours, sum(row[at + 1] for row in target["rows"]))
        units = [str(row[0]) for row in target["rows"]]
        chair_i = share_measure("i", units, [row.hallucinated for row in counts], [row.mentions for row in counts])
        chair_s = share_measure("s", units, [row.hallucinated > 0 for row in counts], [1] * len(counts))
        recall = share_measure("r", units, [row.recalled for row in counts], [row.truth for row in counts])
        for metric, measure in (("CHAIRi", chair_i), ("CHAIRs", chair_s), ("Recall", recall)):
            yield Row(metric, label, measure.value, target[metric], 1e-12)
        official = published[name.removesuffix(".json")]
        yield Row("CHAIRi, 4 digits", label, round(chair_i.value, 4), official[0])
        yield Row("CHAIRs, 4 digits", label, round(chair_s.value, 4), official[1])


def _hallusion(data: Path) -> Iterator[Row]:
    expected = json.loads((data / "EXPECTED.json").read_text())["hallusionbench"]
    outcome = hallusion_outcome(data / "hallusionbench")
    ours = {measure.name: measure.value for measure in outcome.measures}
    for name, count_name in HALLUSION_COUNTS.items():
        yield Row(f"HallusionBench {name}", "judgements", outcome.counts[count_name], expected[name])
    for name, value in expected["sim_official"].items():
        whole = name in ("diff", "fp")  # the program prints these unrounded
        mine = ours[HALLUSION[name]]
        yield Row(
            f"HallusionBench {name}", "judgements", mine if whole else round(mine, 4), value, 1e-15 if whole else 0.0
        )


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects one after the other, whatever white space stands between and within them."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        while at < len(text) and text[at].isspace():
            at += 1
