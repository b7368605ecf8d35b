"""The pages on which people decide on suggested alt-texts, as a web application.

Invariant: an answer is given only after the decision is on the disk, and none overwrites another person's that was not
on the page: then both texts are shown, and what was typed stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.applications import FastAPI
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from trifacet.describing.place import ROLES
from trifacet.describing.queue import LONGEST_TEXT, ChangedSinceError, Suggestion
from trifacet.describing.reviewing.desk import ACTIONS, Action, Desk, RefusedError
from trifacet.describing.reviewing.filters import STATES, Filters
from trifacet.describing.reviewing.pictures import PlacePictures
from trifacet.describing.reviewing.view import plain, shown
from trifacet.review.desk import judges_name
from trifacet.web.access import Access
from trifacet.web.site import Form, Site, Visitor, entered, remember, visitor

ON_A_PAGE = 100  # suggestions of the list
LONGEST_CHECKED = 4000  # characters of a text that is checked as it is typed
_SITE = Site(
    package="trifacet.describing.reviewing",
    called="alt-texts",
    static={
        "alt.css": ("trifacet.describing.reviewing", "alt.css", "text/css"),
        "alt.js": ("trifacet.describing.reviewing", "alt.js", "text/javascript"),
    },
    longest_form=2 * LONGEST_TEXT * 12 + 4096,  # two texts of the longest kind, percent-encoded
    store="queue",
)
_NO_SEAT = "The link was opened anew in this browser. Give your name again, then answer again."
_GONE = "There is no such suggestion. The list has those that are there."
_DONE = {
    "accepted": "Accepted",
    "edited": "Saved as edited",
    "refused": "Refused",
    "suggested": "Open again",
    "withheld": "Open again, withheld",
}


def create_app(desk: Desk, pictures: PlacePictures, access: Access, host: str, tell: Callable[[str], None]) -> FastAPI:
    """The application of one queue.

    Args:
        desk: the suggestions.
        pictures: of them.
        access: who may come in.
        host: the address that it is bound to.
        tell: what to do with the reason why something failed, which is not for readers: it names files.
    """
    app = _SITE.app(access, host, tell)
    app.state.desk, app.state.pictures = desk, pictures
    app.get("/")(_enter)
    app.get("/begin")(_welcome)
    app.post("/begin")(_begin)
    app.get("/list")(_list)
    app.get("/text/{name}")(_text)
    app.post("/text/{name}")(_decide)
    app.post("/undo/{name}")(_undo)
    app.post("/check/{name}")(_check)
    app.get("/picture/{name}")(_picture)
    return app


def _seated(request: Request, visitor: Visitor) -> str:
    """The name of who works here; one without is asked for it first."""
    if not visitor:
        if request.method == "POST":
            raise HTTPException(409, _NO_SEAT)
        raise HTTPException(303, headers={"Location": "/begin"})
    return visitor


Seated = Annotated[str, Depends(_seated)]


def _found(request: Request, name: str) -> Suggestion:
    """The suggestion that an address names."""
    desk: Desk = request.app.state.desk
    found = desk.find(name)
    if found is None:
        raise HTTPException(404, _GONE)
    return found


Found = Annotated[Suggestion, Depends(_found)]


def _enter(request: Request, token: str = "") -> Response:
    """The link: takes the token out of the address and leaves a cookie. Without a token, on to the first open one, for
    whoever has decided on something; others see the first page first.
    """
    if token:
        return entered(request, token)
    desk: Desk = request.app.state.desk
    who = _seated(request, visitor(request))
    if desk.last_of(who) is None:
        return RedirectResponse("/begin", 303)
    return _to(desk.onward(Filters()), Filters())


def _welcome(request: Request, visitor: Visitor) -> Response:
    return _welcome_page(request, visitor)


def _begin(request: Request, visitor: Visitor, form: Form) -> Response:
    access: Access = request.app.state.access
    name = visitor if access.judges else judges_name(form.get("name", ""))
    if not name:
        problem = "Give a name of 1 to 60 letters."
        return _welcome_page(request, visitor, name=form.get("name", "")[:200], problem=problem, status=422)
    onward = _to(request.app.state.desk.onward(Filters()), Filters())
    remember(onward, access, name)
    return onward


def _list(request: Request, who: Seated, page: str = "1") -> Response:
    desk: Desk = request.app.state.desk
    filters = Filters.of(request.query_params)
    found = desk.fitting(filters)
    pages = max(1, -(-len(found) // ON_A_PAGE))
    number = min(max(int(page), 1), pages) if page.isdecimal() and len(page) < 8 else 1
    return _page(
        request,
        who,
        filters,
        "alt_list.html.jinja",
        rows=[shown(one) for one in found[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]],
        count=len(found),
        number=number,
        pages=pages,
        rules=desk.rules(),
        states=STATES,
        roles=ROLES,
        onward=_address(desk.onward(filters), filters.query),
    )


def _text(request: Request, who: Seated, one: Found) -> Response:
    return _text_page(request, who, one, Filters.of(request.query_params))


def _decide(request: Request, who: Seated, form: Form, one: Found) -> Response:
    desk: Desk = request.app.state.desk
    filters = Filters.of(form)
    action = form.get("do", "")
    if action not in ACTIONS:
        raise HTTPException(400, "Choose accept, empty, refuse, or open again.")
    typed = form.get("text", ""), form.get("long", "")
    try:
        decided = desk.decide(one.id, cast(Action, action), *typed, who, _event(form))
    except ChangedSinceError:
        return _text_page(request, who, desk.queue.get(one.id), filters, typed=typed, status=409)
    except RefusedError as error:
        return _text_page(request, who, one, filters, typed=typed, problem=str(error), status=422)
    following = decided if action == "reopen" else desk.onward(filters, decided)
    return _to(following, filters, "after", decided)


def _undo(request: Request, who: Seated, form: Form, one: Found) -> Response:
    desk: Desk = request.app.state.desk
    filters = Filters.of(form)
    try:
        undone = desk.undo(one.id, who, _event(form))
    except ChangedSinceError:
        problem = "Nothing was taken back: this suggestion was changed since."
        return _text_page(request, who, desk.queue.get(one.id), filters, problem=problem, status=409)
    return _to(undone, filters, "undone", undone)


def _check(request: Request, who: Seated, form: Form, one: Found) -> Response:
    """What the checks say of a text, as a piece of the page."""
    desk: Desk = request.app.state.desk
    return _SITE.page("alt_checked.html.jinja", **_checked(desk, one, form.get("text", "")))


def _picture(request: Request, who: Seated, one: Found) -> Response:
    image = request.app.state.pictures.get(one.id)
    if image is None:
        raise HTTPException(404, "There is no such picture.")
    return Response(image.data, media_type=image.type)


def _event(form: Mapping[str, str]) -> int:
    """The number of the event that a form's page showed; 0, which none has, for a form that says none."""
    said = form.get("event", "")
    return int(said) if said.isdecimal() and len(said) < 18 else 0


