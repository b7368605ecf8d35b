"""Pages that people work on, as the commands of ``review`` and ``alt review`` open them: options, names, links.

Invariant: whoever opens a page to other machines is told what they can do there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.common import WARNING, err, out, plain, tell_failure
from trifacet.cli.options import a_number

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from trifacet.web.access import Access

HERE = "127.0.0.1"
HostOption = Annotated[str, typer.Option(help="Address to listen at; not a loopback one: open to others.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")]
MinutesOption = Annotated[
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
]


def names_of(given: Sequence[str], whose: str) -> list[str]:
    """The names that were given by ``--judge`` or ``--person``, as pages have them.

    Raises:
        TrifacetError: one is no name, or stands twice.
    """
    from trifacet.review.desk import judges_name

    names = [judges_name(name) for name in given]
    kept = [name for name in names if name]
    if None in names or len({name.casefold() for name in kept}) < len(names):
        raise TrifacetError(f"--{whose} takes a name of 1 to 60 letters, each {whose}'s once")
    return kept


def open_page(app: FastAPI, bound: socket.socket, host: str, access: Access, can: str, minutes: float | None) -> None:
    """Print the links and answer until Ctrl-C or the time is over; ``can`` is what whoever has a link can do."""
    from trifacet.web.access import is_loopback
    from trifacet.web.server import address_of, serve

    if not is_loopback(host):
        err.tell(
            WARNING,
            f" the page listens at {plain(host)}, not at this machine alone: whoever has a link can {can}, and all "
            "travels unencrypted. Use it in a network that you trust.",
        )
    for name in access.judges or ("",):
        out.print(f"{plain(name) + ': ' if name else ''}{address_of(bound, host)}/?token={access.token(name)}")
    sys.stdout.flush()
    err.print("Ctrl-C ends the review; the same command continues it.")
    serve(app, bound, minutes=minutes, tell=tell_failure)
