"""Rows go to the test, preference or supervised (sft) set; rows of one cluster of near-duplicates go together.

Invariant: where a row goes depends on the seed, the id of the first row of its cluster, and, with ``sizes``, on how the
clusters before it in the seeded order filled the sets.

``shares``: a cluster's seeded hash, taken as a number from 0 to 1, falls into test, preference or sft. Posts added
later move nobody else; sizes come out near the shares, not exactly (a standard deviation of sqrt(n p (1 - p)) rows).
``sizes``: in the order of the hash, test is filled first, then preference, then sft. A cluster that would overfill a
set is passed over for that set, so a set is short only where no remaining cluster fits. Posts added later move others.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trifacet.building.rows import RowBatch, SetName
from trifacet.building.step import GlobalStep, Signatures, Tools
from trifacet.settings.section import MOST, Section, Seed, Unit

ORDER: tuple[SetName, ...] = ("test", "preference", "sft")  # in which sets are filled
NONE = len(ORDER)  # the number of what is in no set
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


class Parameters(Section):
    """How many rows go where: ``sizes`` or ``shares``, not both."""

    sizes: dict[SetName, Annotated[int, Field(ge=0, le=MOST)]] | None = Field(
        None, min_length=1, description="rows of each set"
    )
    shares: dict[SetName, Unit] | None = Field(None, min_length=1, description="share of the rows for each set")
    rest: Literal["sft", "drop"] | None = Field(
        None, description="where what is left goes (null: to sft, or out of the build where sft is given above)"
    )
    seed: Seed | None = Field(None, description="seed of the order (null: the recipe's)")

    @model_validator(mode="after")
    def _one_of_both(self) -> Parameters:
        if (self.sizes is None) == (self.shares is None):
            raise ValueError("give either sizes or shares")
        if self.shares and sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(f"shares add up to {sum(self.shares.values()):g}; 1 at most")
        return self

    @property
    def rest_number(self) -> int:
        """The number in ``ORDER`` of the set that takes what is left, or NONE."""
        given = self.sizes or self.shares or {}
        rest = self.rest or ("drop" if "sft" in given else "sft")
        return ORDER.index("sft") if rest == "sft" else NONE


def sign(part: pa.Table, parameters: Parameters, tools: Tools) -> pa.Table:
    """Of each row its cluster (itself where there is none) and the seeded hash of its id."""
    seed = tools.seed if parameters.seed is None else parameters.seed
    salt = f"split {seed} ".encode()
    hashes = [
        int.from_bytes(blake2b(salt + identity.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        for identity in part.column("id").to_pylist()
    ]
    cluster = pc.coalesce(part.column("cluster"), part.column("row"))
    return pa.table({"row": part.column("row"), "cluster": cluster, "hash": pa.array(hashes, pa.uint64())})


def decide(signatures: Signatures, parameters: Parameters, tools: Tools) -> pa.Table:
    """Of each row the number of its set in ``ORDER``; NONE for those that leave."""
    row, cluster, hashes = (_numbers(signatures, name) for name in ("row", "cluster", "hash"))
    order = np.argsort(cluster, kind="stable")  # rows come in order, so a cluster's first row is first here too
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    keys = hashes[order[starts]]
    if parameters.shares is not None:
        chosen = _by_shares(keys, parameters.shares, parameters.rest_number)
    else:
        chosen = _by_sizes(keys, sizes, parameters.sizes or {}, parameters.rest_number)
    split = np.empty(len(row), np.int8)
    split[order] = np.repeat(chosen, sizes)
    return pa.table({"row": row, "split": split})


def _numbers(signatures: Signatures, name: str) -> NDArray[Any]:
    return np.asarray(signatures.column(name).to_numpy())


def _by_shares(keys: NDArray[np.uint64], shares: dict[SetName, Unit], rest: int) -> NDArray[np.int8]:
    ends = np.cumsum([shares.get(name, 0.0) for name in ORDER])
    if "sft" in shares and ends[-1] > 1 - 1e-9:  # shares that add up to one leave nobody over by rounding
        ends[-1] = np.inf
    number = np.searchsorted(ends, keys / 2.0**64, side="right")
    return np.where(number == NONE, rest, number).astype(np.int8)


def _by_sizes(keys: NDArray[np.uint64], sizes: _Ints, wanted: dict[SetName, int], rest: int) -> NDArray[np.int8]:
    chosen = np.full(len(keys), rest, np.int8)
    left = np.lexsort((np.arange(len(keys)), keys))  # clusters in seeded order that are in no set yet
    for number, name in enumerate(ORDER):
        if name in wanted:
            taken = fill_sets(sizes[left], wanted[name])
            chosen[left[taken]] = number
            left = left[~taken]
    return chosen


def fill_sets(sizes: _Ints, room: int) -> NDArray[np.bool_]:
    """Which clusters, looked at one after the other, go into a set: each that still fits into the ``room`` left."""
    taken = np.zeros(len(sizes), bool)
    start = 0
    while room > 0 and start < len(sizes):
        fitting = start + np.flatnonzero(sizes[start:] <= room)
        here = fitting[: np.searchsorted(np.cumsum(sizes[fitting]), room, side="right")]
        if not len(here):
            break
        taken[here] = True
        room -= int(sizes[here].sum())
        start = here[-1] + 1
    return taken


def apply(batch: RowBatch, decided: pa.Table, parameters: Parameters, tools: Tools) -> None:
    """Set ``split``, and drop what no set has room for."""
    places = {row: place for place, row in enumerate(batch.column("row"))}
    splits: list[str | None] = [None] * len(batch)
    for row, number in zip(decided.column("row").to_pylist(), decided.column("split").to_pylist(), strict=True):
        if number == NONE:
            batch.drop(places[row], "beyond the sizes asked for")
        else:
            splits[places[row]] = ORDER[number]
    batch.fill("split", splits)


STEP = GlobalStep("split", Parameters, sign, decide, apply, gives=frozenset({"split"}))
assert set(ORDER) == set(get_args(SetName))
