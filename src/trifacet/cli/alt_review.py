"""``trifacet alt review``: people decide on suggested alt-texts. Invariant: no decision is lost, the same command
continues.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import require
from trifacet.cli.alt import app
from trifacet.cli.alt_suggest import QUEUE
from trifacet.cli.common import err, plain, tell_failure
from trifacet.cli.people import HERE, HostOption, MinutesOption, PortOption, names_of, open_page
from trifacet.settings.section import MOST


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
    host: HostOption = HERE,
    port: PortOption = 8738,
    minutes: MinutesOption = None,
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
    from trifacet.web.access import Access
    from trifacet.web.server import bind

    names = names_of(person or (), "person")
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
    access = Access(kept.secret, names)
    try:
        app = create_app(desk, PlacePictures(rasters, kept.get), access, host, tell_failure)
        open_page(app, bound, host, access, "read what is around the pictures and decide", minutes)
    finally:
        bound.close()
        decided, total = desk.progress()
        err.print(f"{decided} of {total} texts in {plain(str(queue))} are decided", soft_wrap=True)
        kept.close()


app.command("review")(review)
