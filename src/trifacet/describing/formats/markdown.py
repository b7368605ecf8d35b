"""Markdown: CommonMark and GitHub's, MDX, Quarto and kramdown with attributes, front matter, and the HTML between.

Invariant: what is an image is said by ``lint``'s reader (``lint/markdown.py``), which parses as CommonMark. The text in
the brackets is changed; where ``fig-alt`` or ``alt`` stands behind the image, that; in Quarto, whose brackets hold a
caption where an image stands alone, ``fig-alt``. A place that is not found in the source as it was parsed is fixed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from trifacet.describing.addresses import file_name, picture_at
from trifacet.describing.code import Code
from trifacet.describing.decision import Known, decided
from trifacet.describing.editing import Found, Write, edited, unique
from trifacet.describing.findings import findings_of
from trifacet.describing.flow import Flow, Paragraph
from trifacet.describing.formats.html import read_elements
from trifacet.describing.front_matter import FrontMatter, read_front_matter
from trifacet.describing.place import Around, Edit, Picture, Place, State
from trifacet.describing.source import Change, Source, one_line
from trifacet.lint.markdown import ALT_ATTRIBUTE, Block, MarkdownImage, MarkdownPage
from trifacet.lint.templates import template_in

_LINE = re.compile(r"\r\n|\r|\n")
_MAYBE = re.compile(r"!\[|<|^(?:---|\+\+\+)")
_COMMENT = re.compile(r"\{/\*.*?(?:\*/\}|\Z)", re.DOTALL)  # of MDX
_MARKS = re.compile(r"[\\`*_\[\]|$]|[{}<~]|&(?=#?\w+;)")
_WRITTEN = {"|": "&#124;", "{": "&#123;", "}": "&#125;", "<": "&lt;", "~": "&#126;", "&": "&amp;"}
_COMMANDS = re.compile(r"[{}\[\]@$#%*|_~`<\\]|&(?=#?\w+;)")
_VALUE = re.compile(r"[{}`<>\[\]\\|$*_~!]|&(?=#?\w+;)")
_IN_TAGS = "|`$"  # what Markdown, or a program that reads it, would take for its own in a tag
_QUARTO = (".qmd", ".rmd")


class Markdown:
    """Markdown files. See ``place.Format``."""

    name = "markdown"
    suffixes = (".md", ".markdown", ".mdx", ".qmd", ".rmd")

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """As ``place.Format`` says."""
        yield from (one.place for one in _found(data, path))

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """As ``place.Format`` says. Texts are put on one line. Raises DataError also for what no text can hold."""
        lines = {key: replace(edit, alt=one_line(edit.alt, path)) for key, edit in edits.items()}
        return edited(Source.of_text(data, path), path, lines, lambda data: _found(data, path))


def _found(data: bytes, path: str) -> list[Found]:
    source = Source.of_text(data, path)
    text = source.text
    if _MAYBE.search(text) is None:
        return []
    front = read_front_matter(text, path)
    body = re.sub(r"[^\r\n]", " ", text[: front.length]) + text[front.length :]
    file = _File(text, MarkdownPage(body, Path(path)), front, path)
    found = [*front.found, *file.images(), *file.elements()]
    found.sort(key=lambda one: (one.place.line or 0, one.place.column or 0))
    return unique(found, source.fixed)


@dataclass(frozen=True)
class _Spot:
    """Where an image stands in the flow: the paragraph, the pieces before it, its link and what that says."""

    paragraph: int
    piece: int
    link: str = ""
    link_text: str = ""
    number: int = 1
    together: int = 1
    in_link: bool = False


class _File:
    """A parsed file beside its source."""

    def __init__(self, text: str, page: MarkdownPage, front: FrontMatter, path: str) -> None:
        self.text, self.page, self.front, self.path = text, page, front, path
        self.starts = [0, *(found.end() for found in _LINE.finditer(text))]
        self.code = Code(text)
        self.comments = [found.span() for found in _COMMENT.finditer(text)] if path.lower().endswith(".mdx") else []
        self.spots: dict[int, _Spot] = {}
        self.lines: list[int] = []  # in which each paragraph begins, from 0
        self.ends: list[int] = []  # and behind which it ends
        self.own = list(page.images())
        self._behind = {id(one.token): unescape(one.attributes[0]) for one in self.own if one.attributes is not None}
        self.flow = self._flowing()
        self.title = front.title or self._first_heading

    def _flowing(self) -> Flow:
        paragraphs: list[Paragraph] = []
        self._first_heading, level = "", 0
        blocks = {id(block.token): block for block in self.page.blocks}
        for token in self.page.tokens:
            if token.type == "heading_open":
                level = int(token.tag[1])
            elif token.type == "heading_close":
                level = 0
            elif id(token) in blocks:
                paragraphs.append(Paragraph(level))
                self.lines.append(blocks[id(token)].first)
                self.ends.append((token.map or [0, 0])[1])
                self._note(blocks[id(token)], paragraphs[-1], len(paragraphs) - 1)
                if level == 1 and not self._first_heading:
                    self._first_heading = " ".join("".join(paragraphs[-1].pieces).split())[:1000]
        return Flow(paragraphs)

    def _note(self, block: Block, paragraph: Paragraph, number: int) -> None:
        """Take a block's words, and note where its images stand between them."""
        link, said, waiting = "", list[str](), list[tuple[int, int]]()
        inside, attributes = False, ""

        def close() -> None:
            words = " ".join("".join(said).split())[:1000] if inside else ""
            for count, (key, piece) in enumerate(waiting, start=1):
                self.spots[key] = _Spot(number, piece, link, words, count, len(waiting), in_link=inside)
            waiting.clear()

        for child in block.token.children or []:
            if child.type in ("link_open", "link_close"):
                close()
                inside, link = child.nesting > 0, str(child.attrs.get("href", "")) if child.nesting > 0 else ""
                said.clear()
            elif child.type == "image":
                waiting.append((id(child), len(paragraph.pieces)))
                attributes = self._behind.get(id(child), "")
                if not inside:
                    close()
            elif words := child.content if child.type in ("text", "code_inline") else " " * (child.type == "softbreak"):
                words, attributes = words.removeprefix(attributes) or " ", ""  # which nobody sees
                said.append(words)
                if not words.isspace():
                    paragraph.pieces.append(words)
                elif paragraph.pieces and not paragraph.pieces[-1].endswith(" "):
                    paragraph.pieces[-1] += " "
        close()

    def offset(self, line: int, column: int) -> int:
        """Of a place in the source, which is counted from 0."""
        return self.starts[min(line, len(self.starts) - 1)] + column

    def images(self) -> Iterator[Found]:
        """Those of Markdown's own."""
        for image in self.own:
            at = self.offset(*image.block.place(image.token.meta["span"].start))
            if not any(start <= at < end for start, end in self.comments):
                yield self._image(image, at)

    def _image(self, image: MarkdownImage, at: int) -> Found:
        alt, spot = image.alt, self.spots[id(image.token)]
        picture = _picture(image.source)
        ways = _Ways(self, image, at)
        given = ways.given is not None
        text = alt.text or ""
        state: State = "text" if text.strip() else "empty" if given else "missing"
        if template_in(ways.raw):
            state = "template"
        before, after, same = self.flow.beside(spot.paragraph, spot.piece)
        around = Around(
            caption=ways.caption,
            headings=self.flow.headings(spot.paragraph),
            before=before,
            after=after,
            link=spot.link,
            link_text=spot.link_text,
            title=str(image.token.attrs.get("title", ""))[:1000],
            page=self.title,
            language=self.front.language,
            file_name=file_name(picture),
        )
        said = text if state != "missing" else None
        role, reason = decided(
            Known(
                alt=said,
                marked="its page marks it as decorative (an empty text in attributes)" if state == "empty" else "",
                control="link" if spot.in_link else "",
                named=bool(spot.link_text),
                place=spot.number,
                together=spot.together,
                caption=ways.caption,
                file_name=around.file_name,
                words_beside=same,
            )
        )
        fixed = ways.fixed or ("its address holds a template" if template_in(picture.address) else "")
        place = Place(
            key=f"image@{at}", picture=picture, alt=said, state=state, role=role, reason=reason, around=around,
            line=alt.line, column=alt.column, fixed=fixed,
            findings=findings_of(alt) if state != "template" else (),
        )  # fmt: skip
        return Found(place, None if fixed else ways.write())

    def elements(self) -> Iterator[Found]:
        """Those of the HTML between, with the context that Markdown gives them where they stand in no paragraph."""
        if (markup := self.page.html()) is None:
            return
        masked = self._with_ends(markup)
        for found, has_words in read_elements(self.text, masked, self.path, _IN_TAGS):
            place = found.place
            line = (place.line or 1) - 1
            number = bisect_right(self.lines, line) - 1
            around = replace(
                place.around,
                headings=(*self.flow.headings(number + 1), *place.around.headings),
                page=place.around.page or self.title,
                language=place.around.language or self.front.language,
            )
            if not has_words:
                inside = number >= 0 and line < self.ends[number]
                before, after = self.flow.beside(number, 0)[:2] if inside else self.flow.between(number)
                around = replace(around, before=before, after=after)
            place = replace(place, around=around)
            quoted = self.text[self.starts[line] : self.starts[line] + 400].lstrip().startswith(">")
            if quoted and not place.fixed and place.picture.source in ("none", "svg"):
                place = replace(place, fixed="its tag has several lines in a quotation")
            yield Found(place, None if place.fixed else found.write)

    def _with_ends(self, markup: str) -> str:
        """The text with the ends of lines that the source has, so that offsets are the source's."""
        if len(markup) == len(self.text):
            return markup
        lines, ends = markup.split("\n"), _LINE.findall(self.text)
        return "".join(part for line, end in zip(lines, [*ends, ""], strict=True) for part in (line, end))


