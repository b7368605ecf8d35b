"""Claims over cells, such as "full > dpo, mdpo in cider" or "no-image < full in grounding by 2".

Invariant: a statement that is read names cells and measures that the study has, and says in numbers what would be true.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trifacet.base.errors import TrifacetError

_NAME = r"[^\s,<>=]+"
_FORM = re.compile(rf"({_NAME})\s*([<>=])\s*({_NAME}(?:\s*,\s*{_NAME})*)\s+in\s+({_NAME})(?:\s+by\s+(\S+))?", re.ASCII)
_EXAMPLE = "write CELL > CELL in MEASURE, with < or =, several cells after a comma, a margin by NUMBER"


@dataclass(frozen=True)
class Statement:
    """``cell`` is above (>), below (<) or no farther than ``margin`` from (=) each of ``others`` in ``measure``.

    With > and < the margin is what the difference has to exceed.
    """

    text: str
    cell: str
    sign: Literal["<", ">", "="]
    others: tuple[str, ...]
    measure: str
    margin: float


def read_statement(text: str, cells: Sequence[str], measures: Sequence[str]) -> Statement:
    """The statement that ``text`` makes over these cells and measures.

    Raises:
        TrifacetError: it has another form, or names a cell or measure that is not there.
    """
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise TrifacetError(f"{text!r} is no claim; {_EXAMPLE}")
    cell, sign, named, measure, by = form.groups()
    others = tuple(re.split(r"\s*,\s*", named))
    for name in (cell, *others):
        _known(text, "cell", name, cells)
    _known(text, "measure", measure, measures)
    if cell in others or len(set(others)) < len(others):
        twice = cell if cell in others else next(one for one in others if others.count(one) > 1)
        raise TrifacetError(f"{text!r} holds cell {twice!r} against itself, or twice; name each cell once")
    margin = _margin(text, by)
    if sign == "=" and not margin:
        raise TrifacetError(f"{text!r} needs a margin, since nothing is equal to the last digit; add by NUMBER")
    return Statement(text.strip(), cell, sign, others, measure, margin)  # type: ignore[arg-type]


def _margin(text: str, by: str | None) -> float:
    if by is None:
        return 0.0
    try:
        margin = float(by) if re.fullmatch(r"[0-9.eE+-]+", by) else -1.0
    except ValueError:
        margin = -1.0
    if not 0 < margin <= 1e9:
        raise TrifacetError(f"{text!r}: by {by!r} is no margin; give a number above 0")
    return margin


def _known(text: str, what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise TrifacetError(f"{text!r} names {what} {name!r}, which the study has not; {hint}")
