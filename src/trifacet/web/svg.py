"""From a matplotlib figure to an <svg> element that can sit inside a page.

Invariant: only drawing elements and attributes leave here, ids are prefixed so that charts on one page cannot meet, and
colours given as stand-ins are the page's CSS variables.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_ELEMENTS = {"svg", "g", "path", "text", "tspan", "use", "defs", "clipPath", "rect"}
_ATTRIBUTES = {"d", "x", "y", "width", "height", "transform", "style", "clip-path", "viewBox"}
_HREF = "{http://www.w3.org/1999/xlink}href"


def svg_of(figure: Figure, *, alternative: str | None, chart_id: str, variables: Mapping[str, str]) -> Markup:
    """The figure as safe markup.

    Args:
        figure: what to draw; every text in it must be free of control characters.
        alternative: its text alternative; None for decoration.
        chart_id: prefix of the ids, unique in the page.
        variables: CSS variable for each stand-in colour (``#rrggbb``).
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the drawing font lacks: the browser has them
        FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(buffer.getvalue())
    used = {target for element in root.iter() for target in _targets(element)}
    _clean(root, chart_id, used, variables)
    if alternative is None:
        root.set("aria-hidden", "true")
    else:
        root.set("role", "img")
        root.set("aria-label", alternative)
    root.set("focusable", "false")
    for size in ("width", "height"):  # the page decides; the viewBox keeps the proportions
        root.attrib.pop(size, None)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _targets(element: ElementTree.Element) -> list[str]:
    """The ids that this element refers to."""
    values = [element.get(_HREF, ""), element.get("clip-path", "")]
    return [match.group(1) for value in values if (match := re.search(r"#([^)]*)", value))]


def _clean(element: ElementTree.Element, chart_id: str, used: set[str], variables: Mapping[str, str]) -> None:
    element.tag = _local(element.tag)
    attributes = {name: value for name, value in element.attrib.items() if name in _ATTRIBUTES}
    if "style" in attributes:
        attributes["style"] = _style(attributes["style"], variables)
    if "clip-path" in attributes:
        attributes["clip-path"] = attributes["clip-path"].replace("#", f"#{chart_id}-")
    if _HREF in element.attrib:
        attributes["href"] = element.attrib[_HREF].replace("#", f"#{chart_id}-")
    if element.get("id") in used:
        attributes["id"] = f"{chart_id}-{element.get('id')}"
    element.attrib.clear()
    element.attrib.update(attributes)
    if element.tag != "text":
        element.text = None
    element.tail = None
    for child in list(element):
        if _local(child.tag) in _ELEMENTS:
            _clean(child, chart_id, used, variables)
        else:
            element.remove(child)


def _style(style: str, variables: Mapping[str, str]) -> str:
    """The style with the page's colours and without the drawing font: the page's own is used."""
    style = re.sub(r"font-family:[^;]*;?\s*", "", style)
    for stand_in, variable in variables.items():
        style = style.replace(stand_in, f"var({variable})")
    return style


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