class _Ways:
    """How an image's text is written, and what a new one would change."""

    def __init__(self, file: _File, image: MarkdownImage, at: int) -> None:
        self.file, self.image, self.at = file, image, at
        content, span = image.block.token.content, image.token.meta["span"]
        label_end = span.start + 2 + len(image.token.content)
        self.label = at + 2, file.offset(*image.block.place(label_end))
        self.end = file.offset(*image.block.place(span.end))
        self.given: tuple[str, int, int, str] | None = None  # raw value, from, to, quote
        self.attributes: int | None = None  # where they begin
        if image.attributes is not None:
            self._look(image, image.attributes)
        alone = not content[: span.start].strip() and not content[self._behind(image) :].strip()
        self.figure = self.given is None and alone and file.path.lower().endswith(_QUARTO)
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
        self.attributes = self.file.offset(*image.block.place(attributes.start()))
        found = {match[1]: match for match in ALT_ATTRIBUTE.finditer(attributes[0])}
        if (match := found.get("fig-alt", found.get("alt"))) is None:
            return
        start = self.file.offset(*image.block.place(attributes.start() + match.start(2)))
        quote = match[2][0] if match[2][0] in "\"'" else ""
        self.given = match[2], start, start + len(match[2]), quote

    def _fixed(self, rest: str) -> str:
        text, start, end = self.file.text, *self.label
        if self.at in self.file.code:
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
                first = self.attributes + (2 if self.file.text[self.attributes + 1 : self.attributes + 2] == ":" else 1)
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


def _picture(address: str) -> Picture:
    """The picture; of a file's address the percent signs that the parser puts in are taken out again."""
    picture = picture_at(address)
    if picture.source == "file":
        with suppress(UnicodeDecodeError):
            picture = replace(picture, address=unquote(address, errors="strict").strip())
    return picture


FORMAT = Markdown()
