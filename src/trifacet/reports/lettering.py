"""The page of what was read: each picture with its lines outlined and numbered, and beside it what they say.

Invariant: the page holds only our own markup, escaped text, and images that were decoded and encoded anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.images import MAX_PIXELS, decode_image, within_bounds
from trifacet.lettering.lines import Lettering, Line
from trifacet.reports.gallery import cut
from trifacet.reports.region_pictures import embedded
from trifacet.web.page import render_page
from trifacet.web.pictures import Picture

MOST = 300  # lines of a picture, and places that cannot be read
_SIDE = 900  # pixels, the longest side
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 120, 90), (160, 70, 130))
_UNREADABLE = (90, 90, 90)


@dataclass(frozen=True)
class _Entry:
    """One picture on the page."""

    name: str
    picture: Picture
    problem: str
    status: str
    lines: Sequence[tuple[str, float, float]]  # text, confidence, share of the picture
    more: int
    unreadable: int


class _Outline(NamedTuple):
    corners: tuple[tuple[float, float], ...]  # as shares of the picture's width and height
    number: int  # 0: cannot be read


def write_lettering_page(
    found: Sequence[tuple[Path, Lettering | DataError]],
    output: Path,
    *,
    made: Mapping[str, Any],
    counts: Mapping[str, int],
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Write a page on pictures and what was read in them.

    Args:
        found: each picture that is shown, and what stands in it or why it cannot be used.
        output: the page.
        made: by what they were read.
        counts: of all pictures: read, nothing, cannot read, unusable; and of lines.
        max_pixels: largest picture.

    Raises:
        TrifacetError: the page cannot be written.
    """
    page = render_page(
        __name__,
        "lettering.html.jinja",
        {},
        made=[(cut(key.replace("_", " ")), cut(_said(value))) for key, value in made.items()],
        entries=[_entry(path, one, max_pixels) for path, one in found],
        counts=counts,
    )
    write_atomically(output, page)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _entry(path: Path, one: Lettering | DataError, max_pixels: int) -> _Entry:
    if isinstance(one, DataError):
        return _Entry(path.name, Picture(problem="it cannot be used"), one.problem, "unusable", (), 0, 0)
    lines = one.lines[:MOST]
    said = [(cut(line.text), line.confidence, one.share(line.box)) for line in lines]
    return _Entry(
        path.name,
        _picture(path, one, max_pixels),
        "",
        one.status,
        said,
        len(one.lines) - len(lines),
        len(one.unreadable),
    )


def _picture(path: Path, one: Lettering, max_pixels: int) -> Picture:
    outlines = [_Outline(_corners(line, one.size), n) for n, line in enumerate(one.lines[:MOST], start=1)]
    for left, upper, right, lower in one.unreadable[:MOST]:
        quad = ((left, upper), (right, upper), (right, lower), (left, lower))
        outlines.append(_Outline(_shares(quad, one.size), 0))
    try:
        return within_bounds(
            _outlined, path.name, path, path.name, one.size, outlines, max_pixels, max_pixels=max_pixels
        )
    except DataError as error:
        return Picture(problem=error.problem)


def _corners(line: Line, size: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    left, upper, right, lower = line.box
    return _shares(line.quad or ((left, upper), (right, upper), (right, lower), (left, lower)), size)


def _shares(corners: Sequence[tuple[float, float]], size: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    return tuple((x / size[0], y / size[1]) for x, y in corners)


def _outlined(path: Path, name: str, size: tuple[int, int], outlines: Sequence[_Outline], max_pixels: int) -> Picture:
    picture = decode_image(path, name, max_pixels=max_pixels, allow_animated=True)
    if picture.size != size:
        raise DataError("it has another size now than when it was read")
    scale = min(_SIDE / max(size), max(1.0, 300 / max(size)))
    shown = picture.resize([max(round(side * scale), 1) for side in size], Image.Resampling.LANCZOS, reducing_gap=2.0)
    pen = ImageDraw.Draw(shown)
    for corners, number in outlines:
        points = [(x * (shown.width - 1), y * (shown.height - 1)) for x, y in corners]
        colour = _COLOURS[(number - 1) % len(_COLOURS)] if number else _UNREADABLE
        for start, end in itertools.pairwise([*points, points[0]]):
            pen.line((start, end), fill=colour, width=2 if number else 1)
    for corners, number in outlines:  # over all lines
        x, y = corners[0][0] * (shown.width - 1), corners[0][1] * (shown.height - 1)
        label = pen.textbbox((0, 0), str(number) if number else "?")
        wide, high = label[2] + 4, label[3] + 3
        x, y = min(max(x - wide, 0), shown.width - wide), min(max(y, 0), shown.height - high)
        pen.rectangle(
            (x, y, x + wide, y + high), fill=_COLOURS[(number - 1) % len(_COLOURS)] if number else _UNREADABLE
        )
        pen.text((x + 2, y + 1), str(number) if number else "?", fill="white")
    return embedded(shown)
