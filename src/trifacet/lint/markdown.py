"""Alt-texts of Markdown: ``![text](image)`` in all its forms, and the HTML between.

Invariant: what is an image is CommonMark's decision (markdown-it-py), not a pattern's: code and escaped brackets hold
none. An image without a text is an error here, since Markdown has no way to say that it is decorative; HTML has.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import regex
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline, backtick, image
from markdown_it.token import Token

from trifacet.lint.documents import AltText
from trifacet.lint.names import LONGEST_CONTEXT
from trifacet.lint.pages import image_address, read_html
from trifacet.lint.templates import template_in

# Attributes behind an image, as Pandoc, Quarto and kramdown have them: {fig-alt="..."} or {: alt="..."}.
_QUOTED = r"\"[^\"]*+\"|'[^']*+'"
_ATTRIBUTES = regex.compile(rf"\{{:?(?:{_QUOTED}|[^{{}}\"'])*+\}}")
_FOOTNOTE = regex.compile(r"(\[\^[^\s\]]++\]:)[ \t]*+")
_FEW = 100  # of them in a block are taken out of what stands around an image
ALT_ATTRIBUTE = regex.compile(rf"(?<![^\s{{:])(fig-alt|alt)=({_QUOTED}|[^\s\"'}}]++)")

_Rule = Callable[[StateInline, bool], bool]


def read_markdown(text: str, path: Path) -> Iterator[AltText]:
    """The images of a Markdown file (CommonMark with tables), in the order of their places."""
    page = MarkdownPage(text, path)
    found = [image.alt for image in page.images()]
    if (html := page.html()) is not None:
        found += read_html(html, path)
    yield from sorted(found, key=lambda alt: (alt.line or 0, alt.column or 0))


class MarkdownPage:
    """A parsed file: its ``tokens``, and the ``blocks`` that hold words. All ends of lines are made one kind."""

    def __init__(self, text: str, path: Path) -> None:
        self.text, self.path = text.replace("\r\n", "\n").replace("\r", "\n"), path
        self._parser, self._environment = _parser(), dict[str, Any]()
        self.tokens = self._parser.parse(self.text, self._environment)
        lines, after = self.text.split("\n"), dict[int, int]()
        self.blocks = [Block(token, lines, after) for token in self.tokens if token.type == "inline" and token.children]

    def images(self) -> Iterator[MarkdownImage]:
        """Those that are written as Markdown."""
        for block in self.blocks:
            yield from _images(block, self._parser, self._environment, self.path)

    def html(self) -> str | None:
        """The text with blanks for all that is no HTML's, which keeps its places; None where there is no HTML."""
        return _without_code(self.text, self.tokens, self.blocks) if any(map(_holds_html, self.tokens)) else None


@dataclass(frozen=True)
class MarkdownImage:
    """An image: its text, the block and token that it stands in and is, the attributes behind it, and its address."""

    alt: AltText
    block: Block
    token: Token
    attributes: regex.Match[str] | None
    source: str


class Block:
    """The text of one paragraph, heading or cell, and where in the file its characters stand.

    ``after`` says for each line how far blocks before this one reach: a row of a table has several.
    """

    def __init__(self, token: Token, lines: list[str], after: dict[int, int]) -> None:
        self.token, self.first = token, (token.map or [0, 1])[0]
        self.starts, self.indents, start = [], [], 0
        self.bars = []
        for number, piece in enumerate(token.content.split("\n"), start=self.first):
            line = lines[number] if number < len(lines) else ""
            written, blanks = piece.lstrip(), len(piece) - len(piece.lstrip())  # a tab may have become blanks
            at = line.find(written, after.get(number, 0))  # quote marks, list marks, blanks come before
            bars = [place for place, character in enumerate(piece) if character == "|"] if at < 0 else []
            if bars:  # in a cell each is written as "\\|"
                written = written.replace("|", "\\|")
                at = line.find(written, after.get(number, 0))
            after[number] = max(at, 0) + len(written)
            self.starts.append(start)
            self.indents.append(max(at, 0) - blanks)
            self.bars.append(bars)
            start += len(piece) + 1

    def place(self, position: int) -> tuple[int, int]:
        """Line and column of a position in the block's text, both from 0."""
        number = bisect_right(self.starts, position) - 1
        within = position - self.starts[number]
        return self.first + number, max(self.indents[number] + within + bisect_left(self.bars[number], within), 0)


@dataclass(frozen=True)
class _Span:
    start: int
    end: int


