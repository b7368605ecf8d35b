"""Recipes of runs of a few samples, and endpoints that play roles as they are told to."""

import hashlib
import json
import re
from pathlib import Path

import yaml
from small_runs import changed

from trifacet.evolving.settings import EvolveRecipe

STEPS = {"max_steps": 2, "batch_size": 2, "log_every": 1, "learning_rate": 1e-3, "scheduler": "constant", "warmup": 0}
DPO = {**STEPS, "objective": "dpo"}


def values_of(output, data, model, changes=None) -> dict:
    """A recipe as plain values; ``changes`` maps dotted keys to values (None leaves the key out)."""
    values = {
        "name": "small",
        "output": str(output),
        "seed": 5,
        "model": {"path": str(model), "device": "cpu"},
        "data": {"root": str(data), "prompt": "Write alt-text."},
        "samples": "test.jsonl",
        "roles": {role: {"max_new_tokens": 12} for role in ("generator", "reviser", "verifier")},
        "sampling": {"normal": 2, "contrastive": 2, "strategies": ["downscale", "dropout-ntp"]},
        "revision": {"answers": 1, "feedbacks": 2},
        "verification": {"form": "word"},
        "gate": {"samples": 0},
        "rounds": {"count": 2, "keep": "last"},
        "generate": {"beams": 1, "max_new_tokens": 4},
        "part": 2,
    }
    values["roles"]["generator"]["temperature"] = values["roles"]["reviser"]["temperature"] = 1.0
    return changed(values, changes)


def recipe_of(output, data, model, changes=None) -> EvolveRecipe:
    return EvolveRecipe.model_validate(values_of(output, data, model, changes))


def recipe_file(path: Path, output, data, model, changes=None) -> Path:
    path.write_text(yaml.safe_dump(values_of(output, data, model, changes)), encoding="utf-8")
    return path


def endpoint_file(path: Path, base_url: str, **others) -> str:
    path.write_text(yaml.safe_dump({"base_url": base_url, "model": "scripted", **others}), encoding="utf-8")
    return str(path)


def words_of(messages) -> str:
    """The last message's text."""
    content = messages[-1]["content"]
    return content if isinstance(content, str) else next(part["text"] for part in content if part["type"] == "text")


def field_of(messages, name: str) -> str:
    """What stands behind ``name`` in a rendered prompt."""
    return json.loads(re.search(rf'^{name}: (".*")$', words_of(messages), re.MULTILINE)[1])


def drawn(text: str, of: int) -> int:
    """A number below ``of`` that belongs to a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % of


def by_lot(messages) -> str:
    """A verifier that accepts one answer in three, the same whenever it is asked."""
    return "yes" if drawn(field_of(messages, "Answer"), 3) == 0 else "no"


def files_of(output: Path) -> dict[str, bytes]:
    """Every data file of a run: rows, documents and weights, but for what says when and where it was made."""
    kept = {}
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        data = path.suffix in (".jsonl", ".texts", ".safetensors", ".png") or path.name in ("round.json", "gate.json")
        if path.is_file() and (data or path.parent.name == "parts"):
            kept[name] = path.read_bytes()
    return kept


def rows_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
