"""The server's addresses: chat completions and models as OpenAI has them, health, metrics, and the page for people.

Invariants: nothing but the page, its files and ``/health`` is told without the token, where there is one; every answer
that is none is OpenAI's error object; whoever leaves is not written for; who sends slowly takes no place of the queue.
"""

from __future__ import annotations

import asyncio
import hmac
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from trifacet.serving import suggestions
from trifacet.serving.answers import Form
from trifacet.serving.desk import Desk, Gone
from trifacet.serving.job import Job
from trifacet.serving.refusals import Refusal
from trifacet.serving.request import ChatRequest, read_request
from trifacet.web.guard import HEADERS, Guard
from trifacet.web.page import page_templates, printable

OPEN = ("/", "/health")  # and /static/: without a token
_BODY_SECONDS = 30.0  # from a request's head to the end of its body
_STATIC = {
    "page.css": ("trifacet.web", "text/css"),
    "icon.svg": ("trifacet.serving", "image/svg+xml"),
    "serve.css": ("trifacet.serving", "text/css"),
    "serve.js": ("trifacet.serving", "text/javascript"),
}


def create_app(desk: Desk, host: str, token: str | None, tell: Callable[[str], None]) -> ASGIApp:
    """The application of one server.

    Args:
        desk: its models.
        host: the address that it is bound to.
        token: what requests have to bear (None: nothing).
        tell: what to do with the reason why something failed that nobody foresaw.
    """
    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/static/{name}", _static),
            Route("/health", _health),
            Route("/metrics", _metrics),
            Route("/v1/models", _models),
            Route("/v1/models/{name}", _model),
            Route("/v1/chat/completions", _chat, methods=["POST"]),
            Route("/suggestions", _suggestions, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, host=host), Middleware(_Token, token=token)],
        exception_handlers={Refusal: _refused, HTTPException: _no_such, ClientDisconnect: _left, Gone: _left},
    )
    app.add_exception_handler(Exception, _failed)
    app.state.desk, app.state.tell, app.state.token = desk, tell, token is not None
    return app


class _Token:
    """ASGI middleware: lets in who bears the token."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._wanted = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if self._wanted is not None and path not in OPEN and not path.startswith("/static/"):
            given = [value for name, value in scope["headers"] if name == b"authorization"]
            if len(given) != 1 or not hmac.compare_digest(given[0], self._wanted):
                refusal = Refusal(401, "send the server's token: Authorization: Bearer TOKEN", code="invalid_api_key")
                await _as_json(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Events(Response):
    """Server-sent events: the first is there before the status is sent."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._first, self._rest = first, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async with aclosing(self._rest) as rest:  # type: ignore[type-var]
            async for event in rest:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _chat(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    due = _due(desk)
    asked = await _read(request, read_request)
    request.state.model = asked.model if asked.model in desk.hosted else ""
    if asked.stream:
        events = _events(request, asked, due)
        return _Events(await anext(events), events)  # which counts itself when it has ended
    async with _waiting(request) as gone, _in_time(desk, due), desk.taken(asked, gone) as job:
        return _counted(request, JSONResponse(Form(await desk.whole(job, gone)).whole()))


async def _events(request: Request, asked: ChatRequest, due: float) -> AsyncIterator[bytes]:
    """A stream. Raises Refusal before its first event alone; later ones are events."""
    desk: Desk = request.app.state.desk
    form, status = None, 499
    try:
        async with _waiting(request) as gone, _in_time(desk, due), desk.taken(asked, gone) as job:
            async with aclosing(desk.pieces(job, gone)) as pieces:  # type: ignore[type-var]
                async for news in pieces:
                    if form is None:
                        form = Form(job)
                        yield b"".join(form.beginning())
                    yield b"".join(form.added(*news))
            assert form is not None  # each text has a last piece
            status = 200
            yield form.last(usage=bool(asked.stream_options and asked.stream_options.include_usage))
    except Refusal as refusal:
        if form is None:
            raise
        status = refusal.status
        yield form.failed(refusal.body)
    except Gone:
        if form is None:
            raise
    finally:
        if form is not None:
            desk.metrics.ended(request.state.model, status)


async def _suggestions(request: Request) -> Response:
    """What the page for people shows of one model."""
    desk: Desk = request.app.state.desk
    due = _due(desk)
    both = await _read(request, suggestions.read)
    request.state.model = both[0].model if both[0].model in desk.hosted else ""
    async with _waiting(request) as gone, _in_time(desk, due):

        async def written(asked: ChatRequest) -> Job:
            async with desk.taken(asked, gone) as job:
                return await desk.whole(job, gone)

        tasks = [asyncio.ensure_future(written(asked)) for asked in both]  # the suggestion, and its samples
        try:
            suggestion, sampled = await asyncio.gather(*tasks)
        finally:  # where one comes to nothing the other is not written
            for task in tasks:
                task.cancel()
        return _counted(request, JSONResponse(suggestions.told(both[0], suggestion, sampled)))


async def _read(request: Request, read: Callable[[bytes], Any]) -> Any:
    """The body, as what it has to be. Raises Refusal; before the body is there, where no place is free for it."""
    desk: Desk = request.app.state.desk
    desk.scheduler.refuse_beyond()
    with desk.arriving() as more:
        return await asyncio.to_thread(read, await _body(request, desk.limits.max_body, more))  # long ones take a while


async def _body(request: Request, most: int, more: Callable[[int], None]) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # others may be sent by any web page that this machine's browser shows
        raise Refusal(415, "Content-Type: write application/json", code="unsupported_media_type")
    too_long = Refusal(413, f"the body is longer than {most} bytes", code="request_too_large")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and len(length) < 20 and int(length) > most:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise too_long
                more(len(part))
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_BODY_SECONDS:g} seconds", code="timeout") from None
    return bytes(body)


