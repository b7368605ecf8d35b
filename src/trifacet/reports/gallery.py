"""The gallery of a data file: every facet's chosen and rejected versions side by side, in one HTML file.

Invariant: the page holds only our own markup, escaped text, and images that were decoded and encoded anew.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.base.images import MAX_PIXELS, load_image
from trifacet.data.given_regions import COLUMN, given_regions
from trifacet.data.records import PreferenceSample, Sample, TestSample
from trifacet.lettering.request import plain, stated
from trifacet.lettering.settings import COLUMN as LETTERING
from trifacet.reports.region_pictures import Drawn, with_regions
from trifacet.web.page import render_page
from trifacet.web.pictures import Picture

if TYPE_CHECKING:
    import torch

    from trifacet.preferences.rejected.masks import Lettered, Mask
    from trifacet.preferences.rejected.strategy import ImageStrategy

LONGEST = 4_000  # characters of a text that the page holds
MOST = 20  # versions of a facet, or pictures of a post
_SIDE = 256  # pixels, the longest side of a thumbnail
_ENCODER_SIDE = 336  # what LLaVA-1.5's processor makes of a picture: padded to a square, in CLIP's normalisation
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Version:
    """One version of a facet: an image or a text, and where it comes from. ``further`` images are shown small."""

    origin: str
    picture: Picture | None = None
    alternative: str = ""
    text: str = ""
    further: bool = False


@dataclass(frozen=True)
class Making:
    """How rejected versions are made where the data give none.

    Args:
        strategy: of the image.
        seed: of what is drawn.
        versions: rejected images of each sample.
        masks: where the key regions of a sample are; None where nobody has looked.
        lettering: the words that stand in them, where they are regions of lettering.
    """

    strategy: ImageStrategy
    seed: int
    versions: int = 1
    masks: Callable[[PreferenceSample], Mask | None] | None = None
    lettering: Callable[[PreferenceSample], Sequence[Lettered]] | None = None


@dataclass(frozen=True)
class _Row:
    """One facet of one sample: its chosen version beside the rejected ones."""

    name: str
    chosen: list[Version]
    rejected: list[Version]


@dataclass(frozen=True)
class _Entry:
    """One sample."""

    id: str
    prompt: str | None
    extra: str
    rows: list[_Row] = field(default_factory=list)


def write_gallery(
    samples: Sequence[Sample],
    images: Path,
    output: Path,
    *,
    title: str,
    limit: int | None = None,
    strategy: ImageStrategy | None = None,
    versions: int = 1,
    masks: Callable[[PreferenceSample], Mask | None] | None = None,
    lettering: Callable[[PreferenceSample], Sequence[Lettered]] | None = None,
    seed: int = 17,
) -> None:
    """Write the first ``limit`` samples as one self-contained page.

    Args:
        samples: all samples of a file: another sample's image or context is drawn from all of them.
        images: the folder that image paths are relative to.
        output: the page.
        title: its heading, the file's name say.
        limit: how many samples to show; None shows all.
        strategy: how to make a rejected image, and with it a rejected context, where the data give none.
        versions: how many rejected images to make of each.
        masks: where the key regions of a sample are, for strategies that look at them.
        lettering: the words that stand in them, for strategies that replace words.
        seed: seed of what is drawn.

    Raises:
        TrifacetError: when the page cannot be written. An image that can't be read is shown as its problem.
    """
    making = Making(strategy, seed, versions, masks, lettering) if strategy else None
    shown = range(len(samples) if limit is None else min(limit, len(samples)))
    page = render_page(
        __name__,
        "gallery.html.jinja",
        {},
        title=title,
        entries=[_entry(samples, index, images, making) for index in shown],
        total=len(samples),
        kind=samples[0].kind if samples else "",
        strategy=strategy.describe() if strategy else None,
    )
    write_atomically(output, page)


def _entry(samples: Sequence[Sample], index: int, images: Path, making: Making | None) -> _Entry:
    sample = samples[index]
    rejected = {
        "image": [
            _picture(lambda name=name: load_image(images, name), "given by the data", "Rejected image")  # type: ignore[misc]
            for name in getattr(sample, "rejected_images", ())[:MOST]
        ],
        "context": _texts(getattr(sample, "rejected_contexts", ()), "given by the data"),
        "response": _texts(getattr(sample, "rejected_responses", ()), "given by the data"),
    }
    if making is not None and isinstance(sample, PreferenceSample):
        if sample.image is not None:
            rejected["image"] = rejected["image"] or _made_images(samples, index, images, sample, making)
        rejected["context"] = rejected["context"] or [_made_context(samples, index, making.seed)]
    texts = sample.references if isinstance(sample, TestSample) else (sample.response,)
    for facet, found in rejected.items():
        if (more := len(getattr(sample, f"rejected_{facet}s", ())) - MOST) > 0:
            found.append(Version(f"{more} more are not shown"))
    rows = [
        _Row(
            "Image",
            _shown(sample, images, cut(texts[0]) if texts else "Image without a description"),
            rejected["image"],
        ),
        *_lettering(sample),
        _Row("Context", _texts([sample.context]), rejected["context"]),
        _Row(
            "Reference" if sample.kind == "test" else "Response",
            _texts(texts),
            rejected["response"],
        ),
    ]
    extra = json.dumps(sample.extra, ensure_ascii=False, indent=2) if sample.extra else ""
    return _Entry(cut(sample.id), sample.prompt and cut(sample.prompt), cut(extra), rows)


def _lettering(sample: Sample) -> list[_Row]:
    """The words that stand in the picture, where the row says it."""
    if sample.extra.get(LETTERING) is None:
        return []
    try:
        lines = [text for line in stated(sample.extra[LETTERING]).lines if (text := plain(line.text))]
    except TrifacetError as error:
        return [_Row("Lettering", [Version(f"cannot be used: {cut(str(error))}")], [])]
    told = " ".join(f"“{line}”" for line in lines)
    return [_Row("Lettering", _texts([told]) if lines else [Version("nothing stands in it, or can be read")], [])]


def cut(text: str) -> str:
    """As much of a text as the page holds, and how much is left out."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … and {len(text) - LONGEST} more characters"


