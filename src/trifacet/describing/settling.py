"""Which of many texts a document takes: one that it can't take is told by name, and the others are put in all the same.

Invariant: what comes out was made by the document's own format in one go from the texts that are named as put, so
that its check of the result holds for all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trifacet.base.errors import DataError
from trifacet.describing.long_descriptions import NoLongDescriptionsError
from trifacet.describing.place import Edit, Format, Place

_TRIES = 100  # times that a document is edited; with more that it can't take nothing is put in


@dataclass(frozen=True)
class Settled:
    """The document's new bytes, what was put in, and a line for each text or long description that could not be.

    ``undescribed``: keys of places that have their text, and not their long description.
    """

    after: bytes
    edits: Mapping[str, Edit]
    refused: tuple[str, ...] = ()
    undescribed: frozenset[str] = frozenset()


def settled(format: Format, before: bytes, path: str, edits: Mapping[str, Edit]) -> Settled:
    """Put texts into a document, all that it takes.

    Args:
        format: the document's.
        before: its bytes.
        path: its path.
        edits: by the places' keys.

    Raises:
        DataError: it can't be read, or takes none of the texts.
    """
    if not edits:
        return Settled(before, edits)
    found = {place.key: place for place in format.places(before, path)}
    trial = _Trial(format, before, path, found)
    sound = trial.with_places(edits)
    if not getattr(format, "takes_long", False):
        sound = trial.without_longs(sound, f"the format ({format.name}) has no place for one")
    try:
        after, put = trial.of(sound)
    except NoLongDescriptionsError as error:
        sound = trial.without_longs(sound, error.problem)
        after, put = trial.of(sound)
    if not put:
        raise trial.nothing()
    if put != sound:
        after = format.edited(before, path, put)  # the parts together
    undescribed = frozenset(key for key, edit in put.items() if edits[key].long and not edit.long)
    return Settled(after, put, tuple(trial.told[key] for key in edits if key in trial.told), undescribed)


@dataclass
class _Trial:
    """What of a document's edits was tried, and what came of it: by key a line for each that it can't take."""

    format: Format
    before: bytes
    path: str
    places: Mapping[str, Place]
    told: dict[str, str] = field(default_factory=dict)
    first: DataError = field(default_factory=lambda: DataError("takes no text"))
    left: int = _TRIES

    def with_places(self, edits: Mapping[str, Edit]) -> dict[str, Edit]:
        """Those of places that can be changed."""
        sound = {}
        for key, edit in edits.items():
            place = self.places.get(key)
            if place is None:
                self._refuse(key, DataError(f"holds no place {key[:80]!r}", fix="scan it again", file=self.path))
            elif place.fixed:
                told = f"can't be changed: {place.fixed}"
                self._refuse(key, DataError(told, fix="change it by hand", file=self.path, row=place.line))
            else:
                sound[key] = edit
        return sound

    def without_longs(self, edits: Mapping[str, Edit], why: str) -> dict[str, Edit]:
        """The texts alone, where the document has no place for long descriptions."""
        for key, edit in edits.items():
            if edit.long:
                told = f"its long description is put nowhere: {why}"
                self._tell(key, DataError(told, fix="write it below the picture by hand", file=self.path))
        return {key: replace(edit, long="") if edit.long else edit for key, edit in edits.items()}

    def of(self, edits: Mapping[str, Edit]) -> tuple[bytes, dict[str, Edit]]:
        """The bytes with these edits, and those that were put in: where some are not, the bytes are not of all."""
        if not edits:
            return self.before, {}
        self.left -= 1
        try:
            return self.format.edited(self.before, self.path, edits), dict(edits)
        except NoLongDescriptionsError:
            raise
        except DataError as error:
            if self.left <= 0:
                raise
            if len(edits) > 1:
                half = len(edits) // 2
                parts = (dict(list(edits.items())[:half]), dict(list(edits.items())[half:]))
                return self.before, self.of(parts[0])[1] | self.of(parts[1])[1]
            ((key, edit),) = edits.items()
            if not edit.long:
                self._refuse(key, error)
                return self.before, {}
            self._tell(key, error)
            return self.of({key: replace(edit, long="")})

    def nothing(self) -> DataError:
        """That the document takes none of the texts, and why it does not take the first."""
        one, more = self.first, len(self.told) - 1
        told = f" (so {'are' if more > 1 else 'is'} {more} other{'s' * (more > 1)})" if more > 0 else ""
        return DataError(f"{one.problem}{told}", fix=one.fix, file=self.path, row=one.row)

    def _refuse(self, key: str, error: DataError) -> None:
        if not self.told:
            self.first = error
        self._tell(key, error)

    def _tell(self, key: str, error: DataError) -> None:
        place = self.places.get(key)
        where = f"line {place.line}: " if place is not None and place.line is not None else ""
        called = f"{place.picture.file or place.picture.address[:60]}: " if place is not None and not where else ""
        self.told[key] = f"{where or called}{error.problem}" + (f"; {error.fix}" if error.fix else "")
