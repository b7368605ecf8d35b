"""One use of a picture in a document: where it is, what stands there, what is around it, what the picture is for.

Invariant: a place is found again by ``Place.key`` in a document whose bytes have the digest that it was found with; a
document with other bytes is looked at anew, never patched by an old place. Everything here comes from the document and
is not trusted: whoever prints it makes it plain, whoever puts it into a page escapes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from trifacet.lint.check import LintFinding

State = Literal["missing", "empty", "text", "template"]
Role = Literal["decorative", "functional", "lettering", "complex", "group", "plain"]
Source = Literal["file", "remote", "data", "svg", "css", "none"]
STATES: tuple[State, ...] = get_args(State)
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Around:
    """The words around a picture, as a reader meets them; "" and () where there are none.

    Attributes:
        caption: of its figure or table.
        headings: those above it, the outermost first.
        before, after: the paragraph that it stands in, or those beside it.
        link: target of the link or button around it.
        link_text: what that says but for the picture.
        title: the picture's title attribute.
        page: the page's title.
        language: of the element, as BCP 47.
        file_name: the picture's own.
    """

    caption: str = ""
    headings: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    link: str = ""
    link_text: str = ""
    title: str = ""
    page: str = ""
    language: str = ""
    file_name: str = ""


@dataclass(frozen=True)
class Picture:
    """Which picture. ``address``: as the document has it; of drawings and ``data:`` the content itself.

    ``file`` is the file that it names below the root ("" where it names none there), or the member of an archive.
    """

    source: Source
    address: str
    file: str = ""


@dataclass(frozen=True)
class Place:
    """One use of a picture.

    Attributes:
        key: finds it again in the same bytes; unique in its document.
        picture: which one.
        alt: its present text; None: none is given.
        state: what that amounts to; "template": what a template or a script is yet to fill in.
        role: by the decision tree, with the ``reason`` in words.
        around: the context.
        line, column: from 1, in characters; None where a document has no lines.
        fixed: why it can't be changed there, "" where it can.
        findings: of the alt-text checks.
        described: the long description that the document ties to it (``aria-describedby``), in one line; "" for none.
    """

    key: str
    picture: Picture
    alt: str | None
    state: State
    role: Role
    reason: str
    around: Around = field(default_factory=Around)
    line: int | None = None
    column: int | None = None
    fixed: str = ""
    findings: tuple[LintFinding, ...] = ()
    described: str = ""


@dataclass(frozen=True)
class Edit:
    """What becomes of a place.

    Attributes:
        alt: the new text, "" for a decorative picture.
        described_by: id of an element with a long description (``aria-describedby``), where the format has it.
        source: value of ``data-alt-source``, where that was asked for and the format has it.
        long: a long description, for which an element is put behind the picture, where the format ``takes_long``.
    """

    alt: str
    described_by: str = ""
    source: str = ""
    long: str = ""


class Format(Protocol):
    """A kind of document: a file each in ``describing/formats/``.

    One with ``takes_long = True`` has a place for ``Edit.long``; the others are never given any. One may have
    ``unseen(data, path) -> Iterator[Unseen]``: places where a picture may stand that it does not look into.
    """

    name: str
    suffixes: Sequence[str]

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The uses of pictures in their order.

        Args:
            data: the document's bytes, already bounded.
            path: where it lies below the root, with "/": addresses of pictures are relative to it.

        Raises:
            DataError: it can't be read.
        """
        ...

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The same bytes but for the texts of the places with these keys.

        Raises:
            DataError: a key that is not in these bytes or that is ``fixed``; what came out can't be found again with
                the new texts (the edit is checked by reading the result).
        """
        ...
