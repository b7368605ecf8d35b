"""Two ways to rank candidates, both PageRank on a graph whose edges say how much one candidate speaks for another.

Invariant: the scores of n candidates are positive and sum to 1; they depend on places, stems and embeddings only.

Names end in their axes: C candidates, D width of an embedding, O occurrences. ``weights_CC[i, j]`` is the edge that
leads from candidate j to candidate i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trifacet.base.extras import needed_for
from trifacet.regions.keywords.candidates import Candidate
from trifacet.regions.keywords.settings import Mfpo, Multipartite

Floats = NDArray[np.float64]


def mfpo_weights(
    candidates: Sequence[Candidate], embeddings_CD: NDArray[np.floating] | None, constants: Mfpo
) -> Floats:
    """[C, C]: MFPO's edges (arXiv 2410.15334); how its three parts make one weight is our reading.

    w_ij = exp(-decay * l_i) * max(0, sum over occurrences 1 / (1 + |l_i - l_j|^phi) + gamma * cosine_ij), l_i in words,
    in the exponent that of the first occurrence. The factor belongs to the word that the edge leads to: PageRank
    divides by all that leaves a word, so that a factor of the word it comes from would have no say.

    Args:
        candidates: with their places.
        embeddings_CD: None where there are none: their part is 0 then.
        constants: phi, gamma, decay.
    """
    near_CC = _over_occurrences(candidates, lambda gap_OO: 1 / (1 + gap_OO**constants.phi))
    if embeddings_CD is not None:
        near_CC = near_CC + constants.gamma * _cosines(embeddings_CD)
    first_C = np.array([one.positions[0] for one in candidates])
    weights_CC = np.exp(-constants.decay * first_C)[:, None] * np.maximum(near_CC, 0)
    np.fill_diagonal(weights_CC, 0)
    return weights_CC


def multipartite_weights(candidates: Sequence[Candidate], constants: Multipartite) -> Floats:
    """[C, C]: the edges of MultipartiteRank (F. Boudin, NAACL 2018, sections 2.1 and 2.2).

    Candidates of one topic have no edge; between others stands the sum over occurrences of 1 / |l_i - l_j|. To the edge
    from j to a topic's first candidate f are added boost * exp(1 / (1 + l_f)) times the edges of j to its others.

    Raises:
        TrifacetError: scipy is not installed.
    """
    topics_C = _topics(candidates, constants.cut)
    apart_CC = topics_C[:, None] != topics_C[None, :]

    def inverse(gap_OO: Floats) -> Floats:
        return np.divide(1, gap_OO, out=np.zeros_like(gap_OO), where=gap_OO > 0)

    plain_CC = np.where(apart_CC, _over_occurrences(candidates, inverse), 0)
    weights_CC = plain_CC.copy()
    for topic in np.unique(topics_C):
        members = np.flatnonzero(topics_C == topic).tolist()
        first, *others = sorted(members, key=lambda place: candidates[place].positions[0])
        gain = constants.boost * np.exp(1 / (1 + candidates[first].positions[0]))
        weights_CC[first] += gain * plain_CC[others].sum(axis=0)
    return weights_CC


def pagerank(weights_CC: Floats, damping: float) -> Floats:
    """[C]: the stationary distribution, solved and not iterated; a candidate without a way out leads to all alike."""
    count = len(weights_CC)
    out_C = weights_CC.sum(axis=0)
    moves_CC = np.divide(weights_CC, out_C, out=np.full_like(weights_CC, 1 / count), where=out_C > 0)
    found_C: Floats = np.linalg.solve(np.eye(count) - damping * moves_CC, np.full(count, (1 - damping) / count))
    return found_C


def _over_occurrences(candidates: Sequence[Candidate], of_gaps: Callable[[Floats], Floats]) -> Floats:
    """[C, C]: what a function says of the gap between two occurrences, summed over the pairs."""
    places_O = np.concatenate([one.positions for one in candidates]).astype(np.float64)
    starts = np.cumsum([0, *(len(one.positions) for one in candidates[:-1])])
    each_OO = of_gaps(np.abs(places_O[:, None] - places_O[None, :]))
    return np.add.reduceat(np.add.reduceat(each_OO, starts, axis=0), starts, axis=1)


def _cosines(embeddings_CD: NDArray[np.floating]) -> Floats:
    wide_CD = np.asarray(embeddings_CD, np.float64)
    lengths_C = np.linalg.norm(wide_CD, axis=1, keepdims=True)
    unit_CD = np.divide(wide_CD, lengths_C, out=np.zeros_like(wide_CD), where=lengths_C > 0)
    return unit_CD @ unit_CD.T


def _topics(candidates: Sequence[Candidate], cut: float) -> NDArray[np.int64]:
    """[C]: the topic of each candidate: average linkage on the Jaccard distance of sets of stems."""
    with needed_for("method 'multipartite' of key words"):
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import pdist
    if len(candidates) == 1:
        return np.zeros(1, np.int64)
    stems = sorted({stem for one in candidates for stem in one.stems})
    has = np.array([[stem in one.stems for stem in stems] for one in candidates])
    return np.asarray(fcluster(linkage(pdist(has, "jaccard"), "average"), cut, "distance"), np.int64)
