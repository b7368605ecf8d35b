"""Serving a review until it is interrupted.

Invariant: the port is ours before a link is told, and nothing that a request says reaches the terminal.
"""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

from trifacet.base.errors import TrifacetError

_LAST_SECONDS = 3  # for requests that are being answered at the end


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host`` and ``port``; port 0 takes a free one.

    Raises:
        TrifacetError: the address is not ours, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(64)
        except OSError:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        raise TrifacetError(
            f"cannot listen at {host} port {port}: {error}; --port 0 takes a free one, --host 127.0.0.1 is this machine"
        ) from None
    return bound


def address_of(bound: socket.socket, host: str) -> str:
    """What a link to a bound socket begins with, as judges reach it."""
    port = bound.getsockname()[1]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(app: FastAPI, bound: socket.socket, *, minutes: float | None = None) -> None:
    """Answer requests until Ctrl-C (KeyboardInterrupt, once what is being answered is done) or ``minutes`` are over."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="off", ws="none",
        loop="asyncio", http="h11", timeout_graceful_shutdown=_LAST_SECONDS,
    )  # fmt: skip
    server = uvicorn.Server(config)

    def end() -> None:
        server.should_exit = True

    timer = threading.Timer(min(minutes * 60, threading.TIMEOUT_MAX), end) if minutes is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        server.run(sockets=[bound])
    finally:
        if timer is not None:
            timer.cancel()
        bound.close()
