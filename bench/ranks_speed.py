"""Two processes beside one, at equal work: the same samples in the same steps, by ``trifacet align``.

    python bench/ranks_speed.py                          # shape small, some half hour on two cores
    python bench/ranks_speed.py --shape demo --steps 12 --rounds 5
    python bench/ranks_speed.py --objective mcm-dpo --json out.json

The ways take turns, another one begins each round; each turn is a run of its own, with the same random model and pairs
whose posts are of very different lengths (lognormal, a few of over a thousand words).

    one         one process with one thread
    two         two processes with a thread each, gradients exchanged by gloo; the batches of a step balanced by tokens
    two-drawn   the same with the batches as they are drawn, every second one for each process

So two have two threads where one has one: 2 is the most that can come out on a machine with two idle cores, and less
where one thread alone is given a higher clock or more of the memory's bandwidth. The first step of a run is not timed.

Columns, and keys of the JSON
    step        ``seconds_per_step``: data loading, forwards, backwards, exchange and update; median over the rounds
    ratio       ``ratio``: how many times as fast as ``one`` in the same round, median, lowest and highest
    waiting     ``waiting``: share of the steps' time in which a process computes nothing, mean over processes: 1 less
                its CPU time by the clock's. On a machine with other work it counts the wait for a core too
    largest     ``largest``: the dearest process's tokens of a step by the mean of all, over all timed steps, as the
                division estimates them

The run ends without a table unless all ways have the same losses (1e-4) and norms of the gradient (1e-3 of them) in
each step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from transformers import TrainerCallback

from contest.inputs import LABEL, REQUEST, SHAPES, Shape, make_inputs
from trifacet.data.formats import write_samples
from trifacet.preferences.objectives import OBJECTIVES

WAYS = {"one": 1, "two": 2, "two-drawn": 2}  # processes
LONGEST_POST = 1500  # words
SECONDS = 3600  # of a turn
NOTES = "RANKS_SPEED_NOTES"  # where a process writes what it noted


class Noted(TrainerCallback):
    """The clock, this process's CPU seconds and its estimated tokens at the end of each step."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, float]] = []
        self.tokens: list[int] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append((time.perf_counter(), time.process_time()))

    def on_train_end(self, *_: Any, **__: Any) -> None:
        path = Path(os.environ[NOTES]).with_suffix(f".{os.environ.get('RANK', '0')}.json")
        path.write_text(json.dumps({"steps": self.steps, "tokens": self.tokens}), encoding="utf-8")


