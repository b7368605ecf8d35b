"""``trifacet alt apply`` and ``undo``: texts into documents, and out again.

Invariant: a document that is not as it was scanned is never written, and what a dry run shows is what would be done.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.base.words import visible_line
from trifacet.cli.alt import app
from trifacet.cli.alt_suggest import QUEUE, WhoOption, who_is
from trifacet.cli.common import EXIT_FINDINGS, WARNING, err, out, plain, write_json

if TYPE_CHECKING:
    from trifacet.describing.edits_file import Edits
    from trifacet.describing.patching import Outcome
    from trifacet.describing.queue import Queue

JournalOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where old bytes are kept. \\[default: .trifacet-alt in the root]", show_default=False
    ),
]
JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write what became of each document as JSON; - for standard output."),
]


def apply(
    edits: Annotated[
        Path,
        typer.Argument(
            metavar="QUEUE|EDITS",
            help="What is accepted or edited in a queue; or a file with rows of document, digest, key and alt.",
            show_default=False,
        ),
    ],
    *,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder that was scanned. \\[default: the queue's, or the working folder]",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also where a text stands, or a picture is marked as decorative.")
    ] = False,
    longs: Annotated[
        bool,
        typer.Option(
            "--long-descriptions",
            help="Put long descriptions into pages too: as text behind the picture, tied to it by aria-describedby.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    patch: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a patch for 'git apply' instead of changing; - for standard output."),
    ] = None,
    journal: JournalOption = None,
    who: WhoOption = "",
    json_path: JsonOption = None,
) -> None:
    """Put texts into documents, and change nothing else in them; 'trifacet alt undo' takes them out again.

    A document that has changed since it was scanned is left alone, and so are the places of a picture that has; then,
    and where one can't be changed, it leaves with 1. The queue notes what was put in place, and what has to be
    suggested anew.

    Example: trifacet alt apply alt-queue.sqlite --dry-run

    Example: trifacet alt apply edits.jsonl --root site/
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.describing import patching
    from trifacet.describing.decided import DECIDED, decided, is_queue, note
    from trifacet.describing.edits_file import read_edits
    from trifacet.describing.queue import Queue

    if patch == json_path == "-":
        raise TrifacetError("--patch - and --json - both go to standard output; give one of them a path")
    shown = dry_run or patch is not None
    with ExitStack() as stack:
        queue = stack.enter_context(closing(Queue(edits, writing=not shown))) if is_queue(edits) else None
        folder = root or (queue.root if queue else None) or Path()
        rows = queue.suggestions(states=DECIDED) if queue else []
        found = decided(rows, folder, longs=longs) if queue else None
        read = found.edits if found else read_edits(edits)
        if shown:
            outcomes = _show(read, folder, overwrite, patch)
        else:
            outcomes = patching.apply(folder, read.wanted, read.format_of, overwrite=overwrite, journal=journal)
        if queue and found and not shown:
            note(queue, found, outcomes, folder, who_is(who))
    shown_else = list(found.shown.values()) if found else []
    for problem in shown_else:
        err.tell(WARNING, f" {plain(str(problem))}")
    failed = _tell(outcomes, json_path, "would change" if shown else "changed", quiet=patch == "-")
    if not longs and json_path != "-" and patch != "-":
        _tell_longs(sum(bool(one.long and one.text.strip()) for one in rows))
    if failed or shown_else:
        raise typer.Exit(EXIT_FINDINGS)


def undo(
    root: Annotated[Path, typer.Argument(metavar="DIR", help="The folder in which texts were put in place.")] = Path(),
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All that was ever applied there, not the last run.")
    ] = False,
    journal: JournalOption = None,
    queue: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The queue that texts came from, in which they are accepted or edited again. "
            "\\[default: alt-queue.sqlite, where it is this folder's]",
            show_default=False,
        ),
    ] = None,
    who: WhoOption = "",
    json_path: JsonOption = None,
) -> None:
    """Give back the bytes that documents had before the last 'trifacet alt apply'.

    A document that has changed since is left alone, and the command leaves with 1. In the queue its texts are accepted
    or edited again, as they were before.

    Example: trifacet alt undo site/
    """
    from trifacet.describing import patching
    from trifacet.describing.decided import note_undone

    with ExitStack() as stack:
        book = _queue_of(root, queue)
        if book is not None:
            stack.enter_context(closing(book))
        outcomes = patching.undo(root, everything=everything, journal=journal)
        if book is not None:
            note_undone(book, outcomes, root, who_is(who))
    if _tell(outcomes, json_path, "given back", quiet=False):
        raise typer.Exit(EXIT_FINDINGS)


