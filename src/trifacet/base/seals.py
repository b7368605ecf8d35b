"""Whether what was kept is still as it was written: seals of files, of whole folders and of small documents.

Invariant: what differs from its seal is told by name and is never used; what was written before there were seals is
taken as it is. Damage is what is looked for, not forgery.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.digests import file_digest, json_digest
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import write_atomically

MISSING = "is missing"
SEAL = "complete.json"  # in a folder that is sealed as a whole; written last
Seal = Any  # of a file: [bytes, SHA-256]; the SHA-256 alone where its size was not noted
_KEY, _DIGEST = "seal", re.compile(r"[0-9a-f]{16}")
_found_sound: dict[Path, set[Any]] = {}  # files of folders that this process has looked at, as they were then


class Damage(NamedTuple):
    """A file that is not as it was sealed, by its name in its folder, and what is wrong with it."""

    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


# --- documents --------------------------------------------------------------------------------------------------


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with a digest of its own content."""
    content = json.loads(json.dumps({key: value for key, value in document.items() if key != _KEY}))
    return {key: value for key, value in document.items() if key != _KEY} | {_KEY: _digest(content)}


def unsealed(document: Any) -> dict[str, Any] | None:
    """The content of a document that was read; None where it is no object, or not as it was sealed."""
    if not isinstance(document, dict):
        return None
    marks = [key for key, value in document.items() if isinstance(value, str) and _DIGEST.fullmatch(value)]
    for key in {_KEY, *marks} & document.keys():
        content = {name: value for name, value in document.items() if name != key}
        if key == _KEY:
            return content if document[_KEY] == _digest(content) else None
        if document[key] == _digest(content):  # the damage is in the word "seal"
            return None
    return document


def read_document(path: Path, cure: str) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
        DataError: it cannot be read, or is not as it was written; ``cure`` says what to do.
    """
    try:
        content = unsealed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        content = None
    if content is None:
        raise DataError("is damaged", fix=cure, file=path)
    return content


def _digest(content: Any) -> str:
    return json_digest(content)[:16]


# --- files ------------------------------------------------------------------------------------------------------


def seal_of(path: Path, *, sync: bool = False) -> Seal:
    """The seal of a file; ``sync``: which is on the disk when this returns."""
    if sync:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return [path.stat().st_size, file_digest(path)]


def damages(folder: Path, seals: Mapping[str, Seal], *, whole: bool = True) -> Iterator[Damage]:
    """The files that are not there as they were sealed; without ``whole`` only their sizes are looked at."""
    for name, seal in seals.items():
        size, digest = (None, seal) if isinstance(seal, str) else seal
        path = folder / name
        try:
            there = path.stat().st_size if path.is_file() else None
            if there is None:
                yield Damage(name, MISSING)
            elif size not in (None, there):
                yield Damage(name, f"has {there} bytes instead of {size}")
            elif whole and file_digest(path) != digest:
                yield Damage(name, "is not as it was written")
        except (OSError, ValueError) as error:
            yield Damage(name, f"cannot be read ({error})")


def first_damage(folder: Path, seals: Mapping[str, Seal], *, whole: bool = True) -> Damage | None:
    """The first of ``damages``."""
    return next(damages(folder, seals, whole=whole), None)


# --- folders ----------------------------------------------------------------------------------------------------


def files_of(folder: Path) -> dict[str, Path]:
    """The files of a folder, those of its folders too, by name; seals and temporary files are none."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SEAL and not path.name.startswith(".")
    }


def seal_folder(folder: Path, *, sync: bool = False, **facts: Any) -> None:
    """Note size and SHA-256 of every file of ``folder``, and ``facts``, in a file of its own."""
    files = {name: seal_of(path, sync=sync) for name, path in files_of(folder).items()}
    write_atomically(folder / SEAL, json.dumps(sealed({"files": files, **facts}), indent=1) + "\n")


def folder_damages(folder: Path, chosen: Callable[[str], bool] = lambda name: True) -> Iterator[Damage]:
    """What differs from the folder's seal, among the files that are ``chosen`` by name; nothing where it has none."""
    if not (folder / SEAL).exists():
        return
    try:
        noted = read_document(folder / SEAL, "")["files"]
        yield from damages(folder, {name: seal for name, seal in noted.items() if chosen(name)})
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        yield Damage(SEAL, "is damaged")


def refuse_damaged(folder: Path, chosen: Callable[[str], bool] = lambda name: True) -> None:
    """Let a sealed folder be used only as it was written; each is read once in a process, unless it has changed.

    Raises:
        TrifacetError: naming the first file that differs.
    """
    if not (folder / SEAL).exists():
        return
    there = [(name, path.stat()) for name, path in files_of(folder).items() if chosen(name)]
    seen = {(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in there}
    known = _found_sound.setdefault(folder.resolve(), set())
    if seen and seen <= known:
        return
    if damage := next(folder_damages(folder, chosen), None):
        raise TrifacetError(f"{folder / damage.name} {damage.problem}; {cure_of(folder)}")
    known |= seen


def cure_of(folder: Path) -> str:
    """What to do about a damaged file of a sealed folder."""
    return f"put it back, or delete {folder / SEAL} to use the folder as it is"
