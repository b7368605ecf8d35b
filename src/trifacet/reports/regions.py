"""The page of located regions: each picture with its words, boxes and masks, what was not found, areas, time.

Invariant: the page holds only our own markup, escaped text, and images that were decoded and encoded anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.images import load_image
from trifacet.data.records import PreferenceSample
from trifacet.data.source import Source
from trifacet.regions.locating import Located
from trifacet.regions.store import Totals, facts_of, read_located, read_seconds, rows_of, totals
from trifacet.reports.gallery import cut
from trifacet.reports.region_pictures import Drawn, embedded, with_regions
from trifacet.web.page import render_page
from trifacet.web.pictures import Picture

MOST = 40  # regions or words of a sample
FALLBACKS = {
    "nothing found": "none of its words was found: the whole picture has noise",
    "whole picture": "its regions cover the whole picture, which has noise",
    "no words": "its response has no key word: the whole picture has noise",
    "no picture": "a post without a picture has no rejected image",
    "unusable": "its picture or its regions cannot be used; where it is trained on, the whole picture has noise",
}


@dataclass(frozen=True)
class Summary:
    """What a store holds of some samples."""

    samples: int
    totals: Totals
    words: int
    missing: int
    regions: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "samples": self.samples,
            **self.totals.as_dict(),
            "words": self.words,
            "words not found": self.missing,
            "regions": self.regions,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class _Entry:
    """One sample on the page."""

    found: Located
    response: str
    picture: Picture
    words: Sequence[tuple[str, float, bool]]  # text, score, found
    regions: Sequence[tuple[int, str, float, float, str]]  # number, word, score, area, what is lettered there
    more: int
    seconds: float | None


def summary(folder: Path, ids: Sequence[str]) -> Summary:
    """What the store in ``folder`` holds of the samples ``ids``. Raises as ``facts_of``."""
    facts_of(folder)
    chosen, seconds = set(ids), read_seconds(folder)
    found = [one for one in read_located(folder) if one.id in chosen]
    return Summary(
        len(found),
        totals([(one.status, one.area) for one in found]),
        sum(len(one.words) for one in found),
        sum(len(one.missing) for one in found),
        sum(len(one.regions) for one in found),
        sum(seconds.get(one.id, 0.0) for one in found),
    )


def write_regions_page(
    folder: Path, source: Source, output: Path, *, show: int, max_pixels: int, limit: int | None = None
) -> Summary:
    """Write a page on the regions in ``folder``.

    Args:
        folder: a finished store.
        source: the samples, in whose order they are shown.
        output: the page.
        show: how many samples to show; the totals count all.
        max_pixels: largest picture.
        limit: only the first so many rows of the source.

    Raises:
        TrifacetError: the store cannot be used, or the page not be written. A picture that can't be read is shown as
            its problem.
    """
    rows = rows_of(source, limit)
    counted = summary(folder, [sample.id for _, sample in rows])
    samples = {sample.id: sample for _, sample in rows}
    seconds = read_seconds(folder)
    shown = itertools.islice((one for one in read_located(folder) if one.id in samples), show)
    entries = [_entry(one, samples[one.id], source.images, seconds, max_pixels) for one in shown]
    page = render_page(
        __name__,
        "regions.html.jinja",
        {},
        title=source.file.name,
        made=_made(facts_of(folder)["fingerprint"]),
        entries=entries,
        counted=counted,
        fallbacks=FALLBACKS,
    )
    write_atomically(output, page)
    return counted


def _entry(
    one: Located, sample: PreferenceSample, images: Path, seconds: Mapping[str, float], max_pixels: int
) -> _Entry:
    regions = one.regions[:MOST]
    numbers = range(1, len(regions) + 1)
    missing = set(one.missing)
    return _Entry(
        one,
        cut(sample.response),
        _picture(one, sample, images, max_pixels),
        [(cut(word.text), word.score, word.text not in missing) for word in one.words[:MOST]],
        [
            (n, cut(region.word), region.score, region.area, cut(" ".join(one.text for one in region.lettering)))
            for n, region in zip(numbers, regions, strict=True)
        ],
        len(one.regions) - len(regions),
        seconds.get(one.id),
    )


def _picture(one: Located, sample: PreferenceSample, images: Path, max_pixels: int) -> Picture:
    if sample.image is None:
        return Picture(problem="the post has none")
    try:
        picture = load_image(images, sample.image, max_pixels=max_pixels)
        if one.size is not None and one.size != picture.size:
            return Picture(problem="it has another size now than when its regions were located")
        masks = one.masks(max_pixels)[:MOST]
        drawn = [Drawn(n, mask, one.regions[n - 1].box) for n, mask in enumerate(masks, start=1)]
        return embedded(with_regions(picture, drawn))
    except TrifacetError as error:
        return Picture(problem=str(error))


def _made(fingerprint: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """By what the regions were located, as lines of a table."""
    lines: list[tuple[str, str]] = []
    for key, value in fingerprint.items():
        if isinstance(value, Mapping):
            lines += _made(value, f"{above}{key} ")
        else:
            lines.append((cut(f"{above}{key}"), cut(str(value))))
    return lines[:MOST]
