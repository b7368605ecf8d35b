"""A run folder as the pipeline leaves it: real small images, logs, texts and scores with plausible values."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

from trifacet.comparing.comparison import Comparison, ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.comparing.document import document
from trifacet.metrics import paper
from trifacet.reports.tables import metric_of
from trifacet.statistics.keys import TEXTS
from trifacet.statistics.measures import Measure, mean_measure

COLOURS = {"red": (215, 40, 40), "yellow": (245, 205, 30), "green": (25, 130, 50), "blue": (35, 75, 215)}
SHAPES = ("ball", "kite", "ring", "rug")
COUNTS = ("one", "two", "three", "four")
NAMES = ("Rovena", "Talin", "Mirel", "Zofara", "Kelo", "Bunati")
TERMS = {
    "rpo": "response", "vpo": "image", "cpo": "context", "vrpo": "image+response", "crpo": "context+response",
    "vcpo": "image+context", "mtpo": "image+context+response",
}  # fmt: skip
ALIGNED = ("dpo", "mdpo", "mcm-dpo", "mcm-dpo-joint", "mcm-dpo-anchored")
HOSTILE = (
    "<script>alert(1)</script> new kites!",
    '"><img src=x onerror="alert(2)"> for you',
    "</textarea></style><svg onload=alert(3)> {{ 7 * 7 }} \u202egnp.exe\u202c and on",
)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def make_run(folder: Path, posts: int = 12, *, models: Sequence[str] = ("sft", *ALIGNED), scored: bool = True) -> Path:
    """A finished demo run, less what generation and scoring add when ``scored`` is false."""
    rng = random.Random(5)
    samples = [_sample(folder, rng, index) for index in range(posts)]
    write_lines(folder / "data" / "test.jsonl", samples)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    versions = {"trifacet": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "python": "3.11.2"}
    seconds = {"data": 12.1, "sft": 214.0, **dict.fromkeys(ALIGNED, 41.5), "generate": 66.2, "score": 3.1}
    write_json(
        folder / "run.json",
        {
            "name": "demo",
            "recipe_sha256": "0" * 64,
            "versions": versions,
            "started": "2026-03-01T10:00:00",
            "finished": "2026-03-01T10:08:10",
            "seconds": seconds,
            "command": "trifacet run recipes/demo.yaml",
        },
    )
    for name in models:
        _trained(folder / "models" / name, name, rng)
    _rejected(folder, samples)
    left_out = {"for": "sft", "file": "data/sft.jsonl", "row": 7, "id": None, "field": None, "reason": HOSTILE[0]}
    write_lines(folder / "skipped.jsonl", [left_out])
    if scored:
        _scored(folder, samples, models, rng)
    return folder


def add_spread(folder: Path) -> None:
    """What a sweep and a run with several seeds leave besides."""
    spread = {
        "grounding": {"mean": 71.2, "std": 2.3, "values": [69, 71, 73.6]},
        "length": {"mean": 8.1, "std": 0.2, "values": []},
    }
    write_json(folder / "seeds.json", {"seeds": [17, 18, 19], "models": dict.fromkeys(("sft", *ALIGNED), spread)})
    rows = [
        {
            "stage": stage,
            "learning_rate": rate,
            "value": 60.5 + 10 * (rate == 5e-5),
            "repetition": 0.4 if rate == 1e-4 else 0.01,
            "length": 8.2,
            "degenerate": "40% of the word pairs are repeats (above 20%)" if rate == 1e-4 else None,
            "chosen": rate == 5e-5,
        }
        for stage in ALIGNED
        for rate in (2e-5, 5e-5, 1e-4)
    ]
    write_json(folder / "sweep.json", {"metric": "grounding", "rows": rows})


def add_comparison(folder: Path, *, draws: int = 200) -> Comparison:
    """What scoring leaves of intervals and tests: values per post around each score, CIDEr's too wide to tell apart."""
    scores = json.loads((folder / "scores.json").read_text())
    ids = [json.loads(line)["id"] for line in (folder / "data" / "test.jsonl").read_text().splitlines()]
    contestants = []
    for place, (name, model) in enumerate(scores["models"].items()):
        measures: dict[tuple[str, str], Measure] = {}
        for metric, value in model["metrics"].items():
            if value is not None:
                rng, spread = random.Random(f"{metric} {place}"), 400 if metric == "cider" else 0.02 * value
                off = [rng.uniform(-spread, spread) for _ in ids]
                values = {one: value + by - sum(off) / len(ids) for one, by in zip(ids, off, strict=True)}
                measures["paper" if metric in paper.PAPER_METRICS else TEXTS, metric] = mean_measure(
                    metric, values, better=metric_of(metric).better
                )
        contestants.append(Contestant(name, name, measures))
    comparison = compare(contestants, ComparisonSettings(draws=draws, pairs="all"))
    write_json(folder / "scores.json", scores | {"comparison": document(comparison)})
    return comparison


