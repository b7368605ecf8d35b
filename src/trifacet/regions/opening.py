"""From the section ``regions`` to who looks: the chooser of words, the locator, and what they need of the policy.

Invariant: what is opened here is a function of the settings and of the files that they name.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from trifacet.base.digests import content_of
from trifacet.regions.given import Given
from trifacet.regions.keywords.choosing import choose
from trifacet.regions.keywords.embeddings import open_embedder
from trifacet.regions.keywords.settings import KeyWords
from trifacet.regions.locating import Looking, Opener, Place
from trifacet.regions.locators.opening import open_locator
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.locators.words import WordsInPicture
from trifacet.regions.looking import KeyWord
from trifacet.regions.settings import Regions

_WITHOUT_WORDS = ("given", "words", "lowest-similarity")  # the first two name them; it is about the whole response


class Words:
    """The key words of a response by their section.

    Args:
        settings: the section.
        place: says which model is the policy, for ``embeddings: policy``.

    Raises:
        TrifacetError: embeddings are asked of a policy that nobody named, or of a model that cannot be loaded.
    """

    def __init__(self, settings: KeyWords, place: Place) -> None:
        self.settings = settings
        self.weights: str | None = None
        if not _asks_policy(settings) or place.policy is None:
            self.embed = open_embedder(settings)
            if self.embed is not None:
                self.weights = content_of(settings.embeddings)
            return
        from trifacet.models.loading import weights_fingerprint
        from trifacet.models.processors import read_tokenizer

        table = _Table(place.policy)
        self.weights = weights_fingerprint(table.get_input_embeddings())
        self.embed = open_embedder(settings, table, read_tokenizer(str(table.folder)))

    def fingerprint(self) -> dict[str, Any]:
        """Settings, and the weights of what embeds."""
        return {**self.settings.model_dump(mode="json"), "weights": self.weights}

    def choose(self, response: str) -> tuple[KeyWord, ...]:
        """See ``keywords.choosing``."""
        return choose(response, self.settings, self.embed)


class _Table:
    """The input embeddings of a checkpoint, of which nothing else is read."""

    def __init__(self, source: str | Path) -> None:
        from torch import nn

        from trifacet.models.difference import Checkpoint

        checkpoint = Checkpoint(source)
        self.folder = checkpoint.folder
        own = checkpoint.model.get_input_embeddings()
        place = next(name for name, module in checkpoint.model.named_modules() if module is own)
        self._table = nn.Embedding.from_pretrained(checkpoint.tensor(f"{place}.weight"))

    def get_input_embeddings(self) -> Any:
        """As a model's; their scale, which Gemma has, is of no account to cosines."""
        return self._table


def opener_for(settings: Regions, place: Place, seed: int) -> Opener:
    """What opens who looks, in each process that does; it can be pickled."""
    return partial(open_looking, settings, place, seed)


def open_looking(settings: Regions, place: Place, seed: int) -> Looking:
    """What the section asks for, ready to look.

    Raises:
        TrifacetError: a package, a model or a file that it needs is not there.
    """
    locator = settings.locator or LocatorSettings()
    words = settings.words or (None if locator.name in _WITHOUT_WORDS else KeyWords())
    chooser = Words(words, place) if words else None
    if locator.name == "given":
        annotations = place.root / settings.annotations if settings.annotations else None
        given = Given(place.images, max_pixels=place.max_pixels, annotations=annotations)
        return Looking(chooser, given, settings.largest, seed)
    if locator.name == "words":
        lettered = WordsInPicture(locator, place.images, max_pixels=place.max_pixels)
        return Looking(chooser, lettered, settings.largest, seed)
    policy = str(place.policy) if place.policy else None
    return Looking(chooser, open_locator(locator, policy=policy, asking=place.asking), settings.largest, seed)


def _asks_policy(settings: KeyWords) -> bool:
    return settings.embeddings == "policy" and settings.method == "mfpo" and settings.mfpo.gamma > 0
