"""The queue as a spreadsheet, for teams without the review page: CSV out, people's decisions in.

Invariant: no cell begins like a formula, so that no spreadsheet runs one that a page or a model wrote; what goes out
comes back the same. A row whose suggestion somebody has decided on since it went out is told and left as it is.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import read_text
from trifacet.base.words import CONTROL
from trifacet.describing.queue import Queue
from trifacet.describing.suggestion import QueueState, Suggestion
from trifacet.generation.variation import marked

COLUMNS = (
    "id", "event", "document", "line", "role", "state", "picture", "present", "text", "long", "decision", "note",
    "why", "confidence", "differs", "page", "headings", "caption", "around", "link",
)  # fmt: skip
DECISIONS: dict[str, QueueState | None] = {
    "": None, "later": None, "accept": "accepted", "edit": "edited", "empty": "edited", "refuse": "refused",
}  # fmt: skip
MAX_BYTES = 200_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'", "＝", "＋", "－", "＠")  # and what protects one
_LONGEST = 32_000  # characters of a cell, which spreadsheets cut at 32,767


def sheet(suggestions: Iterable[Suggestion]) -> str:
    """The suggestions as CSV with a byte order mark, by which spreadsheets know UTF-8.

    ``decision`` is empty: accept, edit (with ``text`` changed), empty (decorative), refuse, or nothing for later.
    """
    buffer = io.StringIO()
    buffer.write("\ufeff")
    rows = csv.writer(buffer, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for one in suggestions:
        place, proposal = one.proposal.place, one.proposal
        around = place.around
        sure = "" if proposal.confidence is None else f"{proposal.confidence:.2f}"
        differs = marked(proposal.text, proposal.spans, len(proposal.samples)) if proposal.spans else ""
        values = (
            one.id, str(one.event), proposal.document, str(place.line or ""), place.role, one.state,
            place.picture.file or place.picture.address[:200], place.alt or "", one.text, one.long, "", "",
            one.note or place.reason, sure, differs, around.page, " > ".join(around.headings), around.caption,
            " ".join(text for text in (around.before, around.after) if text), around.link,
        )  # fmt: skip
        rows.writerow([_safe(value) for value in values])
    return buffer.getvalue()


def take_in(path: Path, queue: Queue, who: str, on_problem: Callable[[DataError], None]) -> Counter[str]:
    """Enter the decisions of a file as ``sheet`` writes it, whatever marks separate its cells; how many of each.

    Args:
        path: CSV as UTF-8; columns beyond id, event, text and decision may be missing.
        queue: takes them.
        who: decides.
        on_problem: told of each row that can't be entered; the others are.

    Raises:
        DataError: it is no such file.
    """
    text = read_text(path, MAX_BYTES).removeprefix("\ufeff")
    head = text.split("\n", 1)[0]
    mark = max(",;\t", key=head.count)
    counts = Counter[str]()
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        if missing := [name for name in ("id", "event", "text", "decision") if name not in (rows.fieldnames or ())]:
            raise DataError(
                "is missing", fix="give the file that `trifacet alt export` wrote", file=path, field=missing[0]
            )
        for row in rows:
            try:
                if (decided := _enter(row, queue, who)) is not None:
                    counts[decided] += 1
            except DataError as error:
                on_problem(DataError(error.problem, fix=error.fix, file=path, row=rows.line_num, field=error.field))
            except TrifacetError as error:
                on_problem(DataError(str(error), file=path, row=rows.line_num))
    except csv.Error as error:
        raise DataError(f"is no CSV ({error})", fix="save it as CSV", file=path) from None
    return counts


def _enter(row: dict[str, str | None], queue: Queue, who: str) -> str | None:
    said = (row.get("decision") or "").strip().casefold()
    if said not in DECISIONS:
        raise DataError(f"is {said[:40]!r}", fix=f"write {', '.join(filter(None, DECISIONS))}", field="decision")
    state = DECISIONS[said]
    if said == "later":
        return None
    if state is None:
        one = _known(row, queue)
        if one is not None and str(one.event) == (row.get("event") or "").strip():
            _refuse_lost(row, one.text, "decide edit to keep it, or later")
        return None
    event = (row.get("event") or "").strip()
    if not event.isdecimal() or len(event) > 18:
        raise DataError(f"is {event[:40]!r}, no number", fix="leave the column as it was written", field="event")
    name, seen = queue.whereabouts(_plain(row.get("id") or ""), int(event))  # it may have moved since
    row, text = row | {"id": name}, _plain(row.get("text") or "")
    if said == "empty":
        text = ""
    elif said == "edit" and not text.strip():
        raise DataError("is empty", fix="write the text, or decide 'empty' for a decorative picture", field="text")
    elif said == "accept" and (one := _known(row, queue)) is not None and one.event == seen:
        _refuse_lost(row, one.proposal.text, "decide edit for it; accept takes the model's text")
    long = _plain(row["long"] or "") if "long" in row and said == "edit" else None
    note = _plain(row.get("note") or "")
    queue.decide(name, state, text if state == "edited" else None, who, seen, long=long, note=note)
    return said


def _known(row: dict[str, str | None], queue: Queue) -> Suggestion | None:
    """The suggestion of a row; None for one of another queue."""
    try:
        return queue.get(_plain(row.get("id") or ""))
    except TrifacetError:
        return None


def _refuse_lost(row: dict[str, str | None], known: str, cure: str) -> None:
    """Raise DataError for a text that somebody wrote and the decision would drop."""
    if " ".join(_plain(row.get("text") or "").split()) != " ".join(_plain(_safe(known)).split()):
        raise DataError("is another one than was suggested", fix=cure, field="text")


def _safe(value: str) -> str:
    """A cell that no spreadsheet takes for a formula, without what it can't keep."""
    value = CONTROL.sub("", value)[:_LONGEST]
    return f"'{value}" if value.startswith(_FORMULA) else value


def _plain(cell: str) -> str:
    """A cell as it was before ``_safe``."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
