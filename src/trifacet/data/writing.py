"""Texts for posts, or for questions about pictures, whoever writes them: what a writer takes and gives.

Invariant: the nth text of a post depends on the writer, the posts and n; never on which texts are there already or
on what else is asked of it. So whatever was interrupted goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample


@dataclass(frozen=True)
class Written:
    """One text, stripped and without special tokens; one that continues a beginning keeps the blank between the two.

    ``prompt_tokens`` counts the image's tokens too; ``new_tokens`` does not count the end token. ``cut_tokens`` says
    how many tokens of an over-long post were left out. ``filtered`` are the rules that the best candidate broke where
    no candidate passed the filter: the text is empty then. ``draw`` numbers the texts of a post; ``ended`` is one that
    did not run into the limit, and ``problem`` says what else is wrong with it.
    """

    id: str
    text: str
    prompt_tokens: int
    new_tokens: int
    cut_tokens: int = 0
    filtered: tuple[str, ...] = ()
    draw: int = 0
    ended: bool = True
    problem: str | None = None


OnWritten = Callable[[list[Written]], None]


class Writer(Protocol):
    """Whatever writes: ``generation.writer.FamilyWriter`` and ``llm.writer.EndpointWriter``."""

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """Write ``draws`` texts for every post.

        Args:
            posts: what is asked about; a post's ``prompt`` is the request or question. Ids must be unique.
            images_root: folder of the images.
            draws: texts of each post; they differ where the writer samples.
            done: (id, draw) of the texts that are there already.
            on_written: called with new texts as they come, each once.

        Returns:
            The new texts (those of ``done`` are left out), in the order of ``posts`` and draws.

        Raises:
            TrifacetError: two posts with one id; an image that cannot be read; whatever keeps the writer from writing.
        """
        ...

    def made_with(self, posts: Sequence[TestSample]) -> dict[str, Any] | None:
        """What the texts of ``posts`` depend on; None for a writer that keeps its texts itself."""
        ...


def require_unique_ids(posts: Sequence[TestSample]) -> None:
    """Raise TrifacetError where two posts have one id."""
    counts = Counter(post.id for post in posts)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise TrifacetError(f"{len(twice)} ids occur more than once, {twice[0]!r} first; give each sample its own id")
