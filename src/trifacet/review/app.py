"""The pages of a review as a web application: who comes in, what is shown, what is stored.

Invariant: an answer is given only after the vote is on the disk, and no page, before or after a vote, says whose text
is whose.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from trifacet.base.errors import TrifacetError
from trifacet.review.desk import CHOICES, Desk, judges_name
from trifacet.review.store import HumanJudge
from trifacet.web.access import Access
from trifacet.web.guard import HEADERS, Guard
from trifacet.web.page import page_templates, printable

LONGEST_COMMENT = 2000  # characters
_LONGEST_FORM = 65_536  # bytes: a comment of the longest kind, percent-encoded
_STATIC = {
    "page.css": ("trifacet.web", "page.css", "text/css"),
    "review.css": ("trifacet.review", "review.css", "text/css"),
    "icon.svg": ("trifacet.review", "icon.svg", "image/svg+xml"),
    "review.js": ("trifacet.review", "review.js", "text/javascript"),
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
_NO_SEAT = "The link was opened anew in this browser. Give your name again, then answer again."
_NO_LINK = "Open the link that was printed when the review was started, or the one that you were sent."
_PAGES = page_templates("trifacet.review")


def create_app(desk: Desk, access: Access, host: str, tell: Callable[[str], None]) -> FastAPI:
    """The application of one review.

    Args:
        desk: the samples and the store.
        access: who may come in.
        host: the address that it is bound to.
        tell: what to do with the reason why something failed, which is not for judges: it names files.
    """
    app = FastAPI(title="Trifacet review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk, app.state.access, app.state.tell = desk, access, tell
    app.add_middleware(Guard, host=host)
    app.add_exception_handler(HTTPException, _problem)
    app.add_exception_handler(TrifacetError, _not_stored)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _failed)
    app.get("/")(_enter)
    app.get("/begin")(_welcome)
    app.post("/begin")(_begin)
    app.get("/sample/{position}")(_sample)
    app.post("/sample/{position}")(_vote)
    app.get("/answers")(_answers)
    app.get("/picture/{position}/{number}")(_picture)
    app.get("/static/{name}")(_static)
    return app


def _visitor(request: Request) -> str:
    """The judge's name by the cookie, "" for one without a name yet."""
    access: Access = request.app.state.access
    visitor = access.visitor(request.cookies.get(access.cookie))
    if visitor is None:
        raise HTTPException(403, _NO_LINK)
    return visitor


Visitor = Annotated[str, Depends(_visitor)]


def _seated(request: Request, visitor: Visitor) -> HumanJudge:
    """The judge who has begun; others are sent to the first page, and told where they had answered."""
    judge = request.app.state.desk.store.judge(visitor) if visitor else None
    if judge is None:
        if request.method == "POST":
            raise HTTPException(409, _NO_SEAT)
        raise HTTPException(303, headers={"Location": "/begin"})
    return judge


Seated = Annotated[HumanJudge, Depends(_seated)]


async def _form(request: Request, visitor: Visitor) -> dict[str, str]:
    """The fields of a form that came from one of our own pages."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            raise HTTPException(413, f"A form holds at most {_LONGEST_FORM} bytes.")
    try:
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise HTTPException(400, "The form has too many fields.") from None
    if not request.app.state.access.proven(visitor, fields.get("proof", "")):
        raise HTTPException(403, "The form was not written by this page for you. Load the page again, then answer.")
    return fields


Form = Annotated[dict[str, str], Depends(_form)]


def _enter(request: Request, token: str = "") -> Response:
    """The link: takes the token out of the address and leaves a cookie. Without a token, on to the next sample."""
    access: Access = request.app.state.access
    if token:
        judge = access.admitted(token)
        if judge is None:
            raise HTTPException(403, _NO_LINK)
        # Not a redirect by status: a browser that comes from another site would follow it without the strict cookie.
        page = _page("entering.html.jinja")
        _remember(page, access, judge)
        return page
    return _onward(request.app.state.desk, _seated(request, _visitor(request)))


def _welcome(request: Request, visitor: Visitor) -> Response:
    return _welcome_page(request, visitor)


def _begin(request: Request, visitor: Visitor, form: Form) -> Response:
    """Enter the judge's name, or take one up again."""
    desk: Desk = request.app.state.desk
    access: Access = request.app.state.access
    name = visitor if access.judges else judges_name(form.get("name", ""))
    if not name:
        problem = "Give a name of 1 to 60 letters."
        return _welcome_page(request, visitor, problem=problem, name=form.get("name", "")[:200], status=422)
    known = desk.store.judge(name)
    if known is not None:
        name = visitor if known.name.casefold() == visitor.casefold() else known.name
        if name != visitor and form.get("known") != known.name:
            return _welcome_page(request, visitor, known=known)
    desk.store.begin(name, sees="hide" not in form)
    onward = RedirectResponse("/", 303)
    _remember(onward, access, name)
    return onward