def _noting(rule: _Rule) -> _Rule:
    """The parser's own rule, which notes on its token from where to where it reached."""

    def noted(state: StateInline, silent: bool) -> bool:
        start, count = state.pos, len(state.tokens)
        taken = rule(state, silent)
        if taken and len(state.tokens) > count:
            state.tokens[-1].meta["span"] = _Span(start, state.pos)
        return taken

    return noted


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.block.ruler.before("reference", "footnote", _footnote, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.at("image", _noting(image))
    parser.inline.ruler.at("backticks", _noting(backtick))
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # nothing is rendered: data: is an image too
    return parser


def _footnote(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """A block rule for the text of a footnote ("[^1]: ..."), as GitHub, Pandoc and kramdown have it.

    Without it a footnote that is one image alone is the address of a reference, and its further paragraphs are code.
    Follows footnote_def of markdown-it-footnote.
    """
    start = state.bMarks[first] + state.tShift[first]
    marked = _FOOTNOTE.match(state.src, start, state.eMarks[first])
    if state.is_code_block(first) or marked is None:
        return False
    if silent:
        return True
    kept = state.bMarks[first], state.tShift[first], state.sCount[first], state.parentType, state.blkIndent
    width = marked.end(1) - start
    state.bMarks[first], state.tShift[first] = marked.end(1), marked.end() - marked.end(1)
    state.blkIndent += 4
    state.sCount[first] = max(state.sCount[first] + marked.end() - start - width, state.blkIndent)
    state.parentType = "footnote"
    state.level += 1  # by which the parser bounds how deep blocks are
    state.md.block.tokenize(state, first, last)
    state.level -= 1
    state.bMarks[first], state.tShift[first], state.sCount[first], state.parentType, state.blkIndent = kept
    return True


def _images(block: Block, parser: MarkdownIt, environment: dict[str, Any], path: Path) -> Iterator[MarkdownImage]:
    children, renderer = block.token.children or [], RendererHTML(parser)
    words = " ".join(
        " ".join(child.content for child in children if child.type == "text")[: 10 * LONGEST_CONTEXT].split()
    )
    images = [child for child in children if child.type == "image"]
    behind = [_ATTRIBUTES.match(block.token.content, child.meta["span"].end) for child in images]
    for attributes in filter(None, behind[:_FEW]):  # nobody sees them
        words = words.replace(" ".join(attributes[0].split()), "")
    words = words[:LONGEST_CONTEXT]
    links, following = 0, iter(behind)
    for child in children:
        links += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type != "image":
            continue
        line, column = block.place(child.meta["span"].start)
        attributes = next(following)
        text, around = renderer.renderInlineAsText(child.children, parser.options, environment), words
        given = given_texts(attributes)
        if given:  # then what stands in the brackets is a caption that everybody sees
            around = text or words
            value = given.get("fig-alt", given.get("alt", ""))
            text = unescape(value[1:-1] if value[:1] in ("'", '"') else value)
        empty, source = not text.strip(), str(child.attrs.get("src", ""))
        alt = AltText(
            text=text,
            line=line + 1,
            column=column + 1,
            image=image_address(source, path),
            context=around or None,
            unasked="template" if template_in(text) else "decorative" if empty and given else "",
            needed='Markdown cannot mark it as decorative; <img alt=""> does' if empty and not given else "",
            brief=links > 0,
        )
        yield MarkdownImage(alt, block, child, attributes, source)


def given_texts(attributes: regex.Match[str] | None) -> dict[str, str]:
    """What attributes behind an image give as its text, by "fig-alt" and "alt", with the quotes around it."""
    return dict(ALT_ATTRIBUTE.findall(attributes[0])) if attributes else {}


def _holds_html(token: Token) -> bool:
    return token.type == "html_block" or any(child.type == "html_inline" for child in token.children or ())


def _without_code(text: str, tokens: list[Token], blocks: list[Block]) -> str:
    """The text with blanks for code, so that what is left has the places of the file and is HTML where it has tags."""
    characters = list(text)
    starts = [0, *(at + 1 for at, character in enumerate(characters) if character == "\n"), len(characters) + 1]

    def blank(start: int, end: int, filler: str = " ") -> None:
        characters[start:end] = [filler if character != "\n" else "\n" for character in characters[start:end]]

    for token in tokens:
        if token.type in ("fence", "code_block") and token.map:
            first, last = token.map
            blank(starts[first], starts[min(last, len(starts) - 1)] - 1)
    for block in blocks:
        for child in block.token.children or []:
            if "span" in child.meta:
                (line, column), (end, last) = block.place(child.meta["span"].start), block.place(child.meta["span"].end)
                # An image of Markdown's own names the link around it, or is a finding itself.
                blank(starts[line] + column, starts[end] + last, "x" if child.type == "image" else " ")
    return "".join(characters).replace("\\<", "  ")
