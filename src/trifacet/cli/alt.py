"""``trifacet alt``: alt-text where pictures stand. ``scan`` and ``check`` only read.

Other commands of the group are a file ``cli/alt_NAME.py`` each, which ends with ``app.command("NAME")(function)`` for
the ``app`` of this file; ``cli/main.py`` imports them. Invariant: this file imports none of them, and nothing heavy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.common import (
    ERROR,
    EXIT_BAD_INPUT,
    EXIT_FINDINGS,
    err,
    out,
    plain,
    print_table,
    write_json,
)

if TYPE_CHECKING:
    from trifacet.base.errors import DataError
    from trifacet.describing.place import Place
    from trifacet.describing.scanning import Document

app = typer.Typer(
    help="Alt-text where pictures stand: find, suggest, review, put in place.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
PathsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="Files, folders or patterns (in quotes, such as 'site/**/*.html')."),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="The site's root, for addresses with a leading /; nothing outside it is read. "
        "\\[default: the working folder]",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(help="auto (by ending and first bytes), or a format's name for all files: html, markdown, rst ..."),
]
_SHOWN = 60  # characters of a text or an address in a table
_MOST_ROWS = 200


@app.command()
def scan(
    paths: PathsArgument,
    *,
    root: RootOption = None,
    format: FormatOption = "auto",
    missing: Annotated[
        bool, typer.Option("--missing", help="Uses that need a text and have none (the default).")
    ] = False,
    weak: Annotated[bool, typer.Option("--weak", help="Uses whose text the checks find fault with.")] = False,
    all_uses: Annotated[bool, typer.Option("--all", help="All uses of pictures.")] = False,
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write a record of each use as JSON; - for standard output."),
    ] = None,
) -> None:
    """Find where pictures stand: what has no text, where, and what the picture is for. Changes nothing.

    Example: trifacet alt scan site/

    Example: trifacet alt scan docs/ README.md --weak --json uses.json
    """
    from trifacet.describing.findings import is_missing, is_weak
    from trifacet.describing.scanning import record_of

    documents, problems = _scanned(paths, root, format)
    uses = [(document, place) for document in documents for place in document.places]
    wanted = [
        (document, place)
        for document, place in uses
        if all_uses or (weak and is_weak(place)) or ((missing or not weak) and is_missing(place))
    ]
    if json_path:
        chosen = wanted if missing or weak else uses  # all of them, unless some were asked for
        write_json(
            {
                "documents": len(documents),
                "uses": len(uses),
                "missing": sum(is_missing(place) for _, place in uses),
                "weak": sum(is_weak(place) for _, place in uses),
                "fixed": sum(bool(place.fixed) for _, place in uses),
                "unseen": _unseen(documents),
                "problems": [str(problem) for problem in problems],
                "records": [record_of(document, place) for document, place in chosen],
            },
            json_path,
        )
    if json_path != "-":
        _show(wanted, "with a text that the checks find fault with" if weak and not missing else "without a text")
        out.print(_summary(documents, [place for _, place in uses]))
    _tell(problems)


@app.command()
def check(
    paths: PathsArgument,
    *,
    root: RootOption = None,
    format: FormatOption = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the counts only.")] = False,
    sarif: Annotated[
        str | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0; - for standard output.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write what is missing as JSON; - for standard output.")
    ] = None,
) -> None:
    """For CI: leaves with 1 where a picture needs a text and has none, for nothing else; with 2 on bad input.

    Example: trifacet alt check site/ --sarif alt.sarif
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.describing.findings import MISSING, is_missing
    from trifacet.describing.scanning import record_of
    from trifacet.lint.sarif import sarif_log

    if sarif == json_path == "-":
        raise TrifacetError("--sarif - and --json - both go to standard output; give one of them a path")
    documents, problems = _scanned(paths, root, format)
    lacking = [(document, place) for document in documents for place in document.places if is_missing(place)]
    printed = "-" not in (sarif, json_path)
    for document, place in lacking if printed and not quiet else ():
        finding = next(one for one in place.findings if one.rule == MISSING.name)
        where = ":".join(str(part) for part in (document.path, place.line, place.column) if part is not None)
        image = f" ({plain(place.picture.address[:_SHOWN])})" if place.picture.source in ("file", "remote") else ""
        said = f" {finding.rule}: {plain(finding.cause)}{image}; {plain(place.role)}: {plain(place.reason)}"
        out.tell(f"{plain(where)}: ", ("error", "bold red"), said)
    if sarif:
        told = [_told(document, place, root, paths) for document, place in lacking]
        write_json(sarif_log(told, [MISSING], problems, "trifacet alt check"), sarif)
    if json_path:
        records = [record_of(document, place) for document, place in lacking]
        told_too = {"unseen": _unseen(documents), "problems": [str(problem) for problem in problems]}
        write_json({"missing": records, **told_too}, json_path)
    if printed:
        out.print(_summary(documents, [place for document in documents for place in document.places]))
    _tell(problems)
    if lacking:
        raise typer.Exit(EXIT_FINDINGS)


