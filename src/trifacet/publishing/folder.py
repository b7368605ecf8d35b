"""The folder of an export: whose it is, and how files get into it.

Invariant: files are made out of sight and take their places when all are there, the one by which loaders know the
folder last; a kill leaves nothing that could be loaded, and what was not exported is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base import claims
from trifacet.base.claims import CURE, Claim
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.seals import damages, read_document

MARK = "export.json"
_MAKING = ".making"
_LAST = ("config.json", "adapter_config.json")  # or the last file, such as a GGUF
_PLACED = "placed"  # the fact that names files which are in place, or about to be


class ExportFolder:
    """A claimed folder; ``is_finished`` says whether the export is there already."""

    def __init__(self, claim: Claim) -> None:
        self.claim, self.path = claim, claim.folder
        self.is_finished = bool(claim.facts.get("finished"))

    @contextmanager
    def making(self) -> Iterator[Path]:
        """A folder out of sight, whose files take their places when the block ends without an error."""
        made = self.path / _MAKING
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        try:
            yield made
            names = sorted((path.name for path in made.iterdir()), key=lambda name: (name in _LAST, name))
            self.claim.set(_PLACED, names[::-1])  # in the order in which they would be cleared
            for name in names:
                (made / name).replace(self.path / name)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self.claim.seal(*(self.path / name for name in names))
        self.claim.finish()
        self.is_finished = True

    @property
    def files(self) -> list[str]:
        """The names of what was exported."""
        return sorted(self.claim.facts.get(_PLACED, ()))

    def refuse_changed(self) -> None:
        """Raise TrifacetError for a file that is not as it was exported."""
        for damage in damages(self.path, self.claim.sealed):
            raise TrifacetError(f"{self.path / damage.name} {damage.problem} since it was exported; {CURE}")


@contextmanager
def claimed(folder: Path, facts: Mapping[str, Any], *, overwrite: bool) -> Iterator[ExportFolder]:
    """``folder`` for this process alone, as the folder of the export that ``facts`` describe.

    Raises:
        TrifacetError: it holds other files or another export; or later, when the disk is full.
    """
    with claims.claimed(folder, MARK) as claim:
        noted = _noted(folder)
        done = bool(noted.get("finished"))
        written = [folder / name for name in (*_names(noted, folder), _MAKING)]
        claim.clear(written, asked=overwrite or not done)  # what was not finished is begun anew
        held = claim.held(asked=dict)
        if held is None:
            claim.begin({"asked": dict(facts), "versions": claims.versions(_PACKAGES), "finished": None})
        elif changed := claims.differences(held["asked"], facts):
            raise claims.refused(f"{folder} holds another export ({claims.told(changed)})")
        yield ExportFolder(claim)


def _noted(folder: Path) -> dict[str, Any]:
    """What the mark says. Raises DataError where it is damaged: nobody knows then which files are the export's."""
    mark = folder / MARK
    return read_document(mark, "choose another output, or remove the folder") if mark.exists() else {}


def _names(noted: Mapping[str, Any], folder: Path) -> Sequence[str]:
    """The files that a mark says are the export's: in its folder. Raises DataError for others, which nothing wrote."""
    names = noted.get(_PLACED, [])
    if not isinstance(names, list) or not all(isinstance(one, str) and _is_plain(one) for one in names):
        raise DataError("names files that are no export's", fix="choose another output", file=folder / MARK)
    return names


def _is_plain(name: str) -> bool:
    return name not in ("", "..") and Path(name).name == name


_PACKAGES: Sequence[str] = ("trifacet", "torch", "transformers", "peft", "safetensors")
