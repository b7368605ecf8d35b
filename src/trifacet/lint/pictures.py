"""The pictures beside alt-texts, found and read where a rule asks for their words.

Invariant: only files of this machine are opened, and only those below the working folder, the document's or the one
that is given for images: a page may name any path. Nothing is fetched. What cannot be read is told once.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from trifacet.base.embedded import from_text, keep_picture, kept_picture
from trifacet.base.errors import DataError
from trifacet.base.images import resolve_inside
from trifacet.data.rows import OnProblem
from trifacet.lettering.lines import Lettering
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import Reading
from trifacet.lint.documents import AltText
from trifacet.lint.sources import STDIN, Document

_REMEMBERED = 1000  # pictures of which the words are at hand without opening their files
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:|//")
_DRAWN = re.compile(r"\.svgz?(?:[?#]|$)|^data:image/svg", re.IGNORECASE)  # has no pixels


@dataclass(frozen=True)
class PicturesRead:
    """That pictures are read, and how.

    Args:
        reading: the engine and its settings.
        images: the folder that addresses of rows, and those of pages that begin with "/", are relative to (None: rows'
            are relative to their file, and such of pages are not at hand).
        cache: where readings are kept (None: in the user's cache).
    """

    reading: Reading = field(default_factory=Reading)
    images: Path | None = None
    cache: Path | None = None


@dataclass
class PictureCounts:
    """How many pictures were read, of these with letters that cannot be, and how many are not at hand.

    A picture counts once for each text that was checked against it.
    """

    read: int = 0
    cannot_read: int = 0
    not_at_hand: int = 0


class Pictures:
    """Finds and reads pictures. The engine is opened with the first one. Raises TrifacetError where it is not there."""

    def __init__(self, settings: PicturesRead, counts: PictureCounts, on_problem: OnProblem) -> None:
        self.settings, self.counts, self.on_problem = settings, counts, on_problem
        self._known: OrderedDict[Path, Lettering | None] = OrderedDict()

    @cached_property
    def _readings(self) -> Readings:
        return Readings(self.settings.reading, self.settings.cache)

    def lettering(self, alt: AltText, document: Document) -> Lettering | None:
        """What stands in the picture of a text; None where it is not at hand, or is told as a problem."""
        try:
            path = self._find(alt, document)
        except DataError as problem:
            self._tell(problem, alt, document)
            return None
        if path is None:
            self.counts.not_at_hand += 1
            return None
        if path in self._known:
            self._known.move_to_end(path)
        else:
            self._known[path] = self._read(path, alt, document)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        found = self._known[path]
        if found is not None:
            self.counts.read += 1
            self.counts.cannot_read += found.status == "cannot read"
        return found

    def _read(self, path: Path, alt: AltText, document: Document) -> Lettering | None:
        try:
            return self._readings.of(path, alt.image[:200])
        except DataError as problem:
            self._tell(problem, alt, document)
            return None

    def _tell(self, problem: DataError, alt: AltText, document: Document) -> None:
        row = alt.line or alt.row
        self.on_problem(
            DataError(problem.problem, fix=problem.fix, file=document.name, row=row, field=alt.field or None)
        )

    def _find(self, alt: AltText, document: Document) -> Path | None:
        """The file of a text's picture. Raises DataError for a data URI that is none."""
        address = alt.image
        if not address or _DRAWN.search(address[-200:]) or _DRAWN.search(address[:200]):
            return None
        if (data := from_text(address)) is not None:
            return kept_picture(keep_picture(data))
        if _SCHEME.match(address) and kept_picture(address) is None:
            return None
        plain = re.split("[?#]", address, maxsplit=1)[0]
        for spelled in dict.fromkeys((address, plain, unquote(plain))):
            for root, name in self._places(spelled, document):
                try:
                    return resolve_inside(root, name)
                except DataError:
                    continue
        return None

    def _places(self, address: str, document: Document) -> Iterator[tuple[Path, str]]:
        """Folders that a picture may be in, and its path from there or from nowhere."""
        images, here = self.settings.images, Path() if document.path == STDIN else document.path.parent
        if not document.is_page:
            yield images or here, address
        elif images is not None and address.startswith("/"):
            yield images, address.lstrip("/")
        else:  # a page's addresses are paths from the working folder
            for root in (Path(), here, *([images] if images else [])):
                yield root, str(Path(address).absolute())
