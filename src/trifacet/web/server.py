"""Serving a review, or models, until it is interrupted.

Invariant: the port is ours before a link is told, a connection neither stays nor keeps others out for longer than is
stated here, and nothing that a request says reaches the terminal.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from trifacet.base import system
from trifacet.base.errors import TrifacetError

REQUEST_SECONDS = 30.0  # from a connection, or its last answer, to the whole of the next answer
_LAST_SECONDS = 3  # for requests that are being answered at the end
_CONNECTIONS = 200  # at once; fewer where the system lends few handles
_WAITING = 32  # connections that the system keeps until they are taken


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
            bound.listen(_WAITING)
        except OSError:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            told = f"port {port} of {host} is in use; end what listens there, or name another by --port (0: a free one)"
            raise TrifacetError(told) from None
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


class _Connection(H11Protocol):
    """A connection that ends when its time is over, whatever was sent or read of it; one too many ends at once."""

    answering = 0.0  # seconds, where an answer may take longer
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _most_connections():
            transport.abort()
        else:
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = self.loop.call_later(REQUEST_SECONDS, self._over)

    def _over(self) -> None:
        rest = self.answering - REQUEST_SECONDS
        if rest > 0 and self.cycle is not None and not self.cycle.response_complete:
            self._end = self.loop.call_later(rest, self.transport.abort)
        else:
            self.transport.abort()


class _Server(uvicorn.Server):
    """Which at the first signal goes on answering until ``leaving`` has come to its end; a second one ends it."""

    leaving: Callable[[], Awaitable[None]] | None = None
    _left: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.leaving is None or self._left is not None:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._left = self._loop.create_task(self._leave())

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def _leave(self) -> None:
        assert self.leaving is not None
        try:
            await self.leaving()
        finally:
            self.should_exit = True


def _most_connections() -> int:
    """So many that handles are left for files."""
    return int(min(_CONNECTIONS, system.most_open_files() // 4))


def serve(
    app: ASGIApp,
    bound: socket.socket,
    *,
    minutes: float | None = None,
    tell: Callable[[str], None] = lambda said: None,
    answering: float = 0.0,
    leaving: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Answer requests until Ctrl-C (KeyboardInterrupt, once what is being answered is done) or ``minutes`` are over.

    Args:
        app: what answers.
        bound: where.
        minutes: after which it ends (None: never).
        tell: what to do with the reason why connections cannot be taken; each is told once.
        answering: seconds that an answer may take, where that is longer than a request may.
        leaving: awaited at the first signal, before connections are closed; a second signal does not wait for it.
    """
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, server_header=False, proxy_headers=False,
        lifespan="off", ws="none", loop="asyncio",
        http=type("_Timed", (_Connection,), {"answering": answering}), timeout_graceful_shutdown=_LAST_SECONDS,
        backlog=_WAITING,
    )  # fmt: skip
    server = _Server(config)
    server.leaving = leaving
    told: set[str] = set()

    def end() -> None:
        server.should_exit = True

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        said = ": ".join(str(context[key]) for key in ("message", "exception") if key in context)
        if said not in told:
            told.add(said)
            tell(said)

    async def answer() -> None:
        asyncio.get_running_loop().set_exception_handler(failed)
        await server.serve(sockets=[bound])

    timer = threading.Timer(min(minutes * 60, threading.TIMEOUT_MAX), end) if minutes is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        asyncio.run(answer())
    finally:
        if timer is not None:
            timer.cancel()
        bound.close()
