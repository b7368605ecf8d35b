"""Suggestions that go with their places when this program itself changed a document: nobody has to suggest anew.

Invariant: a suggestion is carried only from the very bytes that it was made for to those that this program put there,
and only to a place with the same picture, the same words around it and the same present text: what ``suggest`` would
find again without a call. A document that anybody else changed is looked at by ``suggest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.describing.addresses import Files
from trifacet.describing.patching import Outcome
from trifacet.describing.place import Place
from trifacet.describing.queue import Queue
from trifacet.describing.requests import context_digest
from trifacet.describing.scanning import Document, ScanSettings, read_document
from trifacet.describing.suggestion import Proposal, Suggestion


def carry(queue: Queue, outcomes: Iterable[Outcome], root: Path, who: str) -> int:
    """Have suggestions go with their places; how many.

    Args:
        queue: of suggestions.
        outcomes: what became of documents.
        root: the folder that they lie below.
        who: did it.
    """
    files = Files(root)
    count = 0
    for outcome in outcomes:
        if not outcome.was or outcome.told not in ("applied", "undone"):
            continue
        rows = queue.suggestions(documents=(outcome.path,))
        left = [one for one in rows if one.state not in ("stale", "applied") and one.proposal.digest == outcome.was]
        by_format: dict[str, list[Suggestion]] = {}
        for one in left:
            by_format.setdefault(one.proposal.format, []).append(one)
        for format, some in by_format.items():
            try:
                there = read_document(root / outcome.path, outcome.path, ScanSettings(format or "auto"), files)
            except DataError:
                continue  # it is as it was before: to be suggested for anew
            if there is not None and there.digest == outcome.digest:
                count += queue.move(_moved(some, there), who)
    return count


def _moved(suggestions: Iterable[Suggestion], document: Document) -> Iterator[tuple[Suggestion, Proposal]]:
    """Each with its proposal at the place where it is now; the first one of a kind goes to the first place of it."""
    free: dict[object, list[Place]] = {}
    for place in document.places:
        free.setdefault(_kind(place), []).append(place)
    for one in sorted(suggestions, key=lambda one: (one.proposal.place.line or 0, one.proposal.place.column or 0)):
        if places := free.get(_kind(one.proposal.place)):
            yield one, replace(one.proposal, digest=document.digest, place=places.pop(0))


def _kind(place: Place) -> object:
    return place.picture, context_digest(place), place.alt, place.state, bool(place.fixed)
