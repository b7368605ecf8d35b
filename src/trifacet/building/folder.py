"""``build.json``: which build a folder holds, of which sources, and how long its stages took.

Invariant: a folder is never continued by another recipe, or after its sources, or what its steps read besides them
(prompts, lists, models), have changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.digests import json_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.files import sweep, write_atomically
from trifacet.base.seals import read_document
from trifacet.building import output
from trifacet.building.outside import outside
from trifacet.building.recipe import BuildRecipe, dump_build_recipe, load_build_recipe
from trifacet.building.sources import fingerprint

STATE_FILE, RECIPE = "build.json", "recipe.yaml"
WRITTEN = (output.MANIFEST, output.FAILED, "card.md", "funnel.html", *output.SET_KINDS, "images", "stages", "work")


def costs_of(folder: Path) -> list[dict[str, Any]]:
    """What each step asked each model when it last ran, and what that cost: rows of ``Books.rows``."""
    asked = read_document(folder / STATE_FILE, claims.CURE).get("asked", {})
    return [row for rows in asked.values() for row in rows]


@contextmanager
def claimed(recipe: BuildRecipe, *, overwrite: bool = False) -> Iterator[Claim]:
    """The folder, for this process alone, as that of this recipe and of these sources.

    What was paid for, the models' answers, lies beside the folder and stays with ``overwrite`` too.

    Raises:
        TrifacetError: it holds another build, or files that are no build, or another process works in it; and later,
            when the disk is full.
    """
    folder = recipe.folder
    with claims.claimed(folder, STATE_FILE) as claim:
        inputs = [{"source": place, **file} for place, one in enumerate(recipe.sources) for file in fingerprint(one)]
        known = {"recipe_sha256": build_fingerprint(recipe), "inputs": inputs, "outside": outside(recipe)}
        claim.clear((folder / name for name in WRITTEN), asked=overwrite)
        made = itertools.chain(folder.glob("stages/*/parts.jsonl"), folder.glob(output.MANIFEST))
        held = claim.held(recipe_sha256=str, inputs=list) if any(made) else None
        if held is None:  # or it stopped before its first part, and a corrected recipe may begin anew
            times = {"seconds": {}, "started": claims.moment()}
            claim.begin({"name": recipe.name, **known, "versions": output.step_versions(), **times})
        else:
            parts = held.get("parts")
            if not (parts is None or isinstance(parts, int)):
                raise claim.damaged()
            _refuse_other(claim, recipe, known)
        sweep(folder)
        write_atomically(folder / RECIPE, dump_build_recipe(recipe))
        claim.seal(folder / RECIPE)
        yield claim


def refuse_other_versions(claim: Claim) -> None:
    """Raises TrifacetError where the parts that are done were made by other versions of what makes them.

    A package that was not there then, or is not there now, has made none or will make none.
    """
    begun, here = claim.facts.get("versions", {}), output.step_versions()
    for name in sorted(begun.keys() & here.keys() - output.CARRIERS):
        if begun[name] != here[name]:
            raise TrifacetError(
                f"{claim.folder} was begun with {name} {begun[name]}, and this is {here[name]}; install that one, "
                f"{claims.CURE}"
            )


def build_fingerprint(recipe: BuildRecipe) -> str:
    """SHA-256 of all that decides what is built: not where it goes, nor how fast, nor what it may cost."""
    return json_digest(_deciding(recipe))


def _deciding(recipe: BuildRecipe) -> dict[str, Any]:
    values = recipe.model_dump(mode="json", exclude={"output", "budget", "answers", "network", "audit", "max_dropped"})
    decides = ("model", "reparse", "max_tokens", "image_side")
    values["network"] = recipe.network.decides()
    values["models"] = {name: {key: one[key] for key in decides} for name, one in values["models"].items()}
    return values


def _refuse_other(claim: Claim, recipe: BuildRecipe, known: dict[str, Any]) -> None:
    """Raises TrifacetError where the folder is of another recipe, of other sources, or of other prompts and lists."""
    folder, held = claim.folder, claim.facts
    if held["recipe_sha256"] != known["recipe_sha256"]:
        there, now = ({"recipe_sha256": one["recipe_sha256"]} for one in (held, known))
        changed = _changes(recipe, folder / RECIPE) or claims.differences(there, now)
        raise claims.refused(f"{claims.told(changed)}: {folder} holds the build of another recipe")
    try:
        sources = claims.differences(_by_file(held["inputs"]), _by_file(known["inputs"]))
        there, now = _by_step(held.get("outside", [])), _by_step(known["outside"])
    except (KeyError, TypeError):
        raise claim.damaged() from None
    if sources:
        raise claims.refused(f"the sources have changed since {folder} was begun ({claims.told(sources)})")
    if changed := claims.differences({what: there.get(what) for what in now}, now):
        raise claims.refused(f"{changed[0].key} has changed since {folder} was begun ({claims.told(changed)})")


def _changes(recipe: BuildRecipe, there: Path) -> list[claims.Difference]:
    """Where the recipe differs from the copy of the one that the folder was begun with, if that can be read."""
    try:
        return claims.differences(_deciding(load_build_recipe(there)), _deciding(recipe), ".")
    except TrifacetError:
        return []


def _by_file(inputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        f"{one['path']} of source {one['source'] + 1}": {"bytes": one["bytes"], "sha256": one["sha256"]}
        for one in inputs
    }


def _by_step(outside: list[dict[str, str]]) -> dict[str, str]:
    return {f"{one['what']} of step {one['step']}": one["version"] for one in outside}