def _sample(folder: Path, rng: random.Random, index: int) -> dict[str, Any]:
    colour, shape, count, name = rng.choice(list(COLOURS)), rng.choice(SHAPES), rng.randint(1, 4), rng.choice(NAMES)
    file = folder / "data" / "images" / f"test-{index:05d}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (64, 64), (235, 225, 200))
    draw = ImageDraw.Draw(image)
    for spot in range(count):
        x, y = 6 + 30 * (spot % 2), 6 + 30 * (spot // 2)
        (draw.ellipse if shape in ("ball", "ring") else draw.rectangle)((x, y, x + 20, y + 20), fill=COLOURS[colour])
    image.save(file)
    things = shape if count == 1 else f"{shape}s"
    opening = HOSTILE[index] if index < len(HOSTILE) else "What a day by the sea!"
    return {
        "id": f"test-{index:05d}",
        "image": f"images/{file.name}",
        "context": f"{opening} {name} has waited for this since spring. More pictures tomorrow, promise.",
        "references": [f"{COUNTS[count - 1].capitalize()} {colour} {things} for {name} on the beach."],
        "extra": {
            "facts": {
                "name": [name],
                "colour": [colour],
                "shape": [shape, f"{shape}s"],
                "count": [COUNTS[count - 1], str(count)],
            },
            "confusions": {
                "name": [other for other in NAMES if other != name],
                "colour": [other for other in COLOURS if other != colour],
                "shape": [form for other in SHAPES if other != shape for form in (other, f"{other}s")],
                "count": [form for k, word in enumerate(COUNTS, 1) if k != count for form in (word, str(k))],
            },
        },
    }


def _trained(home: Path, name: str, rng: random.Random) -> None:
    rows: list[dict[str, Any]] = []
    for step in range(10, 310 if name == "sft" else 160, 10):
        row: dict[str, Any] = {
            "step": step,
            "epoch": step / 300,
            "learning_rate": 2e-5 * (1 - step / 320),
            "grad_norm": 1.1,
        }
        row["loss"] = (
            0.4 + 5 * math.exp(-step / 60) + rng.uniform(-0.05, 0.05) if name == "sft" else 0.69 * math.exp(-step / 300)
        )
        if name != "sft":
            row |= {
                "rewards/chosen": step / 200,
                "rewards/rejected": -step / 150,
                "logps/chosen": -20.0,
                "logps/rejected": -25.0,
                "log_ratio/chosen": -step / 200,
                "log_ratio/rejected": -step / 90,
            }
            terms = list(TERMS) if name.startswith("mcm") else ["rpo"]
            for key, scale in (("rewards/margins", 1.2), ("rewards/accuracies", 0.4)):
                for place, term in enumerate(terms):
                    row[f"{key}/{term}"] = (
                        (key != "rewards/margins") * 0.5 + scale * step / 150 / (place + 1) + rng.uniform(-0.02, 0.02)
                    )
                row[key] = row[f"{key}/rpo"]
            row["loss"] = 0.69 * len(terms) * math.exp(-step / 400)
            for place, term in enumerate(terms):
                row[f"loss/{term}"] = 0.69 * math.exp(-step / 300 / (place + 1))
        rows.append(row)
    write_lines(home / "log.jsonl", rows)
    write_lines(home / "samples.jsonl", _watched(name))
    (home / "model").mkdir()
    write_json(
        home / "done.json",
        {
            "seconds": 214.0 if name == "sft" else 41.5,
            "steps": rows[-1]["step"],
            "trained_parameters": 2_412_800,
            "samples": 8000 if name == "sft" else 1500,
            "seconds_per_step": 0.71,
            "cut_posts": 0,
            "learning_rate": 1e-3 if name == "sft" else 5e-5,
            "difference": {
                "start": "base",
                "weights": 79,
                "weights_changed": 77,
                "relative": 0.0123,
                "most": [],
                "only_start": [],
                "only_model": [],
                "samples": 4,
                "logp_change": 0.31,
                "logp_change_largest": 0.9,
            },
            "warnings": [f"from step 100 on {HOSTILE[0]}"] if name == "mcm-dpo" else [],
            "objective": {
                "name": name,
                "terms": [
                    {"name": term, "kind": "pair", "preferred": "chosen", "over": over} for term, over in TERMS.items()
                ],
            },
        },
    )


def _watched(name: str) -> list[dict[str, Any]]:
    """Texts of four posts at three steps; the first post is hostile and does not change between the last two."""
    rows = []
    for step in (0, 75, 150):
        for post in range(4):
            text = HOSTILE[1] if post == 0 and step else f"A red ball number {post} after {step} steps on the beach."
            row = {"step": step, "id": f"post-{post} <b>", "text": text, "at_limit": post == 3 and step == 150}
            if name != "sft":
                score = {"logp": -20.0, "reference_logp": -20.0 - step / 100 - post * step / 400}
                row |= {"drawn": "A ball.", "drawn_tokens": 5, "scored": True, **score}
            rows.append(row)
    return rows


def _rejected(folder: Path, samples: list[dict[str, Any]]) -> None:
    entries = []
    for sample in samples[:4]:
        image = Image.open(folder / "data" / sample["image"]).filter(ImageFilter.GaussianBlur(4))
        file = folder / "rejected" / f"{sample['id']}-0.png"
        file.parent.mkdir(exist_ok=True)
        image.save(file)
        entries.append(
            {
                "id": sample["id"],
                "strategy": "diffusion, t = 700",
                "chosen": f"data/{sample['image']}",
                "rejected": f"rejected/{file.name}",
            }
        )
    write_json(folder / "rejected" / "index.json", entries)


def _scored(folder: Path, samples: list[dict[str, Any]], names: Sequence[str], rng: random.Random) -> None:
    models: dict[str, Any] = {}
    for place, name in enumerate(names):
        rows = []
        for index, sample in enumerate(samples):
            text = sample["references"][0]
            if name == "sft":
                text = f"A picture of some {sample['extra']['facts']['shape'][1]} on the beach."
            elif rng.random() < 0.5:
                text = text.replace("red", "blue").replace("Two", "Three").replace("ball", "kite")
            if name == "dpo":
                text = "A red red red " * 3
            if name == "mcm-dpo" and index == 0:
                text = "<b onmouseover=alert(4)>Two</b> kites &amp; \u202eenilno\u202c for Talin"
            rows.append({"id": sample["id"], "text": text, "prompt_tokens": 90, "new_tokens": 14})
        write_lines(folder / "generations" / f"{name}.jsonl", rows)
        metrics: dict[str, float | None] = {
            "bleu_4": 12.0 + 6 * place, "bleu_4_cumulative": 15.0 + 6 * place, "meteor": None,
            "rouge_l": 40.1 + 5 * place,
            "cider": 120.4 + 30 * place, "grounding/name": 20.0 + 12 * place, "grounding/colour": 50.0 + 4 * place,
            "grounding/shape": 61.5, "grounding/count": 47.0 + 3 * place, "grounding": 45.0 + 5 * place,
            "repetition": 0.81 if name == "dpo" else 0.004 * place, "length": 36.0 if name == "dpo" else 8.2,
        }  # fmt: skip
        reason = "81% of the word pairs are repeats (above 20%)" if name == "dpo" else None
        models[name] = {"metrics": metrics, "per_sample": {}, "degenerate": reason}
    notes = ["METEOR is not computed: WordNet is not installed (Debian: wordnet-base)"]
    write_json(folder / "scores.json", {"profile": "paper", "models": models, "notes": notes})


RECIPE = """\
name: demo
output: runs/demo
seed: 17
model:
  tiny:
    hidden_size: 192
data:
  world:
    sft: 8000
    preference: 1500
sft:
  learning_rate: 0.001
align:
  dpo: {objective: dpo}
  mdpo: {objective: mdpo}
  mcm-dpo: {objective: mcm-dpo}
  mcm-dpo-joint: {objective: mcm-dpo-joint}
  mcm-dpo-anchored: {objective: mcm-dpo-anchored}
"""
