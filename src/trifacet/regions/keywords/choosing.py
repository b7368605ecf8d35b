"""From a response to its key words.

Invariant: the same response, settings and embeddings give the same key words in the same order; a response without a
candidate has none.
"""

from __future__ import annotations

import numpy as np

from trifacet.base.errors import TrifacetError
from trifacet.regions.keywords.candidates import Candidate, find_candidates
from trifacet.regions.keywords.embeddings import Embed
from trifacet.regions.keywords.ranking import Floats, mfpo_weights, multipartite_weights, pagerank
from trifacet.regions.keywords.settings import KeyWords
from trifacet.regions.looking import KeyWord

_DIGITS = 12  # of a score: what lies beyond is rounding, and differs between machines


def choose(response: str, settings: KeyWords, embed: Embed | None = None) -> tuple[KeyWord, ...]:
    """The ``settings.k`` key words of a response, the most important first; of equal ones the earlier.

    Args:
        response: the chosen response.
        settings: method, constants, tagger.
        embed: vectors [n, width] of n texts, for method ``mfpo``; without it, words are ranked by place alone.

    Returns:
        Key words with their scores (the scores of all candidates sum to 1) and all their places.

    Raises:
        TrifacetError: what the settings name is not installed or cannot be loaded, or ``embed`` gives no such vectors.
    """
    candidates = find_candidates(response, settings)
    if not candidates:
        return ()
    scores = [
        round(float(score), _DIGITS) for score in pagerank(_weights(candidates, settings, embed), settings.damping)
    ]
    best = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))[: settings.k]
    return tuple(KeyWord(candidates[place].text, scores[place], candidates[place].spans) for place in best)


def _weights(candidates: list[Candidate], settings: KeyWords, embed: Embed | None) -> Floats:
    if settings.method == "multipartite":
        return multipartite_weights(candidates, settings.multipartite)
    if embed is None or settings.mfpo.gamma == 0:
        return mfpo_weights(candidates, None, settings.mfpo)
    vectors = embed([one.text for one in candidates])
    if vectors.ndim != 2 or len(vectors) != len(candidates) or not np.isfinite(vectors).all():
        raise TrifacetError(
            f"embeddings of {len(candidates)} words have shape {vectors.shape} or are no numbers; "
            "give one finite vector per word"
        )
    return mfpo_weights(candidates, vectors, settings.mfpo)
