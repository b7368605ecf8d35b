"""What every page shares: templates that escape, one style sheet, and no character that a page may not hold.

Invariant: a template's text is escaped unless it is markup that we made, and its marks of direction turn nothing but
itself.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from trifacet.base.bidi import balanced, isolated
from trifacet.base.words import visible

# C0 and C1 but white space, lone surrogates, and what Unicode keeps for itself.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def render_page(package: str, template: str, filters: dict[str, Any], **view: Any) -> str:
    """The page of a package's ``template`` with the style sheet inlined; characters no page may hold become U+FFFD."""
    css = (files("trifacet.web") / "static" / "page.css").read_text(encoding="utf-8")
    return render_part(package, template, filters, css=Markup(css), **view)


def render_part(package: str, template: str, filters: dict[str, Any], **view: Any) -> Markup:
    """A piece of a page, escaped already, to stand in another template."""
    environment = page_templates(package)
    environment.filters.update(filters)
    return Markup(printable(environment.get_template(template).render(**view)))


def page_templates(package: str) -> Environment:
    """The templates of a package, and those that all pages share."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("trifacet.web")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_balanced,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(isolated=isolated, visible=visible)
    return environment


def printable(page: str) -> str:
    """``page`` with U+FFFD in place of the characters that no page may hold."""
    return _UNPRINTABLE.sub("\ufffd", page)


def _balanced(value: Any) -> Any:
    """What a template is about to show: texts with an end for each mark of direction; ours are markup."""
    return balanced(value) if type(value) is str else value