def _due(desk: Desk) -> float:
    """When the answer to a request that arrives now has to be whole, by the loop's clock."""
    return asyncio.get_running_loop().time() + desk.limits.timeout


@asynccontextmanager
async def _in_time(desk: Desk, due: float) -> AsyncIterator[None]:
    """Raises Refusal where the block goes on after ``due``."""
    try:
        async with asyncio.timeout_at(due):
            yield
    except TimeoutError:
        raise Refusal(504, f"no answer within {desk.limits.timeout:g} seconds", code="timeout") from None


@asynccontextmanager
async def _waiting(request: Request) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is done once whoever asked, whose body has been read, has left."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(gone())
    try:
        yield task
    finally:
        task.cancel()


async def _models(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    return JSONResponse({"object": "list", "data": [_told(desk, name) for name in desk.hosted]})


async def _model(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    return JSONResponse(_told(desk, desk.model(request.path_params["name"]).name))


def _told(desk: Desk, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": desk.hosted[name].created, "owned_by": "trifacet"}


async def _health(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    waiting, running = desk.scheduler.load
    state = "stopping" if desk.scheduler.stopping else "ok"
    told = {"status": state, "waiting": waiting, "running": running}
    return JSONResponse(told, 200 if state == "ok" else 503)


async def _metrics(request: Request) -> Response:
    page, kind = request.app.state.desk.metrics.page()
    return Response(page, media_type=kind)


async def _page(request: Request) -> Response:
    view = {"models": list(request.app.state.desk.hosted), "token": request.app.state.token}
    page = page_templates("trifacet.serving").get_template("serve.html.jinja").render(view, samples=suggestions.SAMPLES)
    return HTMLResponse(printable(page))


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404)
    package, kind = _STATIC[name]
    return Response((files(package) / "static" / name).read_text(encoding="utf-8"), media_type=kind)


def _counted(request: Request, response: Response) -> Response:
    """The response to a request for texts, counted."""
    model = getattr(request.state, "model", "")
    request.app.state.desk.metrics.ended(model, str(response.status_code))
    return response


def _as_json(refusal: Refusal) -> Response:
    return JSONResponse(refusal.body, refusal.status, refusal.headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _counted(request, _as_json(error))


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, told = ("not_found", "there is no such address") if error.status_code == 404 else ("method_not_allowed", "")
    told = told or f"{request.method} is not taken here; see docs/serving.md"
    response = _as_json(Refusal(error.status_code, told, code=code))
    response.headers.update(error.headers or {})
    return response


async def _left(request: Request, error: Exception) -> Response:
    """Nobody reads this; it is counted by the status that proxies have for it."""
    return _counted(request, Response(status_code=499))


async def _failed(request: Request, error: Exception) -> Response:
    """What nobody has foreseen; Starlette answers here outside of the guard."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    request.app.state.tell(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}")
    response = _as_json(Refusal(500, "the server failed; whoever started it is told why", code="internal_error"))
    response.headers.update(HEADERS)
    return _counted(request, response)
