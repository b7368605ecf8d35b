"""Spoilt pictures that are shown in the place of a sample's own, so that answers to them are wrong in a likely way.

Invariant: a spoilt picture depends on (seed, sample id, strategy, version, round), the sample and, for noise, on how
the generator's model reads pictures; it is written once, under a name made of what it shows.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trifacet.base.digests import file_digest
from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.base.files import replacing
from trifacet.base.images import load_image, resolve_inside
from trifacet.base.journal import Journal
from trifacet.data.formats import iter_samples
from trifacet.data.records import PreferenceSample, TestSample
from trifacet.evolving.asked import reference_of
from trifacet.evolving.parts import Part
from trifacet.evolving.records import DROPOUT, GIVEN, NORMAL, REVISED
from trifacet.evolving.settings import EvolveRecipe
from trifacet.preferences.rejected.images import image_strategy, rejected_image, shown
from trifacet.preferences.rejected.samples import image_donors
from trifacet.preferences.rejected.strategy import Draw, ImageStrategy, Seen, no_lettering

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from trifacet.engine.family import Family
    from trifacet.preferences.rejected.masks import Lettered, Mask
    from trifacet.regions.locating import Looking
    from trifacet.regions.store import Masks

INDEX = "spoilt"  # the step whose file says which picture an answer is to
DONORS = 4096  # of the first samples' pictures another one is drawn, however many samples there are


class Turn(NamedTuple):
    """Whose turn an answer is: the strategy's as the recipe names it, its version, from 1, and of how many."""

    strategy: str
    version: int
    versions: int


def turns(strategies: Sequence[str], count: int) -> list[Turn]:
    """``count`` turns, by the strategies one after the other."""
    each = [strategies[number % len(strategies)] for number in range(count)]
    return [Turn(name, each[: number + 1].count(name), each.count(name)) for number, name in enumerate(each)]


def refuse_sampling(recipe: EvolveRecipe) -> None:
    """Raise TrifacetError, naming the key, where the recipe lacks what its sampling needs: before anything is asked."""
    sampling = recipe.sampling
    if sampling.top_p < 1 and recipe.roles.generator.endpoint:
        raise TrifacetError(
            "sampling.top_p: endpoints are not told of it; leave it out, or take a model of this machine as generator"
        )
    if sampling.contrastive and not sampling.strategies:
        raise TrifacetError("sampling.strategies: names none; name some, or set sampling.contrastive: 0")
    for name in sampling.strategies[: sampling.contrastive]:
        (_refuse_dropout if name == DROPOUT else _refuse_strategy)(name, recipe)


def _refuse_dropout(name: str, recipe: EvolveRecipe) -> None:
    if recipe.roles.generator.endpoint:
        raise TrifacetError(
            f"sampling.strategies: {name} begins the generator's answer, which an endpoint has no way for; leave it "
            "out, or take a model of this machine"
        )
    if not recipe.sampling.normal:
        raise TrifacetError(f"sampling.strategies: {name} continues normal answers; set sampling.normal")


def _refuse_strategy(name: str, recipe: EvolveRecipe) -> None:
    strategy, regions = image_strategy(name, recipe.sampling.t), recipe.regions
    if strategy.name in (NORMAL, REVISED, DROPOUT, GIVEN):
        raise TrifacetError(f"sampling.strategies: {name} is called {strategy.name!r}, as other answers are; rename it")
    if strategy.needs_regions and regions is None:
        raise TrifacetError(
            f"sampling.strategies: {name} changes the key regions of a picture, and nothing says where they are; add a "
            "section such as regions: {} (docs/regions.md), or leave the strategy out"
        )
    by_words = regions and (regions.file or (regions.locator and regions.locator.name == "words"))
    if strategy.needs_lettering and not by_words:
        raise TrifacetError(
            f"sampling.strategies: {name} replaces words that stand in the picture; set regions.locator.name: words"
        )


