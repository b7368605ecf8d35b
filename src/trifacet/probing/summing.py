"""From what single texts showed to a model's numbers, with their intervals.

Invariant: a number over samples is a mean over samples, each counting alike, or says what else it is; it has the
interval that a comparison with its default settings and the same seed gives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trifacet.engine.watching import Floats
from trifacet.probing import document as made
from trifacet.probing.attention import SHARES, Shares
from trifacet.probing.embeddings import Plane, distance_measures, principal_plane, silhouette
from trifacet.probing.vectors import Vectors
from trifacet.statistics.measures import Measure, in_order, mean_measure
from trifacet.statistics.significance import LEVEL, RESAMPLES, bca_intervals, percentile_interval


def attention_of(
    shares: Mapping[str, Shares], *, left_out: int, without_image: int, without_context: int, seed: int
) -> made.Attention:
    """The means over samples, and how each compares to the share of tokens."""
    each_S4 = np.stack([one.mean_4 for one in shares.values()])
    tokens_4 = np.stack([one.tokens_4 for one in shares.values()]).mean(axis=0)
    mean_4 = each_S4.mean(axis=0)
    per_layer = []
    for layer in range(len(next(iter(shares.values())).response_Y)):
        there_S4 = np.stack([one.shares_Y4[layer] for one in shares.values()])
        there_S4 = there_S4[np.isfinite(there_S4).all(axis=1)]
        per_layer.append(
            made.Layer(
                layer=layer + 1,
                shares=made.Four(**four(there_S4.mean(axis=0))) if len(there_S4) else None,
                response_share=float(np.mean([one.response_Y[layer] for one in shares.values()])),
            )
        )
    intervals = {
        name: between(mean_measure(name, dict(zip(shares, each_S4[:, at].tolist(), strict=True))), seed)
        for at, name in enumerate(SHARES)
    }
    relative = {name: float(mean_4[at] / tokens_4[at]) if tokens_4[at] else None for at, name in enumerate(SHARES)}
    return made.Attention(
        samples=len(shares), left_out=left_out, without_image=without_image, without_context=without_context,
        shares=made.Four(**four(mean_4)), intervals=made.FourIntervals(**intervals),
        token_shares=made.Four(**four(tokens_4)), relative=made.FourRatios(**relative),
        response_share=float(np.mean([one.response_Y.mean() for one in shares.values()])), per_layer=per_layer,
    )  # fmt: skip


def embeddings_of(vectors: Vectors, others: Sequence[Vectors], samples: int, seed: int) -> made.Embeddings:
    """Distances, and the planes of this model and of it with ``others``, whose states are of the same width."""
    generated_Sd, reference_Sd = vectors.generated_Sd.astype(np.float64), vectors.reference_Sd.astype(np.float64)
    plane = principal_plane(np.vstack([generated_Sd, reference_Sd]))
    measures = distance_measures(vectors.ids, generated_Sd, reference_Sd)
    return made.Embeddings(
        samples=len(vectors.ids),
        left_out=samples - len(vectors.ids),
        width=generated_Sd.shape[1],
        explained=list(plane.explained),
        distances={
            name: made.Distance(value=measure.value, interval=between(measure, seed, bca=name != "centroids"))
            for name, measure in measures.items()
        },
        silhouette=silhouette(generated_Sd, reference_Sd),
        points=_pairs(vectors, plane),
        joint=_joint([*others, vectors]) if others else None,
    )


def _joint(clouds: Sequence[Vectors]) -> made.Joint | None:
    """One plane of the samples that all have: a model that wrote nothing for a post lacks it. None where there is none.

    Points are in the order of the last cloud's.
    """
    known = set.intersection(*(set(cloud.ids) for cloud in clouds))
    shared = [cloud.of([name for name in clouds[-1].ids if name in known]) for cloud in clouds]
    if not known:
        return None
    plane = principal_plane(
        np.vstack([half for cloud in shared for half in (cloud.generated_Sd, cloud.reference_Sd)]).astype(np.float64)
    )
    return made.Joint(
        explained=list(plane.explained),
        models=[made.Cloud(model=cloud.model, points=_pairs(cloud, plane)) for cloud in shared],
    )


def _pairs(vectors: Vectors, plane: Plane) -> list[made.Pair]:
    own, others = (
        plane.flat(half.astype(np.float64)).tolist() for half in (vectors.generated_Sd, vectors.reference_Sd)
    )
    return [
        made.Pair(id=name, generated=one, reference=other)
        for name, one, other in zip(vectors.ids, own, others, strict=True)
    ]


def four(values_4: Floats) -> dict[str, float]:
    """Shares by the names of their groups."""
    return {name: float(value) for name, value in zip(SHARES, values_4, strict=True)}


def between(measure: Measure, seed: int, *, bca: bool = True) -> list[float] | None:
    """The measure's bootstrap interval, as documents have it.

    ``bca``: off for a number that is larger on nearly every resampled set, as the length of a mean is. BCa would take
    that for bias and read both ends off the same few draws: an interval of no width, beside the value.
    The order of the samples changes neither.
    """
    if bca:
        (found,) = bca_intervals([measure], seed=seed)
    else:
        ordered = in_order(measure, sorted(measure.units))
        found = percentile_interval(ordered, draws=RESAMPLES, level=LEVEL, seed=seed)
    return None if found is None else list(found)
