"""The folder of a run: it belongs to one recipe.

Invariant: nothing of another run is ever overwritten unless the user said so, and then only what a run writes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from trifacet.base import claims
from trifacet.base.claims import Claim
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.runs.keeping import MARK, mend
from trifacet.settings.yaml_values import read_yaml
from trifacet.training.recipe import Recipe, dump_recipe, recipe_fingerprint

PACKAGES = ("trifacet", "torch", "transformers", "peft", "accelerate", "tokenizers", "nltk", "pillow")
RECIPE = "recipe.yaml"
WRITTEN = ("models", "reference", "generations", "rejected", "regions", "lettering")  # folders of a run
FILES = ("report.html", "scores.json", "seeds.json", "sweep.json", "skipped.jsonl")
WORLD_MARK = "complete"  # in data/, where the run made it; a user's own data/ is left alone


@contextlib.contextmanager
def claimed(recipe: Recipe, *, overwrite: bool = False) -> Iterator[Claim]:
    """The recipe's folder, for this process alone, as the folder of this recipe.

    ``run.json`` says what the run is, with what it was made, and how long its stages took.

    Raises:
        TrifacetError: it holds another run, or files that are no run, or another process works in it; and later, when
            the disk is full.
    """
    folder, fingerprint = recipe.folder, recipe_fingerprint(recipe)
    with claims.claimed(folder, MARK) as claim:
        claims.remove_torn(folder, "*/", "models/*/")
        claim.clear(_output(folder), asked=overwrite)
        held = claim.held(recipe_sha256=str, seconds=dict)
        if held is None or held["recipe_sha256"] != fingerprint:
            if held is not None and any(_output(folder)):
                there, now = {"recipe_sha256": held["recipe_sha256"]}, {"recipe_sha256": fingerprint}
                changed = _changes(recipe, folder / RECIPE) or claims.differences(there, now)
                raise claims.refused(f"{folder} holds another run ({changed[0].path} differs): {claims.told(changed)}")
            claim.begin(
                {
                    "name": recipe.name,
                    "recipe_sha256": fingerprint,
                    "versions": {"python": sys.version.split()[0], **claims.versions(PACKAGES)},
                    "started": claims.moment(),
                    "finished": None,
                    "seconds": {},
                    "command": " ".join(["trifacet", *sys.argv[1:]]),
                }
            )
        mend(claim)
        write_atomically(folder / RECIPE, dump_recipe(recipe))
        claim.seal(folder / RECIPE)
        yield claim


def _changes(recipe: Recipe, there: Path) -> list[claims.Difference]:
    """Where the recipe differs from the copy of the one that the folder was begun with, if that can be read."""
    try:
        made_by = read_yaml(there.read_text(encoding="utf-8"), str(there))
        now = read_yaml(dump_recipe(recipe), "")
        for values in (made_by, now):
            del values["output"], values["data"]["on_bad_row"]  # which decide nothing
        return claims.differences(made_by, now, ".")
    except (OSError, ValueError, TrifacetError, KeyError, TypeError, AttributeError):
        return []


def _output(folder: Path) -> Iterator[Path]:
    """What a run has made in its folder so far, besides the note of what it is."""
    world = ["data"] if (folder / "data" / WORLD_MARK).exists() else []
    seeds = [file.parent.name for file in folder.glob(f"seed-*/{MARK}")]
    candidates = (folder / name for name in (*FILES, *WRITTEN, *world, *seeds))
    return (path for path in candidates if path.exists())
