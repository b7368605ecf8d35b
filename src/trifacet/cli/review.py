"""``trifacet review``: people compare two models' texts. Invariant: the same command continues, and no vote is lost."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import require
from trifacet.cli.common import WARNING, err, plain, tell_failure, write_json
from trifacet.cli.people import HERE, HostOption, MinutesOption, PortOption, names_of, open_page
from trifacet.cli.review_tables import print_summary
from trifacet.settings.section import MOST

if TYPE_CHECKING:
    from trifacet.review.pairs import Review
    from trifacet.review.store import Store


class ExportKind(StrEnum):
    """What ``--export`` writes."""

    VOTES = "votes"
    PREFERENCES = "preferences"


_STORE = Path("review.sqlite")


def review(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B",
            help='Texts of both models: [NAME=]PATH, JSONL of {"id", "text"}. Behind the word "export": no server.',
            show_default=False,
        ),
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option(help="Test set in any data format: posts and images.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; by default that of the data.", show_default=False)
    ] = None,
    store: Annotated[Path, typer.Option(help="SQLite file of the votes, to begin or to continue.")] = _STORE,
    judge: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A judge with an own link, may be repeated; none: one link asks for names."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="The first N samples only.")] = None,
    host: HostOption = HERE,
    port: PortOption = 8737,
    minutes: MinutesOption = None,
    summary: Annotated[bool, typer.Option("--summary", help="Print what the store's votes say; no server.")] = False,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the summary as JSON; - for standard output.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write all votes as .jsonl or .csv (- prints JSONL); no server."),
    ] = None,
    to: Annotated[
        ExportKind,
        typer.Option(help="What --export writes: votes, or preferences to train on (.jsonl, .json, .parquet)."),
    ] = ExportKind.VOTES,
) -> None:
    """Let people compare the texts of two models, blind and in random order, on a local page.

    Example: trifacet review sft=sft.jsonl dpo=dpo.jsonl --data test.jsonl --images data --store review.sqlite

    Then: trifacet review --summary --store review.sqlite --export votes.csv

    And: trifacet review export sft=sft.jsonl dpo=dpo.jsonl --data test.jsonl --to preferences --export pairs.jsonl
    """
    models = list(texts or ())
    if models[:1] == ["export"]:  # in words what --export says: to standard output unless that names a file
        models, export = models[1:], export or "-"
    if len(models) > 2:
        raise TrifacetError(f"{models[2]!r} is one argument too many; a review is of two models, A and B")
    first, second = (*models, None, None)[:2]
    if to is ExportKind.PREFERENCES:
        if not (export and first and second and data):
            raise TrifacetError(
                "--to preferences needs the texts: trifacet review export A B --data TEST --to preferences"
            )
        if summary or json_path:
            raise TrifacetError("--to preferences writes pairs alone; ask for --summary or --json by another command")
        _export_preferences(_read(first, second, data, limit), store, Path(export), images or data.parent)
        return
    if summary or json_path or export:
        if first or second or data:
            raise TrifacetError("--summary, --json and --export read the store alone; leave A, B and --data out")
        _tell(store, json_path=json_path, table=summary and json_path != "-", export=export)
        return
    if not (first and second and data):
        raise TrifacetError(
            "give both models' texts and their test set: trifacet review A B --data TEST; or --summary --store PATH"
        )
    require(("fastapi", "uvicorn"), "the review page")
    _serve(_read(first, second, data, limit), images or data.parent, store, judge or [], host, port, minutes)


def _read(first: str, second: str, data: Path, limit: int | None) -> Review:
    from trifacet.review.pairs import read_review

    (one, path), (other, other_path) = _named(first), _named(second)
    return read_review(path, other_path, data, names=(one, other), limit=limit)


def _named(argument: str) -> tuple[str, Path]:
    """Name and path of ``[NAME=]PATH``; without a name it is the file's."""
    from trifacet.evaluation.naming import name_and_place

    name, place = name_and_place(argument)
    return name or Path(place).stem, Path(place)


