"""What ``trifacet probe`` writes, field by field: the same classes write the file and check it when it is read.

Invariant: a document that exists is whole and finite; what could not be told is null, never nan.
All shares, similarities and right facts are 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trifacet.base.errors import DataError
from trifacet.base.opening import read_bytes
from trifacet.probing.embeddings import DistanceName

LARGEST = 200_000_000  # bytes of a file that is read
_MOST = 100_000  # samples, layers or points of a file that is read

Share = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)]
_Interval = Annotated[list[float], Field(min_length=2, max_length=2)] | None
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
Text = Annotated[str, Field(max_length=1_000_000)]
Which = Literal["generated", "reference"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class Four(_Part):
    """One share for each group of tokens before the answer; they sum to 1."""

    image: Share
    context: Share
    prompt: Share
    first: Share


class Five(Four):
    """The four shares, and what stays within the answer, of all attention."""

    response: Share


class FourRatios(_Part):
    """Shares over token shares; null where there is no such token."""

    image: float | None
    context: float | None
    prompt: float | None
    first: float | None


class FourIntervals(_Part):
    """Bootstrap intervals of the shares over samples."""

    image: _Interval
    context: _Interval
    prompt: _Interval
    first: _Interval


class Layer(_Part):
    """The shares in one layer, 1 being the first; null where the answer fills the layer's window in every sample."""

    layer: Annotated[int, Field(ge=1)]
    shares: Four | None
    response_share: Share


class Attention(_Part):
    """``left_out`` counts samples whose text has no token."""

    samples: int
    left_out: int
    without_image: int
    without_context: int
    shares: Four
    intervals: FourIntervals
    token_shares: Four
    relative: FourRatios
    response_share: Share
    per_layer: Annotated[list[Layer], Field(max_length=_MOST)]


class Grounding(_Part):
    """Facts that are right in the answers to the clean and to the noised picture."""

    samples: int
    clean: Share
    noised: Share
    drop: float
    interval: _Interval


class Noise(_Part):
    """Diffusion noise of strength ``t``: ``kept`` is the share of the signal's variance that is left."""

    t: Annotated[int, Field(ge=0, le=1000)]
    kept: Share
    samples: int
    changed: Share
    changed_count: int
    interval: _Interval
    similarity: Share
    similarity_interval: _Interval
    grounding: Grounding | None


class Distance(_Part):
    """A distance in the whole space."""

    value: float
    interval: _Interval


class Pair(_Part):
    """Where one sample's two texts lie in the plane."""

    id: Text
    generated: Point
    reference: Point


class Cloud(_Part):
    """All points of one model in a plane that several share."""

    model: Text
    points: Annotated[list[Pair], Field(max_length=_MOST)]


class Joint(_Part):
    """One plane for several models."""

    explained: Point
    models: Annotated[list[Cloud], Field(max_length=100)]


class Embeddings(_Part):
    """``left_out`` counts samples without a reference or with an empty text."""

    samples: int
    left_out: int
    width: int
    explained: Point
    distances: dict[DistanceName, Distance]
    silhouette: float | None
    points: Annotated[list[Pair], Field(max_length=_MOST)]
    joint: Joint | None = None


class SampleRow(_Part):
    """One sample: its texts, its attention (the four shares and what stays in the answer), its text under noise."""

    id: Text
    generated: Text | None
    reference: Text | None
    attention: Five | None
    noised: dict[str, Text]


class Probe(_Part):
    """The whole document; a part that was not asked for is null."""

    kind: Literal["trifacet-probe"] = "trifacet-probe"
    version: Literal[1] = 1
    model: Text
    data: Text
    samples: int
    text: Which
    seed: int
    notes: list[Text] = Field(default_factory=list)
    attention: Attention | None = None
    noise: Annotated[list[Noise], Field(max_length=1001)] | None = None
    embeddings: Embeddings | None = None
    per_sample: Annotated[list[SampleRow], Field(max_length=_MOST)] = Field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The numbers without the rows of single samples."""
        document = self.model_dump(exclude={"per_sample"})
        if self.embeddings:
            for name in ("points", "joint"):
                del document["embeddings"][name]
        return document


def read_document(path: Path) -> Mapping[str, Any]:
    """The document at ``path``, checked.

    Raises:
        DataError: the file cannot be read, or is no probe; it names the field.
    """
    fix = "give a file that trifacet probe wrote"
    try:
        return Probe.model_validate_json(read_bytes(path, LARGEST)).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or None
        raise DataError(first["msg"].lower()[:200], fix=fix, file=path, field=field) from None