def _texts(texts: Sequence[str], origin: str = "") -> list[Version]:
    return [Version(origin, text=cut(text)) for text in texts[:MOST]]


def _shown(sample: Sample, images: Path, alternative: str) -> list[Version]:
    """The described picture, then the post's further ones, small."""
    versions = []
    for number, name in enumerate(sample.pictures[:MOST]):
        origin, text = (
            (f"further picture {number}", f"Further picture {number} of the post") if number else ("", alternative)
        )
        version = _picture(lambda name=name: load_image(images, name), origin, text)  # type: ignore[misc]
        versions.append(replace(version, further=number > 0))
        if number == 0 and sample.extra.get(COLUMN):
            versions.append(_with_given_regions(sample, images))
    if (more := len(sample.pictures) - MOST) > 0:
        versions.append(Version(f"{more} more are not shown"))
    return versions


def _with_given_regions(sample: Sample, images: Path) -> Version:
    """The picture with the regions that its row gives drawn on it."""
    named: list[str] = []

    def drawn() -> Image.Image:
        picture = load_image(images, sample.image or "")
        given = given_regions(sample.extra[COLUMN], picture.size, images, max_pixels=MAX_PIXELS)[:MOST]
        named.extend(f"{number} {cut(one.word) or 'without a name'}" for number, one in enumerate(given, start=1))
        return with_regions(picture, [Drawn(number, *one[1:]) for number, one in enumerate(given, start=1)], _SIDE)

    version = _picture(drawn, "regions given by the data", "The image with the regions that the data give")
    return (
        replace(version, origin=f"regions given by the data: {', '.join(named)}", further=False) if named else version
    )


def _picture(load: Callable[[], Image.Image], origin: str, alternative: str) -> Version:
    try:
        image = load()
    except TrifacetError as error:
        return Version(origin, Picture(problem=str(error)))
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True)
    url = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return Version(origin, Picture(url, *image.size), alternative)


def _made_images(
    samples: Sequence[Sample], index: int, images: Path, sample: PreferenceSample, making: Making
) -> list[Version]:
    from trifacet.preferences.rejected.images import rejected_image, shown, told
    from trifacet.preferences.rejected.samples import image_donors
    from trifacet.preferences.rejected.strategy import Draw, Seen

    paths, strategy = [one.image or "" for one in samples], making.strategy
    sees = strategy.sees_regions or strategy.needs_regions
    looked = making.masks if sees else None

    def made(version: int) -> Version:
        located = True

        def donor() -> Image.Image:
            others = image_donors(
                paths, index, seed=making.seed, sample_id=sample.id, versions=version, beside=sample.more_images
            )
            return load_image(images, paths[others[-1]])

        def make() -> Image.Image:
            nonlocal located
            chosen = load_image(images, paths[index])
            mask = looked(sample) if looked else None
            draw = Draw(making.seed, sample.id, version)
            lettered = tuple(making.lettering(sample)) if making.lettering and mask is not None else ()
            seen = Seen(
                chosen, sample.response, draw, _pixels, _MEAN, _STD, donor, mask, making.versions, lettering=lettered
            )
            located = seen.located is not None
            return shown(rejected_image(strategy, seen), seen)

        found = _picture(make, "", "")
        by = f"made by {told(strategy, version, making.versions, located=located)}"
        return replace(found, origin=by, alternative=f"Rejected image {by}")

    return [made(version) for version in range(1, min(making.versions, MOST) + 1)]


def _made_context(samples: Sequence[Sample], index: int, seed: int) -> Version:
    from trifacet.preferences.rejected.samples import context_donors

    try:
        donors = context_donors([sample.context for sample in samples], index, seed=seed, sample_id=samples[index].id)
    except TrifacetError as error:
        return Version(f"none: {error}")
    return replace(_texts([samples[donors[0]].context])[0], origin=f"that of sample {cut(samples[donors[0]].id)}")


def _pixels(image: Image.Image) -> torch.Tensor:
    """Normalised pixels (3, 336, 336) of an RGB image, padded to a square as LLaVA-1.5 does."""
    import numpy as np
    import torch
    from PIL import ImageOps

    square = ImageOps.pad(
        image, (_ENCODER_SIDE, _ENCODER_SIDE), Image.Resampling.BICUBIC, color=tuple(int(c * 255) for c in _MEAN)
    )
    values = (np.asarray(square) / 255 - np.array(_MEAN)) / np.array(_STD)
    return torch.from_numpy(values.transpose(2, 0, 1).astype(np.float32))
