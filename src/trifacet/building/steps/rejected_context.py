"""A preference row gets the posts of other rows as its rejected contexts.

Invariant: see ``lending``; what a row has from its source stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pydantic import Field

from trifacet.base.errors import TrifacetError
from trifacet.building.lending import OutsideCluster, TextsOnDisk, clusters_of, concerned, decisions_in_turn
from trifacet.building.rows import RowBatch
from trifacet.building.step import GlobalStep, Signatures, Tools
from trifacet.settings.section import Section

_COLUMNS = ["row", "id", "cluster", "context", "rejected_contexts"]


class Parameters(Section):
    """How many."""

    versions: int = Field(1, ge=1, le=100, description="rejected contexts a row")


def sign(part: pa.Table, parameters: Parameters, tools: Tools) -> pa.Table:
    """The rows of the preference set: number, id, cluster and context, and whether they have rejected contexts."""
    concerns = [concerned(split) for split in part.column("split").to_pylist()]
    rows = part.select(_COLUMNS).filter(pa.array(concerns, pa.bool_()))
    has = [bool(contexts) for contexts in rows.column("rejected_contexts").to_pylist()]
    return rows.drop_columns(["rejected_contexts"]).append_column("has", pa.array(has, pa.bool_()))


def decide(signatures: Signatures, parameters: Parameters, tools: Tools) -> pa.Table:
    """The rejected contexts of each row that lacks them; none (an empty list) where no other row has another post.

    Memory: 16 bytes a row; contexts stay on disk.
    """
    contexts = TextsOnDisk(
        (text for part in signatures.parts(["context"]) for text in part.column("context").to_pylist()), tools.folder
    )
    clusters = clusters_of(signatures.column("cluster"))
    rows = _lent(signatures, contexts, clusters, parameters.versions, tools.seed)
    return decisions_in_turn(rows, "contexts")


def _lent(
    signatures: Signatures, contexts: TextsOnDisk, clusters: np.ndarray, versions: int, seed: int
) -> Iterator[tuple[int, list[str]]]:
    from trifacet.preferences.rejected.samples import rejected_contexts

    index = -1
    for part in signatures.parts(["row", "id", "has"]):
        for post in part.to_pylist():
            index += 1
            if post["has"] or not contexts[index].strip():
                continue
            others = OutsideCluster(contexts, clusters, index)
            try:
                yield post["row"], rejected_contexts(others, index, seed=seed, sample_id=post["id"], versions=versions)
            except TrifacetError:  # there is no other post
                yield post["row"], []


def apply(batch: RowBatch, decisions: pa.Table, parameters: Parameters, tools: Tools) -> None:
    """Set the rejected contexts."""
    lent = dict(zip(decisions.column("row").to_pylist(), decisions.column("contexts").to_pylist(), strict=True))
    for place, row in enumerate(batch.column("row")):
        if lent.get(row):
            batch.change(place, "rejected_contexts", lent[row], "context of another post")
        elif row in lent:
            batch.note(place, "no other post to reject")


STEP = GlobalStep("rejected-context", Parameters, sign, decide, apply)
