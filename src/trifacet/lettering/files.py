"""Which pictures are read: the files that are named, and those in folders. Invariant: no folder is left by a link."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.base.opening import is_folder

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".mpo")


def picture_files(paths: Sequence[Path]) -> list[Path]:
    """Files as they are named, and the pictures in folders by their endings, in the order of their names; each once.

    Hidden files and folders, and links in folders, are passed over.

    Raises:
        TrifacetError: a folder holds no picture.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not is_folder(path):
            found.setdefault(path)
            continue
        inside = list(_within(path))
        if not inside:
            raise TrifacetError(f"{path} holds no picture; files with {', '.join(ENDINGS)} are read")
        found.update(dict.fromkeys(inside))
    return list(found)


def _within(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in ENDINGS and not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path
