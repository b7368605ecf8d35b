"""How fast a build is, step by step, and how its memory grows with the number of posts.

    python bench/build_scale.py --rows 1000000
    python bench/build_scale.py --rows 0 --images 20000
    python bench/build_scale.py --grow 250000 1000000
    python bench/build_scale.py --grow 125000 250000 500000 1000000 --skip language --plot growth.png

Posts are put together on the spot from scraps of Python's manual: one in ten is German, one in six has no alt-text
worth the name, one in five carries hashtags, one in twenty repeats an earlier post with a word changed. Images are JPEG
files of 640 x 480 pixels, each its own picture. No language model is asked. ``trifacet build`` runs as a process of its
own; peak memory is the largest sum of the proportional set sizes (PSS) of it and its workers, looked at ten times a
second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import psutil
import yaml
from PIL import Image

TEXT_STEPS: list[Any] = [
    "language",
    "hashtags",
    "alt-length",
    "lint",
    {"exact-duplicates": {"same": ["context", "alt"]}},
    {"near-duplicates": {"by": ["text"]}},
    {"split": {"shares": {"preference": 0.08, "test": 0.015}}},
]
IMAGE_STEPS: list[Any] = [
    "images",
    "static-image",
    *TEXT_STEPS[:4],
    "exact-duplicates",
    "near-duplicates",
    TEXT_STEPS[-1],
]
POSTS = 22_000_000  # MCM-DPO's crawl
SHORT = {"a", "of", "to", "in", "is", "it", "on", "as", "by", "or", "an", "be", "at", "if", "so", "we", "no", "do"}
GERMAN = "Gestern haben wir am Fluss einen kleinen Garten gesehen und lange auf die anderen gewartet".split()


@cache
def english() -> list[str]:
    """The words of Python's own manual in their order: English that is on every machine."""
    text = " ".join(topics.values())
    return [word for word in re.findall(r"[A-Za-z]+", text) if word.islower() and (len(word) > 2 or word in SHORT)]


def sentence(draw: random.Random) -> str:
    """A few scraps of the manual, one after another."""
    words = english()
    starts = (draw.randrange(len(words) - 8) for _ in range(draw.randint(2, 3)))
    return " ".join(word for start in starts for word in words[start : start + draw.randint(4, 7)]).capitalize() + "."


def posts(rows: int, images: int, seed: int = 5) -> Iterator[dict[str, Any]]:
    """Rows of the benchmark, one at a time."""
    draw = random.Random(seed)
    recent: list[str] = []
    for number in range(rows or images):
        kind = draw.random()
        text = " ".join(sentence(draw) for _ in range(draw.randint(1, 4)))
        if kind < 0.1:
            draw.shuffle(GERMAN)
            text = " ".join(GERMAN)
        elif kind < 0.15 and recent:
            words = draw.choice(recent).split()
            words[draw.randrange(len(words))] = draw.choice(english())
            text = " ".join(words)
        recent = [*recent[-50:], text]
        text += " #nofilter #travel" if draw.random() < 0.2 else ""
        alt = sentence(draw) if draw.random() < 0.84 else draw.choice(["", "photo", "IMG_2031.jpg", "a dog"])
        row = {"id": f"post-{number}", "context": text, "alt": alt}
        yield row | ({"image": f"{number % 1000:03d}/{number}.jpg"} if images else {})


def write_inputs(folder: Path, rows: int, images: int) -> None:
    """``posts.jsonl`` and, where images are wanted, one JPEG for each of its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "posts.jsonl").open("w", encoding="utf-8") as file:
        for row in posts(rows, images):
            file.write(json.dumps(row) + "\n")
    for number in range(images):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((640, 480), Image.BICUBIC)
        path = folder / f"{number % 1000:03d}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse.save(path, quality=80)


def build(folder: Path, steps: list[Any], workers: int) -> dict[str, Any]:
    """One build of ``folder``; seconds, peak memory in MiB, and per step rows, seconds of work and rows a second."""
    recipe = {"sources": [{"path": str(folder / "posts.jsonl")}], "steps": steps, "output": str(folder / "out")}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    command = [sys.executable, "-m", "trifacet", "build", str(path), "--workers", str(workers)]
    began = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"trifacet build ended with {process.returncode}")
    seconds = time.monotonic() - began
    state = json.loads((folder / "out" / "build.json").read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "peak_mib": peak / 2**20,
        "stages": state["seconds"],
        "decisions": state["seconds_of_decisions"],
        "steps": _steps(folder / "out"),
    }


def _held(pid: int) -> int:
    """Bytes that the process and its children hold, shared pages counted once."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    held = 0
    for process in family:
        try:
            held += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return held


def _steps(output: Path) -> list[dict[str, Any]]:
    from trifacet.building.recipe import load_build_recipe
    from trifacet.building.story import steps_told

    told = steps_told(load_build_recipe(output / "recipe.yaml"))
    return [{"step": step.name, "rows": step.rows_in, "seconds": step.seconds} for step in told]


def show(result: dict[str, Any], rows: int) -> None:
    """Print one build's figures."""
    print(f"\n{rows} rows: {result['seconds']:.0f} s, peak {result['peak_mib']:.0f} MiB")
    print(f"{'step':20} {'rows in':>9} {'core-seconds':>13} {'rows/s/core':>12}")
    for step in result["steps"]:
        rate = step["rows"] / step["seconds"] if step["seconds"] else float("nan")
        print(f"{step['step']:20} {step['rows']:9} {step['seconds']:13.1f} {rate:12.0f}")
    core_hours = sum(step["seconds"] for step in result["steps"]) / rows * POSTS / 3600
    print(f"the paper's {POSTS:,} posts at these rates: {core_hours:.1f} core-hours of work")
    decisions = result["decisions"].items()
    print("seconds of decisions, on the head:", ", ".join(f"{name} {seconds:.1f}" for name, seconds in decisions))
    print("seconds of stages:", ", ".join(f"{name} {seconds:.0f}" for name, seconds in result["stages"].items()))


def draw_growth(points: list[tuple[int, dict[str, Any]]], path: Path) -> None:
    """Seconds and peak memory over the number of posts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    rows = [count / 1e6 for count, _ in points]
    for panel, key, label in zip(panels, ("seconds", "peak_mib"), ("seconds", "peak memory in MiB"), strict=True):
        panel.plot(rows, [result[key] for _, result in points], marker="o", clip_on=False)
        panel.set_xlabel("posts in millions")
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="posts without images")
    parser.add_argument("--images", type=int, default=0, help="posts with an image file each")
    parser.add_argument("--grow", type=int, nargs="+", default=[], help="several numbers of posts without images")
    parser.add_argument("--skip", nargs="+", default=[], help="steps to leave out, such as language")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    points = []
    for rows in options.grow or [options.images or options.rows]:
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(Path(folder), 0 if options.images else rows, options.images)
            steps = [step for step in (IMAGE_STEPS if options.images else TEXT_STEPS) if step not in options.skip]
            result = build(Path(folder), steps, options.workers)
        show(result, rows)
        points.append((rows, result))
    if len(points) > 1:
        first, last = points[0], points[-1]
        print(
            f"\npeak memory: {last[1]['peak_mib'] / first[1]['peak_mib']:.2f}x for {last[0] / first[0]:.0f}x the posts"
        )
    if options.plot:
        draw_growth(points, options.plot)
    if options.json:
        options.json.write_text(json.dumps(dict(points), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
