"""Folders of pictures: a picture's text stands beside it in a file, ``photo.jpg.alt.txt``.

The document is that file, which need not be there yet; an empty line in it says that the picture is decorative.
Invariant: the pictures themselves are never written. (XMP in the picture is left alone: no kept package writes it
without packing the picture anew.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from trifacet.base.errors import DataError
from trifacet.describing.formats.found import check_result, editable, found, refuse_described
from trifacet.describing.place import Around, Edit, Picture, Place

SIDECAR = ".alt.txt"
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff", ".svg")
_KEY = "text"
_MOST = 1_000_000  # bytes


class Pictures:
    """The format: see the module."""

    name = "pictures"
    suffixes: Sequence[str] = (SIDECAR, *PICTURES)
    beside = SIDECAR  # what is found is the picture, the document is the file beside it
    asked_only = True

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The one picture that the file is beside. Raises DataError: the text is no UTF-8, or far too long."""
        picture = path.removesuffix(SIDECAR)
        name = PurePosixPath(picture).name
        alt = _text(data, path).rstrip("\r\n") if data else None
        yield found(_KEY, Picture("file", name, picture), alt, Around(file_name=name), emptied=True)

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The file with another text, its line end kept."""
        places = list(self.places(data, path))
        editable(places, edits, path)
        refuse_described(edits, path)
        if not edits:
            return data
        text = _text(data, path)
        ending = text[len(text.rstrip("\r\n")) :] or "\n"
        mark = "\ufeff" if data.startswith(b"\xef\xbb\xbf") else ""
        after = (mark + edits[_KEY].alt + ending).encode("utf-8", "surrogatepass")
        check_result(places, list(self.places(after, path)), edits, path)
        return after


def _text(data: bytes, path: str) -> str:
    if len(data) > _MOST:
        raise DataError("is larger than a text of a picture", fix="leave it out", file=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path) from None


FORMAT = Pictures()
