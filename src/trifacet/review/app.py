"""The pages of a review as a web application: who comes in, what is shown, what is stored.

Invariant: an answer is given only after the vote is on the disk, and no page, before or after a vote, says whose text
is whose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from trifacet.review.desk import CHOICES, Desk, judges_name
from trifacet.review.store import HumanJudge
from trifacet.web.access import Access
from trifacet.web.site import Form, Site, Visitor, entered, remember, visitor

LONGEST_COMMENT = 2000  # characters
_SITE = Site(
    package="trifacet.review",
    called="review",
    static={},
    longest_form=65_536,  # a comment of the longest kind, percent-encoded
    store="file of votes",
)
_NO_SEAT = "The link was opened anew in this browser. Give your name again, then answer again."


def create_app(desk: Desk, access: Access, host: str, tell: Callable[[str], None]) -> FastAPI:
    """The application of one review.

    Args:
        desk: the samples and the store.
        access: who may come in.
        host: the address that it is bound to.
        tell: what to do with the reason why something failed, which is not for judges: it names files.
    """
    app = _SITE.app(access, host, tell)
    app.state.desk = desk
    app.get("/")(_enter)
    app.get("/begin")(_welcome)
    app.post("/begin")(_begin)
    app.get("/sample/{position}")(_sample)
    app.post("/sample/{position}")(_vote)
    app.get("/answers")(_answers)
    app.get("/picture/{position}/{number}")(_picture)
    return app


def _seated(request: Request, visitor: Visitor) -> HumanJudge:
    """The judge who has begun; others are sent to the first page, and told where they had answered."""
    judge = request.app.state.desk.store.judge(visitor) if visitor else None
    if judge is None:
        if request.method == "POST":
            raise HTTPException(409, _NO_SEAT)
        raise HTTPException(303, headers={"Location": "/begin"})
    return judge


Seated = Annotated[HumanJudge, Depends(_seated)]


def _enter(request: Request, token: str = "") -> Response:
    """The link: takes the token out of the address and leaves a cookie. Without a token, on to the next sample."""
    if token:
        return entered(request, token)
    return _onward(request.app.state.desk, _seated(request, visitor(request)))


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
    remember(onward, access, name)
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


def _page(template: str, status: int = 200, **view: Any) -> Response:
    return _SITE.page(template, status, **view)
