"""``trifacet data``: look at data files, check them, convert them.

Invariant: nothing a file says is taken for markup or for a terminal's control sequence.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.common import EXIT_BAD_INPUT, err, out, plain, print_table, write_json
from trifacet.cli.options import FormatOption, a_text
from trifacet.settings.section import LARGEST_SEED, MOST

if TYPE_CHECKING:
    from trifacet.data.checking import Report

app = typer.Typer(help="Check, convert and look at data files.", no_args_is_help=True, rich_markup_mode="rich")


class Kind(StrEnum):
    """What the rows of a file are."""

    SFT = "sft"
    PREFERENCE = "preference"
    TEST = "test"


class Format(StrEnum):
    """The formats of ``trifacet.data.formats``."""

    TRIFACET = "trifacet"
    MCM_DPO = "mcm-dpo"
    TRL = "trl"
    MS_SWIFT = "ms-swift"
    LLAMA_FACTORY = "llama-factory"


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The data file: .json, .jsonl or .parquet.")]
KindOption = Annotated[Kind, typer.Option(help="What the rows are; a preference file also serves as sft or test.")]
AnyKindOption = Annotated[
    Kind | None,
    typer.Option(
        help="What the rows are; a preference file also serves as sft or test. "
        "\\[default: what Parquet files of ours say of themselves, else preference]",
        show_default=False,
    ),
]
_ImagesOption = Annotated[
    Path | None, typer.Option(metavar="ROOT", help="Folder that image paths are relative to. [default: the file's]")
]
LabelOption = Annotated[
    str,
    typer.Option(
        callback=a_text, help="Line between request and post, in formats with one user text for both; any case."
    ),
]


@app.command()
def check(
    file: FileArgument,
    *,
    kind: AnyKindOption = None,
    format: FormatOption = "auto",
    images: _ImagesOption = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="Also count tokens, for the model of this recipe.")
    ] = None,
    label: LabelOption = "Context:",
    workers: Annotated[int, typer.Option(min=1, max=128, help="Processes that decode images.")] = 1,
    lines: Annotated[int, typer.Option(min=0, max=MOST, help="Findings to print at most; --json has all.")] = 200,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the report as JSON; - for standard output.")
    ] = None,
) -> None:
    """Read every row, open every image, and say all that is wrong: file, row, field, cause and cure.

    Exit code 2 if there is any error, 0 if there are only warnings and notes.

    Example: trifacet data check pairs.json --kind preference --images images/train

    Example: trifacet data check pairs.jsonl --images images --recipe recipes/demo.yaml --json report.json
    """
    from rich.progress import track

    from trifacet.base.images import MAX_PIXELS
    from trifacet.data.checking import check_file
    from trifacet.data.formats import use_format
    from trifacet.data.shards import written_kind

    use_format(format)
    loaded = None
    if recipe is not None:
        from trifacet.training.recipe import load_recipe

        loaded = load_recipe(recipe)
    report = check_file(
        file,
        kind.value if kind else written_kind(file) or "preference",
        format,
        images=images,
        label=label,
        max_pixels=loaded.data.max_pixels if loaded else MAX_PIXELS,
        workers=workers,
        track=lambda found, total: track(found, "opening images", total, console=err, transient=True),
    )
    budget = _add_budget(loaded, report, images if images is not None else file.parent) if loaded else None
    if json_path:
        write_json(report.as_dict() | {"budget": budget}, json_path)
    if json_path != "-":
        _print_findings(report, lines)
        _print_summary(report, budget)
    if report.count("error"):
        raise typer.Exit(EXIT_BAD_INPUT)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file to read.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write: .json, .jsonl, or .parquet for trifacet.")
    ],
    *,
    to: Annotated[Format, typer.Option(help="Format to write.")],
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            help="Format to read, or package.module:name of your own, which is run; auto looks at the first row.",
        ),
    ] = "auto",
    kind: KindOption = Kind.PREFERENCE,
    images: _ImagesOption = None,
    label: LabelOption = "Context:",
    prompt: Annotated[
        str | None, typer.Option(callback=a_text, help="Request to write where a sample has none of its own.")
    ] = None,
) -> None:
    """Convert a file from one format to another, and say on standard error what the new one could not hold.

    For llama-factory the file is also entered in the dataset_info.json beside it. Image paths are written relative to
    OUT's folder; pictures that are inside IN are written into a folder beside OUT.

    Example: trifacet data convert pairs.json pairs.jsonl --from mcm-dpo --to trl --kind preference

    Example: trifacet data convert posts.jsonl posts.parquet --to trifacet --kind sft
    """
    from collections import Counter

    from trifacet.data.formats import read_samples, write_samples

    unheld: Counter[str] = Counter()
    samples = read_samples(source, kind.value, from_, label=label, on_lost=lambda row, what: unheld.update((what,)))
    root = images if images is not None else source.parent
    lost = [f"{what} (rows: {count})" for what, count in unheld.most_common()]
    lost += write_samples(samples, target, to.value, kind.value, prompt=prompt, images=root, asked=True)
    for sentence in lost:
        err.print(f"lost: {plain(sentence)}")
    out.print(f"{plain(str(target))}: read {len(samples)} {kind.value} samples, written as {to.value}")


@app.command()
def show(
    file: FileArgument,
    *,
    output: Annotated[Path, typer.Option(metavar="PATH", help="The page to write.")] = Path("gallery.html"),
    images: _ImagesOption = None,
    kind: AnyKindOption = None,
    format: FormatOption = "auto",
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="Samples to show.")] = 50,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Make a rejected image by this strategy, and a rejected context, where the data give none.",
        ),
    ] = None,
    t: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Noise steps; the strategy's own if not given.")
    ] = None,
    versions: Annotated[
        int, typer.Option(min=1, max=100, help="Rejected images to make of each, as rejected.image.versions.")
    ] = 1,
    regions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Key regions for the strategy, by 'trifacet regions'. [default: the rows' own]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of what is drawn.")] = 17,
    label: LabelOption = "Context:",
) -> None:
    """Write a page that shows every facet's chosen and rejected version side by side.

    The page is one file without scripts, and opens without a network.

    Example: trifacet data show pairs.json --images images/train --output gallery.html

    Example: trifacet data show pairs.json --images images/train --strategy diffusion --t 500 --limit 20
    """
    from trifacet.data.formats import read_samples
    from trifacet.data.shards import written_kind
    from trifacet.reports.gallery import write_gallery

    spec = None
    if strategy is not None:
        from trifacet.preferences.rejected.images import image_strategy

        spec = image_strategy(strategy, t)
    told = kind.value if kind else written_kind(file) or "preference"
    samples = read_samples(file, told, format, label=label)
    root = images if images is not None else file.parent
    masks = lettering = None
    if spec is not None and (spec.sees_regions or spec.needs_regions):
        from trifacet.base.images import MAX_PIXELS
        from trifacet.regions.given import MasksOfRows
        from trifacet.regions.store import Masks

        located = Masks(regions, max_pixels=MAX_PIXELS) if regions else None
        masks = located or MasksOfRows(root, max_pixels=MAX_PIXELS)
        lettering = located.lettering if located else None
    write_gallery(
        samples,
        root,
        output,
        title=file.name,
        limit=limit,
        strategy=spec,
        versions=versions,
        masks=masks,
        lettering=lettering,
        seed=seed,
    )
    out.print(f"{plain(str(output))}: {min(limit, len(samples))} of {len(samples)} samples")


@app.command()
def unpack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of shards with embedded images.")],
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="ROOT", help="Folder that image names are relative to. [default: DIR]")
    ] = None,
) -> None:
    """Write images that travel inside Parquet shards back to files, so that the rows' paths lead to them.

    Example: trifacet data unpack builds/posts
    """
    from trifacet.data.shards import unpack_images

    written = sum(1 for _ in unpack_images(folder, output or folder))
    out.print(f"{plain(str(output or folder))}: {written} images written")


def _add_budget(recipe: Any, report: Report, root: Path) -> dict[str, Any]:
    """Count tokens for the recipe's model; what can't be used becomes a finding. Returns the numbers for ``--json``.

    Where the recipe asks with the words of pictures they are read, and need not be read again by the run.
    """
    from dataclasses import asdict

    from trifacet.base.progress import Bar
    from trifacet.data.checking import Finding
    from trifacet.data.words_read import with_words
    from trifacet.models.asking import WayOfAsking
    from trifacet.training.token_budget import token_budget

    sizes = {image.name: image.size for image in report.images if image.size}  # those without are errors already
    usable = [sample for sample in report.samples.values() if all(name in sizes for name in sample.pictures)]
    with Bar("words in pictures") as bar:
        quoting, most = WayOfAsking.of(recipe.data).quoting, recipe.data.max_pixels
        usable = with_words(usable, root, quoting, max_pixels=most, on_progress=bar.update)
    budget = token_budget(recipe, usable, sizes)
    rows = {sample.id: number for number, sample in report.samples.items()}
    for sample_id in budget.impossible:
        cause = f"image and response alone exceed the {budget.max_length} tokens of data.max_length"
        cure = "shorten the response, raise data.max_length or, where the model heeds it, lower model.image_pixels"
        report.findings.append(Finding("error", report.file, rows[sample_id], None, cause, cure))
    if budget.over:
        cause = (
            f"{budget.over} samples exceed {budget.max_length} tokens; {budget.cut_tokens} tokens of posts would be cut"
        )
        cure = f"raise data.max_length (the longest has {budget.longest}) or shorten the posts"
        report.findings.append(Finding("warning", report.file, None, None, cause, cure))
    report.sort()
    return asdict(budget)


_COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def _print_findings(report: Report, lines: int) -> None:
    from trifacet.data.checking.findings import together

    findings = together(report.findings)
    for finding in findings[:lines]:
        out.tell((f"{finding.severity}:", _COLOURS[finding.severity]), f" {plain(finding.line)}")
    if len(findings) > lines:
        out.print(f"... and {len(findings) - lines} more findings: see --json or --lines")


def _print_summary(report: Report, budget: dict[str, Any] | None) -> None:
    def counts(found: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in found.items()) or "none"

    rows: list[tuple[str, str]] = [
        ("kind, format", f"{report.kind}, {report.format}"),
        ("usable rows", str(len(report.samples))),
        ("image files", f"{len(report.images)} ({counts(report.count_images('format'))})"),
        ("rows without image", str(report.rows_showing(0))),
        ("rows with several", str(len(report.samples) - report.rows_showing(0) - report.rows_showing(1))),
        ("image modes", counts(report.count_images("mode"))),
    ]
    spreads = [(f"image {name} in pixels", spread) for name, spread in report.sizes().items()]
    spreads += [(f"words per {name.replace('_', ' ')}", spread) for name, spread in report.words().items()]
    rows += [(name, f"{spread.min} / {spread.median:g} / {spread.max}") for name, spread in spreads]
    if budget:
        over = f"{budget['over']} over {budget['max_length']}"
        rows.append(("tokens", f"longest {budget['longest']}, {over}, {budget['cut_tokens']} to cut"))
    rows += [(f"{severity}s", str(report.count(severity))) for severity in _COLOURS]
    print_table(plain(report.file), ("what", "min / median / max or count"), rows)
