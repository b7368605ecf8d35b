"""The lattice: three facets, each chosen or rejected, make eight corners.

Invariant: nothing here knows about models, files or losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import product
from typing import NamedTuple


class Facet(StrEnum):
    """One of the three things a preference can be about, in the order in which a prompt holds them."""

    IMAGE = "image"
    CONTEXT = "context"
    RESPONSE = "response"


FACETS: tuple[Facet, ...] = tuple(Facet)


class Corner(NamedTuple):
    """One choice per facet: False is the chosen version, True the rejected one."""

    image: bool = False
    context: bool = False
    response: bool = False

    @classmethod
    def rejecting(cls, facets: Iterable[Facet | str]) -> Corner:
        """The corner in which exactly ``facets`` are rejected. Raises ValueError for an unknown facet."""
        rejected = {Facet(facet) for facet in facets}
        return cls(*(facet in rejected for facet in FACETS))

    @property
    def rejected(self) -> tuple[Facet, ...]:
        """The rejected facets, in the order of ``FACETS``."""
        return tuple(facet for facet, is_rejected in zip(FACETS, self, strict=True) if is_rejected)

    def __str__(self) -> str:
        return "+".join(self.rejected) or "chosen"


CHOSEN = Corner()
CORNERS: tuple[Corner, ...] = tuple(Corner(*bits) for bits in product((False, True), repeat=3))


class Cell(NamedTuple):
    """A corner made concrete for one sample: per facet 0 for the chosen version, k for its k-th rejected version.

    A sample with one rejected version per facet has a cell per corner; more versions give more cells.
    """

    image: int = 0
    context: int = 0
    response: int = 0

    @property
    def corner(self) -> Corner:
        """The corner that this cell is a version of."""
        return Corner(*(version > 0 for version in self))


def cells_of(corner: Corner, versions: dict[Facet, int]) -> Iterator[Cell]:
    """Every cell of ``corner``, given how many rejected versions a sample has of each facet.

    A corner that rejects a facet without a rejected version has no cell.
    """
    ranges = [
        range(1, versions.get(facet, 0) + 1) if is_rejected else range(1)
        for facet, is_rejected in zip(FACETS, corner, strict=True)
    ]
    return (Cell(*choice) for choice in product(*ranges))
