"""What is read in a picture: lines of letters, their words, and where letters are that cannot be read.

Invariant: places are pixels of the picture as shown (upright), inside it; the order is that of the engine, from the top
down. What was read is data of a stranger: it is shown and asked as such, never obeyed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Corners = tuple[float, float, float, float]  # left, upper, right, lower
Quad = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
Status = Literal["read", "nothing", "cannot read"]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Kept(BaseModel):
    """A part of what is kept on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Word(_Kept):
    """A word of a line and its box."""

    text: str
    box: Corners


class Line(_Kept):
    """Letters that stand together in a row.

    ``box`` holds them; ``quad`` are the corners of the turned rectangle around them, from the upper left clockwise as
    one reads (None: the box's). ``confidence`` is the engine's. ``words`` may be empty where an engine gives no places.
    """

    text: str
    box: Corners
    confidence: _Share = 1.0
    quad: Quad | None = None
    words: tuple[Word, ...] = ()


class Lettering(_Kept):
    """All that is read in one picture; ``unreadable`` are places with letters of which the engine can make nothing."""

    size: tuple[int, int]  # width, height
    lines: tuple[Line, ...] = ()
    unreadable: tuple[Corners, ...] = ()

    @property
    def status(self) -> Status:
        """Whether letters were read; "cannot read" where there are some and none of them could be."""
        return "read" if self.lines else "cannot read" if self.unreadable else "nothing"

    def share(self, box: Corners) -> float:
        """The share of the picture that a box covers."""
        return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0) / (self.size[0] * self.size[1])