def work(recipe: Path, *, drawn: bool) -> None:
    """One process of a run, which notes its times."""
    from trifacet.cli.main import main as command
    from trifacet.training import balance, ranks, trainer

    torch.set_num_threads(1)
    noted = Noted()
    plain, begin = trainer.LatticeTrainer.get_batch_samples, trainer.LatticeTrainer.__init__
    costs: list[int] = []

    def started(self: Any, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self.add_callback(noted)
        costs.extend(balance.sample_costs(self.train_dataset, self.rows))

    def taken(self: Any, *arguments: Any) -> Any:
        batches, items = plain(self, *arguments)
        noted.tokens.append(sum(costs[index] for _, needed in batches for index in needed.indices if needed.weight))
        return batches, items

    trainer.LatticeTrainer.__init__ = started  # type: ignore[method-assign]
    trainer.LatticeTrainer.get_batch_samples = taken  # type: ignore[method-assign]
    if drawn:
        trainer.LatticeTrainer._balanced = lambda self, batches: batches  # type: ignore[method-assign]
    sys.argv = ["trifacet", "align", str(recipe)]
    command()
    assert ranks.count() == int(os.environ.get("WORLD_SIZE", "1"))


def prepare(folder: Path, shape: Shape, objective: str, *, steps: int, batch: int, forwards: int) -> dict[str, Any]:
    """Model and pairs on disk, and the values of a recipe."""
    data = folder / "data"
    data.mkdir(parents=True)
    inputs = make_inputs(data, replace(shape, batch=-(-steps * batch * forwards // 2)))
    rng = np.random.default_rng(7)
    words = sorted({word for sample in inputs.samples for word in sample.context.split()})
    lengths = rng.lognormal(4.5, 1.2, len(inputs.samples)).clip(5, LONGEST_POST).astype(int).tolist()
    unequal = [
        sample.model_copy(update={"context": " ".join(rng.choice(words, length)), "rejected_contexts": ()})
        for sample, length in zip(inputs.samples, lengths, strict=True)
    ]
    write_samples(unequal, data / "preference.jsonl", "trifacet", "preference")
    stage = {
        "objective": objective,
        "start": "base",
        "batch_size": batch,
        "accumulation": forwards,
        "max_steps": steps,
        "learning_rate": 1e-6,
        "log_every": 1,
    }
    return {
        "name": "ranks",
        "model": {"path": str(data), "device": "cpu", "paradigm": 4},
        "data": {
            "root": str(data),
            "preference": "preference.jsonl",
            "prompt": REQUEST,
            "context_label": LABEL,
            "max_length": 4096,
        },
        "align": {"timed": stage},
    }


def turn(folder: Path, recipe: Mapping[str, Any], way: str) -> tuple[dict[str, float], list[dict[str, float]]]:
    """One run from start to end: its figures and the lines of its log."""
    output, notes = folder / "runs" / way, folder / f"{way}.notes"
    shutil.rmtree(output, ignore_errors=True)
    path = folder / f"{way}.yaml"
    path.write_text(yaml.safe_dump({**recipe, "output": str(output)}), encoding="utf-8")
    processes = WAYS[way]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", NOTES: str(notes)}
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment |= {name: str(value) for name, value in told.items()}
    command = [sys.executable, __file__, "--worker", str(path), *(["--drawn"] if way == "two-drawn" else [])]
    launched = []
    for rank in range(processes):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else {}
        launched.append(
            subprocess.Popen(command, env={**environment, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
    said = [process.communicate(timeout=SECONDS)[1].decode() for process in launched]
    if any(process.returncode for process in launched):
        sys.exit(f"{way} failed:\n" + "\n".join(said))
    found = [json.loads(notes.with_suffix(f".{rank}.json").read_text("utf-8")) for rank in range(processes)]
    walls, idle = [], []
    for one in found:
        (began, computed), (ended, computed_too) = one["steps"][0], one["steps"][-1]
        walls.append(ended - began)
        idle.append(max(1 - (computed_too - computed) / (ended - began), 0.0))
    tokens = [one["tokens"][1:] for one in found]  # by process and step
    largest = sum(map(max, zip(*tokens, strict=True))) * processes / sum(map(sum, tokens))
    timed = len(found[0]["steps"]) - 1
    figures = {"seconds_per_step": max(walls) / timed, "waiting": statistics.mean(idle), "largest": largest}
    lines = (output / "models" / "timed" / "log.jsonl").read_text("utf-8").splitlines()
    return figures, [json.loads(line) for line in lines]


def apart(one: list[dict[str, float]], other: list[dict[str, float]]) -> float:
    """By how much two logs differ at most: in losses, and a tenth of what norms of the gradient do of themselves."""
    pairs = list(zip(one, other, strict=True))
    return max(
        max(abs(mine["loss"] - theirs["loss"]), abs(mine["grad_norm"] / theirs["grad_norm"] - 1) / 10)
        for mine, theirs in pairs
    )


def measure(folder: Path, recipe: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """Medians over the rounds, by way. Exits where the ways do not do the same work."""
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    order = list(WAYS)
    differ = 0.0
    for number in range(rounds):
        at = number % len(order)
        logs = {}
        for way in [*order[at:], *order[:at]]:
            figures, logs[way] = turn(folder, recipe, way)
            turns[way].append(figures)
        differ = max([differ, *(apart(logs["one"], logs[way]) for way in order[1:])])
        if differ > 1e-4:
            sys.exit(f"the ways do not do the same work: their losses or gradients differ by {differ:.2g}")
    found: dict[str, Any] = {"largest_difference": differ}
    for way, figures in turns.items():
        ratios = [
            one["seconds_per_step"] / mine["seconds_per_step"] for one, mine in zip(turns["one"], figures, strict=True)
        ]
        found[way] = {
            **{key: statistics.median(each[key] for each in figures) for key in figures[0]},
            "ratio": statistics.median(ratios),
            "ratios": ratios,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--objective", choices=[name for name in OBJECTIVES if name != "sft"], default="dpo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="of a run; the first one is not timed")
    parser.add_argument("--batch", type=int, default=2, help="samples of a forward")
    parser.add_argument("--forwards", type=int, default=4, help="of a step, over all processes: an even number")
    parser.add_argument("--json", metavar="PATH", help="also write the figures as JSON")
    parser.add_argument("--worker", metavar="RECIPE", help=argparse.SUPPRESS)
    parser.add_argument("--drawn", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(Path(options.worker), drawn=options.drawn)
        return
    if min(options.rounds, options.batch) < 1 or options.steps < 2 or options.forwards < 2 or options.forwards % 2:
        parser.error("--rounds and --batch are at least 1, --steps at least 2, --forwards an even number")
    shape = SHAPES[options.shape]
    with tempfile.TemporaryDirectory() as made:
        folder, sizes = Path(made), {"batch": options.batch, "forwards": options.forwards}
        recipe = prepare(folder, shape, options.objective, steps=options.steps, **sizes)
        found = measure(folder, recipe, options.rounds)
    told = {"shape": shape.name, "objective": options.objective, "rounds": options.rounds, "steps": options.steps}
    document = {**told, **sizes, "cores": os.cpu_count(), **found}
    print(", ".join(f"{key} {value}" for key, value in document.items() if key in {*told, *sizes, "cores"}))
    print(f"losses and a tenth of the gradients' norms differ by {found['largest_difference']:.1e} at most")
    print(f"{'':<12}{'step':>9}{'waiting':>9}{'largest':>9}  ratio")
    for way in WAYS:
        row = found[way]
        span = f"{row['ratio']:.2f} ({min(row['ratios']):.2f} to {max(row['ratios']):.2f})"
        print(f"{way:<12}{row['seconds_per_step']:>8.2f}s{row['waiting']:>9.1%}{row['largest']:>9.3f}  {span}")
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
