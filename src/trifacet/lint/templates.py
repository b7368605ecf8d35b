"""What a template engine, or a script of the page, is yet to fill in: it cannot be judged.

Invariant: only the way of writing counts, as the dialects have it; which engine it is nobody needs to know. Every
pattern is linear in the text's length.
"""

from __future__ import annotations

from collections.abc import Mapping

import regex

_VALUE = regex.compile(
    r"\{\{|\{%|\[%|<[%?]|</?#[a-z]|\$\{|<\w++:\w++[\s/>]"  # Jinja, Vue, Go ...; ERB, PHP; FreeMarker; Lit, JSP
    r"|[#@*~&]\{[^{}]*+\}|\[\[[^\[\]]++\]\]|\{!!"  # Thymeleaf, JSF; Polymer; Blade
    r"|(?<![\w\\^{}])\{[A-Za-z_$@#/(\"'`][^{}\\]*+(?:\}|$)"  # JSX, Smarty, Fluid; without quotes cut off at a blank
    r"|(?<![\w@.])@(?:\(|[A-Za-z_]\w*+(?:\.[A-Z]|[(\[]))"  # Razor, in which properties begin with a capital
    r"|\$!\{?[a-z]|(?<![\w$])\$[a-z]\w*+(?:\.|->)\w"  # Velocity
    r"|(?<![\w%])%%?[A-Za-z_]\w*+%%?(?!\w)|\*\|[\w:]++\|\*|__MSG_\w|###\w++###"  # of shops, mails, extensions, TYPO3
)
# What is one only where it is the whole text: in others it may be a price, a hashtag or an address.
_WHOLE = regex.compile(
    r"\s*+(?:\$[a-z]\w*+|#[A-Za-z_][\w.]*+(?:\([^()]*+\))?#"
    r"|(?:[a-z]\w*+\.)++(?:alt|altText|alt_text|title|name|label|caption|description|text|t))\s*+"
)
_NAMING = r"(?:alt|title|aria[-_]?label(?:ledby)?)"
# Attributes that name the element: th:alt, alt.bind, alt$, .alt, [attr.alt], v-bind:alt, ng-attr-alt, data-th-alt ...
# but not data-alt and its kin, which are read by nobody, or by a script that is not a template.
_NAMES = regex.compile(
    rf"(?!{_NAMING}$|xlink:|data-(?!(?:th|ng|sly|v|x|wp|tal|t)-))(?:.*[^a-z])?{_NAMING}(?:[^a-z].*)?"
    r"|[vx]-(?:text|html)|ng-bind(?:-html)?|\[(?:innerhtml|textcontent|innertext)\]|data-l10n-id|.*(?:\{|<[%?]).*"
)
# Attributes that write others, whose names stand in the value or nowhere.
_WRITES = regex.compile(
    r"[vx]-bind|(?:v-bind)?:\[.*|(?:[\w-]+[:-])?attr(?:s|ibutes?)?(?:append|prepend)?|t-att"
    r"|data-(?:bind|i18n|localize)|wicket:(?:id|message)"
)
_NAMING_WORD = regex.compile(rf"(?<![a-z]){_NAMING}(?![a-z])", regex.IGNORECASE)
_SOURCE = regex.compile(r"(?<![a-z])src(?![a-z])", regex.IGNORECASE)
_LONGEST_NAME = 200  # characters of an attribute's


def template_in(text: str) -> bool:
    """Whether a part of the text is yet to be filled in."""
    # The end may be missing: in alt="{% trans "Logo" %}" the attribute ends at the second quote.
    return _VALUE.search(text) is not None or _WHOLE.fullmatch(text) is not None


def is_bound(attributes: Mapping[str, str | None] | None) -> bool:
    """Whether a template may name the element, or give it any attribute: then what the page lacks says nothing."""
    return any(_binds(name[:_LONGEST_NAME].lower(), value or "") for name, value in (attributes or {}).items())


def _binds(name: str, value: str) -> bool:
    if _NAMES.fullmatch(name):
        return True
    if not _WRITES.fullmatch(name):
        return False
    # src alone is written: then nothing names the image
    return _NAMING_WORD.search(value) is not None or not _SOURCE.search(value)