def _scanned(paths: Sequence[Path], root: Path | None, format: str) -> tuple[list[Document], list[DataError]]:
    from trifacet.base.errors import TrifacetError
    from trifacet.describing.scanning import ScanSettings, root_of, scan

    if root is not None and not root.is_dir():
        raise TrifacetError(f"--root {root} is no folder; give the site's root")
    problems: list[DataError] = []
    documents = list(scan(paths, root or root_of(paths), ScanSettings(format), problems.append))
    if not documents and not problems:
        raise TrifacetError(f"{paths[0]} holds no document that is known; see --format")
    return documents, problems


def _tell(problems: Sequence[DataError]) -> None:
    """What could not be read, a line each; with any the command leaves with 2."""
    for problem in problems:
        err.tell(ERROR, f" {plain(str(problem))}")
    if problems:
        raise typer.Exit(EXIT_BAD_INPUT)


def _show(uses: Sequence[tuple[Document, Place]], what: str) -> None:
    if not uses:
        out.print(f"no picture {what}")
        return
    rows = [
        (
            ":".join(str(part) for part in (plain(document.path), place.line, place.column) if part is not None),
            plain(_cut(place.picture.file or place.picture.address or place.picture.source)),
            plain(_cut(place.alt)) if place.alt else place.state,
            place.role + (" (fixed)" if place.fixed else ""),
            ", ".join(finding.rule for finding in place.findings),
        )
        for document, place in uses[:_MOST_ROWS]
    ]
    more = f", the first {_MOST_ROWS}" if len(uses) > _MOST_ROWS else ""
    title = f"{len(uses)} use{'s' * (len(uses) != 1)} of pictures {what}{more}"
    print_table(title, ("where", "picture", "text", "role", "findings"), rows)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _unseen(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """The places that were not looked into, as JSON."""
    return [{"path": one.path, "line": place.line, "what": place.what} for one in documents for place in one.unseen]


def _summary(documents: Sequence[Document], places: Sequence[Place]) -> str:
    from trifacet.describing.findings import is_missing, is_weak
    from trifacet.describing.unseen import summed

    counts = Counter(place.role for place in places if is_missing(place))
    roles = f" ({', '.join(f'{role} {count}' for role, count in counts.most_common())})" if counts else ""
    missing, weak = sum(counts.values()), sum(map(is_weak, places))
    fixed = sum(bool(place.fixed) for place in places if is_missing(place))
    beside = f", {fixed} of them where nothing can be changed" if fixed else ""
    return (
        f"{len(documents)} document{'s' * (len(documents) != 1)}, {len(places)} use{'s' * (len(places) != 1)} of "
        f"pictures: {missing} without a text{roles}{beside}, {weak} with a weak one"
        + (f"; {unseen}" if (unseen := summed(one for document in documents for one in document.unseen)) else "")
    )


def _told(document: Document, place: Place, root: Path | None, paths: Sequence[Path]) -> Any:
    """A missing text as SARIF's writer takes it."""
    from trifacet.describing.findings import MISSING
    from trifacet.describing.scanning import root_of
    from trifacet.lint.documents import AltText
    from trifacet.lint.linting import Told

    finding = next(one for one in place.findings if one.rule == MISSING.name)
    alt = AltText(place.alt, place.line, place.column, image=place.picture.address[:1000], id="")
    return Told(str((root or root_of(paths)) / document.path), alt, finding)
