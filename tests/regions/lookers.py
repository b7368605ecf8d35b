"""Locators of the tests: what they find is drawn from the picture, so that workers have something to agree on."""

import time
from dataclasses import dataclass

import numpy as np

from trifacet.base.draws import generator
from trifacet.preferences.rejected.masks import box_mask
from trifacet.regions.locating import Looking
from trifacet.regions.looking import KeyWord, Region


@dataclass(frozen=True)
class FirstWords:
    """The first ``k`` words of a response but the shortest."""

    k: int = 2

    def fingerprint(self):
        return {"method": "first", "k": self.k}

    def choose(self, response):
        words = [word for word in response.replace(".", "").split() if len(word) > 3]
        places = [(response.index(word), response.index(word) + len(word)) for word in words]
        return tuple(
            KeyWord(word, 1 / (n + 1), (place,)) for n, (word, place) in enumerate(zip(words, places, strict=True))
        )[: self.k]


@dataclass(frozen=True)
class Boxes:
    """A drawn box or two for each word but those that are never found."""

    name: str = "boxes"
    threshold: float = 0.5
    seconds: float = 0.0
    never: tuple[str, ...] = ("ghost",)

    def fingerprint(self):
        return {"name": self.name, "threshold": self.threshold}

    def locate(self, look):
        time.sleep(self.seconds)
        width, height = look.picture.size
        found = []
        grey = float(np.asarray(look.picture).mean())
        for word in look.words:
            rng = generator(look.seed, word.text, round(grey))
            for _ in range(0 if word.text in self.never else rng.integers(1, 3)):
                left, upper = rng.integers(width - 2), rng.integers(height - 2)
                box = (float(left), float(upper), float(left + 4), float(upper + 3))
                found.append(Region(word.text, box_mask(look.picture.size, box), float(rng.random()), box))
        return found


@dataclass(frozen=True)
class Opener:
    """What opens a looking in whichever process."""

    k: int = 2
    threshold: float = 0.5
    seconds: float = 0.0
    largest: float = 1.0

    def __call__(self):
        return Looking(FirstWords(self.k), Boxes("boxes", self.threshold, self.seconds), self.largest)
