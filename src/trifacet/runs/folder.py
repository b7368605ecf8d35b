"""The folder of a run: it belongs to one recipe, and to one process at a time.

Invariant: nothing of another run is ever overwritten unless the user said so, and then only what a run writes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.folders import locked
from trifacet.training.recipe import Recipe, dump_recipe, recipe_fingerprint

PACKAGES = ("trifacet", "torch", "transformers", "peft", "accelerate", "tokenizers", "datasets", "nltk", "pillow")
RUN_FILE = "run.json"
WRITTEN = ("models", "reference", "generations", "rejected")  # folders of a run
FILES = (RUN_FILE, "recipe.yaml", "scores.json", "seeds.json", "sweep.json", "skipped.jsonl", "report.html")
WORLD_MARK = "complete"  # in data/, where the run made it; a user's own data/ is left alone


@contextlib.contextmanager
def claimed(recipe: Recipe, *, overwrite: bool = False) -> Iterator[RunRecord]:
    """The recipe's folder, for this process alone, as the folder of this recipe.

    Raises:
        TrifacetError: it holds another run, or files that are no run, or another process works in it; and later, when
            the disk is full.
    """
    folder = recipe.folder
    with locked(folder, RUN_FILE):
        for place in ("", "*/", "models/*/"):
            for torn in folder.glob(f"{place}.*.tmp"):  # of a run that was killed
                torn.unlink(missing_ok=True)
        if overwrite:
            _clear(folder)
        yield _record(recipe, folder)


class RunRecord:
    """``run.json``: what the run is, with what it was made, and how long its stages took."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path, self.facts = path, facts

    def took(self, stage: str, seconds: float) -> None:
        """Add the seconds that a stage took in this process."""
        known = self.facts["seconds"].get(stage, 0.0)
        self.facts["seconds"][stage] = round(known + seconds, 1)
        self.write()

    def finish(self) -> None:
        """Note the time at which all was done."""
        self.facts["finished"] = _now()
        self.write()

    def write(self) -> None:
        """Bring the file up to date."""
        write_atomically(self.path, json.dumps(self.facts, indent=2, ensure_ascii=False) + "\n")


def _record(recipe: Recipe, folder: Path) -> RunRecord:
    path, fingerprint = folder / RUN_FILE, recipe_fingerprint(recipe)
    cure = "choose another output, or --overwrite to begin anew"
    if path.exists():
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            stored, facts["seconds"] = facts["recipe_sha256"], dict(facts["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            raise TrifacetError(f"{path} is damaged; {cure}") from None
        if stored == fingerprint:
            write_atomically(folder / "recipe.yaml", dump_recipe(recipe))
            return RunRecord(path, facts)
        if any(_output(folder)):
            raise TrifacetError(f"{folder} holds another run ({_difference(recipe, folder)}); {cure}")
    record = RunRecord(
        path,
        {
            "name": recipe.name,
            "recipe_sha256": fingerprint,
            "versions": _versions(),
            "started": _now(),
            "finished": None,
            "seconds": {},
            "command": " ".join(["trifacet", *sys.argv[1:]]),
        },
    )
    record.write()
    write_atomically(folder / "recipe.yaml", dump_recipe(recipe))
    return record


def _difference(recipe: Recipe, folder: Path) -> str:
    """The first key in which the recipe that made ``folder`` differs, for the message."""
    import yaml

    try:
        there = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return "of another recipe"
    now = yaml.safe_load(dump_recipe(recipe))
    keys = sorted(_flat(there).items() ^ _flat(now).items())
    differing = [key for key, _ in keys if key not in ("output", "data.on_bad_row")]
    return f"{differing[0]} differs" if differing else "of another recipe"


def _flat(values: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(values, dict) or not values:
        return {prefix: json.dumps(values)}
    return {
        key: text
        for name, below in values.items()
        for key, text in _flat(below, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def _clear(folder: Path) -> None:
    """Remove what a run writes; a folder that holds no run is left alone."""
    if not (folder / RUN_FILE).exists():
        return
    for output in _output(folder):
        if output.is_dir():
            shutil.rmtree(output, ignore_errors=True)
        else:
            output.unlink()
    for name in reversed(FILES[:2]):  # run.json last: a kill in between leaves a folder that can be cleared again
        (folder / name).unlink(missing_ok=True)


def _output(folder: Path) -> Iterator[Path]:
    """What a run has made in its folder so far, besides the note of what it is."""
    world = ["data"] if (folder / "data" / WORLD_MARK).exists() else []
    seeds = [file.parent.name for file in folder.glob(f"seed-*/{RUN_FILE}")]
    candidates = (folder / name for name in (*WRITTEN, *world, *seeds, *FILES[2:]))
    return (path for path in candidates if path.exists())


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
