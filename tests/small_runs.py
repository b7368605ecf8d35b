"""Recipes for runs of a few steps, and how to start one as a user would."""

import gc
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml

from trifacet.cli.main import main
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model
from trifacet.training.examples import Collator
from trifacet.training.recipe import Recipe
from trifacet.training.sources import Start, training_set
from trifacet.training.stage import stage_of
from trifacet.training.stages import train_stage

STAGE = {"max_steps": 4, "batch_size": 2, "log_every": 1, "learning_rate": 1e-3, "scheduler": "constant", "warmup": 0}


def values_of(output, data, model, changes=None) -> dict:
    """A recipe as plain values; ``changes`` maps dotted keys to values (None leaves the key out)."""
    values = {
        "name": "small",
        "output": str(output),
        "seed": 5,
        "model": {"path": str(model), "device": "cpu"},
        "data": {"root": str(data), "sft": "sft.jsonl", "preference": "preference.jsonl", "test": "test.jsonl"},
        "sft": dict(STAGE),
        "align": {"mcm": {**STAGE, "objective": "mcm-dpo"}},
        "generate": {"beams": 1, "max_new_tokens": 4, "limit": 2},
    }
    return changed(values, changes)


def changed(values: dict, changes=None) -> dict:
    """``values`` themselves, changed by dotted keys (None leaves the key out)."""
    for key, value in (changes or {}).items():
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return values


def recipe_of(output, data, model, changes=None) -> Recipe:
    return Recipe.model_validate(values_of(output, data, model, changes))


def recipe_file(folder: Path, output, data, model, changes=None) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values_of(output, data, model, changes)), encoding="utf-8")
    return path


def train(recipe: Recipe, name: str, start) -> Path:
    """Train one stage; the folder of its files."""
    train_stage(stage_of(recipe, name, start if isinstance(start, Start) else Start("base", start)))
    return recipe.folder / "models" / name


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights_of(folder: Path) -> dict:
    return dict(load_model(folder / "model").model.state_dict())


def batch_of(recipe: Recipe, name: str, path, count: int = 3):
    """The first samples of a stage as a batch, with the model that they are for."""
    loaded = load_model(path)
    samples = training_set(recipe, name, recipe.sft if name == "sft" else recipe.align[name])
    examples, _ = samples.examples(WayOfAsking.of(recipe.data).encoder(loaded.family))
    batch = Collator(examples).seen([examples[index] for index in range(count)])
    return loaded, batch


# A server process imports torch once and forks for every command: each is a process of its own, and starts at once.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["trifacet.runs.run", "trifacet.cli.main", "peft", "transformers.trainer"])


def in_processes(function, arguments: list[tuple], seconds: float = 120) -> None:
    """Run ``function`` with each of ``arguments`` at the same time; all have to end, and well."""
    started = [processes.Process(target=on_one_thread, args=(function, some)) for some in arguments]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=seconds)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    assert codes == [0] * len(started)


def on_one_thread(function, arguments: tuple) -> None:
    gc.freeze()  # as in conftest
    torch.set_num_threads(1)
    function(*arguments)


def _command(arguments: list[str], output: Path, limit: int | None, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(output / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    multiprocessing.set_start_method("fork", force=True)  # Linux's own, as a user's command has it
    os.environ["COLUMNS"] = "500"
    torch.set_num_threads(1)
    gc.freeze()  # as in conftest
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = ["trifacet", *arguments]
    if "ACCELERATE_USE_FSDP" in os.environ:
        from fsdp_on_cpu import let_fsdp_onto_the_cpu

        let_fsdp_onto_the_cpu()
    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class Command:
    """``trifacet ARGUMENTS`` in a process of its own; ``largest_file`` in bytes stands in for a disk that is full."""

    def __init__(self, folder: Path, *arguments, largest_file: int | None = None, environment=None) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.process = processes.Process(
            target=_command, args=([str(word) for word in arguments], self.folder, largest_file, environment or {})
        )
        self.process.start()

    def wait(self) -> int:
        """The exit code; minus the signal's number where one ended it."""
        self.process.join(timeout=240)
        if self.process.is_alive():
            self.process.kill()
            raise TimeoutError("the command took more than 240 seconds")
        return self.process.exitcode

    def stop_when(self, appears, number: int) -> int:
        """Send the signal as soon as ``appears()`` is true; the exit code."""
        end = time.monotonic() + 120
        while not appears():
            assert self.process.is_alive(), self.stderr[-2000:]
            assert time.monotonic() < end
            time.sleep(0.002)
        os.kill(self.process.pid, number)
        return self.wait()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text(encoding="utf-8")
