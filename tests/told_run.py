"""A folder as ``trifacet evolve`` leaves it, of real records with plausible values, written in seconds."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from trifacet.base.journal import Journal
from trifacet.base.seals import sealed
from trifacet.data.formats.trifacet import to_row
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.evolving.biases import RoundBiases
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Answer, Fate, Feedback, Verdict, as_row
from trifacet.evolving.settings import CONDITIONS

COLOURS = {"red": (215, 40, 40), "yellow": (245, 205, 30), "green": (25, 130, 50), "blue": (35, 75, 215)}
SHAPES, COUNTS = ("ball", "kite", "ring", "rug"), ("one", "two", "three", "four")
RECIPE = """\
name: {name}
output: {output}
seed: 17
model: {{path: models/base}}
data: {{root: {root}, images: pictures}}
samples: samples.jsonl
roles:
  verifier: {{endpoint: /home/somebody/endpoints/judge.yaml}}
sampling: {{normal: 2, contrastive: 2, strategies: [diffusion, crop]}}
rounds: {{count: 3}}
"""
ORIGINS = ("normal", "normal", "diffusion", "crop")


def number(value: float, low: float, high: float, count: int = 40) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "count": count}


def a_gate(passed: bool = False, word: Callable[[str], str] = str) -> dict[str, Any]:
    """What ``evolving.gate`` keeps, with one task below its bound."""
    good = {
        "probes": 80, "right": 40, "wrong": 40, "precision": number(0.86, 0.74, 0.94), "recall": number(0.8, 0.66, 0.9),
        "false_accepts": number(0.12, 0.05, 0.25), "malformed": number(0.01, 0.0, 0.05),
        "yes_share": number(0.46, 0.38, 0.54, 80), "passed": True,
    }  # fmt: skip
    bad = {**good, "precision": number(0.58, 0.45, 0.7), "false_accepts": number(0.52, 0.4, 0.64), "passed": passed}
    told = word("task 'count': precision 0.58 [0.45, 0.70], 0.12 below 0.7")
    return {
        "passed": passed,
        "skipped": "",
        "form": "json",
        "votes": 3,
        "probes": "references",
        "bounds": {"precision": 0.7, "false_accepts": 0.3, "fewest": 5},
        "level": 0.95,
        "all": good,
        "tasks": {word("describe"): good, word("count"): bad, word("yes-no"): {**good, "passed": None}},
        "kinds": {
            word("paraphrase"): {"label": True, "accepted": number(0.8, 0.66, 0.9), "malformed": number(0, 0, 0.05)},
            word("contradiction"): {"label": False, "accepted": number(0.3, 0.2, 0.4), "malformed": number(0, 0, 0.05)},
        },
        "controls": {
            "no picture": {
                "agreement": number(0.84, 0.76, 0.9), "drop": number(0.01, -0.04, 0.06),
                "same": number(0.95, 0.9, 0.98), "malformed": number(0, 0, 0.05), "as_expected": False,
                "told": word("it is not right less often without the picture: it judges by the texts alone"),
            },
            "other order": {"told": word("not asked: the prompt has its fields in one line")},
        },
        "failures": [] if passed else [{"task": word("count"), "bound": "precision", "told": told}],
        "few": [word("yes-no")],
        "mistakes": [
            {
                "id": word("p-1"), "task": word("count"), "kind": word("contradiction"), "label": False,
                "outcome": "accepted", "image": "0.png", "reference": word("two red balls"),
                "answer": word("three red balls"), "reasons": {"derivable": word("It is the same.")}, "raw": "",
            }
        ],
    }  # fmt: skip


Worded = Callable[[str], str]


def as_they_are(text: str) -> str:
    return text


def make_run(
    folder: Path,
    samples: int = 24,
    *,
    rounds: int = 2,
    part: int = 10,
    finished: bool = True,
    gate: dict[str, Any] | None = None,
    word: Worded = as_they_are,
    small: bool = False,
) -> Path:
    """A run with these samples; ``word`` spoils its texts. Its pictures lie beside the folder.

    ``small``: two answers a sample, nothing revised, no pictures, no biases.
    """
    rng = random.Random(11)
    folder.mkdir(parents=True)
    root = folder.parent / "given"
    (root / "pictures").mkdir(parents=True, exist_ok=True)
    name = json.dumps(word("first evolve").replace("\0", ""))
    (folder / "recipe.yaml").write_text(
        RECIPE.format(name=name, output=folder, root=json.dumps(str(root))), encoding="utf-8"
    )
    facts = {
        "name": word("first evolve"),
        "started": "2026-11-30T10:00:00+00:00",
        "finished": "2026-11-30T11:00:00+00:00" if finished else None,
        "seconds": {"gate": 31.0, "round 1": 500.25, "round 1, generator": 812.0},
        "versions": {"trifacet": "0.1.0", word("torch"): word("2.13.0")},
    }
    (folder / "evolve.json").write_text(json.dumps(sealed(facts)), encoding="utf-8")
    if gate is not None:
        (folder / "gate.json").write_text(json.dumps(sealed(gate)), encoding="utf-8")
    left = [_sample(root, rng, number, word, not small) for number in range(samples)]
    for number in range(1, rounds + 1):
        left = _round(folder / f"round-{number}", left, number, part, rng, word, small)
    return folder


def _sample(root: Path, rng: random.Random, number: int, word: Worded, pictures: bool) -> TestSample:
    colour, shape, count = rng.choice(list(COLOURS)), rng.choice(SHAPES), rng.randrange(4)
    image = f"{number}.png"
    if pictures:
        canvas = Image.new("RGB", (96, 96), (225, 222, 210))
        pen = ImageDraw.Draw(canvas)
        for one in range(count + 1):
            pen.ellipse((8 + 20 * one, 30, 26 + 20 * one, 48), fill=COLOURS[colour])
        canvas.save(root / "pictures" / image)
    reference = f"{COUNTS[count]} {colour} {shape}{'s' if count else ''}"
    return TestSample(
        id=word(f"sample-{number:05d}"),
        image=image,
        prompt=word(rng.choice(("How many are there?", "Describe the picture.", "Are they green?"))),
        references=(word(reference),),
        extra={"task": word(rng.choice(("count", "describe", "yes-no")))},
    )


def _round(
    home: Path,
    samples: Sequence[TestSample],
    number: int,
    size: int,
    rng: random.Random,
    word: Worded,
    small: bool,
) -> list[TestSample]:
    left: list[TestSample] = []
    biases = RoundBiases()
    for place in range(math.ceil(len(samples) / size)):
        part, some = Part(home, place, number), samples[place * size : (place + 1) * size]
        rows: dict[str, list[Any]] = {
            step: [] for step in ("answers", "feedback", "verdicts", "fates", "pairs", "feedback-pairs")
        }
        for sample in some:
            made = _answered(sample, number, rng, word, small)
            for step, records in made.items():
                rows[step] += records
            if not rows["fates"][-1].accepted:
                left.append(sample)
        _lines(part.file("samples"), [to_row(one, "") for one in some])
        for step in ("answers", "feedback", "verdicts", "fates"):
            Journal(part.file(step)).finish(as_row(one) for one in rows[step])
        for step in ("pairs", "feedback-pairs"):
            _lines(part.file(step), [to_row(one, "") for one in rows[step]])
        if not small:
            biases.add(some, rows["answers"], rows["feedback"], rows["verdicts"])
    outcome = {
        "metric": word("cider"), "value": 40.5 + number, "interval": [39.0, 44.0 + number], "against": word("base"),
        "its_value": 40.0, "p": 0.04, "samples": 150, "harm": number == 2,
    }  # fmt: skip
    kept = {
        "round": number,
        "biases": {} if small else biases.document(),
        "metrics": {word("generator"): outcome},
        "models": {},
    }
    home.mkdir(exist_ok=True)
    (home / "round.json").write_text(json.dumps(sealed(kept)), encoding="utf-8")
    for role in ("generator", "reviser"):
        logged = [
            {
                "step": step,
                "loss": 0.69 - 0.02 * step * number,
                "rewards/margins": 0.1 * step,
                "rewards/accuracies": 0.7,
            }
            for step in range(0, 10)
        ]
        _lines(home / role / "models" / role / "log.jsonl", logged)
    return left


def _answered(sample: TestSample, number: int, rng: random.Random, word: Worded, small: bool) -> dict[str, list[Any]]:
    truth = sample.references[0]
    answers, feedback, verdicts = [], [], []
    for place, origin in enumerate(ORIGINS[::3] if small else ORIGINS):
        right = rng.random() < (0.3 if origin == "normal" else 0.1)
        text = f"I see {truth} on the ground." if right else word("I see nine purple hats, which nobody asked for.")
        problem = "duplicate" if rng.random() < 0.06 else None
        answers.append(Answer(sample.id, place, word(origin), text, problem=problem and word(problem)))
        if problem is None:
            verdicts.append(_verdict(sample.id, place, right, rng, word))
    for place in range(0 if small else 2):
        right = rng.random() < 0.6
        answers.append(
            Answer(
                sample.id,
                len(ORIGINS) + place,
                word("revised"),
                f"There are {truth}{place}." if right else word(""),
                parent=place,
                problem=None if right else word("empty"),
            )
        )
        said = word("It does not say how many there are, and the colour is wrong.")
        feedback.append(Feedback(sample.id, place, said, number > 1, revised=len(ORIGINS) + place))
        if right:
            verdicts.append(_verdict(sample.id, len(ORIGINS) + place, rng.random() < 0.4, rng, word))
    accepted = [one.answer for one in verdicts if one.outcome == "accepted"]
    refused = [one.answer for one in verdicts if one.outcome == "refused"]
    pairs = [
        _pair(sample, answers[chosen], answers[rejected], number)
        for chosen, rejected in zip(accepted, refused, strict=False)
    ]
    what = "pairs" if pairs else "all accepted" if accepted else "none accepted" if refused else "refused"
    return {
        "answers": answers,
        "feedback": feedback,
        "verdicts": verdicts,
        "fates": [
            Fate(
                sample.id,
                what,
                word("no verdict could be read") if what == "refused" else "",
                answers=_counted(answers),
                accepted=_counted([answers[one] for one in accepted]),
                malformed=sum(one.outcome == "malformed" for one in verdicts),
                pairs=len(pairs),
                feedback_pairs=1 if pairs and feedback else 0,
            )
        ],
        "pairs": pairs,
        "feedback-pairs": [_about(sample, feedback, number, word)] if pairs and feedback else [],
    }


def _verdict(sample: str, answer: int, right: bool, rng: random.Random, word: Worded) -> Verdict:
    if rng.random() < 0.05:
        return Verdict(sample, answer, "malformed", 0, 0, raw=word("Sure! Here is my verdict: it is fine"))
    failed = None if right else rng.choice(CONDITIONS)
    reasons = {one: word("It is said." if one != failed else "The number is not said.") for one in CONDITIONS}
    held = {one: 0 if one == failed else 3 for one in CONDITIONS}
    return Verdict(sample, answer, "accepted" if right else "refused", 3 if right else 0, 3, held, reasons)


def _pair(sample: TestSample, chosen: Answer, rejected: Answer, number: int) -> PreferenceSample:
    told = {
        "sample": sample.id,
        "round": number,
        "chosen_origin": chosen.origin,
        "rejected_origin": rejected.origin,
        "answers": [chosen.answer, rejected.answer],
    }
    return PreferenceSample(
        id=f"{sample.id}#{number}-{chosen.answer}-{rejected.answer}",
        image=sample.image,
        prompt=sample.prompt,
        extra=told,
        response=chosen.text,
        rejected_responses=(rejected.text,),
    )


def _about(sample: TestSample, feedback: Sequence[Feedback], number: int, word: Worded) -> PreferenceSample:
    return PreferenceSample(
        id=f"{sample.id}#feedback-{number}-0.0-1.0",
        image=sample.image,
        prompt=word("Name what is wrong."),
        extra={"sample": sample.id, "round": number, "answers": [0, 1]},
        response=feedback[0].text,
        rejected_responses=(word("It is fine."),),
    )


def _counted(answers: Sequence[Answer]) -> dict[str, int]:
    return {origin: sum(one.origin == origin for one in answers) for origin in dict.fromkeys(a.origin for a in answers)}


def _lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
