"""Reading pictures: what was read once is kept on disk and never read again.

Invariant: a reading is kept under the picture's content and the engine's fingerprint, whole or not at all, so that
kills cost what was being read at most, and any number of processes may share the folder. Whoever reads, and with how
many processes, the same readings come in the pictures' order.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from trifacet.base.bounded import OutOfBoundsError, call_many
from trifacet.base.digests import json_digest
from trifacet.base.embedded import MAX_BYTES, cache_folder
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing
from trifacet.base.images import MAX_PIXELS, decode_image, prove_image
from trifacet.base.opening import is_file, read_bytes
from trifacet.base.seals import sealed, unsealed
from trifacet.lettering.engine import Engine, open_engine
from trifacet.lettering.lines import Lettering
from trifacet.lettering.settings import Reading

MOST_WORKERS = 128
_LARGEST = 20_000_000  # bytes of a reading: ten thousand lines with all their words take a tenth of it
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
        """What stands in a file's picture.

        Args:
            path: the picture.
            name: for messages (None: the path).

        Raises:
            DataError: it cannot be used as a picture, or the engine makes no end of it.
            TrifacetError: the reading cannot be kept, or the engine not be used.
        """
        data, place = self._found(path)
        if (known := _kept(place)) is not None:
            return known
        return self._read(path, data, place, name)

    def kept(self, path: Path) -> Lettering | None:
        """The same where it has been read before. Raises DataError for a file that cannot be opened."""
        return _kept(self._found(path)[1])

    def read_anew(self, path: Path, name: str | None = None) -> None:
        """Read it, whatever is kept. Raises as ``of``."""
        self._read(path, *self._found(path), name)

    def _found(self, path: Path) -> tuple[bytes, Path]:
        """The file's bytes, and where its reading is, or would be."""
        data = read_bytes(path, MAX_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        return data, self.folder / digest[:2] / f"{digest}.json"

    def _read(self, path: Path, data: bytes, place: Path, name: str | None) -> Lettering:
        name = str(path) if name is None else name
        prove_image(path, name, max_pixels=self.max_pixels, allow_animated=True)  # a bomb ends another process
        picture = decode_image(data, name, max_pixels=self.max_pixels, allow_animated=True)
        try:
            found = self.engine.read(picture)
        except DataError as error:
            raise DataError(f"image {name!r} {error.problem}", fix=error.fix) from None
        with replacing(place, sync=False) as temporary:  # sealed: what a power cut leaves of it is read again
            temporary.write_text(json.dumps(sealed(found.model_dump(mode="json")), ensure_ascii=False) + "\n", "utf-8")
        return found


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
        workers: processes that read, on one thread each; 1: this one.
        max_pixels: largest picture.
        on_progress: told (pictures done, pictures in all).

    Raises:
        TrifacetError: the engine is not there, the readings cannot be kept, or a process died. What was read is kept.
    """
    readings = Readings(settings, folder, max_pixels=max_pixels)
    outcomes = _by_many(paths, readings, settings, folder, workers) if workers > 1 else _here(paths, readings)
    for done, outcome in enumerate(outcomes, start=1):
        on_progress(done, len(paths))
        yield outcome


def _here(paths: Sequence[Path], readings: Readings) -> Iterator[Lettering | DataError]:
    for path in paths:
        try:
            yield readings.of(path)
        except DataError as error:
            yield error


def _by_many(
    paths: Sequence[Path], readings: Readings, settings: Reading, folder: Path | None, workers: int
) -> Iterator[Lettering | DataError]:
    """By other processes. They leave their readings on disk, so that none waits in memory for its turn."""
    turns = _Turns(paths, readings)
    missing = turns.missing()
    first = list(itertools.islice(missing, workers))
    yield from turns.come()
    if not first:  # no processes for what is kept
        return
    given = (settings.model_dump_json(), folder, readings.max_pixels)
    calls = ((number, path, *given) for number, path in itertools.chain(first, missing))
    try:
        for number, error in call_many(_read_one, calls, processes=len(first)):
            turns.done[number] = error
            yield from turns.come()
    except OutOfBoundsError as error:
        raise TrifacetError(f"a process that reads pictures ended: {error}; the same command continues") from None
    yield from turns.come()


class _Turns:
    """Pictures that are done, until it is their turn."""

    def __init__(self, paths: Sequence[Path], readings: Readings) -> None:
        self.paths, self.readings = paths, readings
        self.done: dict[int, DataError | None] = {}
        self._next = 0

    def missing(self) -> Iterator[tuple[int, Path]]:
        """The pictures that are to be read; those that are kept, or no file, are done."""
        for number, path in enumerate(self.paths):
            try:
                known = self.readings.kept(path) is not None
            except DataError as error:
                self.done[number] = error
            else:
                if known:
                    self.done[number] = None
                else:
                    yield number, path

    def come(self) -> Iterator[Lettering | DataError]:
        """Those whose turn it is."""
        while self._next in self.done:
            error = self.done.pop(self._next)
            path = self.paths[self._next]
            self._next += 1
            yield error or self._of(path)

    def _of(self, path: Path) -> Lettering | DataError:
        try:
            return self.readings.of(path)
        except DataError as error:  # it is another one by now
            return error


def _read_one(
    number: int, path: Path, settings: str, folder: Path | None, max_pixels: int
) -> tuple[int, DataError | None]:
    try:
        _opened(settings, folder, max_pixels).read_anew(path)
    except DataError as error:
        return number, error
    return number, None


@lru_cache(maxsize=1)
def _opened(settings: str, folder: Path | None, max_pixels: int) -> Readings:
    """For a process that is called again and again."""
    return Readings(Reading.model_validate_json(settings), folder, max_pixels=max_pixels)


def _kept(path: Path) -> Lettering | None:
    """A reading that is there as it was written."""
    if not is_file(path):
        return None
    try:
        document = json.loads(read_bytes(path, _LARGEST))
        if not isinstance(document, dict) or "seal" not in document:
            return None
        return Lettering.model_validate(unsealed(document))
    except (DataError, ValueError, RecursionError, ValidationError):
        return None
