"""What of the data or the objective a training does without: said at its start, in its log, ``done.json`` and report.

Invariant: nothing is said of fewer samples than a share that is stated here.
"""

from __future__ import annotations

from collections.abc import Mapping

from trifacet.preferences.facets import Facet
from trifacet.preferences.objectives import Objective

FEW = 0.1  # of the samples may lack a facet that the objective rejects without a word about it
_CALLED = {Facet.IMAGE: "image", Facet.CONTEXT: "post", Facet.RESPONSE: "rejected response"}


def concerns(objective: Objective, without: Mapping[Facet, int], lost: Mapping[str, int], samples: int) -> list[str]:
    """A sentence for each.

    Args:
        objective: of the training.
        without: how many samples lack each facet that it rejects.
        lost: what rows say and no sample holds, with the number of rows.
        samples: how many there are.
    """
    said = []
    for facet, count in without.items():
        if count <= FEW * samples:
            continue
        shown = {facet, Facet.CONTEXT} if objective.beside and facet is Facet.IMAGE else {facet}
        terms = [one.name for one in objective.active if any(shown & {*corner.rejected} for corner in one.corners)]
        none = count == samples
        have = "none of the samples has" if none else f"{count} of {samples} samples lack"
        said.append(
            f"{have} {'an' if facet is Facet.IMAGE else 'a'} {_CALLED[facet]}: {len(terms)} of the "
            f"{len(objective.active)} terms of objective {objective.name!r} do not apply to "
            f"{'any' if none else 'them'} ({', '.join(terms)}); "
            f"give each its {_CALLED[facet]}, or use an objective without these terms"
        )
    return said + [f"lost from the data: {what} (rows: {count})" for what, count in lost.items()]
