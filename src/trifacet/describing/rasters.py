"""The picture of a place as a file that a model can be shown, whatever it is on the page.

Invariant: what leaves here was decoded within the bounds of ``base.images``, in a process that the system ends; a
drawing loads no other file and no address. What can't be read is a DataError that names the picture and the cause.
Files are opened below the root only; addresses are asked only where that was allowed, by the rules of
``building.downloads``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from PIL import Image, ImageOps

from trifacet.base.embedded import MAX_BYTES, cache_folder, from_text, keep_picture, kept_picture, shortened
from trifacet.base.errors import DataError, TrifacetError, first_line
from trifacet.base.extras import needed_for
from trifacet.base.image_colours import to_rgb
from trifacet.base.images import MAX_PIXELS, decode_image, prove_image, resolve_inside, within_bounds
from trifacet.base.opening import is_file, opened, read_bytes
from trifacet.describing.formats.zipped import MAX_ARCHIVE, Archive
from trifacet.describing.place import Picture

if TYPE_CHECKING:
    from trifacet.building.settings import Network

DRAWN_SIDE = 1024  # pixels of a drawing's width
_LARGEST_DRAWING = 20_000_000  # bytes of an SVG, unpacked
_START = 4096  # bytes in which a file says what it is
_SVG = re.compile(rb"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
_OWN_ENTITY = re.compile(r"<!(?:ENTITY|DOCTYPE[^>]*\[)", re.IGNORECASE)
_REFERENCE = re.compile(r"""([\w:.-]*href\s*=\s*)(?:"(?!\#|data:)[^"]*"|'(?!\#|data:)[^']*')""", re.IGNORECASE)
_SCHEME = re.compile(r"(?:https?:)?//", re.IGNORECASE)  # of what is fetched
_BOXED = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIF", b"heix": "HEIF", b"hevc": "HEIF", b"mif1": "HEIF"}


@dataclass(frozen=True)
class Seen:
    """A picture's bytes: their SHA-256, where they lie, and how messages call the picture."""

    digest: str
    path: Path
    called: str


class Rasters:
    """The pictures of the documents below a root.

    Args:
        root: folder of the documents.
        network: how remote pictures are fetched (None: they are not).
        max_pixels: largest picture.
    """

    def __init__(self, root: Path, *, network: Network | None = None, max_pixels: int = MAX_PIXELS) -> None:
        self.root, self.network, self.max_pixels = root, network, max_pixels
        self._fetched: dict[str, Path | DataError] = {}
        self._names: dict[str, str | DataError] = {}
        self._archive: tuple[Path, Archive] | None = None

    def fetch(self, pictures: Iterable[Picture]) -> None:
        """Fetch the remote ones among pictures, many at a time; each once, also over runs."""
        urls = {one.address for one in pictures if one.source == "remote"} - self._fetched.keys()
        if self.network is None or not urls:
            return
        with needed_for("fetching pictures"):
            from trifacet.building.downloads import fetch
            from trifacet.building.image_files import Unusable
        folder = cache_folder() / "fetched"
        wanted = [f"https:{url}" if url.startswith("//") else url for url in urls]
        found = fetch(wanted, folder, self.network, max_pixels=self.max_pixels)
        for url, whole in zip(urls, wanted, strict=True):
            got = found[whole]
            if isinstance(got, Unusable):
                cause = ", ".join([got.reason, *(str(value) for value in got.detail.values())])
                self._fetched[url] = _cannot(url, cause, "look at the address")
            else:
                self._fetched[url] = folder / got[0]

    def seen(self, picture: Picture, document: Path) -> Seen:
        """A picture's bytes. ``document``: the file that shows it. Raises DataError where there are none."""
        path = self._path(picture, document)
        try:
            return Seen(hashlib.sha256(read_bytes(path, MAX_BYTES)).hexdigest(), path, _called(picture))
        except DataError as error:
            raise _cannot(_called(picture), error.problem, error.fix) from None

    def name(self, seen: Seen) -> str:
        """The picture as ``TestSample.image`` names it: an upright still picture of a format that models are shown.

        The same for the same bytes, so that a picture that lies in two places is encoded once.

        Raises:
            DataError: it can't be decoded, or not within bounds.
        """
        if seen.digest not in self._names:
            try:
                self._names[seen.digest] = self._raster(seen)
            except DataError as error:
                self._names[seen.digest] = _cannot(seen.called, error.problem, error.fix)
            except TrifacetError as error:  # a package that is not installed
                self._names[seen.digest] = _cannot(seen.called, str(error), "")
        found = self._names[seen.digest]
        if isinstance(found, DataError):
            raise found
        return found

    def _path(self, picture: Picture, document: Path) -> Path:
        called = _called(picture)
        match picture.source:
            case "file" | "svg" if picture.file:  # a drawing that is a member of an archive too
                try:
                    if _packed(document):
                        return _kept(self._member(document, picture.file))
                    return resolve_inside(self.root, picture.file)
                except DataError as error:
                    raise _cannot(called, error.problem, error.fix) from None
            case "data":
                return _kept(_of_data(picture.address, called))
            case "svg":
                return _kept(picture.address.encode("utf-8", "surrogatepass"))
            case "remote" if _SCHEME.match(picture.address) is None:
                told = f"has an address that is not fetched ({picture.address.partition(':')[0][:20]}:)"
                raise _cannot(called, told, "give its path relative to the page, or an address with https:")
            case "remote" if self.network is not None:
                self.fetch([picture])
                found = self._fetched[picture.address]
                if isinstance(found, DataError):
                    raise found
                return found
            case "remote":
                raise _cannot(called, "is remote", "allow that with --remote")
        raise _cannot(called, "is no file below the root", "correct the address, or give the site's folder as --root")

    def _member(self, document: Path, name: str) -> bytes:
        if self._archive is None or self._archive[0] != document:  # a book's pictures come one after the other
            self._archive = document, Archive(read_bytes(document, MAX_ARCHIVE), document.name)
        if name not in self._archive[1]:
            raise DataError("is not in the archive", fix="repair the document")
        return self._archive[1].read(name)

    def _raster(self, seen: Seen) -> str:
        with opened(seen.path) as file:
            start = file.read(_START)
        if kind := _drawn_or_boxed(start):
            function = _draw if kind == "SVG" else _unbox
            data = within_bounds(function, seen.called, seen.path, kind, self.max_pixels, max_pixels=self.max_pixels)
            return keep_picture(data, f"{Path(seen.called).stem[:60]}.png")
        facts = prove_image(seen.path, seen.called, max_pixels=self.max_pixels, allow_animated=True)
        if facts.frames > 1 and facts.format != "MPO":
            data = within_bounds(_first_frame, seen.called, seen.path, self.max_pixels, max_pixels=self.max_pixels)
            return keep_picture(data, f"{Path(seen.called).stem[:60]}.png")
        if seen.path.is_relative_to(self.root.resolve()):
            return seen.path.relative_to(self.root.resolve()).as_posix()
        return keep_picture(read_bytes(seen.path, MAX_BYTES), Path(seen.called).name)


