"""Key regions in a run: located once, by the first process, before the first alignment that looks at them.

Invariant: regions that a stage is trained on are those of its own pictures and responses, or the run ends.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.base.progress import Bar, console
from trifacet.data.source import FilesRead, Source, source_of
from trifacet.models.asking import WayOfAsking
from trifacet.regions.locating import Opener, Place
from trifacet.regions.opening import opener_for
from trifacet.regions.settings import Regions
from trifacet.regions.store import locate, open_masks, refuse_other, rows_of
from trifacet.training.recipe import Recipe
from trifacet.training.sources import looks_at_regions, regions_folder
from trifacet.training.words_read import read_words


def opener_of(recipe: Recipe, source: Source, policy: str | Path | None = None) -> Opener:
    """What opens who looks for the regions of a recipe; ``policy``: the model that is to be aligned."""
    model = recipe.model
    place = Place(
        source.images,
        Path(recipe.data.root),
        recipe.data.max_pixels,
        policy or model.path,
        WayOfAsking.of(recipe.data, image_tiles=model.image_tiles or "one", image_pixels=model.image_pixels),
    )
    return opener_for(recipe.regions or Regions(), place, recipe.seed)


def source_for(recipe: Recipe, files: FilesRead, *, limit: int | None = None) -> Source:
    """The preference samples as a recipe's locator sees them: with the words read in their pictures where it asks a
    model that is asked with them; all others look at the picture themselves.
    """
    source = source_of(recipe.data, recipe.folder, "preference", files=files)
    locator = recipe.regions.locator if recipe.regions else None
    if locator is None or locator.name != "attention":
        return replace(source, words=None)
    if recipe.data.lettering == "prompt":
        read_words(recipe, {"preference": limit}, files, keep=False)
    return source


def refuse_without_section(recipe: Recipe) -> None:
    """Raise TrifacetError where rejected images need regions, and the recipe does not say how they are located."""
    strategy = recipe.rejected.image
    if recipe.regions is None and any(looks_at_regions(recipe, stage, needs=True) for stage in recipe.align.values()):
        raise TrifacetError(
            f"rejected.image.strategy: {strategy.strategy} changes the key regions of a picture, and nothing says "
            "where they are; add a section such as regions: {} (docs/regions.md)"
        )


def locate_regions(recipe: Recipe, policy: str | Path, files: FilesRead) -> None:
    """Locate the regions of the preference samples that the alignments see, or hold those of ``regions.file`` to them.

    Raises:
        TrifacetError: a picture or region that cannot be used; regions of other pictures, responses or settings.
    """
    assert recipe.regions is not None  # asked before
    looking = [stage for stage in recipe.align.values() if looks_at_regions(recipe, stage)]
    limits = [stage.limit for stage in looking]
    limit = None if None in limits else max(one for one in limits if one is not None)
    source = source_for(recipe, files, limit=limit)
    folder, most = regions_folder(recipe), recipe.data.max_pixels
    opener, stated = opener_of(recipe, source, policy), recipe.regions.stated
    if recipe.regions.file is not None:
        refuse_other(folder, source, opener() if stated else None, stated, max_pixels=most, limit=limit)
    else:
        with Bar("regions") as bar:
            locate(source, folder, opener, max_pixels=most, limit=limit, on_progress=bar.update)
    found = open_masks(folder, max_pixels=most, files=files).totals([one.id for _, one in rows_of(source, limit)])
    why = ", ".join(f"{count} {reason}" for reason, count in found.fallbacks.items())
    share = "" if found.mean_area is None else f", {found.mean_area:.1%} of the picture on average"
    noise = f"; global noise: {why}" if why else ""
    console.print(f"regions: {found.located} samples with regions{share}{noise}", soft_wrap=True)
