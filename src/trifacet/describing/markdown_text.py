"""How the text of a Markdown image is written, and what has to change for it to say something else.

Invariant: a text that is not found in the source as it was parsed can't be changed (``fixed``). What Markdown, or a
template, would act on is written so that neither does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from trifacet.describing.code import Code
from trifacet.describing.editing import Write
from trifacet.describing.place import Edit
from trifacet.describing.source import Change
from trifacet.lint.markdown import ALT_ATTRIBUTE, MarkdownImage
from trifacet.lint.templates import template_in

_MARKS = re.compile(r"[\\`*_\[\]|$]|[{}<~]|&(?=#?\w+;)")
_WRITTEN = {"|": "&#124;", "{": "&#123;", "}": "&#125;", "<": "&lt;", "~": "&#126;", "&": "&amp;"}
_COMMANDS = re.compile(r"[{}\[\]@$#%*|_~`<\\]|&(?=#?\w+;)")
_VALUE = re.compile(r"[{}`<>\[\]\\|$*_~!]|&(?=#?\w+;)")
_QUARTO = (".qmd", ".rmd")


class Source(Protocol):
    """A page of Markdown: its text, its path, its templates' code, and where a line's column is in the text."""

    text: str
    path: str
    code: Code

    def offset(self, line: int, column: int) -> int: ...


class Written:
    """An image's text.

    Args:
        page: what it stands in.
        image: the image.
        at: where it begins in the page.
    """

    def __init__(self, page: Source, image: MarkdownImage, at: int) -> None:
        self.page, self.image, self.at = page, image, at
        content, span = image.block.token.content, image.token.meta["span"]
        label_end = span.start + 2 + len(image.token.content)
        self.label = at + 2, page.offset(*image.block.place(label_end))
        self.end = page.offset(*image.block.place(span.end))
        self.given: tuple[str, int, int, str] | None = None  # raw value, from, to, quote
        self.attributes: int | None = None  # where they begin
        if image.attributes is not None:
            self._look(image, image.attributes)
        alone = not content[: span.start].strip() and not content[self._behind(image) :].strip()
        self.figure = self.given is None and alone and page.path.lower().endswith(_QUARTO)
        self.raw = self.given[0] if self.given is not None else image.token.content
        self.caption = ""
        if self.given is not None or (self.figure and image.token.content):
            self.caption = " ".join((image.token.content).split())[:1000]
        rest = content[label_end + 1 : span.end]
        self.fixed = self._fixed(rest)

    @staticmethod
    def _behind(image: MarkdownImage) -> int:
        return image.attributes.end() if image.attributes is not None else int(image.token.meta["span"].end)

    def _look(self, image: MarkdownImage, attributes: re.Match[str]) -> None:
        self.attributes = self.page.offset(*image.block.place(attributes.start()))
        found = {match[1]: match for match in ALT_ATTRIBUTE.finditer(attributes[0])}
        if (match := found.get("fig-alt", found.get("alt"))) is None:
            return
        start = self.page.offset(*image.block.place(attributes.start() + match.start(2)))
        quote = match[2][0] if match[2][0] in "\"'" else ""
        self.given = match[2], start, start + len(match[2]), quote

    def _fixed(self, rest: str) -> str:
        text, start, end = self.page.text, *self.label
        if self.at in self.page.code:
            return "stands inside a template's code"
        if template_in(self.raw):
            return "its text holds a template"
        if self.given is not None:
            same = text[self.given[1] : self.given[2]] == self.given[0]
            return "" if same else "its attributes can't be found in the source for sure"
        written = text[start:end]
        same = text[self.at : start] == "![" and text[end : end + 1] == "]" and start <= end
        if not same or _bare(written) != _bare(self.image.token.content):
            return "it can't be found in the source for sure"
        if not self.figure and (not rest or rest == "[]"):
            return "its text is the name of its reference too: write ![text][name]"
        return ""

    def write(self) -> Write:
        """What has to change for another text."""

        def changed(edit: Edit) -> Iterator[Change]:
            if self.given is not None:
                yield self.given[1], self.given[2], _quoted(edit.alt, self.given[3])
            elif not self.figure:
                yield *self.label, escaped(edit.alt)
            elif self.attributes is not None:
                first = self.attributes + (2 if self.page.text[self.attributes + 1 : self.attributes + 2] == ":" else 1)
                yield first, first, f"fig-alt={_quoted(edit.alt)} "
            else:
                yield self.end, self.end, f"{{fig-alt={_quoted(edit.alt)}}}"

        return changed


def escaped(text: str) -> str:
    """A text as it stands in brackets: what Markdown or a template would act on is written so that none does."""
    if template_in(text):
        return _COMMANDS.sub(lambda found: f"&#{ord(found[0])};", text)
    return _MARKS.sub(lambda found: _WRITTEN.get(found[0]) or f"\\{found[0]}", text)


def _quoted(text: str, quote: str = "") -> str:
    """A value of attributes, in the quotes that it has or in those that it does not hold."""
    quote = quote or ("'" if '"' in text and "'" not in text else '"')
    marks = _COMMANDS if template_in(text) else _VALUE
    safe = marks.sub(lambda found: f"&#{ord(found[0])};", text)
    return quote + safe.replace(quote, f"&#{ord(quote)};") + quote


def _bare(text: str) -> str:
    """Without what a quotation's or a cell's source has beside its text."""
    return re.sub(r"[\s>]|\\(?=\|)", "", text)
