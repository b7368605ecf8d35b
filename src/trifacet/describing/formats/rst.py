"""reStructuredText: the directives image and figure, and substitutions by an image.

Invariant: a small reader of blocks, by indentation alone: what stands in a literal block, in a comment or in a
directive that holds code is no image, and what stands in a directive that is not known is fixed. The text is the option
``:alt:``, raw and on one line; a new one stands directly below the directive's own line. A substitution without it is
read out by its name, as docutils has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from trifacet.base.errors import DataError
from trifacet.describing.addresses import file_name, picture_at
from trifacet.describing.code import Code
from trifacet.describing.decision import Known, decided
from trifacet.describing.editing import Found, Write, edited, unique
from trifacet.describing.findings import findings_of
from trifacet.describing.flow import Flow, Paragraph
from trifacet.describing.place import Around, Edit, Place, State
from trifacet.describing.source import Change, Source, one_line
from trifacet.describing.unseen import Unseen
from trifacet.lint.documents import AltText
from trifacet.lint.templates import template_in

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_MAYBE = re.compile(r"(?:image|figure)::", re.IGNORECASE)
_DIRECTIVE = re.compile(r"(\s*)\.\.[ \t]+(?:\|([^|]+)\|[ \t]+)?([\w:.+-]+?)[ \t]?::(?:[ \t]+(.*))?")
_EXPLICIT = re.compile(
    r"(\s*)\.\.(?=\s|$)(?![ \t]+(?:_|\[))"
)  # a comment, where it is no directive; not a target or note
_GRID = re.compile(r"\s*\+(?:[-=]+\+)+\s*")
_OPTION = re.compile(r"(\s+):([\w-]+):(?:[ \t]+(.*))?")
_UNDERLINE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_BULLET = re.compile(r"(?:[-*+•]|\(?(?:\d{1,4}|[a-zA-Z#])[.)]|\|)[ \t]+")
_IMAGES = ("image", "figure")
# Directives whose content is text like that of the page.
_HOLDING = frozenset(
    re.findall(
        r"\S+",
        "admonition attention caution danger error hint important note tip warning seealso todo topic sidebar "
        "container compound epigraph highlights pull-quote class rst-class cssclass figure table list-table only "
        "centered "
        "versionadded versionchanged deprecated "
        "tab-set tab-item tabs tab group-tab grid grid-item grid-item-card card "
        "dropdown details collapse toggle hlist glossary header footer line-block",
    )
)
_OBJECTS = re.compile(
    r"(?:\w+:)?(?:function|class|method|module|attribute|data|exception|property|option|describe|object)"
)


class Rst:
    """Files of reStructuredText. See ``place.Format``."""

    name = "rst"
    suffixes = (".rst", ".rest")

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """As ``place.Format`` says."""
        yield from (one.place for one in _found(data, path))

    def unseen(self, data: bytes, path: str) -> Iterator[Unseen]:
        """Pictures in what is not looked into."""
        text = Source.of_text(data, path).text
        if _MAYBE.search(text) is not None or "<img" in text.lower():
            reader = _Reader(text)
            reader.read()
            yield from reader.unseen

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """As ``place.Format`` says. Texts are put on one line. Raises DataError also for what no text can hold."""
        lines = {key: replace(edit, alt=one_line(edit.alt, path)) for key, edit in edits.items()}
        return edited(Source.of_text(data, path), path, lines, lambda data: _found(data, path))


@dataclass(frozen=True)
class _Line:
    """A line without its end: where it begins, how far it is indented (-1: blank)."""

    start: int
    text: str
    end: str

    @property
    def indent(self) -> int:
        bare = self.text.lstrip()
        return len(self.text) - len(bare) if bare else -1


@dataclass
class _Option:
    """An option's value: from where to where, with the lines that go on."""

    text: str
    start: int
    end: int


@dataclass
class _Image:
    """A directive that shows a picture."""

    line: int
    column: int
    name: str
    address: str
    substitution: str
    indent: str  # of its options
    below: int  # where a new option is put
    options: dict[str, _Option] = field(default_factory=dict)
    caption: str = ""
    paragraph: int = 0
    fixed: str = ""


def _found(data: bytes, path: str) -> list[Found]:
    source = Source.of_text(data, path)
    if _MAYBE.search(source.text) is None:
        return []
    reader = _Reader(source.text)
    reader.read()
    flow, code = Flow(reader.paragraphs), Code(source.text)
    return unique([_place(image, flow, code, reader, path) for image in reader.images], source.fixed)


