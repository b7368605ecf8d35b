"""Opening images that nobody has vouched for.

Invariant: an image that leaves here is RGB, upright, fully decoded, inside its root and within the limits of size;
everything else is a DataError that says which of these failed and what to do. What a picture may cost is decided here:
its structure is looked at before it is decoded, in any process, and what is looked into for the first time
(``image_facts``, ``prove_image``, ``within_bounds``) is in one that the system ends.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, ImageOps, UnidentifiedImageError

from trifacet.base.bounded import OutOfBoundsError, call_bounded
from trifacet.base.embedded import kept_picture, plain_name, shortened
from trifacet.base.errors import DataError, first_line
from trifacet.base.image_colours import to_rgb
from trifacet.base.image_structure import dear_decoder, dear_structure
from trifacet.base.opening import opened

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # MPO, a JPEG with more pictures, opens as JPEG
MAX_PIXELS = 50_000_000
SIDES = 2  # the longer side may be so many times that of a square of the largest size: processors pad to a square
DECODING_SECONDS = 20.0  # of computing; the dearest picture within the limits takes a fifth of it
BYTES_PER_PIXEL = 20  # while decoding, at the peak: WebP with transparency takes 16, most others 4 to 8
_BESIDES = 200_000_000  # bytes of a process that decodes, besides the picture's
_EXIF_BYTES = 1 << 16  # what a JPEG's segment holds; a larger block can hold more entries than anyone would read

Result = TypeVar("Result")


class NoImageError(DataError):
    """The file is no image of a known format."""


class TooLargeError(DataError):
    """The image is over a limit: of size, or of what decoding may cost."""


@dataclass(frozen=True)
class ImageFacts:
    """What the file says of itself: size in pixels (width, height), Pillow mode, format, frames: 1, or 2 for more."""

    width: int
    height: int
    mode: str
    format: str
    frames: int


def resolve_inside(root: str | Path, name: str) -> Path:
    """The file ``name`` under ``root``, links followed; that of a picture which came inside a data file (``embedded``).

    Raises:
        DataError: when the path leaves the root (absolute, ``..``, a link) or there is no such file.
    """
    if (kept := kept_picture(name)) is not None:
        if not kept.is_file():
            raise DataError(f"{shortened(name)} is not in {kept.parent.parent}", fix="read its data file again")
        return kept
    base = Path(root).resolve()
    try:
        path = (base / name).resolve()
        found = path.is_relative_to(base) and path.is_file()
    except OSError as error:  # a name too long, a folder that may not be read
        raise _unreachable(name, error.strerror) from None
    except RuntimeError:
        raise _unreachable(name, "a link that leads to itself") from None
    except ValueError:
        raise _unreachable(name, "no path has such a character") from None
    if not path.is_relative_to(base):
        problem = f"path {shortened(name, 120)} lies outside the data root {base}"
        raise DataError(problem, fix="use a path below the data root")
    if not found:
        raise DataError(
            f"no image file {shortened(name, 120)} under {base}",
            fix="correct the path or give the image folder (--images; data.images in a recipe)",
        )
    return path


def _unreachable(name: str, reason: str | None) -> DataError:
    return DataError(f"image {shortened(name)} cannot be reached ({reason})", fix="correct the path")


def within_bounds(function: Callable[..., Result], name: str, *arguments: Any, max_pixels: int = MAX_PIXELS) -> Result:
    """``function(*arguments)``, which decodes the image ``name``, in a process that is ended where it costs too much.

    Raises:
        DataError: the function raised it.
        TooLargeError: it takes more time or memory than any picture of ``max_pixels``.
    """
    memory = _BESIDES + BYTES_PER_PIXEL * max_pixels
    try:
        return call_bounded(function, *arguments, seconds=DECODING_SECONDS, memory=memory)
    except OutOfBoundsError as error:
        raise TooLargeError(
            f"image {shortened(name, 200)} cannot be decoded within bounds: it {error}",
            fix="replace the file or leave the row out",
        ) from None


def image_facts(path: Path, name: str | None = None, *, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Read the header only, within bounds; ``name`` is for messages (None: the file's).

    Raises:
        DataError: it is no image, or declares more than its limits.
    """
    called = path.name if name is None else name
    return within_bounds(_read_facts, called, path, called, max_pixels, max_pixels=max_pixels)


def _read_facts(source: Path, name: str, max_pixels: int) -> ImageFacts:
    with _opened(source, name, max_pixels) as image:
        return _facts(image, name)


def prove_image(path: Path, name: str, *, max_pixels: int = MAX_PIXELS, allow_animated: bool = False) -> ImageFacts:
    """Decode an image within bounds: its facts, with the size that it has upright. Raises as ``decode_image`` does."""
    return within_bounds(_proved, name, path, name, max_pixels, allow_animated, max_pixels=max_pixels)


def _proved(path: Path, name: str, max_pixels: int, allow_animated: bool) -> ImageFacts:
    image, facts = _decoded(path, name, max_pixels, allow_animated)
    return replace(facts, width=image.width, height=image.height)


