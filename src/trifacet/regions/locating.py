"""Looking for the key regions of one sample: its key words, where they are, and what is kept of that.

Invariant: what is found depends on the sample, its picture and the fingerprint alone, in whichever process it is.
"""

from __future__ import annotations

import base64
import io
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from trifacet.base.digests import file_digest, text_digest
from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.base.images import decode_image, load_image, resolve_inside
from trifacet.data.records import PreferenceSample
from trifacet.preferences.rejected.masks import Lettered, Mask, Quad, area, union
from trifacet.regions.looking import KeyWord, Locator, Look, Region, WordsNamer

if TYPE_CHECKING:
    from trifacet.models.asking import WayOfAsking  # which imports torch: not every locator needs it

Status = Literal["located", "nothing found", "whole picture", "no words", "no picture", "unusable"]


class Chooser(Protocol):
    """Who chooses the key words of a response."""

    def fingerprint(self) -> dict[str, Any]:
        """What the words depend on besides the response. JSON."""
        ...

    def choose(self, response: str) -> tuple[KeyWord, ...]:
        """The key words, the most telling first; none where the response has none."""
        ...


@dataclass(frozen=True)
class Place:
    """Where what is looked for and looked at lies.

    Args:
        images: the folder that the paths of pictures and masks are relative to.
        root: the folder that data files are relative to.
        max_pixels: largest picture.
        policy: the checkpoint of the model that is to be aligned, for those that ask it (None: none is known).
        asking: how it is asked (None: as its folder says).
    """

    images: Path
    root: Path
    max_pixels: int
    policy: str | Path | None = None
    asking: WayOfAsking | None = None


class _Kept(BaseModel):
    """A part of what is kept on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class LocatedWord(_Kept):
    """A key word, its score, and the places (characters, end exclusive) where the response has it."""

    text: str
    score: float
    spans: tuple[tuple[int, int], ...] = Field(strict=False)


class LetteredWord(_Kept):
    """A word that stands in the picture, as it was read, and the corners around it, clockwise from its upper left."""

    text: str
    quad: Quad = Field(strict=False)


class LocatedRegion(_Kept):
    """Where a word is: the locator's score and box, the mask as PNG of 1 bit in base64, its share of the picture.

    ``lettering``: what the picture says there; left out of the line where it is no region of lettering.
    """

    word: str
    score: float
    box: tuple[float, float, float, float] | None = Field(strict=False)
    area: float
    mask: str
    lettering: tuple[LetteredWord, ...] = Field((), strict=False)

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if not self.lettering:
            del values["lettering"]
        return values


class Located(_Kept):
    """What was looked for and found for one sample; unless ``status`` is located it has global noise.

    ``seen`` are digests of what it depends on: picture, response, and what the data give. ``size`` is the upright
    picture's width and height, ``area`` the share of it that the union of the regions covers.
    """

    id: str
    status: Status
    reason: str = ""
    seen: dict[str, str]
    size: tuple[int, int] | None = Field(strict=False)
    words: tuple[LocatedWord, ...] = Field((), strict=False)
    regions: tuple[LocatedRegion, ...] = Field((), strict=False)
    missing: tuple[str, ...] = Field((), strict=False)
    area: float = 0.0
    union: str = ""  # of the regions, as their masks are: what training decodes

    def masks(self, max_pixels: int) -> list[Mask]:
        """The masks of its regions, decoded. Raises DataError for one of another size than the picture's."""
        return [decoded_mask(one.mask, self.size, max_pixels) for one in self.regions]

    @property
    def lettering(self) -> tuple[Lettered, ...]:
        """The words that are lettered in its regions, each place once."""
        return tuple(dict.fromkeys(Lettered(one.text, one.quad) for region in self.regions for one in region.lettering))


