"""Rows that are equal in all fields named leave the build; the earliest of them stays.

Invariant: two rows are duplicates exactly when all fields in ``same`` are equal, texts after normalisation (NFKC, case,
spaces). A row whose picture is not known, or with nothing in any of the fields, is nobody's duplicate.

Rows are compared by the 128 bits of BLAKE2b over those fields: sorted by the first half, told apart by the second. For
any two of n different rows to agree by accident has a chance of n^2 / 2^129, for 22 M rows 7e-25; nobody is known who
could make it happen on purpose. So no text is compared, and memory is 24 bytes a row in ranges of bounded size.
"""

from __future__ import annotations

import unicodedata
from hashlib import blake2b
from math import ceil
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from trifacet.building.rows import RowBatch
from trifacet.building.similarity.candidates import RANGE_ROWS, in_range
from trifacet.building.step import GlobalStep, Signatures, Tools
from trifacet.settings.section import Section

Name = Literal["sha256", "image", "context", "alt", "prompt"]
_PICTURES = ("sha256", "image")  # compared as they are; null is not known
_Ints = NDArray[np.int64]


class Parameters(Section):
    """What must be equal."""

    same: list[Name] = Field(
        ["sha256", "context", "alt"],
        min_length=1,
        description="fields that must all be equal; sha256 is that of the image file, image its path or URL",
    )


def sign(part: pa.Table, parameters: Parameters, tools: Tools) -> pa.Table:
    """Both halves of the hash; null for rows that are nobody's duplicate."""
    columns = [part.column(name).to_pylist() for name in parameters.same]
    halves = [_hashed(dict(zip(parameters.same, values, strict=True))) for values in zip(*columns, strict=True)]
    high, low = (pa.array([half and half[k] for half in halves], pa.uint64()) for k in (0, 1))
    return pa.table({"row": part.column("row"), "id": part.column("id"), "high": high, "low": low})


def _hashed(values: dict[Name, str | None]) -> tuple[int, int] | None:
    if any(name in _PICTURES and value is None for name, value in values.items()):
        return None
    texts = [value if name in _PICTURES else normalised(value) for name, value in values.items()]
    if not any(texts):
        return None
    digest = blake2b(digest_size=16)
    for text in texts:
        data = (text or "").encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    whole = digest.digest()
    return int.from_bytes(whole[:8], "big"), int.from_bytes(whole[8:], "big")


def normalised(text: str | None) -> str:
    """The text as it is compared: NFKC, case folded, spaces made one."""
    return " ".join(unicodedata.normalize("NFKC", text or "").casefold().split())


def decide(signatures: Signatures, parameters: Parameters, tools: Tools) -> pa.Table:
    """The rows to drop, each with the row that it duplicates."""
    amount = sum(part.num_rows for part in signatures.parts(["row"]))
    ranges = max(1, ceil(amount / RANGE_ROWS))
    found = [_duplicates(signatures, number, ranges) for number in range(ranges)]
    rows, kept = (np.concatenate([part[k] for part in found]) for k in (0, 1))
    order = np.argsort(rows)
    rows, kept = rows[order], kept[order]
    return pa.table({"row": rows, "kept": kept, "kept_id": _ids(signatures, kept)})


def _duplicates(signatures: Signatures, number: int, ranges: int) -> tuple[_Ints, _Ints]:
    """Rows of one range of hashes that equal an earlier row, and the earliest such row of each."""
    parts = []
    for part in signatures.parts(["row", "high", "low"]):
        table = part.filter(part.column("high").is_valid())
        row, high, low = (table.column(name).to_numpy() for name in ("row", "high", "low"))
        inside = in_range(high, number, ranges)
        parts.append((row[inside], high[inside], low[inside]))
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    row, high, low = (np.concatenate([part[k] for part in parts]) for k in range(3))
    order = np.lexsort((row, low, high))
    row, high, low = row[order], high[order], low[order]
    again = np.zeros(len(row), bool)
    again[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(row))))
    return row[again], row[first[again]]


def _ids(signatures: Signatures, rows: _Ints) -> pa.Array:
    """The ids of these rows."""
    wanted = np.unique(rows)
    found = [pa.array([], pa.string())]
    for part in signatures.parts(["row", "id"]):
        inside = np.isin(part.column("row").to_numpy(), wanted, assume_unique=True)
        found += part.column("id").filter(pa.array(inside)).chunks
    return pa.concat_arrays(found).take(pa.array(np.searchsorted(wanted, rows)))


def apply(batch: RowBatch, decided: pa.Table, parameters: Parameters, tools: Tools) -> None:
    """Drop what duplicates an earlier row."""
    places = {row: place for place, row in enumerate(batch.column("row"))}
    for decision in decided.to_pylist():
        kept = {"kept": decision["kept"], "kept_id": decision["kept_id"]}
        batch.drop(places[decision["row"]], "same as an earlier row", same=parameters.same, **kept)


def _needs(parameters: Parameters) -> frozenset[str]:
    return frozenset({"files"}) if "sha256" in parameters.same else frozenset()


STEP = GlobalStep("exact-duplicates", Parameters, sign, decide, apply, needs=_needs)
