"""``trifacet alt review``: people decide on suggested alt-texts. Invariant: no decision is lost, the same command
continues.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import require
from trifacet.cli.alt import app
from trifacet.cli.alt_suggest import QUEUE
from trifacet.cli.common import ERROR, WARNING, err, out, plain
from trifacet.cli.options import a_number
from trifacet.settings.section import MOST

_HERE = "127.0.0.1"


def review(
    queue: Annotated[Path, typer.Argument(help="The queue that `trifacet alt suggest` wrote.")] = QUEUE,
    *,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the documents. \\[default: that of `trifacet alt suggest`]",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Who decides, with an own link, may be repeated; none: the page asks."),
    ] = None,
    platform: Annotated[
        str | None, typer.Option(help="Whose limit of length is checked, as of `trifacet lint`.", show_default=False)
    ] = None,
    max_chars: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Longest text without a warning.", show_default=False)
    ] = None,
    remote: Annotated[bool, typer.Option("--remote", help="Show remote pictures too, which are fetched.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen at; not a loopback one: open to others.")] = _HERE,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8738,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="MINUTES",
            min=0,
            max=1_000_000,
            callback=a_number,
            help="End after so many minutes.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Decide on suggested alt-texts, on a local page; nothing on your pages changes.

    Example: trifacet alt review alt-queue.sqlite

    Several people: trifacet alt review alt-queue.sqlite --person Ada --person Bo
    """
    require(("fastapi", "uvicorn"), "the page for alt-texts")
    from trifacet.building.settings import Network
    from trifacet.describing.queue import Queue
    from trifacet.describing.rasters import Rasters
    from trifacet.describing.reviewing.app import create_app
    from trifacet.describing.reviewing.desk import Desk
    from trifacet.describing.reviewing.pictures import PlacePictures
    from trifacet.lint.check import check_names
    from trifacet.review.desk import judges_name
    from trifacet.web.access import Access, is_loopback
    from trifacet.web.server import address_of, bind, serve

    names = [judges_name(name) for name in person or ()]
    if None in names or len({name.casefold() for name in names if name}) < len(names):
        raise TrifacetError("--person takes a name of 1 to 60 letters, each person's once")
    check_names(platform, ())
    if not queue.is_file():
        raise TrifacetError(f"{queue}: no such queue; `trifacet alt suggest --queue {queue}` writes one")
    kept = Queue(queue)
    below = root or kept.root or Path()
    if not below.is_dir():
        raise TrifacetError(f"{below}: no such folder; give that of the documents as --root")
    rasters = Rasters(below, network=Network() if remote else None)
    desk = Desk(kept, platform=platform, max_chars=max_chars)
    bound = bind(host, port)
    access = Access(kept.secret, [name for name in names if name])
    try:
        app = create_app(desk, PlacePictures(rasters, kept.get), access, host, _tell_failure)
        if not is_loopback(host):
            err.tell(
                WARNING,
                f" the page listens at {plain(host)}, not at this machine alone: whoever has a link can read what is "
                "around the pictures and decide, and all travels unencrypted. Use it in a network that you trust.",
            )
        for name in access.judges or ("",):
            out.print(f"{plain(name) + ': ' if name else ''}{address_of(bound, host)}/?token={access.token(name)}")
        sys.stdout.flush()
        err.print("Ctrl-C ends the review; the same command continues it.")
        serve(app, bound, minutes=minutes, tell=_tell_failure)
    finally:
        bound.close()
        decided, total = desk.progress()
        err.print(f"{decided} of {total} texts in {plain(str(queue))} are decided", soft_wrap=True)
        kept.close()


def _tell_failure(problem: str) -> None:
    err.tell(ERROR, f" {plain(problem)}")


app.command("review")(review)
