"""Recipes for runs of a few steps, and how to start one as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from trifacet.models.loading import load_model
from trifacet.training.examples import Collator
from trifacet.training.recipe import Recipe
from trifacet.training.stages import Start, _examples, train_stage

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
    train_stage(recipe, name, start if isinstance(start, Start) else Start("base", start))
    return recipe.folder / "models" / name


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def weights_of(folder: Path) -> dict:
    return dict(load_model(folder / "model").model.state_dict())


def batch_of(recipe: Recipe, name: str, path, count: int = 3):
    """The first samples of a stage as a batch, with the model that they are for."""
    loaded = load_model(path)
    examples = _examples(recipe, recipe.sft if name == "sft" else recipe.align[name], loaded)
    batch = Collator(examples)([examples[index] for index in range(count)])
    for key in ("plan", "indices", "cut"):
        del batch[key]
    return loaded, batch


ENVIRONMENT = {
    **os.environ,
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "COLUMNS": "500",
}


def command(*arguments) -> list[str]:
    return [sys.executable, "-c", "from trifacet.cli.main import main; main()", *map(str, arguments)]


def trifacet(*arguments, **options) -> subprocess.CompletedProcess:
    """``trifacet`` in a process of its own."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=ENVIRONMENT, timeout=240, check=False, **options
    )
