"""A plan onto a site, and off it again.

Invariant: a post is written only where what stands there is what the plan was made for, and where a draft has shown
that WordPress keeps the new text as it is; the journal holds the old text before. What is written is read back; where
more than the text changed the old is given back, or it is said that it could not be. The same command goes on after a
kill and writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trifacet.base.errors import TrifacetError, disk_is_full
from trifacet.describing.place import Edit
from trifacet.describing.wordpress.connection import PassingError, UnusableError
from trifacet.describing.wordpress.export import FieldName
from trifacet.describing.wordpress.journal import Book, opened_book
from trifacet.describing.wordpress.plan import Plan, Update
from trifacet.describing.wordpress.planning import unfit
from trifacet.describing.wordpress.raw import digest_of, patched
from trifacet.describing.wordpress.site import Item, Site
from trifacet.describing.wordpress.trial import Trial, difference, why

Told = Literal["applied", "undone", "unchanged", "changed", "refused"]


@dataclass(frozen=True)
class Result:
    """What became of a field of a post.

    "unchanged" has the text already, "changed" holds another content than was looked at, "refused" has a ``problem``.
    ``suggestions`` are the ids of those that stand there now, or of which the text was taken out, and of "changed"
    those that are stale; ``texts`` is how many were put in or taken out.
    """

    name: str
    told: Told
    texts: int = 0
    problem: str = ""
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wish:
    """A field of a post: digests of what is expected there and of what is to be, and how the one becomes the other."""

    type: str
    post: int
    field: FieldName
    before: str
    after: str
    make: Callable[[str], str]
    note: Callable[[str], None] = lambda old: None


class _NotKeptError(TrifacetError):
    """The site did not save what it was sent. ``back``: the old is there again."""

    def __init__(self, message: str, *, back: bool) -> None:
        super().__init__(message)
        self.back = back


def apply(
    plan: Plan,
    site: Site,
    journal: Path,
    *,
    allowed: Callable[[Update], str] = lambda update: "",
    tell: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Put the texts of a plan in place.

    Args:
        plan: for this site.
        site: where, and by whom.
        journal: folder of the journal.
        allowed: why an update is not to be made by now; "" where it is.
        tell: is called with each result as it comes.

    Returns:
        a result for each update; one that can't be made stops no other.

    Raises:
        TrifacetError: the site can't be asked any more, another process has the journal, or the disk is full.
    """
    results = []
    with opened_book(journal) as book, closing(Trial(site)) as trial:
        for update in plan.updates:
            if problem := allowed(update):
                result = Result(update.name, "refused", problem=problem)
            else:
                result = _applied(update, plan, site, book, trial)
            results.append(result)
            tell(result)
        trial.sweep()
    return results


def _applied(update: Update, plan: Plan, site: Site, book: Book, trial: Trial) -> Result:
    suggestions = tuple(text.suggestion for text in update.texts if text.suggestion)
    rows: list[dict[str, Any]] = []
    facts = {
        "type": update.type, "post": update.post, "field": update.field, "before": update.digest,
        "after": update.after, "texts": len(update.texts), "suggestions": list(suggestions),
    }  # fmt: skip

    def make(old: str) -> str:
        if update.field == "alt_text":
            return update.texts[0].alt
        return patched(old, {text.key: Edit(text.alt) for text in update.texts}, update.name)

    def note(old: str) -> None:
        if not rows:
            rows.append(book.note(plan.run, site.address, update.name, old, facts))

    wish = _Wish(update.type, update.post, update.field, update.digest, update.after, make, note)
    try:
        told = _put(wish, site, trial)
    except _NotKeptError as error:
        if error.back:
            book.tick(rows[0])
        return Result(update.name, "refused", problem=str(error))
    except TrifacetError as error:
        if disk_is_full(error) or isinstance(error, UnusableError):
            raise
        return Result(update.name, "refused", problem=str(error).removeprefix(f"{update.name}: "))
    if told == "changed":
        problem = "changed since the export; export the site anew and suggest again"
        return Result(update.name, told, problem=problem, suggestions=suggestions)
    return Result(update.name, told, len(update.texts) if told == "applied" else 0, suggestions=suggestions)


def undo(
    site: Site, journal: Path, *, everything: bool = False, tell: Callable[[Result], None] = lambda result: None
) -> list[Result]:
    """Give back what stood on a site before the last plan was applied, or before the first.

    What has changed since is left alone, and stays in the journal.

    Raises:
        TrifacetError: nothing was sent to the site from there; and as ``apply``.
    """
    results = []
    with opened_book(journal, there=True) as book, closing(Trial(site)) as trial:
        rows = [row for row in book.pending() if row["site"] == site.address]
        if not rows:
            raise TrifacetError(f"{journal} holds nothing that was sent to {site.address} and is not undone")
        for row in rows if everything else [row for row in rows if row["run"] == rows[0]["run"]]:
            results.append(_undone(row, site, book, trial))
            tell(results[-1])
        trial.sweep()
    return results


