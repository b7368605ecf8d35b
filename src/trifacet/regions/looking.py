"""What a locator is: it sees a sample and its key words, and says which pixels show them.

Invariant: what is found depends on what is seen and on the locator's fingerprint; nothing is drawn from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from PIL import Image

from trifacet.data.records import PreferenceSample
from trifacet.preferences.rejected.masks import Corners, Lettered, Mask


class KeyWord(NamedTuple):
    """A word or phrase of a response, how much it matters, and where it stands (characters, end exclusive)."""

    text: str
    score: float
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Look:
    """What a locator sees of a sample: ``picture`` is the chosen image (RGB), ``seed`` that of everything drawn."""

    sample: PreferenceSample
    picture: Image.Image
    words: tuple[KeyWord, ...]
    seed: int


@dataclass(frozen=True)
class Region:
    """Where a word is: the mask over the picture, the locator's score (0 to 1), the box where it gave one.

    An empty word: the region is of the whole response. ``lettering``: the words that are lettered there, as they were
    read, where it is a region of lettering.
    """

    word: str
    mask: Mask
    score: float
    box: Corners | None = None
    lettering: tuple[Lettered, ...] = ()


class Locator(Protocol):
    """From words to regions; a word that is not found has none."""

    name: str

    def fingerprint(self) -> dict[str, Any]:
        """What the regions depend on besides what is seen: weights, thresholds, definition. JSON."""
        ...

    def locate(self, look: Look) -> Sequence[Region]:
        """The regions found, best first per word; the picture is encoded once, however many words there are."""
        ...


@runtime_checkable
class WordsNamer(Protocol):
    """A locator that says itself which words it has regions of, where nobody chose any."""

    def sees(self, sample: PreferenceSample) -> dict[str, str]:
        """Digests of what it looks through besides picture and response. Raises DataError."""
        ...

    def words(self, look: Look) -> tuple[KeyWord, ...]:
        """The words that there are regions of; ``look`` has none yet."""
        ...