def _to(one: Suggestion | None, filters: Filters, said: str = "", of: Suggestion | None = None) -> Response:
    """To a suggestion's page, or to the list where none is left; ``said``: what the status says ``of`` another."""
    query = filters.query
    if of is not None:
        query += f"{'&' if query else '?'}{said}={of.event}"
    return RedirectResponse(f"{shown(one).address if one else '/list'}{query}", 303)


def _address(one: Suggestion | None, query: str) -> str:
    return f"{shown(one).address}{query}" if one else ""


def _text_page(
    request: Request,
    who: str,
    one: Suggestion,
    filters: Filters,
    *,
    typed: tuple[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    """A suggestion's page; ``typed`` is what somebody had in the boxes when it could not be stored."""
    desk: Desk = request.app.state.desk
    image = request.app.state.pictures.get(one.id)
    view = shown(one, desk.queue.events(one.id))
    standing = desk.standing(one, filters)
    query = filters.query
    box, long_box = (plain(text) for text in typed) if typed else (view.box, view.long_box)
    return _page(
        request,
        who,
        filters,
        "alt_text.html.jinja",
        status=status,
        view=view,
        image=image,
        standing=standing,
        previous=_address(standing.previous, query),
        following=_address(standing.next, query),
        later=_address(desk.onward(filters, one), query) or f"/list{query}",
        box=box,
        long_box=long_box,
        typed=typed is not None,
        changed=status == 409 and typed is not None,
        problem=problem,
        longest=LONGEST_TEXT,
        **_checked(desk, one, box),
    )


def _checked(desk: Desk, one: Suggestion, text: str) -> dict[str, Any]:
    bounded = plain(text)[:LONGEST_CHECKED]
    return {"length": len(plain(text)), "most": desk.limit, "checked": desk.check(one, bounded), "empty": not bounded,
            "functional": one.proposal.place.role == "functional"}  # fmt: skip


def _welcome_page(request: Request, visitor: str, *, name: str = "", problem: str = "", status: int = 200) -> Response:
    access: Access = request.app.state.access
    decided, total = request.app.state.desk.progress()
    return _SITE.page(
        "alt_welcome.html.jinja",
        status,
        named=visitor if access.judges else None,
        name=name or visitor,
        problem=problem,
        decided=decided,
        total=total,
        proof=access.proof(visitor),
    )


def _page(request: Request, who: str, filters: Filters, template: str, *, status: int = 200, **view: Any) -> Response:
    """A page with what all of them have: who works, how far it is, what can be taken back."""
    desk: Desk = request.app.state.desk
    decided, total = desk.progress()
    last = desk.last_of(who)
    return _SITE.page(
        template,
        status,
        who=who,
        filters=filters,
        decided=decided,
        total=total,
        last=shown(last[0]) if last else None,
        told=_told(request, desk),
        proof=request.app.state.access.proof(who),
        **view,
    )


def _told(request: Request, desk: Desk) -> str:
    """What just became of a suggestion, by the number of its event in the address."""
    for key in ("after", "undone"):
        said = request.query_params.get(key, "")
        one = next((one for one in desk.all() if str(one.event) == said), None) if said else None
        if one is not None:
            done = "Taken back" if key == "undone" else _DONE.get(one.state, one.state)
            return f"{done}: {shown(one).called}."
    return ""
