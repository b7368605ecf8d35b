"""Which files a source is made of, where its images lie, and the files' hashes.

Invariant: the files of a source come in one order, that of their names, whatever the file system says.
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError
from trifacet.base.opening import is_file, is_folder, opened
from trifacet.building.settings import Source
from trifacet.data.formats.llama_factory import INFO
from trifacet.data.tables import plain_name

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


def source_files(source: Source) -> list[Path]:
    """The file that ``path`` names, the tables of the folder that it names, or the files that its pattern matches.

    Raises:
        DataError: there is none.
    """
    path = Path(source.path)
    if is_folder(path):
        found = [file for file in path.iterdir() if plain_name(file).suffix in SUFFIXES and file.name != INFO]
        fix = f"put files that end in {', '.join(SUFFIXES)} into it, or name one"
    elif glob.has_magic(source.path) and not is_file(path):
        found = list(_folder(source).glob(_relative(path, _folder(source))))
        fix = "correct the pattern"
    else:
        with opened(path):
            return [path]
    files = sorted(file for file in found if file.is_file() and not file.name.startswith("."))
    if not files:
        raise DataError("has no files with rows", fix=fix, file=path)
    return files


def image_root(source: Source) -> Path:
    """The folder that image paths are relative to: the one named, else that of the file or the fixed part of a glob."""
    return Path(source.images) if source.images is not None else _folder(source)


def fingerprint(source: Source) -> list[dict[str, Any]]:
    """What the source holds: for each file its ``path`` below the source's folder, its ``bytes`` and ``sha256``."""
    told = []
    for path in source_files(source):
        try:
            digest, size = file_digest(path), path.stat().st_size
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", fix="give a readable file", file=path) from None
        told.append({"path": _relative(path, _folder(source)), "bytes": size, "sha256": digest})
    return told


def _folder(source: Source) -> Path:
    path = Path(source.path)
    if is_folder(path):
        return path
    if is_file(path) or not glob.has_magic(source.path):
        return path.parent
    return next(folder for folder in path.parents if not glob.has_magic(str(folder)))


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
