"""A start tag as it is written: where its attributes stand, and what has to change for them to say something else.

Invariant: the tokens are those of the HTML standard (XML's tags are among them), found in time linear in the tag's
length; the parser's own attributes are compared with them, and a tag on which the two differ is not changed.
New attributes stand directly behind the tag's name; values keep the quotes that they have, and get ``"`` where they
have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trifacet.describing.source import Change
from trifacet.lint.templates import template_in

_NAME = re.compile(r"<([^\t\n\f\r />]+)")
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+(?:(?P<end>>)|(?P<name>=?[^\t\n\f\r />=]*+)"
    r"(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+"
    r"(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>(?![\"'])[^\t\n\f\r >]*+)))?)"
)
_COMMANDS = re.compile(r"[{}\[\]@$#%*|_~`]")  # what templates are written with
_ALWAYS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_QUOTES = {'"': "&quot;", "'": "&#39;"}


@dataclass(frozen=True)
class Attribute:
    """From where to where it and its value reach, the value without its ``quote``; ``value`` None: it has none."""

    name: str
    start: int
    end: int
    value: tuple[int, int] | None
    quote: str


@dataclass(frozen=True)
class Tag:
    """A start tag: where it begins, where its name and where it ends, and its attributes in their order."""

    start: int
    name_end: int
    end: int
    attributes: dict[str, Attribute]


def tag_at(text: str, start: int | None, attributes: Mapping[str, str | None]) -> Tag | None:
    """The tag that begins at ``start``; None where none with these attributes does."""
    if start is None or (named := _NAME.match(text, start)) is None:
        return None
    found: dict[str, Attribute] = {}
    at = named.end()
    while (match := _ATTRIBUTE.match(text, at)) is not None and match.end() > at:
        at = match.end()
        if match["end"]:
            same = _plain(found) == _plain(attributes)
            return Tag(start, named.end(), at, found) if same else None
        kind = next((kind for kind in ("double", "single", "bare") if match[kind] is not None), "")
        quote = {"double": '"', "single": "'"}.get(kind, "")
        attribute = Attribute(match["name"], match.start("name"), at, match.span(kind) if kind else None, quote)
        name = match["name"] if match["name"] in attributes else match["name"].lower()  # XML's are as they are written
        found.setdefault(name, attribute)  # of two the first counts
    return None


def _plain(names: Mapping[str, object]) -> set[str]:
    return {name.lower() for name in names if not name.lower().startswith("xmlns")}


def changes(tag: Tag, wanted: Mapping[str, str], more: str = "") -> Iterator[Change]:
    """What to change for the attributes to have these values; ``more`` characters are written as references too."""
    new = ""
    for name, value in wanted.items():
        old = tag.attributes.get(name)
        if old is None:
            new += f' {name}="{escaped(value, more=more)}"'
        elif old.value is None:
            yield old.end, old.end, f'="{escaped(value, more=more)}"'
        elif old.quote:
            yield *old.value, escaped(value, old.quote, more)
        else:
            yield *old.value, f'"{escaped(value, more=more)}"'
    if new:
        yield tag.name_end, tag.name_end, new


def escaped(value: str, quote: str = '"', more: str = "") -> str:
    """A value between these quotes; of what a template would act on each mark is a reference.

    Of three digits, as WordPress writes them when it saves.
    """
    acted_on = template_in(value)
    return "".join(
        _ALWAYS.get(char)
        or (_QUOTES[char] if char == quote else "")
        or (f"&#{ord(char):03};" if char in more or (acted_on and _COMMANDS.match(char)) else char)
        for char in value
    )
