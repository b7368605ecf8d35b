"""YAML as recipes have it: the core schema of version 1.2, so that a date, a clock time or "yes" is a word.

Kept from 1.1, since recipes use them: "<<" merges, 1_000 and 0b101. Invariant: what comes out is null, true and false,
numbers, words, lists and mappings of bounded depth and number; all else is a TrifacetError with line, column and key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import yaml

from trifacet.base.errors import TrifacetError, first_line

_DEEPEST = 40
_MOST = 20_000  # values, each alias counted as all that it stands for
_LONGEST_NUMBER = 100
_WORDS = {
    "": None,
    "~": None,
    ".inf": float("inf"),
    "-.inf": float("-inf"),
    "+.inf": float("inf"),
    ".nan": float("nan"),
}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= {spelt: spelt.lower() == "true" for spelt in ("true", "True", "TRUE", "false", "False", "FALSE")}
_NUMERIC = re.compile(r"[-+]?\.?[0-9][0-9A-Za-z_.+-]*")
_OCTAL_OR_NOT = re.compile(r"[-+]?0[0-9_]+")  # 1.1 takes 017 for fifteen, 1.2 for seventeen: it stays a word


_LINE_ENDS = {"\x85", "\u2028", "\u2029"}


class _Dumper(yaml.SafeDumper):
    """Writes YAML of both versions: what is a word in 1.1 and a number in 1.2 stands in quotes."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(0o[0-7_]+|([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """In double quotes where the other styles would take one of its characters for the end of a line."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _LINE_ENDS & set(text) else None)


_Dumper.add_representer(str, _text)


def as_yaml(values: dict[str, Any]) -> str:
    """``values`` as YAML; reads back the same."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def read_yaml(text: str, name: str) -> Any:
    """The one value that ``text`` spells. Raises TrifacetError, beginning with ``name``, for what is none."""
    reader = _Reader(name)
    try:
        return reader.read(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or first_line(error)
        reader.refuse(getattr(error, "problem_mark", None), f"not YAML ({problem})")


class _Open:
    """A list or mapping whose end has not come yet; ``key`` waits for its value."""

    def __init__(self, start: Any) -> None:
        self.anchor, self.size = start.anchor, 1
        self.list: list[Any] | None = [] if isinstance(start, yaml.SequenceStartEvent) else None
        self.dict: dict[str, Any] = {}
        self.key: str | None = None
        self.merging, self.merged = False, list[dict[str, Any]]()

    def value(self) -> Any:
        if self.list is not None or not self.merged:
            return self.dict if self.list is None else self.list
        return {key: value for one in (*reversed(self.merged), self.dict) for key, value in one.items()}


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int] | None] = {}  # None: not at its end yet

    def refuse(self, mark: Any, problem: str) -> NoReturn:
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        keys = ".".join(one.key for one in self.open if one.key)
        raise TrifacetError(f"{self.name}{place}{f', key {keys[:80]!r}' if keys else ''}: {problem}") from None

    def read(self, events: Iterator[Any]) -> Any:
        found: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self._begin(event)
                continue
            if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                value, size = self._aliased(event) if isinstance(event, yaml.AliasEvent) else (self._scalar(event), 1)
                anchor = event.anchor if isinstance(event, yaml.ScalarEvent) else None
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                closed = self.open.pop()
                value, size, anchor = closed.value(), closed.size, closed.anchor
            else:
                continue
            if anchor:
                self.anchors[anchor] = (value, size)
            if self.open:
                self._put(event, value, size)
            elif found:
                self.refuse(event.start_mark, "a second document; keep one of them")
            else:
                found.append(value)
        return found[0] if found else None

    def _begin(self, event: Any) -> None:
        if event.tag is not None:
            self.refuse(event.start_mark, f"the tag {event.tag!r} means nothing here; leave it out")
        if len(self.open) >= _DEEPEST:
            self.refuse(event.start_mark, f"more than {_DEEPEST} lists or mappings within each other; use fewer")
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(event))

    def _aliased(self, event: Any) -> tuple[Any, int]:
        held = self.anchors.get(event.anchor)
        if held is None:
            lacks = "stands inside what it names" if event.anchor in self.anchors else "names nothing before it"
            self.refuse(event.start_mark, f"*{event.anchor} {lacks}; write the value")
        return held

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is not None:
            self.refuse(event.start_mark, f"the tag {event.tag!r} means nothing here; leave it out")
        if "\0" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)):
            self.refuse(event.start_mark, "holds a NUL or half a character; leave it out")
        expects_key = self.open and self.open[-1].list is None and self.open[-1].key is None
        if event.style is not None or expects_key:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _NUMERIC.fullmatch(text) or _OCTAL_OR_NOT.fullmatch(text):
            return text
        if len(text) > _LONGEST_NUMBER and re.fullmatch(r"[-+0-9_.eExXa-fA-F]+", text):
            self.refuse(event.start_mark, f"a number of {len(text)} characters; use a smaller one")
        for kind in (_whole, float):
            with suppress(ValueError):
                return kind(text)
        return text

    def _put(self, event: Any, value: Any, size: int) -> None:
        """``value`` where it belongs in the list or mapping that is open."""
        place, mark = self.open[-1], event.start_mark
        place.size += size
        if place.size > _MOST:
            self.refuse(mark, f"more than {_MOST} values, aliases written out; use fewer")
        if place.list is not None:
            place.list.append(value)
        elif place.key is None:
            if not isinstance(value, str):
                self.refuse(mark, "a key is a word, not a list or mapping")
            place.key = value
            place.merging = value == "<<" and getattr(event, "style", "") is None
            if value in place.dict:
                self.refuse(mark, "this key stands here twice; keep one of them")
        elif place.merging:
            merged = value if isinstance(value, list) else [value]
            if not all(isinstance(one, dict) for one in merged):
                self.refuse(mark, "what is merged is a mapping, or a list of mappings")
            place.merged += merged
            place.key, place.merging = None, False
        else:
            place.dict[place.key] = value
            place.key = None


def _whole(text: str) -> int:
    return int(text, 0)
