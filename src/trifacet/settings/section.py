"""What every section of a typed YAML file is.

Invariant: unknown keys are refused, and a number is a finite number: no true or false, no word.
"""

from __future__ import annotations

from numbers import Integral
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import core_schema

LARGEST_SEED = 2**32 - 1  # numpy's generator of the training takes no larger one
MOST = 1_000_000_000  # of what is counted, where nothing else bounds it
Unit = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


def _bytes(value: Any) -> Any:
    with_unit = isinstance(value, str) and value.lower().endswith("b")
    return int(TypeAdapter(ByteSize).validate_python(value)) if with_unit else value


Size = Annotated[int, Field(ge=0, le=2**50), BeforeValidator(_bytes)]  # of bytes: a number, or such as 20GiB


def _strict_numbers(schema: Any) -> Any:
    """``schema`` with every number in it strict, but that 100.0 still counts as a whole number."""
    if isinstance(schema, list):
        return [_strict_numbers(one) for one in schema]
    if isinstance(schema, tuple):  # of a union: a choice and its label
        return (_strict_numbers(schema[0]), *schema[1:])
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if kind in ("int", "float") and "strict" not in schema:
        strict: Any = {**schema, "strict": True}
        return strict if kind == "float" else core_schema.no_info_before_validator_function(_whole, strict)
    if kind == "literal" and all(isinstance(one, int) for one in schema["expected"]):
        return core_schema.no_info_before_validator_function(_no_truth, schema)
    return {
        key: _strict_numbers(value) if key not in ("metadata", "serialization", "default", "cls", "config") else value
        for key, value in schema.items()
    }


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("Input should be a number")
    return value


def _whole(value: Any) -> Any:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return int(value) if whole or (isinstance(value, float) and value.is_integer()) else value


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return _strict_numbers(handler(source))
