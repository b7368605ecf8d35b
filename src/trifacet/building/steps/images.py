"""Each row's images, local or by URL, are found and decoded; a row whose image can't be used fails with the reason.

Invariant: a row that stays has files that were decoded whole (or, if the recipe wants it so, no image at all).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from trifacet.building.image_files import ImageFile, Unusable, inspect_image
from trifacet.building.rows import RowBatch
from trifacet.building.step import DOWNLOADED, MapStep, Tools
from trifacet.settings.section import Section

if TYPE_CHECKING:
    from trifacet.building.downloads import Fetched

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)
Found = tuple[str, ImageFile]  # "ROOT:path", and what the file is


class Parameters(Section):
    """What becomes of posts without an image."""

    missing: Literal["drop", "keep"] = Field("drop", description="rows without an image leave the build, or stay")


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Fill ``file``, ``more_files`` and the facts of the first image; download what has to be."""
    names = [
        [image, *(more or ())] if image else []
        for image, more in zip(batch.column("image"), batch.column("more_images"), strict=True)
    ]
    fetched = _downloaded({name for row in names for name in row if _URL.match(name)}, tools)
    looked_at: dict[str, Found | Unusable] = {}
    facts: dict[str, list[str | int | list[str] | None]] = {
        name: [None] * len(batch) for name in ("file", "more_files", "sha256", "width", "height", "format", "frames")
    }
    for place, (row, source) in enumerate(zip(names, batch.column("source"), strict=True)):
        if not row and parameters.missing == "drop":
            batch.drop(place, "no image")
        try:
            found = [_found(name, str(source), tools, fetched, looked_at) for name in row]
        except _Of as failure:
            reason = failure.reason
            batch.fail(place, reason.reason, field="image", before=failure.name, **reason.detail)
            continue
        if found:
            image = {
                "file": found[0][0],
                "more_files": [file for file, _ in found[1:]] or None,
                **found[0][1]._asdict(),
            }
            batch.keep([file for file, _ in found if file.startswith(f"{DOWNLOADED}:")])
            for name, values in facts.items():
                values[place] = image[name]
    for name, values in facts.items():
        batch.fill(name, values)


class _Of(Exception):  # noqa: N818 - see Unusable
    """An unusable image and its name."""

    def __init__(self, name: str, reason: Unusable) -> None:
        super().__init__(name)
        self.name, self.reason = name, reason


def _downloaded(urls: set[str], tools: Tools) -> dict[str, Fetched | Unusable]:
    if not urls:
        return {}
    from trifacet.building.downloads import fetch

    root = tools.roots[DOWNLOADED]
    return fetch(urls, root, tools.network, workers=tools.workers, max_pixels=tools.max_pixels)


def _found(
    name: str, source: str, tools: Tools, fetched: dict[str, Fetched | Unusable], looked_at: dict[str, Found | Unusable]
) -> Found:
    """The file that an image's name stands for; each file of a batch is decoded once."""
    file = f"{DOWNLOADED}:{name}" if name in fetched else f"{source}:{name}"
    if file not in looked_at:
        try:
            looked_at[file] = _fetched(fetched[name]) if name in fetched else _local(file, tools)
        except Unusable as reason:
            looked_at[file] = reason
    known = looked_at[file]
    if isinstance(known, Unusable):
        raise _Of(name, known)
    return known


def _fetched(result: Fetched | Unusable) -> Found:
    if isinstance(result, Unusable):
        raise result
    return f"{DOWNLOADED}:{result[0]}", result[1]


def _local(file: str, tools: Tools) -> Found:
    root, _, name = file.partition(":")
    base = tools.roots[root].resolve()
    try:
        path = (base / name).resolve()
        there = path.is_file()
    except OSError as error:  # the texts of errors hold the folder's name, which may be private
        raise Unusable("image file missing", problem=error.strerror) from None
    except RuntimeError:
        raise Unusable("image file missing", problem="a link that leads to itself") from None
    except ValueError:
        raise Unusable("image file missing", problem="no path has such a character") from None
    if not path.is_relative_to(base):
        raise Unusable("image path leaves its folder")
    if not there:
        raise Unusable("image file missing")
    return file, inspect_image(path, tools.max_pixels)


STEP = MapStep("images", Parameters, apply, gives=frozenset({"files"}))
