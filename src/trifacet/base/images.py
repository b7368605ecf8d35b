"""Opening images that nobody has vouched for.

Invariant: an image that leaves here is RGB, upright, fully decoded, inside its root and within the size limit;
everything else is a DataError that says which of these failed and what to do.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from trifacet.base.errors import DataError

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # MPO, a JPEG with more pictures, opens as JPEG
MAX_PIXELS = 50_000_000  # an 8-bit RGB picture of this size takes 150 MB


@dataclass(frozen=True)
class ImageFacts:
    """What the file says of itself: size in pixels (width, height), Pillow mode, format, number of frames."""

    width: int
    height: int
    mode: str
    format: str
    frames: int


def resolve_inside(root: str | Path, name: str) -> Path:
    """The file ``name`` under ``root``, links followed.

    Raises:
        DataError: when the path leaves the root (absolute, ``..``, a link) or there is no such file.
    """
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
        raise DataError(f"path {name!r} lies outside the data root {base}", fix="use a path below the data root")
    if not found:
        raise DataError(f"no image file {name!r} under {base}", fix="correct the path or set data.images")
    return path


def _unreachable(name: str, reason: str | None) -> DataError:
    return DataError(f"image {name[:80]!r} cannot be reached ({reason})", fix="correct the path")


def image_facts(path: Path, *, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Read the header only. Raises DataError for what is no image or declares more than ``max_pixels``."""
    with _opened(path, path.name, max_pixels) as image:
        return _facts(image)


def check_image(root: str | Path, name: str, *, max_pixels: int = MAX_PIXELS) -> None:
    """Look at the header of ``name`` only. Raises DataError as ``load_image`` does, except for damaged pixels."""
    _refuse_animated(name, image_facts(resolve_inside(root, name), max_pixels=max_pixels))


def load_image(
    root: str | Path, name: str, *, max_pixels: int = MAX_PIXELS, allow_animated: bool = False
) -> Image.Image:
    """Decode ``name`` under ``root`` to an upright RGB image; transparency is laid on white.

    Raises:
        DataError: outside the root, missing, not an image, truncated, too large, or animated.
    """
    return decode_image(resolve_inside(root, name), name, max_pixels=max_pixels, allow_animated=allow_animated)


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
        max_pixels: largest image.
        allow_animated: of an animation the first frame is taken.
        smallest: a JPEG may be decoded at a half to an eighth of its size if no side gets shorter than this.

    Raises:
        DataError: not an image, truncated, too large, or animated.
    """
    with _opened(source, name, max_pixels) as image:
        facts = _facts(image)
        if not allow_animated:
            _refuse_animated(name, facts)
        try:
            with _quiet():
                if smallest is not None:
                    image.draft("RGB", (smallest, smallest))
                return to_rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # a decoder fed with damaged bytes raises whatever it trips over
            raise DataError(
                f"image {name!r} is damaged or truncated ({error})", fix="replace the file or leave the row out"
            ) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB without alpha: what is transparent becomes white, as on a page, not the black that lies under it."""
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    if image.mode.startswith("I;16") or image.mode == "I":  # 16-bit greys: Pillow's own conversion would clip them
        return image.convert("F").point(lambda value: value / 257).convert("L").convert("RGB")
    return image.convert("RGB")


def _refuse_animated(name: str, facts: ImageFacts) -> None:
    if facts.frames > 1 and facts.format != "MPO":
        raise DataError(f"image {name!r} is animated ({facts.frames} frames)", fix="use a still image")


def _opened(source: Path | bytes, name: str, max_pixels: int) -> Image.Image:
    try:
        with _quiet():
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=IMAGE_FORMATS)
    except UnidentifiedImageError:
        raise DataError(
            f"{name!r} is not an image of a known format", fix=f"use one of {', '.join(IMAGE_FORMATS)}"
        ) from None
    except Exception as error:  # see decoded
        raise DataError(f"{name!r} cannot be opened as an image ({error})", fix="replace the file") from None
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise DataError(
            f"{name!r} has {width} x {height} pixels, more than the limit of {max_pixels}",
            fix="scale it down or raise data.max_pixels",
        )
    return image


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings of bombs (our own limit is checked) and of damaged metadata (which we don't use)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _facts(image: Image.Image) -> ImageFacts:
    try:
        with _quiet():
            frames = getattr(image, "n_frames", 1)
    except Exception as error:  # counting frames reads the whole file
        raise DataError(f"{image.format} is damaged or truncated ({error})", fix="replace the file") from None
    return ImageFacts(*image.size, image.mode, image.format or "?", frames)
