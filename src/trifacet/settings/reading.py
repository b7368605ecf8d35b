"""Reading typed YAML files: what a file extends, overrides, and one line for what is wrong with it.

Invariant: every error names the file and the key, and the nearest key that is known.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import read_text
from trifacet.settings.yaml_values import read_yaml

MAX_BYTES = 300_000  # of a recipe: what is read in a second
_DEEPEST = 40  # keys of --set, recipes that extend each other
_SHOWN = 100  # characters of a value in a message
_KNOWN = "known keys here are "


Placed = Callable[[dict[str, Any], Path], dict[str, Any]]


def _as_they_are(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    return values


def read_values(path: str | Path, overrides: Sequence[str] = (), *, placed: Placed = _as_they_are) -> dict[str, Any]:
    """The plain values of a recipe file, with what it extends and ``key=value`` overrides; raises TrifacetError.

    ``placed`` takes a file's own values and its folder, and gives the values with paths that do not depend on it.
    """
    return overridden(_read(Path(path), (), placed), overrides)


def overridden(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """``values`` with ``key=value`` overrides applied; raises TrifacetError for one that is not of that form."""
    changed = dict(values)
    for override in overrides:
        _apply(changed, override)
    return changed


def _read(path: Path, seen: tuple[Path, ...], placed: Placed) -> dict[str, Any]:
    resolved = Path(os.path.realpath(path))  # of a link to itself too
    if resolved in seen:
        raise TrifacetError(f"{path}: recipes extend each other in a circle; remove one 'extends'")
    if len(seen) > _DEEPEST:
        raise TrifacetError(f"{path}: more than {_DEEPEST} recipes extend each other; put some together")
    try:
        text = read_text(path, MAX_BYTES)
    except DataError as error:
        if not seen:
            raise
        raise TrifacetError(f"{seen[-1]}, key 'extends': {error}") from None
    values = read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise TrifacetError(f"{path}: a recipe is a mapping of keys to values, this is {type(values).__name__}")
    values = {key: value for key, value in values.items() if not key.startswith("x-")}
    if (parent := values.pop("extends", None)) is not None:
        if not isinstance(parent, str):
            raise TrifacetError(f"{path}: extends is the path of another recipe, got {_shown(parent)}")
        return merged(_read(path.parent / parent, (*seen, resolved), placed), placed(values, path.parent))
    return placed(values, path.parent)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with what ``above`` says: mappings merge, all else replaces."""
    found = dict(below)
    for key, value in above.items():
        mapping = isinstance(value, Mapping) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if mapping else value
    return found


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts, shown = key.strip().split("."), _shown(override)
    if not equals or not all(parts) or len(parts) > _DEEPEST:
        raise TrifacetError(f"--set {shown}: write key=value, such as --set sft.learning_rate=1e-4")
    try:
        value = read_yaml(text, "YAML")
    except TrifacetError as error:
        raise TrifacetError(f"--set {shown}: the value is not YAML; put it in quotes ({error})") from None
    place: Any = values
    for part in parts[:-1]:
        key = _key(place, part, shown)
        below = place.get(key) if isinstance(place, dict) else place[key]
        place[key] = place = copy(below) if isinstance(below, dict | list) else {}
    place[_key(place, parts[-1], shown)] = value


def _key(place: Any, part: str, shown: str) -> Any:
    """``part`` of an override as a key of a mapping, or as a place in a list, counted from 0 as messages do."""
    if isinstance(place, dict):
        return part
    if part.isdecimal() and len(part) < 10 and int(part) < len(place):
        return int(part)
    raise TrifacetError(f"--set {shown}: {_shown(part)} is no place in a list of {len(place)}; give 0 for the first")


