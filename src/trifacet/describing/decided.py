"""What people decided in a queue, as edits of documents, and what the queue notes once they stand there.

Invariant: only what a person accepted or edited is put in place, and only what stands in its document is noted as
applied. A document or a picture that is not as it was looked at makes its suggestions stale: they are asked anew. What
is taken out of its document again is decided as it was before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.base.opening import opened
from trifacet.describing.carrying import carry
from trifacet.describing.edits_file import Edits
from trifacet.describing.patching import Outcome
from trifacet.describing.place import Edit
from trifacet.describing.queue import Queue
from trifacet.describing.rasters import Rasters
from trifacet.describing.suggestion import QueueState, Suggestion

DECIDED: tuple[QueueState, ...] = ("accepted", "edited")
_SQLITE = b"SQLite format 3\0"


def is_queue(path: Path) -> bool:
    """Whether a file is a database, such as a queue; what kind, ``Queue`` finds out. Raises DataError: no such file."""
    with opened(path) as file:
        return bool(file.read(len(_SQLITE)) == _SQLITE)


@dataclass(frozen=True)
class Decided:
    """``edits`` for ``patching``; of ``old`` another suggestion for the same document was made of newer bytes, of
    ``shown`` the picture can't be read, or is another one by now (those in ``changed``), as the problem says.
    """

    edits: Edits
    ids: dict[tuple[str, str], str]
    old: list[str]
    shown: dict[str, DataError] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)


def decided(suggestions: Iterable[Suggestion], root: Path, *, longs: bool = False) -> Decided:
    """The edits of suggestions that are decided; each document as it was when it was looked at last.

    Args:
        suggestions: those that are decided.
        root: the folder that documents and pictures lie below. Remote pictures are not looked at again.
        longs: put long descriptions into documents too.
    """
    taken = sorted(suggestions, key=lambda one: one.event)
    digests = {one.proposal.document: one.proposal.digest for one in taken}
    wanted: dict[str, tuple[str, dict[str, Edit]]] = {}
    formats: dict[str, str] = {}
    ids: dict[tuple[str, str], str] = {}
    old: list[str] = []
    shown, changed = dict[str, DataError](), list[str]()
    rasters = Rasters(root)
    for one in taken:
        proposal = one.proposal
        if proposal.digest != digests[proposal.document]:
            old.append(one.id)
            continue
        try:
            if not _same_picture(one, rasters):
                told = f"picture {proposal.place.picture.file!r} changed since its text was suggested"
                changed.append(one.id)
                raise DataError(told, fix="suggest it again")
        except DataError as error:
            shown[one.id] = DataError(error.problem, fix=error.fix, file=proposal.document, row=proposal.place.line)
            continue
        wanted.setdefault(proposal.document, (proposal.digest, {}))[1][proposal.place.key] = Edit(
            one.text, long=one.long if longs and one.text.strip() else ""
        )
        ids[proposal.document, proposal.place.key] = one.id
        formats[proposal.document] = proposal.format
    return Decided(Edits(wanted, formats), ids, old, shown, changed)


def _same_picture(one: Suggestion, rasters: Rasters) -> bool:
    """Whether the file of a picture holds what the text was suggested for. Raises DataError: it can't be read."""
    picture, document = one.proposal.place.picture, rasters.root / one.proposal.document
    return not picture.file or rasters.seen(picture, document).digest == one.proposal.picture


def note(queue: Queue, of: Decided, outcomes: Sequence[Outcome], root: Path, who: str) -> None:
    """Enter into the queue what stands in its document now, what is stale, and where its other places are now."""
    applied, undescribed, stale = list[str](), list[str](), list(of.old)
    for outcome in outcomes:
        for key in outcome.keys:
            if (name := of.ids.get((outcome.path, key))) is not None:
                (undescribed if key in outcome.undescribed else applied).append(name)
        if outcome.told == "changed":
            stale += [one for (document, _), one in of.ids.items() if document == outcome.path]
    queue.mark_applied(applied, who)
    queue.mark_applied(undescribed, who, "without its long description")
    queue.mark_stale(stale, who, "its document changed since")
    queue.mark_stale(of.changed, who, "its picture changed since")
    carry(queue, outcomes, root, who)


def note_undone(queue: Queue, outcomes: Sequence[Outcome], root: Path, who: str) -> None:
    """What was taken out of documents is accepted or edited again, as it was before; others are where they were."""
    taken_out = {(outcome.path, outcome.digest, key) for outcome in outcomes if outcome.digest for key in outcome.keys}
    for one in queue.suggestions(states=("applied",)) if taken_out else ():
        proposal = one.proposal
        if (proposal.document, proposal.digest, proposal.place.key) in taken_out:
            queue.undo(one.id, who, one.event)
    carry(queue, outcomes, root, who)