class _Reader:
    """Goes through the lines, and takes blocks as they come."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [_split(found) for found in _LINES.finditer(text)]
        self.paragraphs: list[Paragraph] = [Paragraph()]
        self.images: list[_Image] = []
        self.title = ""
        self.unseen: list[Unseen] = []
        self._levels: list[tuple[str, bool]] = []
        self._unknown: list[tuple[int, str]] = []  # directives around, by indentation, whose content may be anything

    def read(self) -> None:
        """All lines."""
        at = 0
        while at < len(self.lines):
            line = self.lines[at]
            if line.indent < 0:
                self._new()
                at += 1
                continue
            if _GRID.fullmatch(line.text):
                at = self._grid(at)
                continue
            while self._unknown and self._unknown[-1][0] >= line.indent:
                self._unknown.pop()
            match = _DIRECTIVE.fullmatch(line.text) or _DIRECTIVE.fullmatch(self._after_bullets(line))
            if match is not None:
                at = self._directive(at, match)
            elif _EXPLICIT.match(line.text):
                at = self._skip(at + 1, line.indent)
            else:
                at = self._text(at)

    def _grid(self, at: int) -> int:
        """A table drawn with lines, whose cells are not looked into."""
        self._new()
        while at < len(self.lines) and self.lines[at].text.lstrip()[:1] in ("|", "+"):
            self.unseen += [Unseen("table drawn with lines", at + 1) for _ in _MAYBE.finditer(self.lines[at].text)]
            at += 1
        return at

    @staticmethod
    def _after_bullets(line: _Line) -> str:
        """The line with blanks for the marks of lists, behind which a directive may stand."""
        text, at = line.text, max(line.indent, 0)
        while (found := _BULLET.match(text, at)) is not None and at < 100:
            text = text[:at] + " " * len(found[0]) + text[found.end() :]
            at = found.end()
        return text

    def _new(self, level: int = 0) -> None:
        if self.paragraphs[-1].pieces or self.paragraphs[-1].level or level:
            self.paragraphs.append(Paragraph(level))

    def _skip(self, at: int, indent: int) -> int:
        """Behind the lines that are indented more."""
        while at < len(self.lines) and (self.lines[at].indent < 0 or self.lines[at].indent > indent):
            at += 1
        return at

    def _text(self, at: int) -> int:
        """A line of a paragraph or a title."""
        line = self.lines[at]
        following = self.lines[at + 1] if at + 1 < len(self.lines) else None
        over = _UNDERLINE.fullmatch(line.text)
        if over and at + 2 < len(self.lines) and self.lines[at + 2].text.rstrip() == line.text.rstrip():
            return self._heading(at + 1, at + 3, over[1], over=True)
        under = _UNDERLINE.fullmatch(following.text) if following is not None else None
        if under and not over and line.indent == 0 and len(line.text.rstrip()) <= len(under[0].rstrip()) + 2:
            return self._heading(at, at + 2, under[1], over=False)
        self.paragraphs[-1].pieces.append(line.text.strip() + " ")
        ends = following is None or following.indent < 0
        if ends and line.text.rstrip().endswith("::"):  # what is indented more is literal
            return self._skip(at + 1, line.indent)
        return at + 1

    def _heading(self, at: int, end: int, mark: str, *, over: bool) -> int:
        if (mark, over) not in self._levels:
            self._levels.append((mark, over))
        words = self.lines[at].text.strip()
        self._new(self._levels.index((mark, over)) + 1)
        self.paragraphs[-1].pieces.append(words)
        self.title = self.title or words[:1000]
        self._new()
        self.paragraphs.append(Paragraph())
        return end

    def _directive(self, at: int, match: re.Match[str]) -> int:
        line, name = self.lines[at], match[3].lower()
        if name in _IMAGES:
            return self._image(at, match, name)
        if match[2]:  # another substitution
            return self._skip(at + 1, line.indent)
        if name in _HOLDING or _OBJECTS.fullmatch(name):
            self._new()
            at += 1
            while at < len(self.lines) and _OPTION.fullmatch(self.lines[at].text):
                at += 1
            return at
        if _is_code(name):
            end = self._skip(at + 1, line.indent)
            if name == "raw":
                held = "\n".join(one.text for one in self.lines[at:end])
                self.unseen += [Unseen("raw HTML", at + 1) for _ in re.finditer(r"<img\b", held, re.IGNORECASE)]
            return end
        self._unknown.append((len(match[1]), name))
        return at + 1

    def _image(self, at: int, match: re.Match[str], name: str) -> int:
        self._new()
        number, column = at + 1, len(match[1])
        address, at = (match[4] or "").strip(), at + 1
        options: dict[str, _Option] = {}
        while at < len(self.lines) and self.lines[at].indent > column and not _OPTION.fullmatch(self.lines[at].text):
            address += self.lines[at].text.strip()  # an address may go on
            at += 1
        below = self.lines[at].start if at < len(self.lines) else len(self.text)
        indent = ""
        while at < len(self.lines) and self.lines[at].indent > column:
            option = _OPTION.fullmatch(self.lines[at].text)
            if option is None:
                break
            indent = indent or option[1]
            start = self.lines[at].start + (option.start(3) if option[3] is not None else len(self.lines[at].text))
            end, words = self.lines[at].start + len(self.lines[at].text), (option[3] or "").strip()
            at += 1
            while at < len(self.lines) and self.lines[at].indent > len(option[1]):
                words += "\n" + self.lines[at].text.strip()
                end = self.lines[at].start + len(self.lines[at].text)
                at += 1
            options.setdefault(option[2].lower(), _Option(words.strip(), start, end))
        around = f"in the directive {self._unknown[-1][1]}, which is not known" if self._unknown else ""
        image = _Image(
            number, column + 1, name, address, (match[2] or "").strip(), indent or " " * (column + 3), below, options,
            paragraph=len(self.paragraphs) - 1, fixed=around,
        )  # fmt: skip
        self.images.append(image)
        self.paragraphs.append(Paragraph())
        return self._caption(at, image) if name == "figure" else at

    def _caption(self, at: int, figure: _Image) -> int:
        """Take the first paragraph of a figure's content; behind it."""
        first = at
        while first < len(self.lines) and self.lines[first].indent < 0:
            first += 1
        after = first
        while after < len(self.lines) and self.lines[after].indent >= figure.column:
            if _EXPLICIT.match(self.lines[after].text):
                return at
            after += 1
        figure.caption = " ".join(line.text.strip() for line in self.lines[first : min(after, first + 20)])[:1000]
        return after if after > first else at


