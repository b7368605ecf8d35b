"""Tables of keys for the docs, made from the sections themselves.

Invariant: what stands between the two markers is made here and nowhere else, so a page cannot fall behind.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trifacet.base.errors import TrifacetError

BEGIN = "<!-- keys: written by `python -m trifacet.cli.pages` -->"
END = "<!-- end of keys -->"
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


class _Key(NamedTuple):
    """One key of a recipe: its dotted path, type, default (empty: it has to be given) and meaning."""

    path: str
    type: str
    default: str
    meaning: str


def recipe_keys(model: type[BaseModel], prefix: str = "") -> Iterator[_Key]:
    """Every key below ``model``, sections before what they hold; ``<name>`` stands for a name of the user's."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        section = _section(field.annotation)
        meaning = field.description or (_first_sentence(section) if section else "")
        yield _Key(path, _type(field.annotation, field), _default(field), meaning)
        if section is not None:
            below = {"dict": ".<name>.", "list": "[]."}.get(getattr(get_origin(field.annotation), "__name__", ""), ".")
            yield from recipe_keys(section, f"{path}{below}")


def table(keys: Iterable[_Key]) -> str:
    """The keys as Markdown."""
    rows = [f"| `{key.path}` | {key.type} | {key.default or '(to be given)'} | {_cell(key.meaning)} |" for key in keys]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])


def with_table(page: str, made: str, mark: str = BEGIN) -> str:
    """``page`` with fresh Markdown between the markers. Raises TrifacetError where it has none."""
    before, begin, rest = page.partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise TrifacetError(f"the page has no place for the keys; add the lines {mark} and {END}")
    return f"{before}{mark}\n{made}\n{END}{after}"


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model in ``Model``, ``Model | None`` or ``dict[str, Model]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part)) is not None), None)


def _first_sentence(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").partition("\n")[0].rstrip(".")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "as below"
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return f"`{_cell(text)}`"


def _type(annotation: Any, field: FieldInfo | None = None) -> str:
    """The type in a reader's words, with its bounds."""
    metadata = list(field.metadata) if field else []
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, types.UnionType):
        words = [_type(part) for part in arguments if part is not type(None)]
        word = " or ".join(words)
    elif origin is Literal:
        word = ", ".join(f"`{value}`" for value in arguments)
    elif origin is dict:
        word = "section by name" if _section(arguments[1]) else f"mapping to {_type(arguments[1])}"
    elif origin is list:
        told = _type(arguments[0])  # a word, or the values to choose from
        word = "list of sections" if _section(arguments[0]) else f"list of {told}{'' if told[0] == '`' else 's'}"
    elif origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        word = f"list of {count}{_type(arguments[0])}s"
    else:
        named = {int: "integer", float: "number", str: "text", bool: "true or false"}
        word = named.get(annotation, "section" if _section(annotation) else "any value")
    bounds = [f"{sign} {_number(getattr(item, name))}" for item in _flat(metadata) for name, sign in _BOUNDS.items()
              if getattr(item, name, None) is not None]  # fmt: skip
    null = " or null" if type(None) in arguments else ""
    return " ".join([word, *bounds[:1], *(f"and {bound}" for bound in bounds[1:])]) + null


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _flat(metadata: list[Any]) -> Iterator[Any]:
    """The bounds, also those inside a ``FieldInfo`` of an annotated type."""
    for item in metadata:
        yield from _flat(list(item.metadata)) if isinstance(item, FieldInfo) else [item]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
