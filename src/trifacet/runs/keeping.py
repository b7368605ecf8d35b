"""What a run has kept is as it was written, or is made again: looked at when the run goes on, or when that is asked.

Invariant: nothing that differs from its seal is used. ``run.json`` holds the seals of data, texts, reference, pictures
and documents; ``done.json`` those of a stage's logs; a model and a checkpoint each have their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trifacet.base import seals
from trifacet.base.claims import CURE, Claim
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.progress import console
from trifacet.generation.results import WHOLE, sound_lines
from trifacet.generation.settings import settings_path
from trifacet.training.bad_rows import SKIPPED
from trifacet.training.stage import DONE

MARK = "run.json"
_FOLDERS = ("data", "rejected")  # made whole or not at all


def mend(claim: Claim) -> None:
    """Remove what the run has kept and is damaged: its steps make it again. Lines say so.

    Raises:
        TrifacetError: what is damaged cannot be made again.
    """
    gone: set[str] = {SKIPPED}  # stages write it at their start
    for damage in list(seals.damages(claim.folder, claim.sealed)):
        path = claim.folder / damage.name
        if damage.problem != seals.MISSING:
            if damage.name == SKIPPED:
                raise TrifacetError(f"{path} {damage.problem}; put it back, or {CURE}")
            console.print(f"{path} {damage.problem}: made again where it is needed", soft_wrap=True)
            path.unlink(missing_ok=True)
        top = damage.name.split("/")[0]
        if top in _FOLDERS:
            shutil.rmtree(claim.folder / top, ignore_errors=True)
        gone.add(f"{top}/" if top in _FOLDERS else damage.name)
    left = {name: seal for name, seal in claim.sealed.items() if not name.startswith(tuple(gone))}
    if left != claim.sealed:
        claim.set("sealed", left)


def verify(folder: Path) -> list[tuple[Path, str]]:
    """Look at every file that a run, and the runs of its seeds, have kept; those that are damaged, with what is wrong.

    Raises:
        TrifacetError: there is no run.
    """
    if not (folder / MARK).exists():
        raise TrifacetError(f"{folder} holds no run; begin it without --verify")
    found: list[tuple[Path, str]] = []
    for home in (folder, *sorted(folder.glob("seed-*/"))):
        for place, noted in _noted(home, found):
            found += [(place / damage.name, damage.problem) for damage in seals.damages(place, noted)]
        for texts in sorted(home.glob("generations/*.jsonl")):
            held = _content(settings_path(texts), found)
            if WHOLE in held and not all(sound_lines(texts.read_bytes(), held[WHOLE])):
                found.append((texts, "has texts that are not as they were written"))
    return list(dict(found).items())


def _noted(home: Path, found: list[tuple[Path, str]]) -> Iterator[tuple[Path, dict[str, seals.Seal]]]:
    """Folders of a run, and what is sealed in each; documents that are damaged are ``found``."""
    yield home, _content(home / MARK, found).get("sealed", {})
    for stage in sorted(home.glob("models/*/")):
        yield stage, _content(stage / DONE, found).get("files", {})
        for place in (stage / "model", *sorted(stage.glob("checkpoint-*/"))):
            yield place, _content(place / seals.SEAL, found).get("files", {})


def _content(path: Path, found: list[tuple[Path, str]]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return seals.read_document(path, "")
    except DataError as error:
        found.append((path, error.problem))
        return {}
