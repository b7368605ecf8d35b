"""What is read in a picture: lines of letters, their words, and where letters are that cannot be read.

Invariant: places are pixels of the picture as shown (upright), inside it; the order is that of the engine, from the top
down. What was read is data of a stranger: it is shown and asked as such, never obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Corners = tuple[float, float, float, float]  # left, upper, right, lower
Quad = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
Status = Literal["read", "nothing", "cannot read"]
_Share = Annotated[float, Field(ge=0, le=1)]
_Side = Annotated[int, Field(ge=1)]


class _Kept(BaseModel):
    """A part of what is kept on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Word(_Kept):
    """A word of a line, its box, and how sure the engine is of it."""

    text: str
    box: Corners
    confidence: _Share = 1.0


class Line(_Kept):
    """Letters that stand together in a row.

    ``box`` holds them; ``quad`` are the corners of the turned rectangle around them, from where one begins to read
    clockwise (None: the box's). ``confidence`` is the engine's. ``words`` are those of ``text.split()``, in its order,
    or none where the engine gives no places. Of lines that somebody stated without a place ``placed`` is False, and the
    box is the whole picture.
    """

    text: str
    box: Corners
    confidence: _Share = 1.0
    quad: Quad | None = None
    words: tuple[Word, ...] = ()
    placed: bool = True


class Lettering(_Kept):
    """All that is read in one picture; ``unreadable`` are places with letters of which the engine can make nothing."""

    size: tuple[_Side, _Side]  # width, height
    lines: tuple[Line, ...] = ()
    unreadable: tuple[Corners, ...] = ()

    @model_validator(mode="after")
    def _all_inside(self) -> Self:
        width, height = self.size
        for what, (left, upper, right, lower) in self._places():
            if not (0 <= left <= right <= width and 0 <= upper <= lower <= height):
                raise ValueError(f"{what} is no box inside {width} x {height} pixels (left, upper, right, lower)")
        return self

    def _places(self) -> Iterator[tuple[str, Corners]]:
        for number, line in enumerate(self.lines, start=1):
            yield f"the box of line {number}", line.box
            for word in line.words:
                yield f"the box of a word of line {number}", word.box
            for x, y in line.quad or ():
                yield f"a corner of line {number}", (x, y, x, y)
        for number, box in enumerate(self.unreadable, start=1):
            yield f"unreadable place {number}", box

    @property
    def status(self) -> Status:
        """Whether letters were read; "cannot read" where there are some and none of them could be."""
        return "read" if self.lines else "cannot read" if self.unreadable else "nothing"

    @property
    def text(self) -> str:
        """All lines, in their order, an end of line between them."""
        return "\n".join(line.text for line in self.lines)

    def share(self, box: Corners) -> float:
        """The share of the picture that a box covers."""
        return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) / (self.size[0] * self.size[1])


def cut(box: Corners, size: tuple[int, int]) -> Corners:
    """The part of a box that is inside a picture (width, height)."""
    (left, upper, right, lower), (width, height) = box, size
    left, upper = min(max(left, 0.0), width), min(max(upper, 0.0), height)
    return left, upper, min(max(right, left), width), min(max(lower, upper), height)


def line_of(text: str) -> Line:
    """A text's words as a line without a place, to be held against what texts or pictures say."""
    return Line(text=text, box=(0.0, 0.0, 0.0, 0.0))
