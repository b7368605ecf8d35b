"""What the applications that people work on share: who comes in, whose form it is, what is told where something fails.

Invariant: nobody gets past the link without its token or its cookie, no form is taken that a page of ours did not
write for who sends it, and no page tells a cause that names files: those go to whoever started the application.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trifacet.base.errors import TrifacetError
from trifacet.web.access import Access
from trifacet.web.guard import HEADERS, Guard
from trifacet.web.page import page_templates, printable

_SHARED = {
    "page.css": ("trifacet.web", "page.css", "text/css"),
    "review.css": ("trifacet.web", "review.css", "text/css"),
    "live.js": ("trifacet.web", "live.js", "text/javascript"),
    "icon.svg": ("trifacet.web", "icon.svg", "image/svg+xml"),
}
_PROBLEMS = {
    400: "This could not be read",
    403: "This page opens with its link only",
    404: "There is no such page",
    405: "There is no such page",
    409: "Your answer was not stored",
    413: "This is too long",
}
_NOT_STORED, _NOT_READ = "Your answer was not stored", "The review cannot be read just now"
NO_LINK = "Open the link that was printed when the review was started, or the one that you were sent."


@dataclass(frozen=True)
class Site:
    """An application's pages.

    Attributes:
        package: whose templates they are.
        called: in the page's head, behind the program's name.
        static: its own files: name in the address -> (package, name in its folder ``static``, type).
        longest_form: bytes.
        store: what answers are kept in, for messages.
    """

    package: str
    called: str
    static: Mapping[str, tuple[str, str, str]]
    longest_form: int
    store: str

    @property
    def title(self) -> str:
        """Of the application, in the browser's tab."""
        return f"Trifacet {self.called}"

    def app(self, access: Access, host: str, tell: Callable[[str], None]) -> FastAPI:
        """The application without its pages: guard, errors, files.

        Args:
            access: who may come in.
            host: the address that it is bound to.
            tell: what to do with the reason why something failed, which is not for readers: it names files.
        """
        app = FastAPI(title=self.title, docs_url=None, redoc_url=None, openapi_url=None)
        app.state.site, app.state.access, app.state.tell = self, access, tell
        app.add_middleware(Guard, host=host)
        app.add_exception_handler(HTTPException, _problem)
        app.add_exception_handler(TrifacetError, _not_stored)
        app.add_exception_handler(ClientDisconnect, _left)
        app.add_exception_handler(Exception, _failed)
        app.get("/static/{name}")(_static)
        return app

    def page(self, template: str, status: int = 200, **view: Any) -> Response:
        """A page, or a piece of one."""
        return HTMLResponse(printable(self._templates.get_template(template).render(view, site=self)), status)

    @cached_property
    def _templates(self) -> Environment:
        return page_templates(self.package)


def visitor(request: Request) -> str:
    """The visitor's name by the cookie, "" for one without a name yet."""
    access: Access = request.app.state.access
    found = access.visitor(request.cookies.get(access.cookie))
    if found is None:
        raise HTTPException(403, NO_LINK)
    return found


Visitor = Annotated[str, Depends(visitor)]


async def _form(request: Request, visitor: Visitor) -> dict[str, str]:
    """The fields of a form that came from one of our own pages."""
    site: Site = request.app.state.site
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > site.longest_form:
            raise HTTPException(413, f"A form holds at most {site.longest_form} bytes.")
    try:
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise HTTPException(400, "The form has too many fields.") from None
    if not request.app.state.access.proven(visitor, fields.get("proof", "")):
        raise HTTPException(403, "The form was not written by this page for you. Load the page again, then answer.")
    return fields


Form = Annotated[dict[str, str], Depends(_form)]


def entered(request: Request, token: str) -> Response:
    """The link: takes the token out of the address and leaves a cookie."""
    access: Access = request.app.state.access
    name = access.admitted(token)
    if name is None:
        raise HTTPException(403, NO_LINK)
    # Not a redirect by status: a browser that comes from another site would follow it without the strict cookie.
    site: Site = request.app.state.site
    page = site.page("entering.html.jinja")
    remember(page, access, name)
    return page


def remember(response: Response, access: Access, name: str) -> None:
    """Leave the cookie of who has come in."""
    response.set_cookie(access.cookie, access.session(name), httponly=True, samesite="strict", path="/")


def _static(request: Request, name: str) -> Response:
    known = {**_SHARED, **request.app.state.site.static}
    if name not in known:
        raise HTTPException(404, "There is no such file.")
    package, file, kind = known[name]
    return Response((files(package) / "static" / file).read_text(encoding="utf-8"), media_type=kind)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers: Mapping[str, str] = error.headers or {}
    if error.status_code == 303:
        return RedirectResponse(headers["Location"], 303)
    title = _PROBLEMS.get(error.status_code, "This did not work")
    page = _told(request, error.status_code, title, str(error.detail))
    page.headers.update(headers)
    return page


async def _not_stored(request: Request, error: Exception) -> Response:
    request.app.state.tell(str(error))
    problem = (
        f"The disk may be full, or another program holds the {request.app.state.site.store}. Tell whoever started this "
        "review, then go back and answer again."
    )
    return _told(request, 500, _failure(request), problem)


async def _failed(request: Request, error: Exception) -> Response:
    """What nobody has foreseen: a line for whoever started the review; Starlette answers here outside of the guard."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    request.app.state.tell(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}")
    page = _told(request, 500, _failure(request), "Tell whoever started this review.")
    page.headers.update(HEADERS)
    return page


def _failure(request: Request) -> str:
    return _NOT_STORED if request.method == "POST" else _NOT_READ


def _told(request: Request, status: int, title: str, problem: str) -> Response:
    site: Site = request.app.state.site
    return site.page("problem.html.jinja", status, title=title, problem=problem)


async def _left(request: Request, error: Exception) -> Response:
    """The client is gone: nobody reads this."""
    return Response(status_code=400)
