"""An endpoint that refuses everything, told from rows that it refuses.

Invariant: what counts is how questions lie next to each other in the order of asking, whenever the answers come, kept
ones too; so it makes no difference when a fault began, nor whether the command is run anew.
"""

from __future__ import annotations

from trifacet.base.errors import TrifacetError

IN_A_ROW = 20  # questions: it is the endpoint or the recipe then, not the rows
AT_THE_END = 10  # the same where no further question comes that could tell
_OPEN, _ANSWERED, _REFUSED = range(3)


class Refusals:
    """What became of one model's questions."""

    def __init__(self, name: str) -> None:
        self._name, self._outcomes, self._said = name, bytearray(), ""

    def begin(self) -> int:
        """A question is asked; returns its place."""
        self._outcomes.append(_OPEN)
        return len(self._outcomes) - 1

    def answered(self, place: int) -> None:
        """It has an answer."""
        self._outcomes[place] = _ANSWERED

    def refused(self, place: int, said: str) -> None:
        """The endpoint would have none of it. Raises TrifacetError where it refuses so many in a row."""
        self._outcomes[place], self._said = _REFUSED, said
        around = self._outcomes[max(0, place - IN_A_ROW + 1) : place + IN_A_ROW]
        if bytes([_REFUSED]) * IN_A_ROW in around:
            raise self._error(IN_A_ROW)

    def end(self) -> None:
        """No further question comes. Raises TrifacetError where the last ones were all refused."""
        if self._outcomes.endswith(bytes([_REFUSED]) * AT_THE_END):
            raise self._error(AT_THE_END)

    def _error(self, count: int) -> TrifacetError:
        return TrifacetError(
            f"models.{self._name} rejected {count} requests in a row, at last: {self._said}; correct the recipe, the "
            "endpoint or what those rows hold, then the same command continues"
        )
