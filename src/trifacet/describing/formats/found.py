"""Places as the formats of this folder make them: state, role, findings; and the check of what came out of an edit.

Invariant: an edit counts as done only if reading the result finds the new texts in their places and every other text
as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trifacet.base.errors import DataError
from trifacet.describing.decision import Known, decided
from trifacet.describing.findings import findings_of
from trifacet.describing.place import Around, Edit, Picture, Place, State
from trifacet.lint.documents import AltText
from trifacet.lint.templates import template_in


def found(
    key: str,
    picture: Picture,
    alt: str | None,
    around: Around,
    *,
    decorative: bool = False,
    diagram: bool = False,
    emptied: bool = False,
    fixed: str = "",
    line: int | None = None,
) -> Place:
    """One use of a picture; what isn't told here is as in ``Place``.

    Args:
        key: as there.
        picture: as there.
        alt: as there.
        around: as there.
        decorative: the document says that it is.
        diagram: the document says that it is a chart or a diagram.
        emptied: an empty text says that it is decorative; else it is a missing one.
        fixed: as there.
        line: as there.
    """
    decorative = decorative or (emptied and alt is not None and not alt.strip())
    state: State = "text" if (alt or "").strip() else "empty" if decorative else "missing"
    if alt and template_in(alt):
        state, fixed = "template", fixed or "a template fills it in"
    known = Known(
        alt=alt,
        marked="the document marks it as decorative" if decorative else "",
        control="link" if around.link else "",
        named=bool(around.link_text),
        caption=around.caption,
        file_name=around.file_name,
    )
    role, reason = decided(known)
    if diagram and role == "plain":
        role, reason = "complex", "it is a chart or a diagram"
    unasked = {"template": "template", "empty": "decorative"}.get(state, "")
    said = around.caption or around.before or None
    asked = AltText(None if state == "missing" else alt, image=picture.address, context=said, unasked=unasked)
    return Place(key, picture, alt, state, role, reason, around, line, None, fixed, findings_of(asked))


def editable(places: Sequence[Place], edits: Mapping[str, Edit], path: str) -> None:
    """Raise DataError for an edit without a place, or of a place that can't be changed."""
    known = {place.key: place for place in places}
    for key in edits:
        if key not in known:
            raise DataError(f"holds no place {key[:80]!r}", fix="scan it again", file=path)
        if known[key].fixed:
            raise DataError(f"the text of {key[:80]!r} can't be changed: {known[key].fixed}", file=path)


def refuse_described(edits: Mapping[str, Edit], path: str) -> None:
    """Raise DataError where an edit asks for attributes that only pages have."""
    for key, edit in edits.items():
        if edit.described_by or edit.source:
            raise DataError(
                f"{key[:80]!r}: the format has no place for more than a text", fix="give alt alone", file=path
            )


def check_result(before: Sequence[Place], after: Sequence[Place], edits: Mapping[str, Edit], path: str) -> None:
    """Raise DataError where what was read anew is not what was meant."""
    wanted = [edits[place.key].alt if place.key in edits else place.alt for place in before]
    there = [place.alt for place in after]
    if there != wanted:
        raise DataError(
            "would read otherwise than it was meant to; nothing is changed", fix="edit it by hand", file=path
        )
