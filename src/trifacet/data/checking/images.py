"""Looking into image files: what each is, and whether it can be used.

Invariant: every file is decoded completely, and none makes the check itself fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trifacet.base.digests import file_digest
from trifacet.base.embedded import plain_name
from trifacet.base.errors import DataError
from trifacet.base.images import ImageFacts, image_facts, prove_image, resolve_inside

EXTREME_RATIO = 5.0  # padded to a 336-pixel square, the short side keeps less than 68 pixels
SMALL_SIDE = 32  # pixels; the patches of CLIP ViT-L/14 are 14 pixels wide


@dataclass(frozen=True)
class ImageReport:
    """What one image file is; ``problem`` is why it can't be used, ``doubt`` why it may serve badly.

    ``size`` is width and height in pixels of the upright picture, as the model gets it.
    """

    name: str
    facts: ImageFacts | None = None
    digest: str | None = None
    size: tuple[int, int] | None = None
    problem: tuple[str, str] | None = None
    doubt: tuple[str, str] | None = None


def inspect_images(names: Iterable[str], root: Path, max_pixels: int, workers: int = 1) -> Iterator[ImageReport]:
    """Reports on the images ``names`` under ``root``, in their order, decoded in so many processes."""
    with ThreadPoolExecutor(workers) as threads:  # each waits for a process of its own
        yield from threads.map(partial(_inspect_image, root=root, max_pixels=max_pixels), names)


def _inspect_image(name: str, root: Path, max_pixels: int) -> ImageReport:
    """Find the file, read its header, decode it; the first step that fails is the problem."""
    facts = digest = None
    try:
        path = resolve_inside(root, name)
        facts = image_facts(path, plain_name(name), max_pixels=max_pixels)
        digest = file_digest(path)
        seen = prove_image(path, plain_name(name), max_pixels=max_pixels)
    except DataError as error:
        return ImageReport(name, facts, digest, problem=(error.problem, error.fix))
    except (OSError, ValueError) as error:  # no permission; a name that no file can have
        return ImageReport(name, facts, digest, problem=(f"cannot be read ({error})", "give a readable file"))
    size = (seen.width, seen.height)
    return ImageReport(name, facts, digest, size, doubt=_doubt(*size))


def _doubt(width: int, height: int) -> tuple[str, str] | None:
    size, short = f"{width} x {height} pixels", min(width, height)
    if max(width, height) > EXTREME_RATIO * short:
        cure = "crop or split it: squared for the model, little is left of the short side"
        return f"extreme aspect ratio ({size})", cure
    if short < SMALL_SIDE:
        return f"very small ({size})", "use a larger version"
    return None
