"""What an element is to a screen reader: its role, whether it is an image or a control, whether it is hidden.

Invariant: WAI-ARIA 1.2 with the mappings of HTML and SVG decide; CSS is known from the ``style`` attribute alone.
"""

from __future__ import annotations

import re
from typing import Any, Literal

Kind = Literal["img", "input", "area", "svg", "object", "role"]
IMAGE_ROLES = frozenset(("img", "image", "graphics-document", "graphics-symbol", "doc-cover"))
_UNNAMED_ROLES = frozenset(("none", "presentation"))
# Those that the elements in them may name, and that are nothing without a name.
_CONTROL_ROLES = frozenset(
    re.findall(r"\w+", "button checkbox link menuitem menuitemcheckbox menuitemradio option radio switch tab treeitem")
)
_OTHER_ROLES = re.findall(
    r"[\w-]+",
    "alert alertdialog application article banner blockquote caption cell code columnheader combobox complementary "
    "contentinfo definition deletion dialog directory document emphasis feed figure form generic graphics-object grid "
    "gridcell group heading insertion list listbox listitem log main marquee math menu menubar meter navigation note "
    "paragraph progressbar radiogroup region row rowgroup rowheader scrollbar search searchbox separator slider "
    "spinbutton status strong subscript superscript table tablist tabpanel term textbox time timer toolbar tooltip "
    "tree treegrid",
)
# All that a browser takes; it passes over others, and takes the first of several.
_ROLES = IMAGE_ROLES | _UNNAMED_ROLES | _CONTROL_ROLES | frozenset(_OTHER_ROLES)
# With one of these, or where it can be focused, an element is no decoration, whatever it says of itself.
_GLOBAL = re.findall(
    r"\w+",
    "label labelledby describedby description details live atomic busy controls current flowto keyshortcuts owns "
    "relevant roledescription",
)
_STYLE = re.compile(r"(?:^|;)\s*(display|visibility|content-visibility|width|height)\s*:\s*([\w.-]+)")
_IMAGE_FILE = re.compile(r"\.(?:jpe?g|jfif|png|gif|webp|svg|bmp|tiff?|avif|ico)(?:[?#]|$)", re.IGNORECASE)
_DOTS = re.compile(r"\s*\+?0*[01](?:\.0*)?(?:px)?\s*")
_FALLBACK = frozenset(("audio", "video", "noscript"))  # what is in them is for browsers that do not know them
_LONGEST_STYLE = 10_000  # characters


def attribute(element: Any, name: str) -> str:
    """An attribute's value; "" where it has none, and of texts."""
    return (element.attrs or {}).get(name) or "" if element.name != "#text" else ""


def role_of(element: Any) -> str:
    """The first role that there is; "" for none, and for a decoration's where the element can't be one."""
    role = next((name for name in attribute(element, "role").lower().split()[:20] if _is_role(name)), "")
    return "" if role in _UNNAMED_ROLES and in_conflict(element) else role


def _is_role(name: str) -> bool:
    return name in _ROLES or name.startswith("doc-")


def is_decoration(element: Any) -> bool:
    """Whether it says that it is decorative, and is."""
    if element.name == "img" and (element.attrs or {}).get("alt", " ") in ("", None) and not in_conflict(element):
        return role_of(element) in ("", *_UNNAMED_ROLES)
    return role_of(element) in _UNNAMED_ROLES


def in_conflict(element: Any) -> bool:
    """Whether an element that says that it is decorative is exposed all the same."""
    if any(attribute(element, f"aria-{name}").strip() for name in _GLOBAL):
        return True
    if re.fullmatch(r"\s*[+-]?\d+.*", attribute(element, "tabindex")[:20]):
        return True
    return element.name in ("input", "button") or (element.name in ("a", "area") and "href" in element.attrs)


def kind_of(element: Any) -> Kind | None:
    """Which rules of naming hold for an image; "role": it says that it is one. None: no image, or a tracking pixel."""
    match element.name:
        case "img":
            return None if _is_pixel(element) else "img"
        case "input" if attribute(element, "type").strip().lower() == "image":
            return "input"
        case "area" if "href" in element.attrs:
            return "area"
        case "svg":
            return "svg"
        case "object" | "embed" if _shows_image(element):
            return "object"
    return "role" if role_of(element) in IMAGE_ROLES else None


def is_control(element: Any) -> bool:
    """Whether it is a link or a button, or another thing that is nothing without a name; a bare <a> is none."""
    role = role_of(element)
    if role and role not in _UNNAMED_ROLES:
        return role in _CONTROL_ROLES
    linked = element.name == "a" and any(name in element.attrs for name in ("href", "xlink:href"))
    return linked or element.name in ("button", "summary")


def is_hidden(element: Any) -> bool:
    """Whether the element, with all in it, is kept from everybody; what a closed <details> holds is not."""
    attributes = element.attrs or {}
    if "hidden" in attributes or "inert" in attributes or element.name in _FALLBACK:
        return True
    style = style_of(element)
    return style.get("display") == "none" or style.get("content-visibility") == "hidden"


def is_unsaid(element: Any) -> bool:
    """Whether it is kept from screen readers, with all in it."""
    return attribute(element, "aria-hidden").strip().lower() == "true"


def visibility(element: Any) -> bool | None:
    """Whether it is seen; None: as what is around it."""
    said = style_of(element).get("visibility", "inherit")
    return None if said not in ("visible", "hidden", "collapse") else said == "visible"


def style_of(element: Any) -> dict[str, str]:
    """What the style attribute says of display, visibility and size."""
    style = attribute(element, "style")
    if ":" not in style:
        return {}
    return dict(_STYLE.findall(re.sub(r"/\*.*?\*/", "", style[:_LONGEST_STYLE].lower())))


def _is_pixel(element: Any) -> bool:
    """A picture of one dot counts visits; nobody sees it."""
    style = style_of(element)
    return all(_DOTS.fullmatch(style.get(side) or attribute(element, side)) for side in ("width", "height"))


def _shows_image(element: Any) -> bool:
    kind = attribute(element, "type").strip().lower()
    if kind:
        return kind.startswith("image/")
    address = attribute(element, "data" if element.name == "object" else "src")
    return address.startswith("data:image/") or _IMAGE_FILE.search(address) is not None
