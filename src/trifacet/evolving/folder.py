"""The output folder of ``trifacet evolve``: it belongs to one recipe, and to what that was begun with.

Invariant: a folder is never continued by another recipe, or after its samples, held-out ones too, prompts,
endpoints or models have changed; what was paid for, the answers in ``books.sqlite``, stays with ``overwrite`` too.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trifacet.base import claims, seals
from trifacet.base.claims import Claim
from trifacet.base.digests import content_of, json_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing, sweep, write_atomically
from trifacet.base.progress import console
from trifacet.evolving.parts import ALIGNED, BOOKS, GATE, HELD_OUT, MARK, PAIRS, RECIPE, REPORT
from trifacet.evolving.round_samples import SAMPLES
from trifacet.evolving.settings import EvolveRecipe, load_evolve_recipe
from trifacet.runs.folder import PACKAGES, WORLD_MARK
from trifacet.settings.yaml_values import as_yaml

GATE_FOLDER = "gate"  # what the gate was told
_DECIDES_NOTHING = {"output", "processes", "name"}


@contextlib.contextmanager
def claimed(recipe: EvolveRecipe, *, overwrite: bool = False) -> Iterator[Claim]:
    """The recipe's folder, for this process alone, as the folder of this recipe and of what it reads.

    Raises:
        TrifacetError: it holds another run, or files that are none, or another process works in it; and later, when
            the disk is full.
    """
    folder = recipe.folder
    with claims.claimed(folder, MARK) as claim:
        claim.clear(_output(folder), asked=overwrite)
        known = {"recipe_sha256": evolve_fingerprint(recipe), "inputs": _inputs(recipe)}
        held = claim.held(recipe_sha256=str, inputs=dict, seconds=dict)
        if held is not None and _has_rows(folder):
            _refuse_other(recipe, held, known)
        elif held is not None and any(held[key] != known[key] for key in known):
            # nothing was answered yet: a corrected recipe may begin anew; what the gate has asked is its own
            claim.clear((path for path in _output(folder) if path.name not in (GATE, GATE_FOLDER)), asked=True)
        if held is None or any(held[key] != known[key] for key in known):
            claim.begin(
                {
                    "name": recipe.name,
                    **known,
                    "versions": {"python": sys.version.split()[0], **claims.versions(PACKAGES)},
                    "started": claims.moment(),
                    "finished": None,
                    "seconds": {},
                    "command": " ".join(["trifacet", *sys.argv[1:]]),
                }
            )
        sweep(folder)
        _take_answers(folder)
        _mend(claim)
        write_atomically(folder / RECIPE, dump_evolve_recipe(recipe))
        claim.seal(folder / RECIPE)
        yield claim


def is_sealed(claim: Claim, path: Path) -> bool:
    """Whether a file is there as it was written; one that a kill left without its seal is written again."""
    return path.exists() and path.relative_to(claim.folder).as_posix() in claim.sealed


def dry_run_folder(folder: Path) -> Path:
    """Where a few samples are tried before a run in ``folder``."""
    return folder.with_name(f"{folder.name}.dry-run")


def _take_answers(folder: Path) -> None:
    """What endpoints have answered in a dry run is not asked again."""
    tried = dry_run_folder(folder) / BOOKS
    if tried.is_file() and not (folder / BOOKS).exists():
        with replacing(folder / BOOKS) as temporary:
            shutil.copyfile(tried, temporary)


def dump_evolve_recipe(recipe: EvolveRecipe) -> str:
    """The whole recipe as YAML, every default written out."""
    return as_yaml(recipe.model_dump(mode="json"))


def evolve_fingerprint(recipe: EvolveRecipe) -> str:
    """SHA-256 of all that decides what comes out: not where it goes, nor how many processes make it."""
    return json_digest(_deciding(recipe))


def _deciding(recipe: EvolveRecipe) -> dict[str, Any]:
    values = recipe.model_dump(mode="json", exclude=_DECIDES_NOTHING)
    values["data"]["on_bad_row"] = "stop"  # what was made without meeting a bad row is the same either way
    return values


def _inputs(recipe: EvolveRecipe) -> dict[str, str]:
    """What the recipe reads besides data that a training fingerprints, by the key that names it."""
    named: dict[str, str | None] = {"judge": recipe.judge, "gate.probes": recipe.gate.probes}
    if recipe.data.world is None:
        held_out = {f"data.{split}": getattr(recipe.data, split) for split in ("validation", "test")}
        below = {"samples": recipe.samples} | {key: name for key, name in held_out.items() if name is not None}
        named |= {key: str(Path(recipe.data.root) / name) for key, name in below.items()}
    for role, one in recipe.roles:
        named |= {f"roles.{role}.endpoint": one.endpoint, f"roles.{role}.prompt": one.prompt}
    found = {}
    for key, name in named.items():
        if name is not None:
            content = content_of(_place(recipe, key, name))
            if not content.startswith("sha256 "):
                raise TrifacetError(f"{key}: no file {name}; correct the path")
            found[key] = content
    return found


def _place(recipe: EvolveRecipe, key: str, name: str) -> str:
    below = Path(recipe.data.root) / name
    return str(below) if key == "gate.probes" and not Path(name).exists() and below.exists() else name


def _refuse_other(recipe: EvolveRecipe, held: dict[str, Any], known: dict[str, Any]) -> None:
    folder = recipe.folder
    if held["recipe_sha256"] != known["recipe_sha256"]:
        there, now = {"recipe_sha256": held["recipe_sha256"]}, {"recipe_sha256": known["recipe_sha256"]}
        changed = _changes(recipe, folder / RECIPE) or claims.differences(there, now)
        raise claims.refused(f"{folder} holds another run ({changed[0].path} differs): {claims.told(changed)}")
    if changed := claims.differences(held["inputs"], known["inputs"]):
        raise claims.refused(f"{changed[0].key} has changed since {folder} was begun ({claims.told(changed)})")


def _changes(recipe: EvolveRecipe, there: Path) -> list[claims.Difference]:
    """Where the recipe differs from the copy of the one that the folder was begun with, if that can be read."""
    try:
        return claims.differences(_deciding(load_evolve_recipe(there)), _deciding(recipe), ".")
    except TrifacetError:
        return []


def _mend(claim: Claim) -> None:
    """Remove what differs from its seal: its step makes it again."""
    left = dict(claim.sealed)
    for damage in list(seals.damages(claim.folder, claim.sealed)):
        path = claim.folder / damage.name
        if damage.problem != seals.MISSING:
            console.print(f"{path} {damage.problem}: made again", soft_wrap=True)
            path.unlink(missing_ok=True)
        del left[damage.name]
    if left != claim.sealed:
        claim.set("sealed", left)


def _has_rows(folder: Path) -> bool:
    """Whether a round was begun: more than its samples is there."""
    return any(path.name != SAMPLES for path in folder.glob("round-*/*/"))


def _output(folder: Path) -> Iterator[Path]:
    """What a run has made in its folder so far, besides the note of what it is and the answers that were paid for."""
    world = ["data"] if (folder / "data" / WORLD_MARK).exists() else []
    rounds = sorted(path.name for path in folder.glob("round-*/"))
    names = (REPORT, PAIRS, GATE, *rounds, ALIGNED, HELD_OUT, "models", GATE_FOLDER, *world)
    return (path for name in names if (path := folder / name).exists())