def _serve(
    review: Review, images: Path, path: Path, judges: list[str], host: str, port: int, minutes: float | None
) -> None:
    from trifacet.review.app import create_app
    from trifacet.review.desk import Desk
    from trifacet.review.pictures import Pictures
    from trifacet.review.store import Store
    from trifacet.web.access import Access
    from trifacet.web.server import bind

    names = names_of(judges, "judge")
    _warn_of_images(review, images)
    store = Store(path, review)
    bound = bind(host, port)
    access = Access(store.secret, names)
    try:
        app = create_app(Desk(store, review, Pictures(images)), access, host, tell_failure)
        open_page(app, bound, host, access, "read the posts and vote", minutes)
    finally:
        bound.close()
        err.print(_how_far(store), soft_wrap=True)
        store.close()


def _warn_of_images(review: Review, images: Path) -> None:
    """Say which images can't be shown; the page says so too, and such samples can be judged by the post."""
    from trifacet.base.images import image_facts, resolve_inside

    problems = []
    for pair in review.pairs:
        try:
            for name in pair.pictures[:1]:
                image_facts(resolve_inside(images, name))
        except (TrifacetError, ValueError) as error:
            problems.append(f"sample {pair.id!r}: {error}")
    if problems:
        err.tell(
            WARNING,
            f" {len(problems)} of {len(review.pairs)} samples have an image that cannot be "
            f"shown; the first is {plain(problems[0])}",
        )


def _how_far(store: Store) -> str:
    counting = [vote for vote in store.votes() if vote.counts]
    judges = len({vote.judge for vote in counting})
    return (
        f"{len(counting)} answers of {judges} judge{'' if judges == 1 else 's'} on {len(store.samples)} samples are in "
        f"{plain(str(store.path))}; trifacet review --summary --store {plain(str(store.path))} adds them up"
    )


def _tell(path: Path, *, json_path: str | None, table: bool, export: str | None) -> None:
    from trifacet.base.files import write_atomically
    from trifacet.review.export import as_csv, as_jsonl, vote_rows
    from trifacet.review.store import Store
    from trifacet.review.summary import summarise_review

    if export and export != "-" and Path(export).suffix not in (".jsonl", ".csv"):
        raise TrifacetError(f"--export {export}: unknown kind of file; name it .jsonl or .csv")
    if export == "-" and (table or json_path == "-"):
        raise TrifacetError("--export - and the summary would mix on standard output; give one of them a path")
    store = Store(path)
    if export == "-":
        sys.stdout.write(as_jsonl(vote_rows(store)))
    elif export:
        rows = vote_rows(store)
        write_atomically(Path(export), (as_csv if export.endswith(".csv") else as_jsonl)(rows))
        err.print(f"{len(rows)} votes in {plain(export)}", soft_wrap=True)
    if json_path or table:
        document = summarise_review(store)
        if json_path:
            write_json(document, json_path)
        if table:
            print_summary(document)
    store.close()


def _export_preferences(review: Review, path: Path, export: Path, images: Path) -> None:
    from trifacet.data.formats import write_samples
    from trifacet.data.formats.trifacet import LABEL, to_row
    from trifacet.review.preferences import preference_samples
    from trifacet.review.store import Store

    if str(export) != "-" and export.suffix not in (".jsonl", ".json", ".parquet"):
        raise TrifacetError(f"--export {export}: unknown kind of file; name it .jsonl, .json or .parquet")
    store = Store(path)
    try:
        samples, left = preference_samples(store, review)
    finally:
        store.close()
    said = "".join(f"; left out: {count} {why}" for why, count in left.items())
    if not samples:
        raise TrifacetError(f"no sample of {path} has a majority for one text{said}; nothing is written")
    if str(export) == "-":
        sys.stdout.write("".join(f"{json.dumps(to_row(one, LABEL), ensure_ascii=False)}\n" for one in samples))
    else:
        write_samples(samples, export, "trifacet", "preference")
    where = "standard output" if str(export) == "-" else plain(str(export))
    err.print(f"{len(samples)} preference pairs in {where}{said}", soft_wrap=True)
    if str(export) != "-" and export.parent.resolve() != images.resolve() and any(one.image for one in samples):
        err.print(f"their image paths are relative to {plain(str(images))}: say so by data.images", soft_wrap=True)