def _split(found: re.Match[str]) -> _Line:
    text = found[0].rstrip("\r\n")
    return _Line(found.start(), text, found[0][len(text) :])


def _is_code(name: str) -> bool:
    return any(part in name for part in ("code", "literal", "raw", "math", "highlight", "prompt", "doctest", "test"))


def _place(image: _Image, flow: Flow, code: Code, reader: _Reader, path: str) -> Found:
    picture, alt = picture_at(image.address), image.options.get("alt")
    said = alt.text if alt is not None else image.substitution or None
    state: State = "missing" if said is None else "text" if said else "empty"
    if said and template_in(said):
        state = "template"
    link = image.options["target"].text if "target" in image.options else ""
    before, after, _ = flow.beside(image.paragraph, len(reader.paragraphs[image.paragraph].pieces))
    around = Around(
        caption=image.caption,
        headings=flow.headings(image.paragraph),
        before=before,
        after=after,
        link=link[:1000],
        page=reader.title,
        file_name=file_name(picture),
    )
    role, reason = decided(
        Known(
            alt=said,
            marked="its page marks it as decorative (:alt: without a text)" if state == "empty" else "",
            control="link" if link else "",
            caption=image.caption,
            file_name=around.file_name,
        )
    )
    fixed = image.fixed
    if state == "template" or template_in(image.address):
        fixed = "holds a template"
    elif image.below in code:
        fixed = "stands inside a template's code"
    unasked = {"empty": "" if link else "decorative", "template": "template"}.get(state, "")
    needed = "nothing else names the link around it" if link and state == "empty" else ""
    text = AltText(
        said, context=image.caption or None, image=picture.address, unasked=unasked, needed=needed, brief=bool(link)
    )
    place = Place(
        key=f"{image.name}@{image.line}", picture=picture, alt=said, state=state, role=role, reason=reason,
        around=around, line=image.line, column=image.column, fixed=fixed, findings=findings_of(text),
    )  # fmt: skip
    return Found(place, None if fixed else _writer(image, reader.text, path))


def _writer(image: _Image, text: str, path: str) -> Write:
    def write(edit: Edit) -> Iterator[Change]:
        if template_in(edit.alt):
            cure = "say it in other words: this format can't keep it from one"
            raise DataError("a text holds what a template would act on", fix=cure, file=path, row=image.line)
        alt = image.options.get("alt")
        if alt is not None:
            blank = "" if not edit.alt or text[alt.start - 1 : alt.start] in (" ", "\t") else " "
            yield alt.start, alt.end, blank + edit.alt
            return
        ends = re.compile(r"\r\n|\r|\n").search(text)
        end = ends[0] if ends else "\n"
        new = f"{image.indent}:alt:{' ' if edit.alt else ''}{edit.alt}"
        at_end = image.below == len(text) and not text.endswith(("\n", "\r"))
        yield image.below, image.below, f"{end}{new}" if at_end else f"{new}{end}"

    return write


FORMAT = Rst()
