"""From paths to documents: which files are looked at, what they hold, and which files their pictures are.

Invariant: nothing is fetched and nothing outside the root is read: links in folders and hidden folders are passed over,
and a path that leads out of the root is a problem. A document that can't be read is one problem, and the scan goes on.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trifacet.base.embedded import shortened
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import is_folder, is_there, opened, read_bytes
from trifacet.describing.addresses import Files
from trifacet.describing.formats import START, format_called, format_of, has_suffix, largest
from trifacet.describing.place import Format, Place
from trifacet.describing.unseen import Unseen

OnProblem = Callable[[DataError], None]
_SKIPPED = frozenset(("node_modules", "__pycache__"))
_LONGEST_ADDRESS = 300  # characters of an address in a record


@dataclass(frozen=True)
class Document:
    """A document with its places.

    Attributes:
        path: below the root, with "/".
        format: name of its format.
        digest: SHA-256 of its bytes, in hexadecimal.
        places: the uses of pictures in their order.
        unseen: places where a picture may stand that were not looked into.
    """

    path: str
    format: str
    digest: str
    places: tuple[Place, ...]
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True)
class ScanSettings:
    """What is looked at.

    Attributes:
        format: name of the format of all files; "auto": each by its ending and first bytes.
    """

    format: str = "auto"

    def __post_init__(self) -> None:
        if self.format != "auto":
            format_called(self.format)


def scan(
    paths: Iterable[Path | str],
    root: Path,
    settings: ScanSettings | None = None,
    on_problem: OnProblem | None = None,
) -> Iterator[Document]:
    """The documents that ``paths`` name, in their order; in folders in the order of names.

    Args:
        paths: files, folders with all they hold, and patterns with ``*``, ``?`` and ``[``; ``**`` is any depth.
        root: what addresses with "/" at their beginning are relative to; all paths lie below it.
        settings: what is looked at (None: everything known).
        on_problem: is called for what can't be read (None: that is raised).

    Raises:
        TrifacetError: an unknown format; and without ``on_problem`` what can't be read.
    """
    settings, base = settings or ScanSettings(), root.resolve()
    files, seen = Files(base), set[str]()
    for path, found in _files(paths, on_problem or _raise):
        try:
            name = _below(path, base)
            if name in seen:
                continue
            document = read_document(path, name, settings, files, found=found)
        except DataError as problem:
            (on_problem or _raise)(_at(problem, path))
            continue
        if document is not None and document.path not in seen:  # a picture and the text beside it are one
            seen |= {name, document.path}
            yield document


def read_document(
    path: Path, name: str, settings: ScanSettings, files: Files, *, found: bool = False
) -> Document | None:
    """One document; None for a file that was found in a folder and is none.

    Args:
        path: where it lies.
        name: its path below the root.
        settings: its format.
        files: finds pictures below the root.
        found: it need not be a document.

    Raises:
        DataError: it can't be read, or is of no known kind.
    """
    format = _format(path, settings, found=found)
    if format is None:
        return None
    beside = getattr(format, "beside", "")
    if beside and not name.endswith(beside):
        path, name = path.with_name(path.name + beside), name + beside
    data = read_bytes(path, largest(format)) if not beside or is_there(path) else b""
    places = tuple(_with_file(place, name, files) for place in format.places(data, name))
    unseen = tuple(format.unseen(data, name)) if hasattr(format, "unseen") else ()
    return Document(name, format.name, hashlib.sha256(data).hexdigest(), places, unseen)


def _format(path: Path, settings: ScanSettings, *, found: bool) -> Format | None:
    if settings.format != "auto":
        asked = format_called(settings.format)
        fits = path.name.lower().endswith(tuple(asked.suffixes))
        return asked if fits or not found else None
    if found and not has_suffix(path.name):
        return None
    with opened(path) as file:
        start = file.read(START)
    format = format_of(path.name, start, found=found)
    if format is None and not found:
        fix = "say which it is with --format"
        raise DataError(f"is of a kind that is not known ({path.suffix or 'no ending'})", fix=fix, file=path)
    return format


def _with_file(place: Place, document: str, files: Files) -> Place:
    picture = place.picture
    if picture.source not in ("file", "css") or picture.file or not picture.address:
        return place
    file = files.of(picture.address, document)
    return replace(place, picture=replace(picture, file=file)) if file else place


def _files(paths: Iterable[Path | str], on_problem: OnProblem) -> Iterator[tuple[Path, bool]]:
    """The files, and of each whether it was found in a folder."""
    for given in paths:
        path = Path(given)
        if is_folder(path):
            yield from ((one, True) for one in _within(path))
        elif os.path.lexists(path) or not glob.has_magic(str(path)):
            yield path, False
        else:
            named = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - of a Path hidden files are found too
            if not named:
                on_problem(DataError("names no file", fix="correct the pattern", file=path))
            for name in named:
                one = Path(name)
                if is_folder(one):
                    yield from ((inner, True) for inner in _within(one)) if not _has_depth(str(path)) else ()
                else:
                    yield one, False


def _has_depth(pattern: str) -> bool:
    """Whether the pattern finds what is in folders by itself."""
    return "**" in pattern


def _within(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path


def _below(path: Path, base: Path) -> str:
    try:
        resolved = path.resolve()
    except (OSError, ValueError, RuntimeError):
        raise DataError("can't be reached", fix="correct the path", file=path) from None
    if not resolved.is_relative_to(base):
        raise DataError(f"lies outside the root {base}", fix="give --root, or leave it out", file=path)
    return resolved.relative_to(base).as_posix()


def _at(problem: DataError, path: Path) -> DataError:
    """The problem with the path that the user knows."""
    return DataError(problem.problem, fix=problem.fix, file=path, row=problem.row, field=problem.field)


def _raise(problem: DataError) -> None:
    raise problem


def root_of(paths: Sequence[Path]) -> Path:
    """The root where none is given: the working folder where all paths lie below it, else the folder of them all.

    Raises:
        TrifacetError: there is none, as with paths of several drives.
    """
    here = Path.cwd()
    folders = [folder for path in paths for folder in [_folder(path)]]
    if all(folder.is_relative_to(here) for folder in folders):
        return here
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:
        raise TrifacetError("the paths have no folder in common; give --root") from None


def _folder(path: Path) -> Path:
    """The folder that a path or a pattern is in, or is."""
    parts = path.parts
    plain = next((at for at, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    path = Path(*parts[:plain]) if plain < len(parts) and not os.path.lexists(path) else path
    resolved = path.absolute().resolve()
    return resolved if is_folder(resolved) else resolved.parent


def record_of(document: Document, place: Place) -> dict[str, Any]:
    """One use of a picture as JSON; long addresses, such as pictures in the page itself, are shortened."""
    picture = place.picture
    address = picture.address if len(picture.address) <= _LONGEST_ADDRESS else shortened(picture.address)
    return {
        "path": document.path,
        "format": document.format,
        "digest": document.digest,
        "key": place.key,
        "line": place.line,
        "column": place.column,
        "picture": {"source": picture.source, "address": address, "file": picture.file},
        "alt": place.alt,
        "state": place.state,
        "role": place.role,
        "reason": place.reason,
        "fixed": place.fixed,
        "around": {**asdict(place.around), "headings": list(place.around.headings)},
        "findings": [asdict(finding) for finding in place.findings],
    }
