"""Which picture an address names: the address among those of an element, and the file of this machine behind it.

Invariant: nothing is fetched, and no file outside the root is named, whatever a page says.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from trifacet.base.errors import DataError
from trifacet.base.images import resolve_inside
from trifacet.describing.place import Picture

# Where pictures are put that are loaded late, by the scripts that do it; the first that is there counts.
LAZY = ("data-src", "data-lazy-src", "data-original", "data-lazy", "data-srcset", "data-lazy-srcset")
_REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")  # of two letters and more: "c:" is a drive
_CANDIDATE = re.compile(r"[\s,]*+(\S++)(?:\s++([^,]*+))?")
_ROOTS = ("", "static", "public", "source")  # folders that site generators serve as the root
_LONGEST = 4096  # characters of a path


def largest(srcset: str) -> str:
    """The address of the largest picture of a ``srcset``; "" where it names none."""
    best, most, at = "", -1.0, 0
    while (found := _CANDIDATE.match(srcset, at)) is not None:
        address, descriptor, at = found[1], found[2] or "", found.end()
        if address.endswith(","):  # then nothing describes it
            at, descriptor = found.end(1), ""
        size = _size(descriptor)
        if size > most and (address := address.rstrip(",")):
            best, most = address, size
    return best


def _size(descriptor: str) -> float:
    try:
        return float(descriptor.split(maxsplit=1)[0][:-1][:20])
    except (ValueError, IndexError):
        return 1.0


def picture_at(address: str) -> Picture:
    """The picture with this address in a document."""
    address = address.strip()
    if address[:5].lower() == "data:":
        return Picture("data", address)
    if _REMOTE.match(address):
        return Picture("remote", address)
    if not address:
        return Picture("none", "")
    return Picture("file" if not _SCHEME.match(address) else "remote", address)


def file_name(picture: Picture) -> str:
    """The picture's own name, as its address has it; "" for one that has none."""
    if picture.source not in ("file", "remote", "css") or picture.address[:5].lower() == "data:":
        return ""
    return unquote(PurePosixPath(re.split(r"[?#]", picture.address[:_LONGEST], maxsplit=1)[0]).name)


class Files:
    """The files of pictures below a root; each address of a folder is looked for once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._known: dict[tuple[str, str], str] = {}

    def of(self, address: str, document: str) -> str:
        """The path below the root of the file that a document names; "" where it names none there.

        Args:
            address: relative to the document, or to the site's root with "/" at its beginning.
            document: its path below the root.
        """
        folder = "" if address.startswith("/") else str(PurePosixPath(document).parent)
        if (folder, address) not in self._known:
            self._known[folder, address] = self._find(folder, address)
        return self._known[folder, address]

    def _find(self, folder: str, address: str) -> str:
        if len(address) > _LONGEST:
            return ""
        bare = re.split(r"[?#]", address, maxsplit=1)[0]
        for spelled in dict.fromkeys((address, bare, unquote(bare))):
            for base in _ROOTS if address.startswith("/") else (folder,):
                try:
                    found = resolve_inside(self.root, str(PurePosixPath(base, spelled.lstrip("/"))))
                except DataError:
                    continue
                return found.relative_to(self.root).as_posix()
        return ""