class Spoiling:
    """Makes the spoilt pictures of samples.

    Args:
        recipe: says by which strategies, and who looks for regions.
        images: the folder of the samples' pictures.
        family: how the generator's model reads pictures; None where that is not known, and they are read as they are.
        policy: the generator's checkpoint, for locators that ask it.
    """

    def __init__(self, recipe: EvolveRecipe, images: Path, family: Family | None, policy: str | None) -> None:
        self.recipe, self.images, self.family, self.policy = recipe, images, family, policy
        self._strategies: dict[str, ImageStrategy] = {}

    def pictures(self, samples: Sequence[TestSample], wanted: Sequence[Turn], part: Part) -> list[list[str | None]]:
        """For each sample and turn the name of its picture in ``part.pictures``; None for a sample without one.

        What is noted in the part's file ``spoilt`` and still there is not made again.

        Raises:
            TrifacetError: a picture that cannot be read, spoilt or written.
        """
        journal = Journal(part.file(INDEX))
        noted = {(row["sample"], row["strategy"], row["version"]): row["picture"] for row in journal.rows}
        found: list[list[str | None]] = []
        rows = []
        for sample in samples:
            names: list[str | None] = []
            for turn in wanted:
                if sample.image is None:
                    names.append(None)
                    continue
                key = (sample.id, self.strategy(turn.strategy).name, turn.version)
                name = noted.get(key)
                if name is None or not (part.pictures / name).is_file():
                    name = self._made(sample, turn, part)
                names.append(name)
                rows.append({"sample": key[0], "strategy": key[1], "version": key[2], "picture": name})
                if key not in noted:
                    journal.append(rows[-1:])
            found.append(names)
        if rows != journal.rows:
            journal.finish(rows)
        return found

    def strategy(self, name: str) -> ImageStrategy:
        """The strategy that the recipe calls ``name``."""
        if name not in self._strategies:
            self._strategies[name] = image_strategy(name, self.recipe.sampling.t)
        return self._strategies[name]

    def beside(self, sample: TestSample, part: Part) -> tuple[str, ...]:
        """The names in ``part.pictures`` of a sample's further pictures, which are copied there as they are."""
        return tuple(self._copied(sample, name, part) for name in sample.more_images)

    def _made(self, sample: TestSample, turn: Turn, part: Part) -> str:
        strategy, draw = self.strategy(turn.strategy), Draw(self.recipe.seed, sample.id, turn.version, part.round)
        try:
            picture = self._load(sample.image or "")
            mask, lettering = self._region(strategy, sample)
            as_frames, mean, std = self._reading()
            seen = Seen(
                picture,
                _response(sample, self.recipe),
                draw,
                as_frames,
                mean,
                std,
                lambda: self._donor(sample, turn.version, part.round),
                mask,
                turn.versions,
                lettering,
            )
            made = shown(rejected_image(strategy, seen), seen)
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None
        buffer = io.BytesIO()
        made.save(buffer, "PNG", compress_level=1)
        return _kept(buffer.getvalue(), part.pictures)

    def _reading(self) -> tuple[Callable[[Image.Image], Tensor], Sequence[float], Sequence[float]]:
        if self.family is None:
            from trifacet.building.steps.rejected_image import MEAN, STD, normalised

            return normalised, MEAN, STD
        family = self.family
        return lambda picture: family.frames(family.read(picture)), family.image_mean, family.image_std

    def _load(self, name: str) -> Image.Image:
        return load_image(self.images, name, max_pixels=self.recipe.data.max_pixels)

    def _copied(self, sample: TestSample, name: str, part: Part) -> str:
        try:
            source = resolve_inside(self.images, name)
            digest = file_digest(source)
        except (TrifacetError, OSError) as error:
            raise of_sample(
                sample.id, error if isinstance(error, TrifacetError) else TrifacetError(str(error))
            ) from None
        copy = f"{digest[:2]}/{digest[:32]}"
        if not (part.pictures / copy).is_file():
            with replacing(part.pictures / copy) as temporary:
                shutil.copyfile(source, temporary)
        return copy

    # --- regions and donors -----------------------------------------------------------------------------------------

    def _region(self, strategy: ImageStrategy, sample: TestSample) -> tuple[Mask | None, tuple[Lettered, ...]]:
        if self.recipe.regions is None or not (strategy.sees_regions or strategy.needs_regions):
            return None, ()
        about = PreferenceSample(
            id=sample.id,
            image=sample.image,
            more_images=sample.more_images,
            context=sample.context,
            prompt=sample.prompt,
            extra=sample.extra,
            response=_response(sample, self.recipe),
        )
        if self._masks is not None:
            mask, lettering = self._masks(about), self._masks.lettering(about)
        else:
            from trifacet.regions.locating import decoded_mask

            most = self.recipe.data.max_pixels
            found = self._looking.located(about, self.images, most)
            mask = decoded_mask(found.union, found.size, most) if found.status == "located" else None
            lettering = found.lettering if mask is not None else ()
        if strategy.needs_lettering and mask is not None and not lettering:
            raise no_lettering()
        return mask, lettering

    @cached_property
    def _masks(self) -> Masks | None:
        from trifacet.regions.store import Masks

        file = self.recipe.regions.file if self.recipe.regions else None
        return None if file is None else Masks(Path(file), max_pixels=self.recipe.data.max_pixels)

    @cached_property
    def _looking(self) -> Looking:
        from trifacet.models.asking import WayOfAsking
        from trifacet.regions.locating import Place
        from trifacet.regions.opening import open_looking

        recipe = self.recipe
        assert recipe.regions is not None
        place = Place(
            self.images, Path(recipe.data.root), recipe.data.max_pixels, self.policy, WayOfAsking.of(recipe.data)
        )
        return open_looking(recipe.regions, place, recipe.seed)

    @cached_property
    def _donors(self) -> list[str | None]:
        data = self.recipe.data
        rows = iter_samples(
            Path(data.root) / self.recipe.samples, "test", data.format, label=data.context_label,
            on_problem=lambda problem: None,
        )  # fmt: skip
        return [one.image for _, one in islice(rows, min(self.recipe.limit or DONORS, DONORS))]

    def _donor(self, sample: TestSample, version: int, number: int) -> Image.Image:
        """The picture of one of the first samples of the recipe's file, whatever part this is.

        One that cannot be used is passed over where ``data.on_bad_row`` says skip, as its own sample is.
        """
        pictures = [sample.image, *self._donors]
        while True:
            donor = image_donors(
                pictures,
                0,
                seed=self.recipe.seed,
                sample_id=sample.id,
                versions=version,
                epoch=number,
                beside=sample.more_images,
            )[-1]
            try:
                return self._load(pictures[donor] or "")
            except DataError:
                if self.recipe.data.on_bad_row == "stop":
                    raise
                pictures[donor] = None


def _response(sample: TestSample, recipe: EvolveRecipe) -> str:
    """What is looked for in the picture: what the reference speaks of, else what is asked for."""
    return reference_of(sample) or sample.prompt or recipe.data.prompt


def _kept(png: bytes, folder: Path) -> str:
    digest = hashlib.sha256(png).hexdigest()
    name = f"{digest[:2]}/{digest[:32]}.png"
    if not (folder / name).is_file():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(png)
    return name
