"""XHTML as browsers read it: XML, in which ``<title/>`` and ``<script/>`` are closed and names are taken as written.

Invariant: nothing outside the text is fetched, and what it declares is not expanded: the entities are those of HTML.
The tree is of the shape that the HTML parser gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.entities import name2codepoint
from pathlib import Path
from typing import Any
from xml.parsers import expat

from trifacet.base.errors import DataError

_XHTML = "http://www.w3.org/1999/xhtml"
_NAMESPACES = {_XHTML: "html", "http://www.w3.org/2000/svg": "svg", "http://www.w3.org/1998/Math/MathML": "math"}
_ENTITIES = "".join(
    f'<!ENTITY {name} "&#{code};">'
    for name, code in name2codepoint.items()
    if name not in ("amp", "lt", "gt", "quot")  # XML's own
)


@dataclass(eq=False, slots=True)
class XmlNode:
    """An element or a text; ``origin_offset``: in characters of the document, from 0."""

    name: str
    namespace: str | None = None
    attrs: dict[str, str] | None = None
    data: str = ""
    origin_location: tuple[int, int] | None = None
    children: list[XmlNode] = field(default_factory=list)
    template_content: None = None
    origin_offset: int | None = None
    parent: XmlNode | None = field(default=None, repr=False)


def is_xhtml(text: str, path: Path) -> bool:
    """Whether the ending says so, as it does to a browser, or a page that is called .html says it in its first line."""
    return path.suffix.lower() in (".xhtml", ".xht") or (text.startswith("<?xml") and _XHTML in text[:2000])


def read_xhtml(text: str, path: Path) -> XmlNode:
    """The document's tree.

    Raises:
        DataError: it is not well-formed, or declares entities of its own.
    """
    root = XmlNode("#document", attrs={})
    open_ones = [root]
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.namespace_prefixes = parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
    parser.UseForeignDTD(True)

    def place() -> tuple[int, int]:
        return parser.CurrentLineNumber, parser.CurrentColumnNumber + 1

    data, reached = text.encode(), [0, 0]  # bytes and characters

    def offset() -> int:
        """That of the parser in characters; it counts bytes."""
        at = parser.CurrentByteIndex
        reached[1] += len(data[reached[0] : at].decode(errors="ignore"))
        reached[0] = at
        return reached[1]

    def start(name: str, attributes: dict[str, str]) -> None:
        namespace, local = _named(name)
        named = {_attribute(key): value for key, value in attributes.items()}
        parent = open_ones[-1]
        node = XmlNode(local, namespace, named, origin_location=place(), origin_offset=offset(), parent=parent)
        parent.children.append(node)
        open_ones.append(node)

    def declared(*declaration: Any) -> None:
        raise DataError(f"line {place()[0]} declares an entity", fix="write out what it stands for", file=path)

    def entities(context: str | None, *address: Any) -> int:
        inner = parser.ExternalEntityParserCreate(context)
        inner.EntityDeclHandler = None
        inner.Parse(_ENTITIES, True)
        return 1

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: open_ones.pop()
    parser.CharacterDataHandler = lambda said: open_ones[-1].children.append(
        XmlNode("#text", data=said, parent=open_ones[-1])
    )
    parser.EntityDeclHandler = declared
    parser.ExternalEntityRefHandler = entities
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        told = f"line {error.lineno} is not well-formed XHTML ({expat.errors.messages[error.code]})"
        raise DataError(told, fix="mend it, or name the file .html", file=path) from None
    return root


def _named(name: str) -> tuple[str | None, str]:
    """Namespace and name: that of HTML, SVG and MathML without its prefix, another with it."""
    address, _, rest = name.rpartition(" ") if name.count(" ") == 1 else name.partition(" ")
    local, _, prefix = rest.partition(" ")
    known = _NAMESPACES.get(address)
    return known, local if known else f"{prefix}:{local}"


def _attribute(name: str) -> str:
    parts = name.split(" ")
    return f"{parts[2]}:{parts[1]}" if len(parts) == 3 else parts[-1]