def check_image(root: str | Path, name: str, *, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Look at the header of ``name`` only. Raises DataError as ``load_image`` does, except for damaged pixels."""
    called = plain_name(name)
    facts = image_facts(resolve_inside(root, name), called, max_pixels=max_pixels)
    _refuse_animated(called, facts)
    return facts


def load_image(
    root: str | Path, name: str, *, max_pixels: int = MAX_PIXELS, allow_animated: bool = False
) -> Image.Image:
    """Decode ``name`` under ``root`` to an upright RGB image; transparency is laid on white.

    Raises:
        DataError: outside the root, missing, not an image, truncated, too large, or animated.
    """
    return decode_image(
        resolve_inside(root, name), plain_name(name), max_pixels=max_pixels, allow_animated=allow_animated
    )


def decode_image(
    source: Path | bytes,
    name: str,
    *,
    max_pixels: int = MAX_PIXELS,
    allow_animated: bool = False,
    smallest: int | None = None,
) -> Image.Image:
    """The upright RGB image that a file or its bytes hold; transparency is laid on white.

    Args:
        source: the file, or what it holds.
        name: for the messages.
        max_pixels: largest image; no side is longer than ``SIDES`` times that of a square so large.
        allow_animated: of an animation the first frame is taken.
        smallest: a JPEG may be decoded at a half to an eighth of its size if no side gets shorter than this.

    Raises:
        DataError: not an image, truncated, too large or dear, animated, or of unknown brightness.
    """
    return _decoded(source, name, max_pixels, allow_animated, smallest)[0]


def _decoded(
    source: Path | bytes, name: str, max_pixels: int, allow_animated: bool, smallest: int | None = None
) -> tuple[Image.Image, ImageFacts]:
    with _damage_told(source, f"image {name!r}"):
        if problem := _structure(source):
            raise TooLargeError(f"image {name!r} {problem}", fix="save it anew with fewer")
        image, facts = _pixels(source, name, max_pixels, allow_animated, smallest)
        try:
            return to_rgb(image), facts
        except DataError as error:
            raise DataError(f"image {name!r}: {error.problem}", fix=error.fix) from None


def _structure(source: Path | bytes) -> str | None:
    if isinstance(source, bytes):
        return dear_structure(source)
    with opened(source) as file:
        if not source.stat().st_size:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return dear_structure(data)


def _pixels(
    source: Path | bytes, name: str, max_pixels: int, allow_animated: bool, smallest: int | None
) -> tuple[Image.Image, ImageFacts]:
    """The image upright, in the file's own mode, without the decoder: WebP's holds the picture twice."""
    with _opened(source, name, max_pixels) as image:
        facts = _facts(image, name)
        if not allow_animated:
            _refuse_animated(name, facts)
        with _quiet():
            if smallest is not None:
                image.draft("RGB", (smallest, smallest))
            image.load()
            blocks = (image.info.get(key) or b"" for key in ("exif", "Raw profile type exif"))
            if all(len(block) <= 2 * _EXIF_BYTES for block in blocks):
                with suppress(Exception):  # a damaged block says nothing about the pixels
                    ImageOps.exif_transpose(image, in_place=True)
        return image._new(image.im), facts


def _refuse_animated(name: str, facts: ImageFacts) -> None:
    if facts.frames > 1 and facts.format != "MPO":
        several = "has more than one page" if facts.format == "TIFF" else "is animated (more than one frame)"
        raise DataError(f"image {name!r} {several}", fix="use a still image of one page")


@contextmanager
def _damage_told(source: Path | bytes, what: str) -> Iterator[None]:
    """A decoder fed with damaged bytes raises whatever it trips over. Paths may be private: ``what`` is named."""
    try:
        yield
    except DataError:
        raise
    except MemoryError:
        raise TooLargeError(f"{what} takes more memory than there is", fix="scale it down") from None
    except Exception as error:
        reason = first_line(error).replace(str(source), "the file") if isinstance(source, Path) else first_line(error)
        raise DataError(
            f"{what} is damaged or truncated ({reason})", fix="replace the file or leave the row out"
        ) from None


def _opened(source: Path | bytes, name: str, max_pixels: int) -> Image.Image:
    _silence_libtiff()
    with _damage_told(source, f"image {name!r}"):
        if isinstance(source, Path) and not source.is_file():  # a pipe would keep us waiting
            raise DataError(f"no image file {name!r}", fix="correct the path")
        try:
            with _quiet():
                image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=IMAGE_FORMATS)
        except UnidentifiedImageError:
            raise NoImageError(
                f"{name!r} is not an image of a known format", fix=f"use one of {', '.join(IMAGE_FORMATS)}"
            ) from None
        except Image.DecompressionBombError as error:
            raise TooLargeError(f"{name!r} is too large ({error})", fix="scale it down") from None
    width, height = image.size
    longest = int(SIDES * max_pixels**0.5)
    problem = dear_decoder(image, max_pixels)
    if width * height > max_pixels:
        problem = f"has {width} x {height} pixels, more than the limit of {max_pixels}"
    elif max(width, height) > longest:
        problem = f"has {width} x {height} pixels, a side of more than {longest}"
    if problem:
        image.close()
        raise TooLargeError(f"{name!r} {problem}", fix="scale it down or raise data.max_pixels")
    return image


@cache
def _silence_libtiff() -> None:
    """It writes to standard error by itself, and names no file; what matters of it comes as an exception."""
    with suppress(OSError, AttributeError):  # a Pillow that has it elsewhere, or none
        library = ctypes.CDLL(Image.core.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings of bombs (our own limit is checked) and of damaged metadata (which we don't use)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _facts(image: Image.Image, name: str) -> ImageFacts:
    """Of frames the first two are looked at: counting a TIFF's takes time by their square."""
    with _damage_told(b"", f"{image.format} {name!r}"), _quiet():
        several = getattr(image, "is_animated", False)
    return ImageFacts(*image.size, image.mode, image.format or "?", 2 if several else 1)