def explain_invalid(error: ValidationError, model: type[BaseModel]) -> str:
    """One line for what keeps values from being a ``model``: the key, what is wrong, the nearest known key.

    Unknown keys are told all at once, all else one by one: what is missing may be a key that is mistyped.
    """
    errors = error.errors(include_url=False)
    # the most particular; of one level an unknown key
    first = max(errors, key=lambda found: (len(found["loc"]), found["type"] == "extra_forbidden"))
    unknown = [one["loc"] for one in errors if one["type"] == "extra_forbidden"]
    if first["type"] == "extra_forbidden" and len(unknown) > 1:
        said = dict.fromkeys(_unknown(model, place, "(", ")") for place in unknown)
        return f"unknown keys: {', '.join(_each_once(said))}"
    if first["type"] == "extra_forbidden":
        return f"unknown key {_unknown(model, first['loc'], '; ')}"
    keys, _ = _place(model, first["loc"])
    where = _spelled(keys)
    if first["type"] == "missing":
        return f"key {where!r} is missing; give it a value"
    message = first["msg"].removeprefix("Value error, ")
    given = first["input"]
    told = isinstance(given, dict) or (isinstance(given, str) and repr(given) in message)
    got = "" if told else f", got {_shown(given)}"
    return f"{where}: {message}{got}" if where else message


def _unknown(model: type[BaseModel], location: Sequence[int | str], before: str, after: str = "") -> str:
    """An unknown key, and between ``before`` and ``after`` what may be meant: of its section, or of another one."""
    keys, sections = _place(model, location)
    key, known = keys[-1], list(sections[0].model_fields) if sections else []
    short = [name for name in known if "".join(word[0] for word in name.split("_")) == key]  # lr: learning_rate
    near = short or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    elsewhere = [place for place in _places(model) if place.rpartition(".")[2] == key]
    if near and (short or not elsewhere):
        hint = f"did you mean {near[0]!r}?"
    elif elsewhere:
        hint = f"it belongs into {' or '.join(place.rpartition('.')[0] or 'the top level' for place in elsewhere)}"
    else:
        hint = f"{_KNOWN}{', '.join(known) or 'none'}"
    between = " " if before == "(" else ""
    return f"{_spelled(keys)!r}{between}{before}{hint}{after}"


def _each_once(said: Iterable[str]) -> Iterator[str]:
    """Unknown keys as ``_unknown`` tells them; which keys are known in a section is told with the first of it."""
    before: set[str] = set()
    for one in said:
        key, found, known = one.partition(f" ({_KNOWN}")
        yield key if found and known in before else one
        before.add(known)


def _places(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key that a ``model`` has, with those of its sections: ``align.NAME.learning_rate``."""
    for name, field in model.model_fields.items():
        yield f"{above}{name}"
        named = "NAME." if get_origin(field.annotation) is dict else ""
        for section in _sections(field.annotation):
            yield from _places(section, f"{above}{name}.{named}")


def _spelled(keys: Sequence[str]) -> str:
    return ".".join(key if len(key) <= _SHOWN else f"{key[:_SHOWN]}..." for key in keys)


def _shown(value: Any) -> str:
    """``value`` as Python spells it, but null, true and false as YAML does; cut where it is long."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _place(model: type[BaseModel], location: Sequence[int | str]) -> tuple[list[str], list[Any]]:
    """The keys of ``location`` as the YAML has them, and the models that may hold what the last of them leads to."""
    keys, sections, named = [], [model], True  # named: the next key is a field's and no name that the user gave
    for part in location:
        if part in ("str", "[key]") or str(part).startswith("dict["):  # pydantic's names for the ways to read a value
            continue
        if isinstance(part, str) and len(sections) > 1:  # which of them was meant: no key either
            sections = [one for one in sections if part in (one.__name__, *_tags(one))] or sections[:1]
            continue
        keys.append(str(part))
        if isinstance(part, int):  # a place in a list: its elements are of the same models
            continue
        field = sections[0].model_fields.get(part) if named and sections else None
        named = field is None or get_origin(field.annotation) is not dict
        sections = sections if field is None else _sections(field.annotation)
    return keys, sections


def _sections(annotation: Any) -> list[Any]:
    """The models inside ``Model | None``, ``dict[str, Model]`` or a union of several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return list(dict.fromkeys(model for part in get_args(annotation) for model in _sections(part)))


def _tags(model: type[BaseModel]) -> list[Any]:
    """What tells a model from others of a union: its fields that can have one value only."""
    return [field.default for field in model.model_fields.values() if get_origin(field.annotation) is Literal]