@dataclass(frozen=True)
class Looking:
    """Who looks for what, and what counts as found.

    Args:
        chooser: of the words (None: those that the locator names, or none).
        locator: finds them.
        largest: a union of this share of the picture, or more, counts as the whole.
        seed: of what is drawn.
    """

    chooser: Chooser | None
    locator: Locator
    largest: float = 1.0
    seed: int = 17

    def fingerprint(self) -> dict[str, Any]:
        """What regions depend on besides the sample."""
        return {
            "words": self.chooser.fingerprint() if self.chooser else None,
            "locator": self.locator.fingerprint(),
            "largest": self.largest,
            "seed": self.seed,
        }

    def sees(self, sample: PreferenceSample, picture: str | None) -> dict[str, str]:
        """Digests of what the regions of a sample depend on; ``picture`` is that of its picture's file."""
        given = self.locator.sees(sample) if isinstance(self.locator, WordsNamer) else {}
        return {**({"picture": picture} if picture else {}), "response": text_digest(sample.response), **given}

    def located(self, sample: PreferenceSample, images: Path, max_pixels: int) -> Located:
        """Look for the regions of a sample. Raises DataError for a picture or a region that cannot be used."""
        if sample.image is None:
            return Located(id=sample.id, status="no picture", seen=self.sees(sample, None), size=None)
        path = resolve_inside(images, sample.image)
        seen = self.sees(sample, file_digest(path))
        picture = load_image(images, sample.image, max_pixels=max_pixels)
        look = Look(sample, picture, (), self.seed)
        with _one_thread():
            words = self._words(look)
            regions = self.locator.locate(replace(look, words=words)) if words or self.chooser is None else ()
        regions = [one for one in regions if one.mask.any()]
        for one in regions:
            if one.mask.shape != (picture.height, picture.width):
                raise TrifacetError(
                    f"locator {self.locator.name}: a mask of {one.mask.shape} for a picture of "
                    f"{picture.height} x {picture.width}; it has to be (height, width) of the picture"
                )
        whole = union(one.mask for one in regions)
        covered = 0.0 if whole is None else area(whole)
        found = {one.word for one in regions}
        if whole is None:
            status: Status = "nothing found" if words or self.chooser is None else "no words"
        else:
            status = "whole picture" if covered >= self.largest else "located"
        return Located(
            id=sample.id,
            status=status,
            seen=seen,
            size=picture.size,
            words=tuple(LocatedWord(text=one.text, score=float(one.score), spans=one.spans) for one in words),
            regions=tuple(map(_kept, regions)),
            missing=() if "" in found else tuple(one.text for one in words if one.text not in found),
            area=covered,
            union="" if whole is None else encoded_mask(whole),
        )

    def _words(self, look: Look) -> tuple[KeyWord, ...]:
        if self.chooser is not None:
            return self.chooser.choose(look.sample.response)
        return self.locator.words(look) if isinstance(self.locator, WordsNamer) else ()


Opener = Callable[[], Looking]  # can be pickled: each process that looks opens its own


def look_at(
    opener: bytes, sample: PreferenceSample, row: int, file: Path, images: Path, max_pixels: int, skip: bool
) -> tuple[Located, float]:
    """Look at one sample, in this process or another; ``opener`` is pickled.

    Returns:
        what was found, and the seconds it took. With ``skip`` what cannot be used is told in it, else raised.

    Raises:
        DataError: naming file, row and field.
    """
    began = time.monotonic()
    looking = opened(opener)
    try:
        found = looking.located(sample, images, max_pixels)
    except DataError as error:
        if not skip:
            raise of_sample(sample.id, error, None if error.field else "image", file=file, row=row) from None
        found = Located(id=sample.id, status="unusable", reason=str(error), seen={}, size=None)
    return found, time.monotonic() - began


@lru_cache(1)
def opened(opener: bytes) -> Looking:
    """What a pickled opener opens, once in a process."""
    looking: Looking = pickle.loads(opener)()
    return looking


def encoded_mask(mask: Mask) -> str:
    """A mask as PNG of 1 bit, in base64."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decoded_mask(text: str, size: tuple[int, int] | None, max_pixels: int) -> Mask:
    """The mask again. Raises DataError for what is no picture of this ``size`` (width, height), or a larger one."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise DataError("a mask is no base64", fix="locate the regions again") from None
    picture = decode_image(data, "mask", max_pixels=max_pixels)
    if picture.size != size:
        raise DataError("a mask has another size than its picture", fix="locate the regions again")
    return np.asarray(picture)[..., 0] > 0


def _kept(region: Region) -> LocatedRegion:
    box = None if region.box is None else tuple(map(float, region.box))
    return LocatedRegion(
        word=region.word,
        score=float(region.score),
        box=box,
        area=area(region.mask),
        mask=encoded_mask(region.mask),
        lettering=tuple(LetteredWord(text=one.text, quad=one.quad) for one in region.lettering),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """On so many threads torch adds in another order: what is found must not depend on the machine's cores."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