def _cannot(called: str, problem: str, fix: str) -> DataError:
    return DataError(problem if called in problem else f"picture {called}: {problem}", fix=fix)


def _called(picture: Picture) -> str:
    """How messages call it: of one that is in the page itself what it is."""
    if picture.source == "svg":
        return "inline SVG"
    if picture.source == "data":
        return shortened(picture.address, 40)
    return shortened(picture.file or picture.address, 120)


def _kept(data: bytes) -> Path:
    path = kept_picture(keep_picture(data))
    assert path is not None
    return path


def _of_data(address: str, called: str) -> bytes:
    head, comma, body = address.partition(",")
    if comma and not head.lower().endswith(";base64"):
        data = unquote_to_bytes(body)
    else:
        found = from_text(address)
        data = b"" if found is None else found
    if not data:
        raise _cannot(called, "holds nothing", "write data:image/png;base64,...")
    return data


def _packed(document: Path) -> bool:
    if not is_file(document):
        return False
    with opened(document) as file:
        return file.read(4) == b"PK\x03\x04"


def _drawn_or_boxed(start: bytes) -> str | None:
    """SVG, AVIF or HEIF; None for what ``base.images`` reads, or refuses."""
    if start[:2] == b"\x1f\x8b":
        return "SVG"  # packed
    if start[4:8] == b"ftyp":
        return _BOXED.get(start[8:12], "HEIF")
    text = start.replace(b"\0", b"")  # UTF-16
    return "SVG" if text.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1] == b"<" and _SVG.search(text) else None


def _draw(path: Path, kind: str, max_pixels: int) -> bytes:
    """An SVG as PNG on white. It loads nothing but itself."""
    with needed_for("an SVG"):
        import resvg_py
    text = _svg_text(read_bytes(path, _LARGEST_DRAWING))
    try:
        found = resvg_py.svg_to_bytes(svg_string=text, width=DRAWN_SIDE, background="#ffffff")
    except Exception as error:  # ValueError, and whatever its parser makes of hostile ones
        raise DataError(f"is no SVG that can be drawn ({first_line(error)})", fix="save it anew") from None
    return _png(decode_image(bytes(found), path.name, max_pixels=max_pixels))


def _svg_text(data: bytes) -> str:
    """The text of a drawing without what leads out of it. Raises DataError."""
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(_LARGEST_DRAWING + 1)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"cannot be unpacked ({first_line(error)})", fix="save it anew") from None
        if len(data) > _LARGEST_DRAWING:
            raise DataError(f"is larger than {_LARGEST_DRAWING} bytes", fix="use a simpler drawing")
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
    if _OWN_ENTITY.search(text):
        raise DataError("is an SVG with entities of its own", fix="save it as plain SVG")
    return _REFERENCE.sub(lambda found: f'{found[1]}""', text)


def _unbox(path: Path, kind: str, max_pixels: int) -> bytes:
    """An AVIF or HEIC picture as PNG; Pillow reads the first, with ``pillow_heif`` the second too."""
    if kind == "HEIF":
        with needed_for("HEIC"):
            import pillow_heif
        pillow_heif.register_heif_opener()
    try:
        with Image.open(io.BytesIO(read_bytes(path, MAX_BYTES)), formats=(kind,)) as image:
            if image.width * image.height > max_pixels:
                raise DataError(
                    f"has {image.width} x {image.height} pixels, more than {max_pixels}", fix="scale it down"
                )
            upright = ImageOps.exif_transpose(image)
            return _png(to_rgb(upright if upright is not None else image))
    except DataError:
        raise
    except Exception as error:  # a decoder fed with damaged bytes raises whatever it trips over
        raise DataError(f"cannot be decoded as {kind} ({first_line(error)})", fix="save it as JPEG or PNG") from None


def _first_frame(path: Path, max_pixels: int) -> bytes:
    return _png(decode_image(path, path.name, max_pixels=max_pixels, allow_animated=True))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