def _undone(row: Mapping[str, Any], site: Site, book: Book, trial: Trial) -> Result:
    name, suggestions = row["name"], tuple(row["suggestions"])
    try:
        old = book.kept(row["before"])
        wish = _Wish(row["type"], row["post"], row["field"], row["after"], row["before"], lambda there: old)
        told = _put(wish, site, trial)
    except TrifacetError as error:
        if disk_is_full(error) or isinstance(error, UnusableError):
            raise
        return Result(name, "refused", problem=str(error).removeprefix(f"{name}: "))
    if told == "changed":
        return Result(name, told, problem="changed since the texts were put there; it is left as it is")
    book.tick(row)
    return Result(name, "undone" if told == "applied" else told, row["texts"], suggestions=suggestions)


def previews(plan: Plan, site: Site) -> Iterator[tuple[Update, str, str, str]]:
    """What ``apply`` would find now, by reading alone: an update, what stands there, what would, and a problem."""
    for update in plan.updates:
        try:
            old = site.read(update.type, update.post).texts.get(update.field, "")
            if digest_of(old) not in (update.digest, update.after):
                yield update, old, old, "changed since the export; export the site anew and suggest again"
                continue
            new = old
            if digest_of(old) == update.digest:
                edits = {text.key: Edit(text.alt) for text in update.texts}
                alt = update.field == "alt_text"
                new = update.texts[0].alt if alt else patched(old, edits, update.name)
            yield update, old, new, ""
        except TrifacetError as error:
            if isinstance(error, UnusableError):
                raise
            yield update, "", "", str(error)


# --- one field --------------------------------------------------------------------------------------------------


def _put(wish: _Wish, site: Site, trial: Trial) -> Told:
    """Make a field what it is to be: "applied", "unchanged" or "changed".

    Raises:
        _NotKeptError: the site saved something else.
        TrifacetError: it may not, or can't, be written.
    """
    connection, sent = site.connection, False
    for attempt in range(1, connection.tries + 1):
        item = site.read(wish.type, wish.post)
        old = item.texts.get(wish.field, "")
        if digest_of(old) == wish.after:
            return "applied" if sent else "unchanged"
        if digest_of(old) != wish.before:
            return "changed"
        new = wish.make(old)
        if digest_of(new) != wish.after:
            raise TrifacetError("would become another text than was planned; make the plan anew")
        if problem := _unsaved(wish, item, new, trial):
            raise TrifacetError(problem)
        wish.note(old)
        sent = True
        try:
            reply = site.write(item, {wish.field: new})
        except PassingError as error:  # nobody knows whether it was done: look
            connection.rest(error, attempt)
            continue
        _look(wish, site, item, reply, new)
        return "applied"
    raise AssertionError("unreachable")


def _unsaved(wish: _Wish, item: Item, new: str, trial: Trial) -> str:
    """Why the site would not save it as it is; "" where it would."""
    if wish.field == "alt_text" and (problem := unfit(new)):
        return problem
    return trial.problem(item, {**item.texts, wish.field: new})


def _look(wish: _Wish, site: Site, old: Item, reply: Item, new: str) -> None:
    """Raise _NotKeptError where not exactly the field has changed; texts that did are given back."""
    wanted = {**old.texts, wish.field: new}
    wrong = [name for name, text in wanted.items() if reply.texts.get(name) != text]
    if wrong:
        name = wrong[0]
        said = f"{why(old)}: {difference(wanted[name], reply.texts.get(name, ''))} in the {name}"
        raise _given_back(site, old, [*dict.fromkeys([wish.field, *wrong])], said)
    others = [name for name, value in old.others.items() if reply.others.get(name) != value]
    if others:
        raise _NotKeptError(f"the text is in place, but a plugin changed {', '.join(others)} with it", back=False)
    if site.read(wish.type, wish.post).texts != reply.texts:
        raise _NotKeptError("somebody, or a plugin, changed it right after it was written; look at it", back=False)


def _given_back(site: Site, old: Item, names: Sequence[str], said: str) -> _NotKeptError:
    try:
        site.write(old, {name: old.texts[name] for name in names})
        now = site.read(old.type, old.id)
        back = all(now.texts.get(name) == old.texts[name] for name in names)
    except TrifacetError as error:
        said, back = f"{said} ({error})", False
    if back:
        return _NotKeptError(f"{said}; the old text was given back", back=True)
    cure = "the old text could not be given back; restore it from WordPress's revisions"
    return _NotKeptError(f"{said}; {cure}", back=False)