def _queue_of(root: Path, named: Path | None) -> Queue | None:
    """The queue that is told of an undo: the one that is named, else the usual one, where it is the root's."""
    from trifacet.base.errors import TrifacetError
    from trifacet.describing.queue import Queue

    path = named or QUEUE
    if named is None and not path.is_file():
        return None
    try:
        looked_at = Queue(path, writing=False)  # makes none
        below = looked_at.root
        looked_at.close()
        if below == root.resolve():
            return Queue(path)
    except TrifacetError as error:
        if named is not None:
            raise
        err.tell(WARNING, f" {plain(str(error))}")  # what was put in place is taken out all the same
        return None
    if named is not None:
        raise TrifacetError(f"{named} holds suggestions for what is below {below}; name that folder")
    return None


def _show(edits: Edits, root: Path, overwrite: bool, patch: str | None) -> list[Outcome]:
    """What would be done: shown, or written as a patch."""
    from trifacet.base.errors import DataError
    from trifacet.base.files import replacing
    from trifacet.describing.patching import Outcome, Told
    from trifacet.describing.planning import planned

    if not root.is_dir():
        raise DataError("is no folder", fix="name the folder that was scanned", file=root)
    outcomes, pieces = [], []
    for change in planned(root, edits.wanted, edits.format_of, overwrite=overwrite):
        changes = change.before != change.after
        told: Told = "applied" if changes else "unchanged"
        if change.problem:
            told = "changed" if change.stale else "refused"
        outcomes.append(
            Outcome(
                change.path, told, len(change.edits) if changes else 0, change.kept, change.problem, left=change.left
            )
        )
        pieces.append(change.patch)
        if patch and change.shown:
            err.tell(WARNING, f" {plain(change.path)} is no text: the patch leaves it out; apply it here")
        for line in () if patch else (*change.patch.decode("utf-8", "replace").split("\n")[:-1], *change.shown):
            out.tell(visible_line(line.removesuffix("\r")))
    if patch == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(pieces))
    elif patch:
        with replacing(Path(patch)) as temporary:
            temporary.write_bytes(b"".join(pieces))
    return outcomes


def _tell_longs(count: int) -> None:
    """That long descriptions are put nowhere unless that is asked for."""
    if count:
        what = "1 long description stays" if count == 1 else f"{count} long descriptions stay"
        out.print(f"{what} in the queue; --long-descriptions puts them into pages")


def _tell(outcomes: Sequence[Outcome], json_path: str | None, done: str, *, quiet: bool) -> bool:
    """What became of the documents; whether something could not be done."""
    if json_path:
        write_json({"documents": [asdict(one) for one in outcomes]}, json_path)
    failed = [one for one in outcomes if one.problem]
    for one in failed:
        problem = one.problem.removeprefix(f"{one.path}: ")
        err.tell(WARNING, f" {plain(one.path)}: {plain(problem)}")
    for one in outcomes:
        for line in one.left:
            err.tell(WARNING, f" {plain(one.path)}: {plain(line)}")
    if json_path != "-" and not quiet:
        texts, kept = sum(one.texts for one in outcomes), sum(one.kept for one in outcomes)
        counts = Counter(one.told for one in outcomes)
        number = counts["applied"] + counts["undone"]
        parts = [f"{number} document{'s' * (number != 1)} {done}, {texts} text{'s' * (texts != 1)}"]
        parts += [f"{kept} left as they are (--overwrite replaces them)"] if kept else []
        parts += [f"{counts['unchanged']} with nothing to do"] if counts["unchanged"] else []
        parts += [f"{counts['changed']} changed since"] if counts["changed"] else []
        parts += [f"{counts['refused']} refused"] if counts["refused"] else []
        out.print("; ".join(parts))
    return any(one.problem or one.left for one in outcomes)


app.command("apply")(apply)
app.command("undo")(undo)
