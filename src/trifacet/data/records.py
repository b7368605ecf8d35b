"""The samples: what a row of data is, whichever format it came from.

Invariant: a record that exists is valid in itself. Files are not opened here; whether an image can be read is the
business of ``images`` and of ``trifacet data check``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from trifacet.base.errors import DataError
from trifacet.base.json_text import parse_json
from trifacet.preferences.facets import Facet


def _text(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty", "give it a value or leave the row out")
    return value


NonEmpty = Annotated[str, BeforeValidator(_text)]


class _Sample(BaseModel):
    """What every sample has: an id, an image, the post around it and, where a row has its own, the request.

    ``image`` is the picture that the text describes, a path relative to the data root; None is a post without one.
    ``more_images`` are the post's further pictures, shown after it in this order and the same in every version of the
    sample: the image facet speaks of ``image`` alone. ``context`` may be empty: a post without words is legal.
    ``prompt`` is None where the recipe's request is to be used. ``extra`` keeps the fields a format has beyond ours;
    of these ``system`` and ``regions`` are used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: NonEmpty
    image: NonEmpty | None = None
    more_images: tuple[NonEmpty, ...] = Field(default=(), strict=False)
    context: str = ""
    prompt: NonEmpty | None = None
    extra: dict[str, Any] = Field(default_factory=dict)

    @property
    def pictures(self) -> tuple[str, ...]:
        """The paths of all that is shown, the described picture first; empty for a post without one."""
        return () if self.image is None else (self.image, *self.more_images)

    @property
    def system(self) -> str | None:
        """The message of the system that stands before the request, if there is one."""
        value = self.extra.get("system")
        return value if isinstance(value, str) and value.strip() else None

    @field_validator("more_images", "rejected_images", check_fields=False)
    @classmethod
    def _beside_an_image(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and "image" in info.data and info.data["image"] is None:
            raise ValueError("stands without 'image'", "give the picture that the text describes as 'image'")
        return value


class SupervisedSample(_Sample):
    """A post with the alt-text that a model is to imitate."""

    kind: ClassVar[str] = "sft"
    response: NonEmpty


class PreferenceSample(_Sample):
    """A post with a chosen version of every facet and any number of rejected ones (none: made by a strategy)."""

    kind: ClassVar[str] = "preference"
    response: NonEmpty
    rejected_images: tuple[NonEmpty, ...] = Field(default=(), strict=False)
    rejected_contexts: tuple[str, ...] = Field(default=(), strict=False)
    rejected_responses: tuple[NonEmpty, ...] = Field(default=(), strict=False)

    def rejected(self, facet: Facet) -> tuple[str, ...]:
        """The rejected versions of ``facet`` that the data give."""
        return {
            Facet.IMAGE: self.rejected_images,
            Facet.CONTEXT: self.rejected_contexts,
            Facet.RESPONSE: self.rejected_responses,
        }[facet]


class TestSample(_Sample):
    """A held-out post; ``references`` may be empty where nobody wrote an alt-text."""

    __test__ = False  # not a pytest class
    kind: ClassVar[str] = "test"
    references: tuple[NonEmpty, ...] = Field(default=(), strict=False)


Sample = SupervisedSample | PreferenceSample | TestSample
_Kind = Literal["sft", "preference", "test"]
SAMPLE_TYPES: dict[str, type[SupervisedSample] | type[PreferenceSample] | type[TestSample]] = {
    sample_type.kind: sample_type for sample_type in (SupervisedSample, PreferenceSample, TestSample)
}
AnySample = TypeVar("AnySample", SupervisedSample, PreferenceSample, TestSample)

EMBEDDED = "image_bytes"  # the column of shards in which ``image`` itself travels
_TEXTS = pa.list_(pa.field("item", pa.string(), nullable=False))
_COMMON = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("image", pa.string()),
    pa.field("more_images", _TEXTS),
    pa.field("context", pa.string(), nullable=False),
    pa.field("prompt", pa.string()),
    pa.field("extra", pa.string()),  # JSON: formats differ in what else they keep
]
SCHEMAS: dict[str, pa.Schema] = {
    "sft": pa.schema([*_COMMON, pa.field("response", pa.string(), nullable=False)], {"trifacet.kind": "sft"}),
    "preference": pa.schema(
        [
            *_COMMON,
            pa.field("response", pa.string(), nullable=False),
            pa.field("rejected_images", _TEXTS),
            pa.field("rejected_contexts", _TEXTS),
            pa.field("rejected_responses", _TEXTS),
        ],
        {"trifacet.kind": "preference"},
    ),
    "test": pa.schema([*_COMMON, pa.field("references", _TEXTS)], {"trifacet.kind": "test"}),
}


def make_sample(kind: str, values: Mapping[str, Any], *, file: Any = None, row: int | None = None) -> Sample:
    """A validated sample of ``kind`` from plain values.

    Raises:
        DataError: naming file, row and field of the first thing that is wrong.
    """
    try:
        return SAMPLE_TYPES[kind].model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else None
        problem, fix = _explain(first, kind)
        raise DataError(problem, fix=fix, file=file, row=row, field=field) from None


def find_problems(kind: str, values: Mapping[str, Any]) -> list[tuple[str | None, str, str]]:
    """All that keeps ``values`` from being a sample of ``kind``: (field, problem, fix) each; empty when valid."""
    try:
        SAMPLE_TYPES[kind].model_validate(dict(values))
    except ValidationError as error:
        return [
            (str(one["loc"][0]) if one["loc"] else None, *_explain(one, kind))
            for one in error.errors(include_url=False)
        ]
    return []


def _explain(error: Any, kind: str) -> tuple[str, str]:
    known = ", ".join(SAMPLE_TYPES[kind].model_fields)
    match error["type"]:
        case "missing":
            return "is missing", "give it a value"
        case "extra_forbidden":
            return f"is not a field of a {kind} sample", f"known fields are {known}; put others under 'extra'"
        case "value_error":
            problem, fix = error["ctx"]["error"].args
            return problem, fix
        case _:
            return f"{error['msg'].lower()}, got {type(error['input']).__name__}", "give it the expected type"


def to_arrow(kind: str, samples: list[Any]) -> pa.Table:
    """The samples as a table of ``SCHEMAS[kind]``; ``extra`` is written as JSON text."""
    rows = []
    for sample in samples:
        row = sample.model_dump()
        row["extra"] = json.dumps(row["extra"], ensure_ascii=False, sort_keys=True) if row["extra"] else None
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SCHEMAS[kind])


def from_arrow_row(kind: str, row: Mapping[str, Any], *, file: Any = None, number: int | None = None) -> Sample:
    """A sample from one row of an Arrow table (``extra`` as JSON text, absent fields as null)."""
    values = {name: value for name, value in row.items() if value is not None}
    if "extra" in values:
        try:
            values["extra"] = parse_json(values["extra"])
        except ValueError as error:
            raise DataError(
                f"is not JSON ({error})", fix="write a JSON object", file=file, row=number, field="extra"
            ) from None
    return make_sample(kind, values, file=file, row=number)
