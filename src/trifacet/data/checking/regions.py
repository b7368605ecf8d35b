"""What is wrong with the regions that rows give: each as locating would find it, and what would come to nothing.

Invariant: a mask of another size than its picture is told by its header and never decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.data.checking.findings import Finding
from trifacet.data.given_regions import COLUMN, FIELD, given_region, listed_regions
from trifacet.data.records import Sample


def region_findings(
    file: str, samples: Mapping[int, Sample], sizes: Mapping[str, tuple[int, int]], images: Path, max_pixels: int
) -> Iterator[Finding]:
    """Findings on ``extra.regions`` of the samples, by row.

    Args:
        file: the data file.
        samples: by row number.
        sizes: of the upright pictures in pixels, by name; those that cannot be read have none, and are told already.
        images: the folder that the paths of masks are relative to.
        max_pixels: largest mask.
    """
    for row, sample in samples.items():
        if sample.extra.get(COLUMN) is None:
            continue
        try:
            regions = listed_regions(sample.extra[COLUMN])
        except DataError as error:
            yield Finding("error", file, row, error.field, error.problem, error.fix)
            continue
        if regions and sample.image is None:
            yield Finding(
                "warning", file, row, FIELD, "stands without a picture", "name the picture, or leave them out"
            )
        size = sizes.get(sample.image or "")
        for number, one in enumerate(regions if size else ()):
            field = f"{FIELD}[{number}]"
            assert size is not None  # or there is nothing to look at
            try:
                mask = given_region(one, size, images, max_pixels=max_pixels, field=field).mask
            except DataError as error:
                yield Finding("error", file, row, error.field, error.problem, error.fix)
                continue
            if not mask.any():
                yield Finding("warning", file, row, field, "holds no pixel, and counts as not found", "leave it out")
            elif mask.all():
                cause = "holds the whole picture: nothing is left outside of it"
                yield Finding("warning", file, row, field, cause, "leave it out, or mark what it means more narrowly")
