"""Hugo's shortcode for a picture, ``{{< figure src="a.png" alt="..." >}}``, which comes with Hugo itself.

Invariant: only the built-in one with named parameters is read, whose properties are documented; others are counted
(``unseen``). Without ``alt`` Hugo gives the caption as the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from trifacet.base.errors import DataError
from trifacet.describing.place import Edit
from trifacet.describing.source import Change, one_line
from trifacet.lint.templates import template_in

_VALUE = r"\"(?:[^\"\\\r\n]|\\.)*+\"|`[^`]*+`|[^\s\"'`>%=]++"
_FIGURE = re.compile(rf"\{{\{{[<%]\s*(?P<name>figure)(?P<given>(?:\s+[\w-]+=(?:{_VALUE}))+)\s*/?[>%]\}}\}}")
_GIVEN = re.compile(rf"\s+([\w-]+)=({_VALUE})")


class Figure(NamedTuple):
    """A shortcode: where it begins, where its name ends, its values, and from where to where each is written."""

    start: int
    name_end: int
    values: dict[str, str]
    spans: dict[str, tuple[int, int]]

    def changes(self, edit: Edit, path: str) -> Iterator[Change]:
        """What gives it another text."""
        text = one_line(edit.alt, path)
        if template_in(text):
            cure = "say it in other words: a shortcode can't keep it from one"
            raise DataError("a text holds what a template would act on", fix=cure, file=path)
        written = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if "alt" in self.spans:
            yield *self.spans["alt"], written
        else:
            yield self.name_end, self.name_end, f" alt={written}"


def figures(text: str) -> Iterator[Figure]:
    """Those of a page that name a picture."""
    for found in _FIGURE.finditer(text):
        values, spans = dict[str, str](), dict[str, tuple[int, int]]()
        for given in _GIVEN.finditer(text, found.start("given"), found.end("given")):
            values[given[1]], spans[given[1]] = _plain(given[2]), given.span(2)
        if "src" in values:
            yield Figure(found.start(), found.end("name"), values, spans)


def _plain(value: str) -> str:
    if value.startswith("`"):
        return value[1:-1]
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
