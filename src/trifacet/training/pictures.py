"""The picture of a sample and its rejected versions, as the encoder reads them; and how rejected versions are made.

Invariant: what is made depends on (sample, recipe, epoch) alone, so policy and reference see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from PIL import Image
from torch import Tensor

from trifacet.base.errors import TrifacetError
from trifacet.base.images import load_image
from trifacet.data.records import PreferenceSample, SupervisedSample
from trifacet.engine.family import Family, ImageInput
from trifacet.preferences.rejected.images import rejected_image, shown, told
from trifacet.preferences.rejected.masks import Lettered, Mask, area
from trifacet.preferences.rejected.samples import image_donors
from trifacet.preferences.rejected.strategy import Draw, ImageStrategy, Seen, no_lettering, other_size

Masks = Callable[[PreferenceSample], Mask | None]  # what a sample's picture shows of its response; None: not found
Lettering = Callable[[PreferenceSample], Sequence[Lettered]]  # the words that are lettered there
Lenders = Callable[[int, Sequence[str | None], int, Sequence[str]], list[int]]


@dataclass(frozen=True)
class Rejection:
    """How rejected versions are made where the data give none; ``resample`` draws anew in each epoch.

    ``masks``: where the key regions of a sample are; its ``fingerprint``, if it has one, says what that depends on.
    ``lettering``: the words that stand in these regions, where they are regions of lettering.
    """

    strategy: ImageStrategy
    image_versions: int = 1
    context_versions: int = 1
    resample: bool = False
    seed: int = 0
    masks: Masks | None = None
    lettering: Lettering | None = None

    @property
    def seen_masks(self) -> Masks | None:
        """The masks, where the strategy looks at them."""
        strategy = self.strategy
        return self.masks if strategy.sees_regions or strategy.needs_regions else None


@dataclass(frozen=True)
class Drawn:
    """What became of a sample's rejected image.

    Args:
        area: the share of the picture that its key regions take; None where nothing was located.
        global_noise: nothing was located, so the whole picture is spoilt.
        drop: by how much the similarity of picture and response fell from the chosen to the first rejected image;
            None where nobody measured it.
    """

    area: float | None
    global_noise: bool
    drop: float | None = None


class Naming(Protocol):
    """Says which sample an error is about."""

    def __call__(self, index: int, field: str | None = None) -> AbstractContextManager[None]: ...


class Pictures:
    """The pictures of a stage's samples.

    Args:
        samples: supervised or preference samples.
        family: reads pictures.
        root: folder that image paths are relative to.
        rejection: how rejected versions are made.
        max_pixels: largest image.
        lenders: members of a sample's batch that lend it one of such contents, so many versions, none of those beside.
        naming: says which sample an error is about.
    """

    def __init__(
        self,
        samples: Sequence[SupervisedSample | PreferenceSample],
        family: Family,
        root: Path,
        rejection: Rejection,
        *,
        max_pixels: int,
        lenders: Lenders,
        naming: Naming,
    ) -> None:
        self.samples, self.family, self.root, self.rejection = samples, family, root, rejection
        self.max_pixels, self.lenders, self.naming = max_pixels, lenders, naming
        self.epoch = 0
        self._paths = [sample.image for sample in samples]

    def chosen(self, index: int) -> Image.Image:
        """The chosen image, RGB, of a sample that has one."""
        name = self.samples[index].image
        assert name is not None, "a sample without an image has no versions of it"
        return self.load(name, index)

    def load(self, name: str, index: int, field: str = "image") -> Image.Image:
        """An image that a field of a sample names. Raises DataError that names sample and field."""
        with self.naming(index, field):
            return load_image(self.root, name, max_pixels=self.max_pixels)

    def made(self, index: int, chosen: Image.Image, read: ImageInput) -> list[ImageInput]:
        """All rejected images that the strategy makes from the chosen one, ``read`` as the encoder reads that."""
        versions = []
        mask = self.mask(index)
        for version in range(1, self.rejection.image_versions + 1):
            made, _ = self._rejected(index, version, chosen, read, mask)
            own = self.family.read(made) if isinstance(made, Image.Image) else self.family.with_frames(read, made)
            versions.append(own)
        return versions

    def preview(self, index: int, version: int = 1) -> Image.Image:
        """A rejected image of a sample that the strategy makes, to look at."""
        chosen = self.chosen(index)
        made, seen = self._rejected(index, version, chosen, self.family.read(chosen), self.mask(index))
        return shown(made, seen)

    def told(self, index: int, version: int = 1) -> str:
        """How a rejected image of a sample is made, for its caption."""
        rejection, located = self.rejection, self.mask(index) is not None
        return told(rejection.strategy, version, rejection.image_versions, located=located)

    def mask(self, index: int) -> Mask | None:
        """Where the key regions of a sample are, if the strategy looks at them; None where nothing was located."""
        sample, masks = self.samples[index], self.rejection.seen_masks
        if masks is None or not isinstance(sample, PreferenceSample):
            return None
        with self.naming(index):
            mask = masks(sample)
        return mask if mask is not None and mask.any() else None

    def check_mask(self, index: int, size: tuple[int, int]) -> None:
        """Raise DataError where a sample's mask cannot be that of a picture of ``size``, lying or standing.

        Which of the two it is, its header does not tell: a camera's picture may be turned when it is opened.
        """
        mask = self.mask(index)
        if mask is not None and sorted(mask.shape) != sorted(size):
            raise other_size(mask, size)
        if mask is not None and self.rejection.strategy.needs_lettering and not self.lettered(index):
            raise no_lettering()

    def lettered(self, index: int) -> tuple[Lettered, ...]:
        """The words that stand in the key regions of a sample, if the strategy looks at them."""
        sample, lettering = self.samples[index], self.rejection.lettering
        if lettering is None or not self.rejection.strategy.needs_lettering or not isinstance(sample, PreferenceSample):
            return ()
        return tuple(lettering(sample))

    def drawn(self, index: int) -> Drawn:
        """What becomes of the rejected image of a sample, as far as regions go; no image is opened."""
        mask = self.mask(index)
        return Drawn(None if mask is None else area(mask), mask is None and self.rejection.strategy.needs_regions)

    def _rejected(
        self, index: int, version: int, chosen: Image.Image, read: ImageInput, mask: Mask | None
    ) -> tuple[Image.Image | Tensor, Seen]:
        """A rejected image made from the chosen one and what it was made from."""
        strategy, family, sample = self.rejection.strategy, self.family, self.samples[index]
        own = cache(lambda: family.frames(read))
        with self.naming(index, "image"):
            seen = Seen(
                chosen,
                sample.response,
                Draw(self.rejection.seed, sample.id, version, self.epoch),
                lambda picture: own() if picture is chosen else family.frames(family.read(picture)),
                family.image_mean,
                family.image_std,
                lambda: self.donor(index, version),
                mask,
                self.rejection.image_versions,
                self.lettered(index) if mask is not None else (),
            )
        if strategy.needs_donor and (lenders := self.lenders(index, self._paths, version, sample.more_images)):
            return self.chosen(lenders[-1]), seen  # as it is there, or it would not be the same to the trie
        return rejected_image(strategy, seen), seen

    def donor(self, index: int, version: int) -> Image.Image:
        """Another sample's image, for the strategy that shows one."""
        sample = self.samples[index]
        donors = image_donors(
            self._paths,
            index,
            seed=self.rejection.seed,
            sample_id=sample.id,
            versions=version,
            epoch=self.epoch,
            beside=sample.more_images,
        )
        donated = self._paths[donors[-1]]
        assert donated is not None  # a donor has an image
        return self.load(donated, donors[-1])

    def refuse_lacking_regions(self) -> None:
        """Raise TrifacetError where the strategy needs regions and nobody has looked for any."""
        strategy = self.rejection.strategy
        if strategy.needs_regions and self.rejection.masks is None:
            raise TrifacetError(
                f"rejected.image.strategy {strategy.name!r} spoils the regions that a response speaks of, and nothing "
                "says where they are; have them located (docs/regions.md), or use diffusion or random-region"
            )

    def fingerprint(self) -> dict[str, object]:
        """What the masks depend on, where they are looked at and say so."""
        found = getattr(self.rejection.seen_masks, "fingerprint", None)
        return {} if found is None else {"regions": found() if callable(found) else found}


Similarity = Callable[[Sequence[str], Sequence[Image.Image]], Sequence[float]]


def measured(pictures: Pictures, indices: Iterable[int], similarity: Similarity | None = None) -> Iterator[Drawn]:
    """What becomes of the first rejected images of these samples: their regions' areas, and what they lose.

    Args:
        pictures: the stage's; the strategy makes the rejected images.
        indices: samples that have an image.
        similarity: of texts and pictures, each with each other, such as ``metrics.clipscore.ClipScorer``; None to leave
            that out, which opens no image.
    """
    for index in indices:
        drawn = pictures.drawn(index)
        if similarity is not None:
            response = pictures.samples[index].response
            before, after = similarity([response] * 2, [pictures.chosen(index), pictures.preview(index)])
            drawn = replace(drawn, drop=before - after)
        yield drawn
