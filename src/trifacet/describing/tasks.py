"""A place on its way to a suggestion: what is asked about it, and the key under which what is drawn is kept.

Invariant: the key holds all that an answer depends on: the picture's bytes, the request, the model with its settings,
and the words read in the picture where the model is told them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trifacet.base.digests import json_digest
from trifacet.base.embedded import kept_picture
from trifacet.data.records import TestSample
from trifacet.data.words_read import asked_form
from trifacet.data.writing import Writer
from trifacet.describing.findings import is_missing, is_weak
from trifacet.describing.judging import About, Judged
from trifacet.describing.place import Place
from trifacet.describing.queue import Queue
from trifacet.describing.rasters import Rasters, Seen
from trifacet.describing.requests import LONGEST_LONG, Asking, Request, known_names, language_of, request
from trifacet.lettering.lines import Lettering
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import COLUMN

SHORT = 32  # characters of a key that stand for it as an id


@dataclass(frozen=True)
class Model:
    """What writes.

    Attributes:
        identity: all that a text depends on besides picture and request: model, weights, settings, seed.
        make: gives the writer; called once, and only where something has to be asked.
        draws: texts of each request.
        takes_words: it puts the words that were read in a picture into its request itself, as it was trained.
    """

    identity: Mapping[str, Any]
    make: Callable[[], Writer]
    draws: int = 5
    takes_words: bool = False

    @property
    def depends(self) -> dict[str, Any]:
        """The identity, but for the name of a model whose weights are known: a folder may move."""
        return {name: value for name, value in self.identity.items() if name != "model" or not self.identity["weights"]}


class Means(Protocol):
    """What tasks are done with: a ``Suggester`` has them."""

    queue: Queue
    model: Model
    asking: Asking
    rasters: Rasters
    readings: Readings | None


@dataclass
class Task:
    """One place that is suggested for."""

    document: str
    digest: str
    format: str
    place: Place
    seen: Seen
    of: Means

    def begin(self) -> None:
        """Read the picture's words, where they are read, and make the requests. Raises DataError for the picture."""
        self.lettering: Lettering | None = None
        if self.place.role == "decorative":
            return
        if self.of.readings is not None:
            self.lettering = self.of.readings.of(self._file(), self.seen.called)
        self._requests = {long: request(self.place, self.of.asking, self._read, long=long) for long in (False, True)}
        self.first_key, self.first_long_key = self.key(long=False), self.key(long=True)
        if set(range(self.of.model.draws)) - self.of.queue.answers(self.first_key).keys():
            self.of.rasters.name(self.seen)  # proven before the model is asked

    @property
    def has_long(self) -> bool:
        """Whether a long description is asked for too."""
        return self.place.role == "complex" and self.of.asking.way == "roles"

    @property
    def asked(self) -> Request:
        """The last request for the text."""
        return self._requests[False]

    def key(self, *, long: bool) -> str:
        """All that the answers to the present request depend on."""
        return json_digest([self.seen.digest, self._requests[long].digest, self.of.model.depends, self._words])

    def again(self, judged: Judged, *, long: bool) -> bool:
        """Have a shorter text asked for; whether that can be."""
        if self.of.asking.way == "trained" or not (judged.text or judged.samples):
            return False
        earlier = judged.text or judged.samples[0]
        self._requests[long] = request(self.place, self.of.asking, self._read, long=long, earlier=earlier)
        return True

    def sample(self, key: str, *, long: bool) -> TestSample:
        """The present request as a writer takes it."""
        post = self._requests[long].sample(key[:SHORT], self.of.rasters.name(self.seen))
        return post if self._words is None else post.model_copy(update={"extra": {**post.extra, COLUMN: self._words}})

    def about(self, *, long: bool) -> About:
        """What its texts are judged by."""
        asking = self.of.asking
        around = self.place.around
        return About(
            self.place,
            known_names(self.place, asking, self._read),
            language_of(self.place, asking),
            LONGEST_LONG if long else asking.longest,
            "\n".join(one for one in (around.caption, around.before, around.after) if one),
            (lambda: self.lettering) if self.lettering is not None else None,
        )

    @property
    def _words(self) -> dict[str, Any] | None:
        """What was read, for a model that is told it beside the request."""
        return asked_form(self.lettering) if self.lettering is not None and self.of.model.takes_words else None

    @property
    def _read(self) -> list[str]:
        return [] if self.lettering is None else [line.text for line in self.lettering.lines]

    def _file(self) -> Path:
        name = self.of.rasters.name(self.seen)
        return kept_picture(name) or self.of.rasters.root / name


def wants_text(place: Place, *, weak: bool) -> bool:
    """Whether a text is to be suggested: where one is needed and missing; with ``weak`` also where the checks find
    fault with it. Never where the place can't be changed or a template fills it in.
    """
    if place.fixed or place.state == "template":
        return False
    return place.state == "missing" or is_missing(place) or (weak and is_weak(place))
