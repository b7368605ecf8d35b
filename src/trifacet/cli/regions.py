"""``trifacet regions``: where the key words of a data set are in its pictures. Invariant: what is done is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.common import err, json_or_table, plain
from trifacet.cli.options import FormatOption, OnBadRow, OnBadRowOption, OverwriteOption, SetOption, a_text, overrides
from trifacet.settings.section import LARGEST_SEED, MOST

if TYPE_CHECKING:
    from trifacet.data.source import Source
    from trifacet.regions.locating import Opener


def regions(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="A recipe (.yaml), whose preference samples are taken, or a data file."),
    ],
    *,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write or to continue; a recipe names it as regions.file.")
    ] = Path("regions"),
    images: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Of a data file: folder that paths are relative to. [default: the file's]"),
    ] = None,
    format: FormatOption = "auto",
    label: Annotated[
        str, typer.Option(callback=a_text, help="Of a data file: line between request and post, in formats with both.")
    ] = "Context:",
    set_: SetOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or hub id of the model that is to be aligned, for its embeddings of words and for locator "
            "attention. [default: the recipe's model.path]"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_SEED, help="Seed of what is drawn. [default: the recipe's, or 17]"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="The first N samples only.")] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=128, help="Processes that look, each on one thread of the CPU.")
    ] = 1,
    show: Annotated[int, typer.Option(min=0, max=1000, help="Samples that the page shows; its totals count all.")] = 40,
    on_bad_row: OnBadRowOption = None,
    overwrite: OverwriteOption = False,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the totals as JSON; - for standard output.")
    ] = None,
) -> None:
    """Locate the key words of every chosen response in its picture; write the regions for use, and a page.

    DIR gets regions.jsonl, a line for each sample, and regions.html. The same command continues what was interrupted.
    With a data file, --set gives keys of the section regions: --set locator.name=owlv2 --set locator.model=FOLDER.

    Example: trifacet regions pairs.jsonl --images images/train --output regions

    Example: trifacet regions recipes/demo.yaml --set regions.largest=0.9 --workers 2 --json -
    """
    from trifacet.base.progress import Bar
    from trifacet.regions.store import PAGE, locate
    from trifacet.reports.regions import write_regions_page

    if data.suffix.lower() in (".yaml", ".yml"):
        _refuse_beside_recipe(images=images, format=None if format == "auto" else format)
        source, opener, max_pixels = _of_recipe(data, overrides(set_, on_bad_row), model, seed, limit)
    else:
        source, opener, max_pixels = _of_file(data, images, format, label, set_ or [], model, seed, on_bad_row)
    with Bar("regions") as bar:
        now = locate(
            source,
            output,
            opener,
            max_pixels=max_pixels,
            limit=limit,
            workers=workers,
            overwrite=overwrite,
            on_progress=bar.update,
        )
    counted = write_regions_page(output, source, output / PAGE, show=show, max_pixels=max_pixels, limit=limit)
    err.print(f"{now} of {counted.samples} located now; {plain(str(output / PAGE))} shows them", soft_wrap=True)
    document = {"data": str(data), "folder": str(output), **counted.as_dict()}
    rows: list[tuple[str, Any]] = [("located", counted.totals.located), *counted.totals.fallbacks.items()]
    rows += [("words", counted.words), ("words not found", counted.missing), ("regions", counted.regions)]
    if counted.totals.mean_area is not None:
        rows.append(("mean area", f"{counted.totals.mean_area:.3f}"))
    rows.append(("seconds", f"{counted.seconds:.2f}"))
    json_or_table(document, json_path, plain(f"{output}: {counted.samples} samples"), ("what", "number"), rows)


def _refuse_beside_recipe(**given: Any) -> None:
    from trifacet.base.errors import TrifacetError

    for name, value in given.items():
        if value is not None:
            raise TrifacetError(f"--{name} is for a data file; of a recipe it is a key: --set data.{name}={value}")


def _of_recipe(
    path: Path, changes: list[str], model: str | None, seed: int | None, limit: int | None
) -> tuple[Source, Opener, int]:
    from trifacet.data.source import FilesRead
    from trifacet.runs.regions import opener_of, source_for
    from trifacet.training.recipe import load_recipe

    recipe = load_recipe(path, changes)
    if seed is not None:
        recipe = recipe.model_copy(update={"seed": seed})
    source = source_for(recipe, FilesRead(), limit=limit)
    return source, opener_of(recipe, source, model), recipe.data.max_pixels


def _of_file(
    path: Path,
    images: Path | None,
    format: str,
    label: str,
    changes: list[str],
    model: str | None,
    seed: int | None,
    on_bad_row: OnBadRow | None,
) -> tuple[Source, Opener, int]:
    from pydantic import ValidationError

    from trifacet.base.errors import TrifacetError
    from trifacet.base.images import MAX_PIXELS
    from trifacet.data.formats import use_format
    from trifacet.data.source import Source
    from trifacet.regions.locating import Place
    from trifacet.regions.opening import opener_for
    from trifacet.regions.settings import Regions
    from trifacet.settings.reading import explain_invalid, overridden

    use_format(format)
    try:
        settings = Regions.model_validate(overridden({}, changes))
    except ValidationError as error:
        raise TrifacetError(f"--set: {explain_invalid(error, Regions)}") from None
    root = images if images is not None else path.parent
    source = Source(path, format, "preference", root, label, on_bad_row is OnBadRow.SKIP)
    place = Place(root, path.parent, MAX_PIXELS, model)
    return source, opener_for(settings, place, 17 if seed is None else seed), MAX_PIXELS