def _sample(request: Request, judge: Seated, visitor: Visitor, position: str, after: str = "") -> Response:
    """A sample; ``after`` is the position that was just answered."""
    desk: Desk = request.app.state.desk
    answers = {answer.position: answer for answer in desk.answers(judge)}
    stored = answers.get(int(after)) if after.isdecimal() and len(after) < 10 else None
    return _page(
        "sample.html.jinja",
        place=desk.place(judge, _checked(desk, position)),
        total=desk.total,
        answered=len(answers),
        stored=stored,
        judge=judge,
        proof=request.app.state.access.proof(visitor),
        longest=LONGEST_COMMENT,
    )


async def _vote(request: Request, judge: Seated, form: Form, position: str) -> Response:
    desk: Desk = request.app.state.desk
    place = _checked(desk, position)
    choice = CHOICES.get(form.get("choice", ""))
    comment = form.get("comment", "").replace("\r\n", "\n").strip()
    if choice is None:
        raise HTTPException(400, "Choose text 1, tie, text 2, or skip.")
    if len(comment) > LONGEST_COMMENT:
        raise HTTPException(413, f"A comment holds at most {LONGEST_COMMENT} characters; nothing was stored.")
    await run_in_threadpool(desk.vote, judge, place, choice, comment)
    return await run_in_threadpool(_onward, desk, judge, place)


def _answers(request: Request, judge: Seated, after: str = "") -> Response:
    desk: Desk = request.app.state.desk
    answers = desk.answers(judge)
    stored = next((answer for answer in answers if str(answer.position) == after), None)
    return _page(
        "answers.html.jinja",
        answers=answers,
        total=desk.total,
        next=desk.next_open(judge),
        stored=stored,
        judge=judge,
    )


def _picture(request: Request, judge: Seated, position: str, number: str) -> Response:
    desk: Desk = request.app.state.desk
    known = number.isdecimal() and len(number) < 4
    image = desk.image(judge, _checked(desk, position), int(number)) if known else None
    if image is None:
        raise HTTPException(404, "There is no such image.")
    return Response(image.data, media_type=image.type)


def _static(name: str) -> Response:
    if name not in _STATIC:
        raise HTTPException(404, "There is no such file.")
    package, file, kind = _STATIC[name]
    return Response((files(package) / "static" / file).read_text(encoding="utf-8"), media_type=kind)


def _checked(desk: Desk, position: str) -> int:
    """A position in the address as a number from 1 to the number of samples."""
    if position.isdecimal() and len(position) < 10 and 1 <= int(position) <= desk.total:
        return int(position)
    raise HTTPException(404, f"Samples are numbered from 1 to {desk.total}.")


def _onward(desk: Desk, judge: HumanJudge, after: int | None = None) -> Response:
    """To the next sample without an answer, else to the answers."""
    place = desk.next_open(judge, after or 0)
    address = "/answers" if place is None else f"/sample/{place}"
    return RedirectResponse(f"{address}?after={after}" if after else address, 303)


def _welcome_page(
    request: Request,
    visitor: str,
    *,
    problem: str = "",
    name: str = "",
    known: HumanJudge | None = None,
    status: int = 200,
) -> Response:
    desk: Desk = request.app.state.desk
    access: Access = request.app.state.access
    judge = desk.store.judge(visitor) if visitor else None
    shown = known or judge
    return _page(
        "welcome.html.jinja",
        status=status,
        judge=judge,
        named=visitor if access.judges else None,
        name=known.name if known else name or visitor,
        known=known,
        answered=len(desk.answers(shown)) if shown else 0,
        sees=shown.sees if shown else True,
        problem=problem,
        total=desk.total,
        proof=access.proof(visitor),
    )


def _remember(response: Response, access: Access, judge: str) -> None:
    response.set_cookie(access.cookie, access.session(judge), httponly=True, samesite="strict", path="/")


def _page(template: str, status: int = 200, **view: Any) -> Response:
    return HTMLResponse(printable(_PAGES.get_template(template).render(view)), status)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers: Mapping[str, str] = error.headers or {}
    if error.status_code == 303:
        return RedirectResponse(headers["Location"], 303)
    title = _PROBLEMS.get(error.status_code, "This did not work")
    page = _page("problem.html.jinja", error.status_code, title=title, problem=str(error.detail))
    page.headers.update(headers)
    return page


async def _not_stored(request: Request, error: Exception) -> Response:
    request.app.state.tell(str(error))
    problem = (
        "The disk may be full, or another program holds the file of votes. Tell whoever started this review, then go "
        "back and answer again."
    )
    title = _NOT_STORED if request.method == "POST" else _NOT_READ
    return _page("problem.html.jinja", 500, title=title, problem=problem)


async def _failed(request: Request, error: Exception) -> Response:
    """What nobody has foreseen: a line for whoever started the review; Starlette answers here outside of the guard."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    request.app.state.tell(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}")
    title = _NOT_STORED if request.method == "POST" else _NOT_READ
    page = _page("problem.html.jinja", 500, title=title, problem="Tell whoever started this review.")
    page.headers.update(HEADERS)
    return page


async def _left(request: Request, error: Exception) -> Response:
    """The client is gone: nobody reads this."""
    return Response(status_code=400)
