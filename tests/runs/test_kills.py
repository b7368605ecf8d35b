"""Killed at random moments and started again with the same command, a run ends as one that was never killed."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from safetensors import safe_open
from small_runs import Command, recipe_file

from trifacet.runs.folder import claimed
from trifacet.training.recipe import load_recipe

MANY = pytest.param(20, marks=pytest.mark.endurance)
TINY = {
    "hidden_size": 32, "layers": 1, "heads": 2, "vision_hidden_size": 32, "vision_layers": 2, "vision_heads": 2,
    "image_size": 32, "vocabulary": 400, "warmup_steps": 2,
}  # fmt: skip
STEPS = {"max_steps": 4, "save_every": 1, "batch_size": 2, "log_every": 1, "learning_rate": 1e-3}
CHANGES = {  # each phase takes a good part of the time; a save after each step, so that kills fall into saves too
    "model": {"tiny": TINY, "device": "cpu", "lora": {"rank": 2, "alpha": 4, "dropout": 0.1}, "paradigm": 1},
    "sft": STEPS,
    "align": {"mcm": {**STEPS, "objective": "mcm-dpo"}},
    "generate": {"beams": 1, "max_new_tokens": 8, "batch_size": 1, "limit": 3},
}


def results(output) -> dict[str, object]:
    """All that a run is for: weights, reference scores, logs, texts and scores."""
    found: dict[str, object] = {
        str(path.relative_to(output)): path.read_bytes()
        for pattern in ("models/**/*.safetensors", "models/*/log.jsonl", "generations/*.jsonl")
        for path in output.glob(pattern)
    }
    for path in output.glob("reference/*"):
        with safe_open(path, framework="pt") as file:  # its header's entries come in any order
            found[path.name] = (
                file.metadata(),
                [file.get_tensor(name).numpy().tobytes() for name in ("counts", "logps")],
            )
    return {**found, "scores": json.loads((output / "scores.json").read_text())}


def unfinished(output) -> list[str]:
    return [
        str(path.relative_to(output))
        for path in output.rglob("*")
        if (path.name.startswith((".", "checkpoint-")) and path.name != ".lock") or path.suffix in (".parts", ".tmp")
    ]


def phase(output) -> str:
    """How far a run had come, by the last thing that it made."""
    marks = ["generations/mcm.jsonl", "generations/sft.jsonl", "models/mcm/model", "models/mcm/log.jsonl"]
    marks += ["reference/*.parts", "models/sft/model", "models/sft/log.jsonl", "models/base/model"]
    return next((mark for mark in marks if any(output.glob(mark))), "nothing yet")


def the_same(ours: dict[str, object], theirs: dict[str, object]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


@pytest.mark.parametrize("times", [2, MANY])
def test_killed_again_and_again_a_run_ends_bitwise_the_same(tmp_path, unscored_world, times):
    data = unscored_world

    def recipe(name):
        (tmp_path / name).mkdir()
        return recipe_file(tmp_path / name, tmp_path / name / "out", data, "", CHANGES), tmp_path / name / "out"

    Command(tmp_path, "--help").wait()  # the server that commands are forked from imports torch once
    path, output = recipe("whole")
    began = time.monotonic()
    command = Command(tmp_path, "run", path)
    assert command.wait() == 0, command.stderr
    duration = time.monotonic() - began
    whole = results(output)
    assert unfinished(output) == []
    assert len(whole) == 9  # base, two adapters, the reference, two logs, two texts, the scores

    draw = random.Random(17)
    kills: list[str] = []
    runs = 0
    while len(kills) < times:
        path, output = recipe(f"killed-{(runs := runs + 1)}")
        while True:
            if len(kills) < times:
                command = Command(tmp_path, "run", path)
                command.process.join(timeout=draw.uniform(0, 0.6 * duration))
                if command.process.is_alive():
                    with contextlib.suppress(ProcessLookupError):  # it ended in this very moment
                        os.kill(command.process.pid, signal.SIGKILL)
                    if command.wait() == -signal.SIGKILL:
                        kills.append(phase(output))
                        continue
            else:
                command = Command(tmp_path, "run", path)
            assert command.wait() == 0, (kills, command.stderr)
            break
        the_same(results(output), whole)
        assert unfinished(output) == [], kills
        shutil.rmtree(output)
    print(f"{runs} runs of {duration:.1f} s, killed at: {', '.join(kills)}")


def test_a_second_run_into_the_same_folder_is_refused(tmp_path, world, tiny_folder):
    path = recipe_file(
        tmp_path, tmp_path / "out", world, tiny_folder, {"sft.max_steps": 1, "align": None, "data.test": None}
    )
    with claimed(load_recipe(path)):
        second = Command(tmp_path, "run", path)
        assert second.wait() == 2
    assert "another process is running in" in second.stderr
    assert Command(tmp_path, "run", path).wait() == 0


LONG = {"max_steps": 300, "batch_size": 2, "log_every": 1}
PHASES = {  # what shows that the phase has begun
    "reference": ("reference/*.parts/*.jsonl", ""),
    "training": ("models/mcm/log.jsonl", "mcm: stopped and saved after step "),
    "texts": ("generations/base.jsonl", ""),
}


@pytest.mark.parametrize(
    "name", [name if name == "reference" else pytest.param(name, marks=pytest.mark.endurance) for name in PHASES]
)
def test_sigterm_leaves_with_a_message_and_the_same_command_goes_on(tmp_path, unscored_world, tiny_folder, name):
    changes = {
        "sft": None,
        "align.mcm": {**LONG, "objective": "mcm-dpo", "max_steps": 300 if name == "training" else 1},
        "generate": {"beams": 1, "max_new_tokens": 24, "limit": 6, "batch_size": 1},
    }
    path, output = (
        recipe_file(tmp_path, tmp_path / "out", unscored_world, tiny_folder, changes),
        tmp_path / "out",
    )
    sign, says = PHASES[name]
    command = Command(tmp_path, "run", path)
    assert (
        command.stop_when(lambda: any(file.stat().st_size > 1000 for file in output.glob(sign)), signal.SIGTERM) == 130
    )
    assert command.stderr.splitlines()[-1] == "interrupted by SIGTERM: the same command continues from here"
    assert "Traceback" not in command.stderr
    if name == "training":
        assert says in command.stderr.splitlines()[-2]
        (checkpoint,) = output.glob("models/mcm/checkpoint-*")
        assert (checkpoint / "complete.json").exists()
        return
    (file,) = output.glob(sign)
    kept = set(file.read_bytes().splitlines())
    again = Command(tmp_path, "run", path)
    assert again.wait() == 0, again.stderr
    if name == "reference":
        assert re.search(r"reference: \d of 8 batches are scored already", again.stderr)
    else:
        finished = set(file.read_bytes().splitlines())
        assert {re.sub(rb', "seal": "\w+"', b"", line) for line in kept} <= finished


def test_the_workers_of_a_killed_run_do_not_keep_its_folder(tmp_path, world, tiny_folder):
    """They hold what their parent held until they notice that it is gone."""
    changes = {"sft": {**LONG, "save_every": 1}, "align": None, "data.test": None, "data.workers": 1}
    path, output = recipe_file(tmp_path, tmp_path / "out", world, tiny_folder, changes), tmp_path / "out"
    log = output / "models/sft/log.jsonl"
    assert Command(tmp_path, "run", path).stop_when(lambda: log.exists() and log.stat().st_size, signal.SIGKILL) == -9
    again = Command(tmp_path, "run", path)
    assert again.stop_when(lambda: log.read_text().count("\n") > 3, signal.SIGTERM) == 130


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_sigterm_to_all_processes_of_a_run_still_saves(tmp_path, world, tiny_folder):
    """As SLURM sends it: the workers that read images get it too, and before the run does."""
    changes = {"sft": LONG, "align": None, "data.test": None, "data.workers": 2}
    path, output = recipe_file(tmp_path, tmp_path / "out", world, tiny_folder, changes), tmp_path / "out"
    log = output / "models/sft/log.jsonl"

    def begun() -> bool:
        if not (log.exists() and log.read_text().count("\n") > 1):
            return False
        workers = children_of(command.process.pid)
        assert len(workers) >= 2
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        time.sleep(0.1)
        return True

    command = Command(tmp_path, "run", path)
    began = time.monotonic()
    assert command.stop_when(begun, signal.SIGTERM) == 130
    assert time.monotonic() - began < 60
    assert command.stderr.splitlines()[-2].startswith("sft: stopped and saved after step ")
    assert [(file / "complete.json").exists() for file in output.glob("models/sft/checkpoint-*")] == [True]
