"""``build.json``: which build a folder holds, of which sources, and how long its stages took.

Invariant: a folder is never continued by another recipe, or after its sources, or what its steps read besides them
(prompts, lists, models), have changed.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.building import output
from trifacet.building.outside import outside
from trifacet.building.recipe import BuildRecipe, dump_build_recipe
from trifacet.building.sources import fingerprint

STATE_FILE = "build.json"
WRITTEN = ("stages", "images", "work", *output.SET_KINDS)
FILES = ("recipe.yaml", output.MANIFEST, output.FAILED, "card.md", "funnel.html")


def costs_of(folder: Path) -> list[dict[str, Any]]:
    """What each step asked each model when it last ran, and what that cost: rows of ``Books.rows``."""
    asked = json.loads((folder / STATE_FILE).read_text(encoding="utf-8")).get("asked", {})
    return [row for rows in asked.values() for row in rows]


class State:
    """``build.json``: what the folder holds, and how long it took."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path, self.facts = path, facts

    def set(self, name: str, value: Any) -> None:
        """Note a fact, on disk when this returns."""
        self.facts[name] = value
        write_atomically(self.path, json.dumps(self.facts, indent=2, ensure_ascii=False) + "\n")

    @contextmanager
    def timed(self, name: str, kind: str = "seconds") -> Iterator[None]:
        """Add the seconds that the block takes to those of a stage, among the facts called ``kind``."""
        began = datetime.now(UTC)
        try:
            yield
        finally:
            seconds = self.facts.get(kind, {})
            took = seconds.get(name, 0.0) + (datetime.now(UTC) - began).total_seconds()
            self.set(kind, seconds | {name: round(took, 2)})

    def refuse_other_versions(self) -> None:
        """Raises TrifacetError where the parts that are done were made by other versions of what makes them.

        A package that was not there then, or is not there now, has made none or will make none.
        """
        begun, here = self.facts.get("versions", {}), output.versions()
        for name in sorted(begun.keys() & here.keys() - output.CARRIERS):
            if begun[name] != here[name]:
                raise TrifacetError(
                    f"{self.path.parent} was begun with {name} {begun[name]}, and this is {here[name]}; install that "
                    "one, choose another output, or --overwrite to begin anew"
                )

    def finish(self) -> None:
        """Note that all is done, and when."""
        self.set("finished", datetime.now(UTC).isoformat(timespec="seconds"))


def claim(recipe: BuildRecipe) -> State:
    """The folder as that of this recipe and of these sources."""
    path, cure = recipe.folder / STATE_FILE, "choose another output, or --overwrite to begin anew"
    inputs = [{"source": place, **file} for place, one in enumerate(recipe.sources) for file in fingerprint(one)]
    digest, read = build_fingerprint(recipe), outside(recipe)
    made = itertools.chain(recipe.folder.glob("stages/*/parts.jsonl"), recipe.folder.glob(output.MANIFEST))
    if path.exists() and any(made):  # else it stopped before its first part, and a corrected recipe may begin anew
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            same, unchanged = facts["recipe_sha256"] == digest, facts["inputs"] == inputs
        except (OSError, ValueError, KeyError, TypeError):
            raise TrifacetError(f"{path} is damaged; {cure}") from None
        if not same:
            raise TrifacetError(f"{recipe.folder} holds the build of another recipe; {cure}")
        if not unchanged:
            raise TrifacetError(f"the sources have changed since {recipe.folder} was begun; {cure}")
        if changed := next((one for one in read if one not in facts.get("outside", [])), None):
            what = f"{changed['what']} of step {changed['step']}"
            raise TrifacetError(f"{what} has changed since {recipe.folder} was begun; {cure}")
        state = State(path, facts)
    else:
        known = {"recipe_sha256": digest, "inputs": inputs, "outside": read, "versions": output.versions()}
        state = State(path, {"name": recipe.name, **known, "seconds": {}})
        state.set("started", datetime.now(UTC).isoformat(timespec="seconds"))
    write_atomically(recipe.folder / "recipe.yaml", dump_build_recipe(recipe))
    return state


def build_fingerprint(recipe: BuildRecipe) -> str:
    """SHA-256 of all that decides what is built: not where it goes, nor how fast, nor what it may cost."""
    values = recipe.model_dump(mode="json", exclude={"output", "budget", "answers", "network", "audit"})
    decides = ("model", "reparse", "max_tokens", "image_side")
    values["network"] = recipe.network.decides()
    values["models"] = {name: {key: one[key] for key in decides} for name, one in values["models"].items()}
    return json_digest(values)


def clear(folder: Path) -> None:
    """Remove what a build writes; what was paid for, the models' answers, lies beside the folder and stays."""
    if not (folder / STATE_FILE).exists():
        return
    for name in WRITTEN:
        shutil.rmtree(folder / name, ignore_errors=True)
        if (folder / name).exists():  # else the parts of the old build would pass for the new one's
            raise TrifacetError(f"cannot remove {folder / name}; remove it, or choose another output")
    for name in (*FILES, STATE_FILE):
        (folder / name).unlink(missing_ok=True)
