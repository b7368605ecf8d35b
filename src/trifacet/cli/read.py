"""``trifacet read``: the words that stand in pictures. Invariant: what was read is kept, and shown but never obeyed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from trifacet.base.words import visible_line
from trifacet.cli.common import ERROR, EXIT_BAD_INPUT, err, json_line, out, plain
from trifacet.cli.options import a_number, language_codes

if TYPE_CHECKING:
    from trifacet.base.errors import DataError
    from trifacet.lettering.lines import Lettering
    from trifacet.lettering.settings import Reading


class ReadingEngine(StrEnum):
    """What reads letters."""

    RAPIDOCR = "rapidocr"
    TESSERACT = "tesseract"


def read(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Image files, or folders of them.", show_default=False)
    ],
    *,
    engine: Annotated[
        ReadingEngine,
        typer.Option(
            help="rapidocr: Latin, Chinese and Japanese letters, its models come with the package; tesseract: the "
            "program, for languages whose data are installed."
        ),
    ] = ReadingEngine.RAPIDOCR,
    languages: Annotated[
        str, typer.Option(metavar="CODES", help="Tesseract's codes of the languages that may occur: eng,rus,chi_sim.")
    ] = "eng",
    longest_side: Annotated[
        int, typer.Option(min=64, max=10_000, help="Reduce larger pictures to this many pixels on their longer side.")
    ] = 1400,
    least_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, callback=a_number, help="Lines below it count as letters that cannot be read."),
    ] = 0.5,
    workers: Annotated[int, typer.Option(min=1, max=128, help="Processes that read, on one thread each.")] = 1,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where readings are kept. [default: in the user's cache]", show_default=False),
    ] = None,
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="PATH", help="Write JSON lines, a picture each; - for standard output."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="Write a page with the pictures and boxes over them.")
    ] = None,
    show: Annotated[
        int, typer.Option(min=0, max=1000, help="Pictures that the page shows; its totals count all.")
    ] = 40,
) -> None:
    """Read the words in pictures, offline; leaves with 2 if one cannot be used.

    What was read once is kept: the same command reads only what is new, and continues what was interrupted.

    Example: trifacet read sign.jpg

    Example: trifacet read photos/ --workers 2 --json words.jsonl --html words.html

    Example: trifacet read menu.png --engine tesseract --languages ell,eng
    """
    from trifacet.base.progress import Bar
    from trifacet.lettering.files import picture_files
    from trifacet.lettering.reading import read_pictures

    settings = _settings(engine, languages, longest_side, least_confidence)
    paths = picture_files(pictures)
    counts = dict.fromkeys(("read", "nothing", "cannot read", "unusable", "lines"), 0)
    kept: list[tuple[Path, Lettering | DataError]] = []
    with ExitStack() as stack:
        lines = stack.enter_context(_json_lines(json_path)) if json_path else None
        # on a terminal what is printed shows how far it has come
        bar = stack.enter_context(nullcontext() if out.is_terminal else Bar("reading"))
        found = read_pictures(
            paths, settings, folder=cache, workers=workers, on_progress=bar.update if bar else lambda done, total: None
        )
        for path, one in zip(paths, found, strict=True):
            _count(counts, one)
            if lines:
                lines.write(json_line(_document(path, one)))
            if json_path != "-":
                _print(path, one)
            if page and len(kept) < show:
                kept.append((path, one))
    if page:
        from trifacet.reports.lettering import write_lettering_page

        write_lettering_page(kept, page, made=settings.model_dump(mode="json"), counts=counts)
    err.print(_summary(counts), soft_wrap=True)
    if counts["unusable"]:
        raise typer.Exit(EXIT_BAD_INPUT)


def _settings(engine: ReadingEngine, languages: str, longest_side: int, least_confidence: float) -> Reading:
    from trifacet.lettering.settings import Reading

    return Reading(
        engine=engine.value,
        languages=language_codes(languages),
        longest_side=longest_side,
        least_confidence=least_confidence,
    )


@contextmanager
def _json_lines(path: str) -> Iterator[IO[str]]:
    """Where the lines go: a file takes its name when all are written."""
    from trifacet.base.files import replacing

    if path == "-":
        yield sys.stdout
        return
    with replacing(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file


def _count(counts: dict[str, int], one: Lettering | DataError) -> None:
    if isinstance(one, Exception):
        counts["unusable"] += 1
    else:
        counts[one.status] += 1
        counts["lines"] += len(one.lines)


def _document(path: Path, one: Lettering | DataError) -> dict[str, Any]:
    """A picture's line of JSON."""
    if isinstance(one, Exception):
        return {"picture": str(path), "error": str(one)}
    lines = [
        {**line.model_dump(mode="json", exclude={"placed"}), "share": round(one.share(line.box), 5)}
        for line in one.lines
    ]
    return {
        "picture": str(path),
        "status": one.status,
        "size": list(one.size),
        "lines": lines,
        "unreadable": [list(box) for box in one.unreadable],
    }


def _print(path: Path, one: Lettering | DataError) -> None:
    name = plain(str(path))
    if isinstance(one, Exception):
        err.tell(ERROR, f" {plain(str(one))}")
        return
    places = len(one.unreadable)
    beside = f"{places} place{'s' * (places != 1)} with letters that cannot be read" if places else ""
    if one.lines:
        out.tell((f"{name}:", "bold"), f" ({beside})" if beside else "")
        for line in one.lines:
            out.print(f"  {line.confidence:.2f}  {visible_line(line.text)}", soft_wrap=True)
    else:
        out.tell((f"{name}:", "bold"), f" {one.status}{f' ({beside})' if beside else ''}")


def _summary(counts: dict[str, int]) -> str:
    pictures = sum(counts[name] for name in ("read", "nothing", "cannot read", "unusable"))
    said = f"{pictures} picture{'s' * (pictures != 1)}: {counts['read']} with words ({counts['lines']} lines)"
    beside = {"nothing": "without letters", "cannot read": "whose letters cannot be read", "unusable": "unusable"}
    return said + "".join(f", {counts[name]} {words}" for name, words in beside.items() if counts[name])
