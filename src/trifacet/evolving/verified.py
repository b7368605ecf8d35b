"""Whether every file of a run of ``trifacet evolve`` is as it was written. Invariant: nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trifacet.base import seals
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import is_file
from trifacet.evolving.kept import ROUND, rounds_of
from trifacet.evolving.parts import GATE, MARK, OUTCOME
from trifacet.runs import keeping

_RUNS = ("round-*/generator", "round-*/reviser", "aligned")


def verify(folder: Path) -> list[tuple[Path, str]]:
    """Look at every file that a run has kept: rows, documents, trainings; those that are damaged, with what is wrong.

    Raises:
        TrifacetError: the folder holds no run.
    """
    if not is_file(folder / MARK):
        raise TrifacetError(f"{folder} holds no run of 'trifacet evolve'; begin it without --verify")
    found: list[tuple[Path, str]] = []
    for home, noted in _sealed(folder, found):
        found += [(home / damage.name, damage.problem) for damage in seals.damages(home, noted)]
    for place in _RUNS:
        for run in sorted(folder.glob(place)):
            if is_file(run / keeping.MARK):
                found += keeping.verify(run)
    return list(dict(found).items())


def _sealed(folder: Path, found: list[tuple[Path, str]]) -> Iterator[tuple[Path, dict[str, seals.Seal]]]:
    """Folders, and what is sealed in each; documents that are damaged are ``found``."""
    yield folder, _content(folder / MARK, found).get("sealed", {})
    _content(folder / GATE, found)
    _content(folder / OUTCOME, found)
    for _, home in rounds_of(folder):
        for name in (ROUND, "samples.json"):
            _content(home / name, found)
        for record in sorted(home.glob("parts/*.json")):
            yield home, _content(record, found).get("files", {})


def _content(path: Path, found: list[tuple[Path, str]]) -> dict[str, Any]:
    if not is_file(path):
        return {}
    try:
        return seals.read_document(path, "")
    except DataError as error:
        found.append((path, error.problem))
        return {}
