"""Reading pictures: what was read once is kept on disk and never read again.

Invariant: a reading is kept under the picture's content and the engine's fingerprint, whole or not at all, so that
kills cost what was being read at most, and any number of processes may share the folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from trifacet.base.digests import file_digest, json_digest
from trifacet.base.embedded import cache_folder
from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.images import MAX_PIXELS, decode_image
from trifacet.base.seals import sealed, unsealed
from trifacet.lettering.engine import Engine, open_engine
from trifacet.lettering.lines import Lettering
from trifacet.lettering.settings import Reading

Progress = Callable[[int, int], None]


class Readings:
    """What stands in pictures, read in this process where it is not kept yet.

    Args:
        settings: the engine and its settings.
        folder: where readings are kept (None: in the user's cache).
        max_pixels: largest picture.

    Raises:
        TrifacetError: the engine is not there.
    """

    def __init__(self, settings: Reading, folder: Path | None = None, *, max_pixels: int = MAX_PIXELS) -> None:
        self.engine: Engine = open_engine(settings)
        self.fingerprint = json_digest(self.engine.fingerprint())
        self.folder = (folder or cache_folder() / "lettering") / self.fingerprint[:16]
        self.max_pixels = max_pixels

    def of(self, path: Path, name: str | None = None) -> Lettering:
        """What stands in a file's picture. Raises DataError for one that cannot be used; ``name`` is for messages."""
        kept = self._place(file_digest(path))
        if (known := _kept(kept)) is not None:
            return known
        picture = decode_image(path, name or path.name, max_pixels=self.max_pixels, allow_animated=True)
        found = self.engine.read(picture)
        write_atomically(kept, json.dumps(sealed(found.model_dump(mode="json")), ensure_ascii=False) + "\n")
        return found

    def _place(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.json"


def read_pictures(
    paths: Sequence[Path],
    settings: Reading,
    *,
    folder: Path | None = None,
    workers: int = 1,
    max_pixels: int = MAX_PIXELS,
    on_progress: Progress = lambda done, total: None,
) -> Iterator[Lettering | DataError]:
    """What stands in each picture, in their order; an error for one that cannot be used.

    Args:
        paths: files of pictures.
        settings: the engine and its settings.
        folder: where readings are kept (None: in the user's cache).
        workers: processes that read.
        max_pixels: largest picture.
        on_progress: told (pictures done, pictures in all).
    """
    readings = Readings(settings, folder, max_pixels=max_pixels)
    for number, path in enumerate(paths, start=1):
        try:
            yield readings.of(path)
        except DataError as error:
            yield error
        on_progress(number, len(paths))


def _kept(path: Path) -> Lettering | None:
    """A reading that is there as it was written."""
    try:
        return Lettering.model_validate(unsealed(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, RecursionError, ValidationError):
        return None
