"""Markdown: CommonMark and GitHub's, MDX, Quarto and kramdown with attributes, front matter, and the HTML between.

Invariant: what is an image is said by ``lint``'s reader (``lint/markdown.py``), which parses as CommonMark. The text in
the brackets is changed; where ``fig-alt`` or ``alt`` stands behind the image, that; in Quarto, whose brackets hold a
caption where an image stands alone, ``fig-alt``. A place that is not found in the source as it was parsed is fixed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from trifacet.describing.addresses import file_name, picture_at
from trifacet.describing.code import Code, blanked, comments
from trifacet.describing.decision import Known, decided
from trifacet.describing.editing import Found, edited, unique
from trifacet.describing.findings import findings_of
from trifacet.describing.flow import Flow, Paragraph
from trifacet.describing.formats.html import read_elements
from trifacet.describing.front_matter import FrontMatter, read_front_matter
from trifacet.describing.jsx import COMPONENTS, as_html
from trifacet.describing.markdown_text import Written, escaped
from trifacet.describing.place import Around, Edit, Picture, Place, State
from trifacet.describing.shortcodes import Figure, figures
from trifacet.describing.source import Source, one_line
from trifacet.describing.unseen import Unseen, components, in_page, shortcodes
from trifacet.lint.documents import AltText
from trifacet.lint.markdown import Block, MarkdownImage, MarkdownPage
from trifacet.lint.templates import template_in

_LINE = re.compile(r"\r\n|\r|\n")
_MAYBE = re.compile(r"!\[|<|figure|^(?:---|\+\+\+)")
_COMMENT = re.compile(r"\{/\*.*?(?:\*/\}|\Z)", re.DOTALL)  # of MDX
_IN_TAGS = "|`$"  # what Markdown, or a program that reads it, would take for its own in a tag


class Markdown:
    """Markdown files. See ``place.Format``."""

    name = "markdown"
    suffixes = (".md", ".markdown", ".mdx", ".qmd", ".rmd")

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """As ``place.Format`` says."""
        yield from (one.place for one in _found(data, path))

    def unseen(self, data: bytes, path: str) -> Iterator[Unseen]:
        """Pictures in what is not looked into."""
        text = Source.of_text(data, path).text
        if any(mark in text for mark in ("{{", "{%", "noscript", "srcdoc")) or path.lower().endswith(".mdx"):
            yield from _file(text, read_front_matter(text, path), path).unseen()

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
    file = _file(text, front, path)
    found = [*front.found, *file.images(), *file.elements(), *file.figures()]
    found.sort(key=lambda one: (one.place.line or 0, one.place.column or 0))
    return unique(found, source.fixed)


def _file(text: str, front: FrontMatter, path: str) -> _File:
    body = re.sub(r"[^\r\n]", " ", text[: front.length]) + text[front.length :]
    if path.lower().endswith(".mdx"):
        body = as_html(body)
    return _File(text, body, MarkdownPage(body, Path(path)), front, path)


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

    def __init__(self, text: str, body: str, page: MarkdownPage, front: FrontMatter, path: str) -> None:
        self.text, self.body, self.page, self.front, self.path = text, body, page, front, path
        self.starts = [0, *(found.end() for found in _LINE.finditer(text))]
        self.code = Code(text)
        self.shown = _Within(self._examples())
        self.comments = _Within(self._comments())
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
            if at not in self.comments:
                yield self._image(image, at)

    def _image(self, image: MarkdownImage, at: int) -> Found:
        alt, spot = image.alt, self.spots[id(image.token)]
        picture = _picture(image.source)
        ways = Written(self, image, at)
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
        masked = blanked(self._with_ends(markup), self.comments.spans)
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

    def figures(self) -> Iterator[Found]:
        """Hugo's shortcodes that show a picture."""
        for figure in figures(self.text) if "figure" in self.text else ():
            if figure.start not in self.shown and figure.start not in self.comments:
                yield self._figure(figure)

    def _figure(self, figure: Figure) -> Found:
        values, picture = figure.values, _picture(figure.values["src"])
        line = bisect_right(self.starts, figure.start) - 1
        number = bisect_right(self.lines, line) - 1
        given, caption = values.get("alt"), values.get("caption", "")
        said = given if given is not None else caption or None
        state: State = "missing" if said is None else "text" if said.strip() else "empty"
        state = "template" if template_in(said or "") else state
        around = Around(
            caption=caption[:1000], headings=self.flow.headings(number), link=values.get("link", "")[:1000],
            title=values.get("title", "")[:1000], page=self.title, language=self.front.language,
            file_name=file_name(picture),
        )  # fmt: skip
        before, after = self.flow.between(number - 1 if number > 0 else number)
        around = replace(around, before=before, after=after)
        marked = 'its page marks it as decorative (alt="")' if state == "empty" else ""
        control = "link" if around.link else ""
        known = Known(alt=said, marked=marked, control=control, caption=caption, file_name=around.file_name)
        role, reason = decided(known)
        unasked = {"empty": "" if control else "decorative", "template": "template"}.get(state, "")
        needed = "nothing else names the link around it" if control and state == "empty" else ""
        asked = AltText(
            None if state == "missing" else said, context=caption or None, image=picture.address, unasked=unasked,
            needed=needed,
        )  # fmt: skip
        fixed = "holds a template" if state == "template" or template_in(picture.address) else ""
        place = Place(
            key=f"figure@{figure.start}", picture=picture, alt=said, state=state, role=role, reason=reason,
            around=around, line=line + 1, column=figure.start - self.starts[line] + 1, fixed=fixed,
            findings=findings_of(asked) if state != "template" else (),
        )  # fmt: skip
        return Found(place, None if fixed else lambda edit: figure.changes(edit, self.path))

    def unseen(self) -> Iterator[Unseen]:
        """Pictures in what is not looked into."""
        text = blanked(blanked(self.body, sorted(self.shown.spans)), self.comments.spans)
        if (markup := self.page.html()) is not None:
            yield from in_page(blanked(self._with_ends(markup), self.comments.spans), self.path)
        known = {figure.start for figure in figures(self.text)}
        yield from shortcodes(text, known.__contains__)
        if self.path.lower().endswith(".mdx"):
            yield from components(text, COMPONENTS)

    def _examples(self) -> Iterator[tuple[int, int]]:
        """From where to where code stands that is shown."""
        for token in self.page.tokens:
            if token.type in ("fence", "code_block") and token.map:
                yield self.offset(token.map[0], 0), self.offset(token.map[1], 0)
        for block in self.page.blocks:
            for child in block.token.children or []:
                if child.type == "code_inline" and "span" in child.meta:
                    ends = (block.place(at) for at in (child.meta["span"].start, child.meta["span"].end))
                    start, end = (self.offset(*place) for place in ends)
                    yield start, end

    def _comments(self) -> Iterator[tuple[int, int]]:
        """Comments of templates, and of MDX; what is shown as code is none."""
        found = comments(self.text)
        if self.path.lower().endswith(".mdx"):
            found = [*found, *(one.span() for one in _COMMENT.finditer(self.text))]
        reached = 0
        for start, end in sorted(found):
            if start not in self.shown and end - 1 not in self.shown and end > reached:
                yield max(start, reached), end
                reached = end

    def _with_ends(self, markup: str) -> str:
        """The text with the ends of lines that the source has, so that offsets are the source's."""
        if len(markup) == len(self.text):
            return markup
        lines, ends = markup.split("\n"), _LINE.findall(self.text)
        return "".join(part for line, end in zip(lines, [*ends, ""], strict=True) for part in (line, end))


class _Within:
    """Spans of a text, none within another."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self.spans = sorted(spans)
        self._starts = [start for start, _ in self.spans]

    def __contains__(self, at: int) -> bool:
        number = bisect_right(self._starts, at) - 1
        return number >= 0 and at < self.spans[number][1]


def _picture(address: str) -> Picture:
    """The picture; of a file's address the percent signs that the parser puts in are taken out again."""
    picture = picture_at(address)
    if picture.source == "file":
        with suppress(UnicodeDecodeError):
            picture = replace(picture, address=unquote(address, errors="strict").strip())
    return picture


__all__ = ["Markdown", "escaped"]
FORMAT = Markdown()
