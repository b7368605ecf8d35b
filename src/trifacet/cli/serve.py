"""``trifacet serve``: models behind an OpenAI-compatible endpoint. Invariant: the token is in no message and no log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import require
from trifacet.cli.common import WARNING, err, out, plain, tell_failure
from trifacet.cli.describe import DeviceOption, Dtype, DtypeOption
from trifacet.cli.options import a_number
from trifacet.serving.limits import Limits

TOKEN = "TRIFACET_SERVE_TOKEN"  # the environment variable
_SHORTEST, _LONGEST = 16, 4096  # characters of a token
_DEFAULT = Limits()


def serve(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            metavar="[NAME=]MODEL",
            help="Folder or hub id of a checkpoint or adapter; give it again for more. Requests name it by NAME.",
            show_default=False,
        ),
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; not a loopback one: needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8739,
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the token that requests bear; else the environment's {TOKEN}."),
    ] = None,
    at_a_time: Annotated[
        int, typer.Option(min=1, max=1024, help="Sets of pictures that are written about at a time.")
    ] = _DEFAULT.at_a_time,
    queue: Annotated[
        int, typer.Option(min=0, max=10_000, help="Requests that may wait; one more is answered 429.")
    ] = _DEFAULT.queue,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, callback=a_number, help="Seconds from a request to its whole answer.")
    ] = _DEFAULT.timeout,
    max_tokens: Annotated[
        int, typer.Option(min=1, max=100_000, help="Longest text that a request may ask for, in tokens.")
    ] = _DEFAULT.max_tokens,
    max_body: Annotated[
        int, typer.Option(min=1_000, max=1_000_000_000, help="Bytes of a request, its pictures included.")
    ] = _DEFAULT.max_body,
    max_pictures: Annotated[int, typer.Option(min=0, max=64, help="Pictures of a request.")] = _DEFAULT.max_pictures,
    max_pixels: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="Pixels of a picture.")
    ] = _DEFAULT.max_pixels,
    remote_pictures: Annotated[
        bool,
        typer.Option("--remote-pictures", help="Fetch pictures from the public http and https addresses in requests."),
    ] = False,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
) -> None:
    """Serve models to programs (OpenAI's chat protocol, with pictures) and to people (a page), until it is stopped.

    Example: trifacet serve --model runs/demo/models/mcm-dpo/model

    Example: trifacet serve --model sft=runs/demo/models/sft/model --model dpo=runs/demo/models/mcm-dpo/model

    SIGTERM and Ctrl-C let what is being written come to its end; a second one does not.
    """
    require(("prometheus_client", "fastapi", "uvicorn"), "trifacet serve")
    from trifacet.evaluation.naming import name_models
    from trifacet.serving.app import create_app
    from trifacet.serving.desk import Desk
    from trifacet.serving.hosted import host as load
    from trifacet.web.access import is_loopback
    from trifacet.web.server import address_of, bind
    from trifacet.web.server import serve as answer

    token = _token(token_file)
    if token is None and not is_loopback(host):
        raise TrifacetError(
            f"--host {plain(host)} is open to others, so requests must bear a token; set {TOKEN} or give --token-file"
        )
    limits = Limits(
        at_a_time=at_a_time, queue=queue, timeout=timeout, max_tokens=max_tokens, max_body=max_body,
        max_pictures=max_pictures, max_pixels=max_pixels, remote_pictures=remote_pictures,
    )  # fmt: skip
    if remote_pictures:
        require(("httpx2", "httpcore2", "aiolimiter", "tenacity"), "--remote-pictures")
    models = name_models(model)
    bound = bind(host, port)
    try:
        hosted = load(models, dtype=dtype, device=device)
        desk = Desk(hosted, limits, tell_failure)
        try:
            app = create_app(desk, host, token, tell_failure)
            if not is_loopback(host):
                told = f" the server listens at {plain(host)}, and all travels unencrypted: put a TLS proxy before it"
                err.tell(WARNING, told)
            place = address_of(bound, host)
            out.print(f"{place}/v1 serves {plain(', '.join(hosted))}; {place}/ is a page for people")
            sys.stdout.flush()
            answer(app, bound, tell=tell_failure, answering=timeout + 60, leaving=desk.done)
        except KeyboardInterrupt:  # the signal that it was stopped by, once all is written
            err.print("stopped")
        finally:
            desk.end()
    finally:
        bound.close()


def _token(file: Path | None) -> str | None:
    """The token that requests bear, if there is one. Raises TrifacetError for what cannot be one; it is never shown."""
    from trifacet.base.opening import read_text

    where, text = (TOKEN, os.environ.get(TOKEN)) if file is None else (str(file), read_text(file, 2 * _LONGEST))
    if text is None:
        return None
    token = text.strip()
    if not (_SHORTEST <= len(token) <= _LONGEST and token.isascii() and token.isprintable() and " " not in token):
        raise TrifacetError(
            f"{plain(where)} holds no token: write {_SHORTEST} to {_LONGEST} characters of ASCII without blanks"
        )
    return token
